/* tensors.h: safetensors files (a JSON header, then raw little-endian tensors). docs/MODEL_FILE.md has our header. */
#ifndef ISO_TENSORS_H
#define ISO_TENSORS_H

#include "base/base.h"

typedef struct iso_tensor {
    char *name;
    int rank;             /* 1 or 2 */
    int64_t shape[2];
    bool is_double;       /* F64, else F32 */
    void *values;
} iso_tensor;

typedef struct iso_tensor_file {
    int n_tensors;
    iso_tensor *tensors;
    char *metadata;       /* JSON text of our own document (safetensors' "__metadata__" holds it under "isolario") */
} iso_tensor_file;

/* Atomic: written beside and renamed. */
iso_status iso_tensors_write(const char *path, const iso_tensor_file *f, iso_error *err);
/* Checks every size and offset against the file before it allocates; refuses overlaps, gaps, unknown types. */
iso_status iso_tensors_read(const char *path, iso_tensor_file *f, iso_error *err);
void iso_tensors_clear(iso_tensor_file *f);
const iso_tensor *iso_tensors_find(const iso_tensor_file *f, const char *name);

/* ------------------------------------------------------------ files written beside their place and renamed */

/* `temp` lies beside `path`; it is open for writing from its start, and `path` appears only when committed. */
typedef struct iso_out { FILE *file; char *path, *temp; } iso_out;
iso_status iso_out_open(const char *path, iso_out *o, iso_error *err);
iso_status iso_out_commit(iso_out *o, iso_error *err);   /* flush, fsync, close, rename; a full disk is an error */
void iso_out_discard(iso_out *o);                        /* after commit: nothing */
iso_status iso_make_dir(const char *path, iso_error *err);              /* like mkdir -p */
/* hex [65]; streams the file. For a folder: of what `sha256sum *` prints in it, in byte order of the names. */
iso_status iso_sha256_path(const char *path, char *hex, iso_error *err);

#endif
