/* h5.h: small safe helpers over the HDF5 C library, for files that may be damaged or hostile.
 *
 * A `place` is an absolute path in the file ("/obs/cluster/codes"). Nothing outside the file is read: external links,
 * external storage and virtual datasets are refused. Sizes are checked against the bytes in the file before anything
 * is allocated. HDF5's own error printing is off while a file is open; its innermost reason goes into our message.
 * HDF5 may be used by one thread at a time. */
#ifndef ISO_H5_H
#define ISO_H5_H

#include "base/base.h"

#include <hdf5.h>

/* Where a file that is being written goes, and the first error (an errno) of doing so; see h5_sink.c. */
typedef struct h5_sink { int fd, error; } h5_sink;

typedef struct h5_file {
    iso_env *env;                /* for interrupts and warnings; NULL when only looking */
    const char *path;            /* lent, for messages */
    hid_t id;
    hid_t lapl;                  /* link access that refuses external links */
    int fd;                      /* the same file, for what HDF5 is not trusted with */
    int64_t bytes;               /* size of the file */
    int64_t base;                /* byte of the file that HDF5's address 0 stands for */
    size_t address_bytes, size_bytes;            /* of an address and of a size in this file, at most 8 */
    h5_sink *sink;               /* NULL in files that are read */
    bool silenced;
    H5E_auto2_t print;           /* HDF5's error printing as it was */
    void *print_arg;
} h5_file;

typedef enum h5_what { H5_NOTHING, H5_GROUP, H5_ARRAY, H5_ELSE } h5_what;
typedef enum h5_kind {
    H5_KIND_INT, H5_KIND_REAL, H5_KIND_BOOL, H5_KIND_TEXT, H5_KIND_TABLE, H5_KIND_REFERENCE, H5_KIND_OTHER
} h5_kind;

/* A dataset, an attribute, or one field of a table (compound dataset), described and checked. */
typedef struct h5_array {
    const h5_file *file;
    char *place;                 /* for messages; an attribute's is "/obs@column-order" */
    hid_t id, type;
    bool is_attribute;
    char *field;                 /* name in the table, or NULL */
    h5_kind kind;
    int rank;
    int64_t rows, cols, n;       /* n = rows * cols; a scalar is 1 x 1, a vector n x 1; beyond rank 2 kind is OTHER */
    int64_t block_rows;          /* rows to read at a time: whole chunks, some MiB */
} h5_array;

/* Does the file begin with HDF5's signature (at 0, 512, 1024, ...)? Does not call HDF5. */
bool h5_signature(const char *path);
/* Read-only. On any status h5_close must follow. */
iso_status h5_open(iso_env *env, const char *path, h5_file *f, iso_error *err);
void h5_close(h5_file *f);
/* Turn HDF5's error printing off, and on again as it was. For writers too; h5_open and h5_close do it. */
void h5_silence(h5_file *f);
void h5_unsilence(h5_file *f);
/* Closes any HDF5 id; negative ids are ignored. */
void h5_drop(hid_t id);
/* Innermost reason of the HDF5 call that just failed, into a buffer; returns it. */
typedef struct h5_reason { char text[160]; } h5_reason;
const char *h5_why(h5_reason *r);

/* What is there; H5_NOTHING if no such name. ISO_EDATA when the file is too damaged to tell. */
iso_status h5_look(const h5_file *f, const char *place, h5_what *what, iso_error *err);
/* Name i of a group, in alphabetic order; false past the last. Does not allocate. */
bool h5_name_at(const h5_file *f, const char *group, int64_t i, char *name, size_t room);
/* Names in a group, sorted; the caller frees with iso_free_texts. */
iso_status h5_list(const h5_file *f, const char *group, char ***names, int64_t *n, iso_error *err);

iso_status h5_array_open(const h5_file *f, const char *place, h5_array *a, iso_error *err);
/* The dataset that an object reference points to. */
iso_status h5_array_follow(const h5_array *reference, h5_array *a, iso_error *err);
/* Field i of a table; *a stands on its own. */
iso_status h5_array_field(const h5_array *table, int i, h5_array *a, iso_error *err);
int h5_table_n_fields(const h5_array *table);
/* *found = false, and nothing to close, if the object has no such attribute. */
iso_status h5_attribute_open(const h5_file *f, const char *place, const char *name, h5_array *a, bool *found,
                             iso_error *err);
void h5_array_close(h5_array *a);                    /* a zeroed or closed one is fine */

/* `n` rows from row `first` as int64 (INT, BOOL), float64 or float32 (INT, BOOL, REAL), in C order [n, cols].
 * Integers beyond 2^24 stay beyond it as float32, so that they can be found afterwards. */
iso_status h5_read_i64(const h5_array *a, int64_t first, int64_t n, int64_t *out, iso_error *err);
iso_status h5_read_f64(const h5_array *a, int64_t first, int64_t n, double *out, iso_error *err);
iso_status h5_read_f32(const h5_array *a, int64_t first, int64_t n, float *out, iso_error *err);
/* All of a TEXT array, fixed or variable length; *out [a->n]. */
iso_status h5_read_text(const h5_array *a, char ***out, iso_error *err);
/* A scalar text attribute; *out NULL if there is none of that name. */
iso_status h5_attribute_text(const h5_file *f, const char *place, const char *name, char **out, iso_error *err);

/* h5_heap.c: the texts of variable length that n references [n, h5_reference_bytes] point to, into out [n]. */
iso_status h5_follow_references(const h5_file *f, const unsigned char *references, int64_t n, char **out, iso_error *err);
size_t h5_reference_bytes(const h5_file *f);

/* h5_header.c: refuses an object whose header HDF5 may not survive; to be called before HDF5 opens it. */
iso_status h5_check_header(const h5_file *f, const char *place, uint64_t address, iso_error *err);
/* The same for the whole file, before HDF5 opens it: refuses one with a cache image, which only HDF5's own tools make
 * and on which it crashes if it is damaged. */
iso_status h5_check_superblock(const h5_file *f, iso_error *err);

/* h5_trial.c: what fn says, which a child process runs: only files that it writes remain of what it does. ISO_EDATA if it crashes. */
typedef iso_status h5_child_fn(void *arg, iso_error *err);
iso_status h5_in_child(const char *path, h5_child_fn *fn, void *arg, iso_error *err);
/* ISO_EDATA if HDF5 does not survive a look at the whole structure of the file. */
iso_status h5_try(const char *path, hid_t fapl, iso_error *err);

/* Whole read of n bytes of the file at `at`, which are within it. */
iso_status h5_read_bytes(const h5_file *f, int64_t at, int64_t n, unsigned char *out, iso_error *err);
uint64_t h5_little_endian(const unsigned char *b, size_t n);

void h5_register_lzf(void);                          /* lzf_filter.c: h5py's filter 32000 */

#endif
