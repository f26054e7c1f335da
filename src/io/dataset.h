/* dataset.h: cells x genes in memory, with their annotations; what every reader fills and every writer takes. */
#ifndef ISO_DATASET_H
#define ISO_DATASET_H

#include "base/base.h"

/* Sparse matrix, row-major. Within a row the indices ascend and are unique; explicit zeros may not occur.
 * float32 holds integers to 16,777,216 exactly; larger integer counts are refused by the readers. */
typedef struct iso_csr {
    int64_t n_rows, n_cols, nnz;
    int64_t *indptr;      /* [n_rows + 1] */
    int32_t *indices;     /* [nnz] */
    float *values;        /* [nnz] */
} iso_csr;

typedef enum iso_column_kind { ISO_COL_CATEGORY, ISO_COL_STRING, ISO_COL_INT, ISO_COL_REAL, ISO_COL_BOOL } iso_column_kind;

/* One annotation. Exactly one of the arrays is set, by kind; missing values are code -1, NULL, NaN, or mask != 0. */
typedef struct iso_column {
    char *name;
    iso_column_kind kind;
    int32_t *codes;       /* CATEGORY [n] */
    char **categories;    /* CATEGORY [n_categories] */
    int32_t n_categories;
    bool ordered;         /* CATEGORY */
    char **strings;       /* STRING [n] */
    int64_t *ints;        /* INT [n] */
    double *reals;        /* REAL [n] */
    uint8_t *bools;       /* BOOL [n] */
    uint8_t *mask;        /* INT, BOOL: 1 = missing, or NULL when none is (anndata's nullable arrays) */
} iso_column;

typedef struct iso_frame {
    int64_t n_rows;
    char *index_name;     /* as stored in the file, "_index" if unnamed */
    char **index;         /* [n_rows] row names, never NULL entries */
    int n_columns;
    iso_column *columns;  /* in the file's order */
} iso_frame;

struct iso_images;                                /* images.h */

struct iso_dataset {
    char *path;           /* as the user gave it */
    const char *format;   /* the reader's name: "h5ad", "10x-h5", "10x-mtx" */
    char *source;         /* where the counts came from: "X", "layers/counts", "raw/X", "matrix" */
    iso_csr x;
    iso_frame obs;        /* cells */
    iso_frame var;        /* genes of x (raw/var when source is raw/X) */
    struct iso_images *images;                    /* NULL: counts. With images x has a row each and no entries, and var no rows */
};

/* A reader is one row. */
typedef struct iso_reader {
    const char *name;
    const char *what;                         /* for help: "AnnData .h5ad" */
    /* Cheap look at the path (a file's first bytes, a folder's names); true if this reader should try it. */
    bool (*sniff)(const char *path);
    /* layer: NULL = find the counts (X if it holds integers, else layers/counts, else raw); "X", "raw", or a layer's name. */
    iso_status (*read)(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err);
} iso_reader;
extern const iso_reader iso_readers[];        /* ends with name NULL */

/* Sniff and read; d is a zeroed struct the caller owns. Checks the result's invariants. */
iso_status iso_dataset_open(iso_env *env, const char *path, const char *layer, iso_dataset **out, iso_error *err);
const iso_column *iso_frame_column(const iso_frame *f, const char *name);   /* NULL: none of that name */
/* A column as categories: CATEGORY as it is; STRING, INT and BOOL by sorted distinct values as text. Missing = -1.
 * codes [n_rows], categories [*n] owned by the caller (iso_free each and the array). ISO_EDATA for REAL. */
iso_status iso_column_factor(const iso_frame *f, const iso_column *c, int32_t **codes, char ***categories, int32_t *n,
                             iso_error *err);
void iso_column_clear(iso_column *c, int64_t n_rows);   /* these three free what it holds, not the struct */
void iso_frame_clear(iso_frame *f);
void iso_csr_clear(iso_csr *m);

/* obs and one array of obsm of an h5ad, whatever else is in it: *values [obs->n_rows, *cols], the caller's. */
iso_status iso_h5ad_read_embedding(iso_env *env, const char *path, const char *name, iso_frame *obs, float **values,
                                   int64_t *cols, iso_error *err);

/* obs alone. */
iso_status iso_h5ad_read_obs(iso_env *env, const char *path, iso_frame *obs, iso_error *err);

/* ------------------------------------------------------------------------------------ writing h5ad */

/* Copies the h5ad `from` to `to`, written beside its place and renamed when whole, with one more column of obs [n cells].
 * All else stays as it is, also what we cannot read. */
iso_status iso_h5ad_add_column(iso_env *env, const char *from, const char *to, const iso_column *c, int64_t n, iso_error *err);

/* What to put into an h5ad besides obs and var. Arrays are lent. */
typedef struct iso_h5ad_array { const char *name; int64_t cols; const float *values; /* [n_obs, cols] */ } iso_h5ad_array;
typedef struct iso_h5ad_sparse { const char *name; const iso_csr *m; } iso_h5ad_sparse;
typedef struct iso_h5ad_uns { const char *path; /* "isolario/verdict" */ const char *text; /* or NULL */
                              const double *reals; int64_t n_reals; /* n_reals = -1: scalar at reals[0] */
                              const char *const *strings; int64_t n_strings;
                              const int64_t *ints; int64_t n_ints;   /* n_ints = -1: scalar at ints[0] */ } iso_h5ad_uns;
typedef struct iso_h5ad_out {
    const iso_frame *obs, *var;               /* var NULL: no genes (0 columns) */
    const iso_csr *x;                         /* NULL: no X */
    const iso_column *extra_obs; int n_extra_obs;      /* replace columns of the same name */
    const iso_h5ad_array *obsm; int n_obsm;
    const iso_h5ad_sparse *obsp; int n_obsp;
    const iso_h5ad_sparse *layers; int n_layers;
    const iso_h5ad_uns *uns; int n_uns;
} iso_h5ad_out;
/* Written beside `path` and renamed when whole. */
iso_status iso_h5ad_write(iso_env *env, const char *path, const iso_h5ad_out *out, iso_error *err);

#endif
