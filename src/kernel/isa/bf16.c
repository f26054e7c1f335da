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

/* Strips of columns whose sums stay in registers while the rows go by. */
void KERNEL(sum_rows)(const real *restrict x, int64_t rows, int64_t n, int64_t step, bool add, real *restrict sum, iso_bf16 *restrict y)
{
    enum { STRIP = 4 * REGISTER_BYTES / sizeof(real) };
    for (int64_t c0 = 0; c0 < n; c0 += STRIP) {
        int64_t width = n - c0 < STRIP ? n - c0 : STRIP;
        real total[STRIP];
        for (int64_t c = 0; c < STRIP; c++) total[c] = sum && add && c < width ? sum[c0 + c] : 0;
        for (int64_t r = 0; r < rows; r++) {
            const real *from = x + r * step + c0;
            if (width == STRIP)
                for (int64_t c = 0; c < STRIP; c++) total[c] += from[c];
            else
                for (int64_t c = 0; c < width; c++) total[c] += from[c];
            if (y && width == STRIP)
                for (int64_t c = 0; c < STRIP; c++) y[r * step + c0 + c] = narrowed(from[c]);
            else
                for (int64_t c = 0; y && c < width; c++) y[r * step + c0 + c] = narrowed(from[c]);
        }
        for (int64_t c = 0; sum && c < width; c++) sum[c0 + c] = total[c];
    }
}

void KERNEL(add_to_rows)(const real *restrict bias, int64_t rows, int64_t n, int64_t step, real *restrict x)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < n; c++) x[r * step + c] += bias[c];
}

/* Strips of 16 columns of C; slow, and right. */
void KERNEL(gemm_bf16)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const iso_bf16 *A, int64_t lda, const iso_bf16 *B, int64_t ldb,
                       real beta, real *C, int64_t ldc)
{
    enum { STRIP = 16 };
    for (int64_t m = 0; m < M; m++)
        for (int64_t n0 = 0; n0 < N; n0 += STRIP) {
            real sum[STRIP] = {0}, *c = C + m * ldc + n0;
            int64_t width = N - n0 < STRIP ? N - n0 : STRIP;
            for (int64_t k = 0; k < K; k++) {
                float a = widened(ta ? A[k * lda + m] : A[m * lda + k]);
                for (int64_t n = 0; n < width; n++) sum[n] += (real)(a * widened(tb ? B[(n0 + n) * ldb + k] : B[k * ldb + n0 + n]));
            }
            for (int64_t n = 0; n < width; n++) c[n] = (beta == 0 ? 0 : beta * c[n]) + sum[n];
        }
}
