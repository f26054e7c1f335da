/* spread_rows.h: products of sparse rows by tiles (AMX), from the rows spread out in bfloat16: what tiles do in vain with zeros costs less than to pick out
 * the others, unless these are few. Sums are real. */
#ifndef ISO_SPREAD_ROWS_H
#define ISO_SPREAD_ROWS_H

#include "layer.h"

/* n, n_rows and H padded to ISO_LAYER_PAD are meant by N, B and P; columns c.. of the rows begin at a multiple of it. */
typedef struct iso_spread {
    bool (*pays)(const iso_batch_csr *x);                          /* by how much of x is not zero */
    int64_t (*size)(int64_t n_rows, int64_t n_cols);               /* numbers that rows take */
    /* Rows r0..r1-1 of x, with those values, to their places in `to`; beyond the last there are zeros. */
    void (*rows)(const iso_batch_csr *x, const real *values, int64_t r0, int64_t r1, iso_bf16 *to);
    /* y [n_rows, H] (+)= columns c..c+n-1 of the rows times w [n, H]. half [N, P]: scratch. */
    void (*forward)(const iso_bf16 *rows, int64_t n_rows, int64_t n_cols, int64_t c, int64_t n, const real *w, int64_t H, iso_bf16 *half, real *y, bool add);
    /* d [n_rows, H] as backward wants it, to pairs [B, P]. */
    void (*gradient)(const real *d, int64_t n_rows, int64_t H, iso_bf16 *pairs);
    /* dw [n, H] (+)= columns c..c+n-1 of the rows, transposed, times d. half [N, B]: scratch. */
    void (*backward)(const iso_bf16 *rows, int64_t n_rows, int64_t n_cols, int64_t c, int64_t n, const iso_bf16 *pairs, int64_t H, iso_bf16 *half, real *dw, bool add);
} iso_spread;

extern const iso_spread iso_spread_by_tiles;                       /* if iso_tiles_usable */

#endif
