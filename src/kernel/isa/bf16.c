/* bf16.c: numbers of 16 bits, bfloat16, which are the upper half of a float, 8 bits of mantissa; and the passes over a layer's bias,
 * one of which makes them on its way. */
#include "isa.h"

#include <string.h>

static inline uint32_t bits_of(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float widened(iso_bf16 x)
{
    uint32_t b = (uint32_t)x << 16;
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

static inline iso_bf16 narrowed(real x)
{
    uint32_t b = bits_of((float)x), rounded = b + 0x7fffu + (b >> 16 & 1), quiet = b | 0x400000u;
    return (iso_bf16)(((b & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) >> 16);
}

void KERNEL(to_bf16)(const real *restrict x, iso_bf16 *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = narrowed(x[i]);
}

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
            for (int64_t c = 0; y && c < STRIP; c++) y[r * step + c0 + c] = narrowed(from[c]);
        }
        for (int64_t c = 0; sum && c < STRIP; c++) sum[c0 + c] = total[c];
    }
    for (int64_t r = 0; y && c0 < n && r < rows; r++) KERNEL(to_bf16)(x + r * step + c0, y + r * step + c0, n - c0);
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

/* Slow, and right. */
void KERNEL(gemm_bf16)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const iso_bf16 *A, int64_t lda, const iso_bf16 *B, int64_t ldb,
                       real beta, real *C, int64_t ldc)
{
    int64_t a_row = ta ? 1 : lda, a_col = ta ? lda : 1, b_row = tb ? 1 : ldb, b_col = tb ? ldb : 1;
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            real sum = 0, *c = C + m * ldc + n;
            for (int64_t k = 0; k < K; k++) sum += (real)(widened(A[m * a_row + k * a_col]) * widened(B[k * b_row + n * b_col]));
            *c = (beta == 0 ? 0 : beta * *c) + sum;
        }
}
