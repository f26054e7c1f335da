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

static inline __attribute__((always_inline)) void normed(const real *x, int64_t n, int64_t cols, int64_t step, const real *mean, const real *scale, const real *shift,
                                                         bool relu, real *y)
{
    const real *restrict m = mean, *restrict by = scale, *restrict plus = shift;
    for (int64_t r = 0; r < n; r++) {
        const real *restrict from = x + r * step;
        real *restrict to = y + r * step;
        for (int64_t c = 0; c < cols; c++) {
            const real v = (from[c] - m[c]) * by[c] + plus[c];
            to[c] = relu && !(v > 0) ? 0 : v;
        }
    }
}

void KERNEL(norm)(const real *x, int64_t n, int64_t cols, int64_t step, const real *mean, const real *scale, const real *shift, bool relu, real *y)
{
    if (relu) normed(x, n, cols, step, mean, scale, shift, true, y);
    else normed(x, n, cols, step, mean, scale, shift, false, y);
}

/* What of d comes through relu: where y, which may be NULL, is above 0. Always inline, as the others: a loop for either. */
static inline __attribute__((always_inline)) real through(const real *y, int64_t c, real d) { return !y || y[c] > 0 ? d : 0; }

static inline __attribute__((always_inline)) void sums(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, real *sum,
                                                       real *sum_of_products)
{
    for (int64_t c0 = 0; c0 < cols; c0 += COLUMNS) {
        const int64_t m = fewer(cols - c0);
        const real *restrict at = mean + c0;
        real all[COLUMNS] = {0}, products[COLUMNS] = {0};
        for (int64_t r = 0; r < n; r++) {
            const real *restrict row = x + r * step + c0, *restrict up = d + r * step + c0, *restrict out = y ? y + r * step + c0 : NULL;
            for (int64_t c = 0; c < m; c++) {
                const real di = up[c], of_d = through(out, c, di);
                all[c] += of_d, products[c] += of_d * (row[c] - at[c]);
            }
        }
        for (int64_t c = 0; c < m; c++) sum[c0 + c] = all[c], sum_of_products[c0 + c] = products[c];
    }
}

void KERNEL(norm_sums)(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, real *sum, real *sum_of_products)
{
    if (y) sums(x, d, y, n, cols, step, mean, sum, sum_of_products);
    else sums(x, d, NULL, n, cols, step, mean, sum, sum_of_products);
}

static inline __attribute__((always_inline)) void back(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, const real *of_d,
                                                       const real *of_x, const real *shift, bool add, real *dx)
{
    const real *restrict m = mean, *restrict a = of_d, *restrict b = of_x, *restrict plus = shift;
    for (int64_t r = 0; r < n; r++) {
        const real *restrict from = x + r * step, *restrict up = d + r * step, *restrict out = y ? y + r * step : NULL;
        real *restrict to = dx + r * step;
        for (int64_t c = 0; c < cols; c++) {
            const real old = add ? to[c] : 0, di = up[c];
            to[c] = old + (a[c] * through(out, c, di) + b[c] * (from[c] - m[c]) + plus[c]);
        }
    }
}

void KERNEL(norm_back)(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, const real *of_d, const real *of_x,
                       const real *shift, bool add, real *dx)
{
    if (y) back(x, d, y, n, cols, step, mean, of_d, of_x, shift, add, dx);
    else back(x, d, NULL, n, cols, step, mean, of_d, of_x, shift, add, dx);
}
