/* norm.c: the loops of op/batch_norm.c: columns of x [n, cols], rows `step` apart. Row by row, so that neighbours in memory go together. */
#include "isa.h"

enum { COLUMNS = 128 };         /* whose sums stay in the first cache */

static inline int64_t fewer(int64_t n) { return n < COLUMNS ? n : COLUMNS; }

void KERNEL(norm_moments)(const real *x, int64_t n, int64_t cols, int64_t step, real *mean, real *squares)
{
    for (int64_t c0 = 0; c0 < cols; c0 += COLUMNS) {
        const int64_t m = fewer(cols - c0);
        real sum[COLUMNS] = {0}, square[COLUMNS] = {0};
        for (int64_t r = 0; r < n; r++) {
            const real *restrict row = x + r * step + c0;
            for (int64_t c = 0; c < m; c++) sum[c] += row[c];
        }
        for (int64_t c = 0; c < m; c++) mean[c0 + c] = sum[c] /= (real)n;
        for (int64_t r = 0; r < n; r++) {
            const real *restrict row = x + r * step + c0;
            for (int64_t c = 0; c < m; c++) square[c] += (row[c] - sum[c]) * (row[c] - sum[c]);
        }
        for (int64_t c = 0; c < m; c++) squares[c0 + c] = square[c];
    }
}

void KERNEL(norm)(const real *x, int64_t n, int64_t cols, int64_t step, const real *mean, const real *scale, const real *shift, real *y)
{
    const real *restrict m = mean, *restrict by = scale, *restrict plus = shift;
    for (int64_t r = 0; r < n; r++) {
        const real *restrict from = x + r * step;
        real *restrict to = y + r * step;
        for (int64_t c = 0; c < cols; c++) to[c] = (from[c] - m[c]) * by[c] + plus[c];
    }
}

void KERNEL(norm_sums)(const real *x, const real *d, int64_t n, int64_t cols, int64_t step, const real *mean, real *sum, real *sum_of_products)
{
    for (int64_t c0 = 0; c0 < cols; c0 += COLUMNS) {
        const int64_t m = fewer(cols - c0);
        const real *restrict at = mean + c0;
        real all[COLUMNS] = {0}, products[COLUMNS] = {0};
        for (int64_t r = 0; r < n; r++) {
            const real *restrict row = x + r * step + c0, *restrict up = d + r * step + c0;
            for (int64_t c = 0; c < m; c++) all[c] += up[c], products[c] += up[c] * (row[c] - at[c]);
        }
        for (int64_t c = 0; c < m; c++) sum[c0 + c] = all[c], sum_of_products[c0 + c] = products[c];
    }
}

void KERNEL(norm_back)(const real *x, const real *d, int64_t n, int64_t cols, int64_t step, const real *mean, const real *of_d, const real *of_x, const real *shift,
                       bool add, real *dx)
{
    const real *restrict m = mean, *restrict a = of_d, *restrict b = of_x, *restrict plus = shift;
    for (int64_t r = 0; r < n; r++) {
        const real *restrict from = x + r * step, *restrict up = d + r * step;
        real *restrict to = dx + r * step;
        for (int64_t c = 0; c < cols; c++) {
            real old = add ? to[c] : 0;
            to[c] = old + (a[c] * up[c] + b[c] * (from[c] - m[c]) + plus[c]);
        }
    }
}
