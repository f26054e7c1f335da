/* bias.c: the passes over a layer's bias: added to rows; its gradient, the sum of rows, which rounds them to bfloat16 on its way. */
#include "bf16.h"

/* Strips of columns whose sums stay in registers while the rows go by, then column by column. */
void KERNEL(sum_rows)(const real *restrict x, int64_t rows, int64_t n, int64_t step, bool add, real *restrict sum, iso_bf16 *restrict y)
{
    enum { STRIP = 4 * REGISTER_BYTES / sizeof(real) };
    int64_t c0 = 0;
    for (; c0 + STRIP <= n; c0 += STRIP) {
        real total[STRIP];
        for (int64_t c = 0; c < STRIP; c++) total[c] = sum && add ? sum[c0 + c] : 0;
        for (int64_t r = 0; r < rows; r++) {
            const real *from = x + r * step + c0;
            for (int64_t c = 0; c < STRIP; c++) total[c] += from[c];
            for (int64_t c = 0; y && c < STRIP; c++) y[r * n + c0 + c] = narrowed(from[c]);
        }
        for (int64_t c = 0; sum && c < STRIP; c++) sum[c0 + c] = total[c];
    }
    for (int64_t r = 0; y && c0 < n && r < rows; r++) KERNEL(to_bf16)(x + r * step + c0, y + r * n + c0, n - c0);
    for (; sum && c0 < n; c0++) {
        real total = add ? sum[c0] : 0;
        for (int64_t r = 0; r < rows; r++) total += x[r * step + c0];
        sum[c0] = total;
    }
}

void KERNEL(add_to_rows)(const real *restrict bias, int64_t rows, int64_t n, int64_t step, real *restrict x)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < n; c++) x[r * step + c] += bias[c];
}
