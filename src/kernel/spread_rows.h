/* spread_rows.h: products of sparse rows by tiles (AMX), from the rows spread out in bfloat16: what tiles do in vain with zeros costs less than to pick out
 * the others, unless these are few. Sums are real. */
#ifndef ISO_SPREAD_ROWS_H
#define ISO_SPREAD_ROWS_H

#include "layer.h"

bool iso_spread_usable(void);
bool iso_spread_pays(const iso_batch_csr *x);                          /* by how much of x is not zero */
int64_t iso_spread_size(int64_t n_rows, int64_t n_cols);               /* numbers that rows take */

/* Rows r0..r1-1 of x, with those values, to their places in `to`; beyond the last there are zeros. */
void iso_spread_rows(const iso_batch_csr *x, const real *values, int64_t r0, int64_t r1, iso_bf16 *to);
/* Columns c.. of the rows begin at a multiple of ISO_LAYER_PAD; n, n_rows and H padded to it are meant by N, B and P.
 * y [n_rows, H] (+)= columns c..c+n-1 of the rows times w [n, H]. half [N, P]: scratch. */
void iso_spread_forward(const iso_bf16 *rows, int64_t n_rows, int64_t n_cols, int64_t c, int64_t n, const real *w, int64_t H, iso_bf16 *half, real *y, bool add);
/* d [n_rows, H] as iso_spread_backward wants it, to pairs [B, P]. */
void iso_spread_gradient(const real *d, int64_t n_rows, int64_t H, iso_bf16 *pairs);
/* dw [n, H] (+)= columns c..c+n-1 of the rows, transposed, times d. half [N, B]: scratch. */
void iso_spread_backward(const iso_bf16 *rows, int64_t n_rows, int64_t n_cols, int64_t c, int64_t n, const iso_bf16 *pairs, int64_t H, iso_bf16 *half, real *dw,
                         bool add);

#endif
