/* csr.h: making an iso_csr what dataset.h promises: sorted, unique, no explicit zeros. */
#ifndef ISO_CSR_H
#define ISO_CSR_H

#include "dataset.h"

/* One side of the matrix, for sizes and for names in messages. */
typedef struct csr_axis {
    const char *what;            /* "cell" or "gene" */
    int64_t n;
    char *const *names;          /* [n] */
} csr_axis;

/* Arrays for nnz values, zeroed. */
iso_status csr_alloc(iso_csr *m, int64_t n_rows, int64_t n_cols, int64_t nnz, iso_error *err);
/* Room for `nnz` values at least, the old ones kept. *room is what there is now. */
iso_status csr_grow(iso_csr *m, int64_t *room, int64_t nnz, iso_error *err);
/* t = transposed a; equal (row, column) pairs keep their order. t's indices ascend. O(nnz + rows + columns). */
iso_status csr_transpose(const iso_csr *a, iso_csr *t, iso_error *err);
/* Sorts rows that need it, adds up repeated entries, drops zeros. Indices must be in range. */
iso_status csr_tidy(iso_csr *m, iso_error *err);
/* out = rows [n] of m, in that order; a row may come more than once. */
iso_status csr_take_rows(const iso_csr *m, const int64_t *rows, int64_t n, iso_csr *out, iso_error *err);
/* Keeps column j as column to[j], or drops it where to[j] = -1; `to` must ascend. */
void csr_keep_columns(iso_csr *m, const int32_t *to, int64_t n_cols);
/* All values are non-negative integers (no NaN, no infinity). */
bool csr_is_counts(const iso_csr *m);
/* ISO_EDATA if m holds counts and one is above 2^24, which float32 would round. `where`: file and place. */
iso_status csr_check_exact(const iso_csr *m, const char *where, csr_axis cells, csr_axis genes, iso_error *err);

#endif
