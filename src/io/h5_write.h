/* h5_write.h: small helpers to write HDF5 files as anndata and h5py do: every object has an encoding-type and an
 * encoding-version, text is variable-length UTF-8, truth is an enumeration of FALSE and TRUE.
 *
 * A `place` is an absolute path in the file; parents that are missing are made as bare groups. The h5_file is one
 * that h5_create or h5_extend opened. What HDF5 refuses is ISO_EIO. */
#ifndef ISO_H5_WRITE_H
#define ISO_H5_WRITE_H

#include "h5.h"

typedef struct h5_encoding { const char *type, *version; } h5_encoding;       /* type NULL: none is written */

typedef enum h5_type { H5_INT8, H5_INT16, H5_INT32, H5_INT64, H5_FLOAT32, H5_FLOAT64, H5_BOOL } h5_type;

/* An array in memory of type `type`, and how it is kept. */
typedef struct h5_values {
    h5_encoding encoding;
    h5_type type, stored;        /* stored narrower than it is, if all values fit */
    int rank;                    /* 0, 1 or 2 */
    int64_t rows, cols;          /* a vector has cols = 1, a scalar rows = 1 too */
    const void *data;            /* [rows, cols]; BOOL: uint8 of 0 and 1 */
    bool packed;                 /* vectors only: in chunks, shuffled, gzip level 4 */
} h5_values;

/* A new file into sink->fd, an empty file open to read and write; `path` is for messages. wide: attributes may be
 * larger than 64 KiB (HDF5 1.8 and later). On any status h5_close must follow, and only then may sink->fd be closed. */
iso_status h5_create(iso_env *env, const char *path, h5_sink *sink, bool wide, h5_file *f, iso_error *err);
/* The same for a file that is there, whole and seen to be safe (see h5_open), to be added to. */
iso_status h5_extend(iso_env *env, const char *path, h5_sink *sink, h5_file *f, iso_error *err);
/* Closes it and says whether everything reached the file. */
iso_status h5_finish(h5_file *f, iso_error *err);
/* h5_sink.c: the driver, for a file access property list. */
bool h5_sink_use(hid_t fapl, h5_sink *sink);

iso_status h5_put_group(const h5_file *f, const char *place, h5_encoding encoding, iso_error *err);
iso_status h5_put_values(const h5_file *f, const char *place, const h5_values *v, iso_error *err);
/* Texts [n]; NULL is written as "". Bytes that are not UTF-8 become '?', so that every reader takes the file. */
iso_status h5_put_texts(const h5_file *f, const char *place, const char *const *texts, int64_t n, iso_error *err);
iso_status h5_put_text(const h5_file *f, const char *place, const char *text, iso_error *err);

bool h5_is_utf8(const char *s);

/* Attributes of what is at `place`; one of that name is replaced. */
iso_status h5_note_text(const h5_file *f, const char *place, const char *name, const char *text, iso_error *err);
iso_status h5_note_texts(const h5_file *f, const char *place, const char *name, const char *const *texts, int64_t n,
                         iso_error *err);
iso_status h5_note_values(const h5_file *f, const char *place, const char *name, const h5_values *v, iso_error *err);
iso_status h5_note_encoding(const h5_file *f, const char *place, h5_encoding encoding, iso_error *err);

#endif
