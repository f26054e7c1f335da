/* bf16.c: products of numbers of 16 bits, and rounding to them. */
#include "bf16.h"

#include <string.h>

void KERNEL(to_bf16)(const real *restrict x, iso_bf16 *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = narrowed(x[i]);
}

void KERNEL(from_bf16)(const iso_bf16 *restrict x, real *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (real)widened(x[i]);
}

/* In blocks, so that it vectorises though `to` may be one of the others. */
void KERNEL(add_bf16)(int64_t n, const iso_bf16 *a, const iso_bf16 *where, const iso_bf16 *b, bool relu, iso_bf16 *to)
{
    enum { BLOCK = 64 };
    for (int64_t i = 0; i < n; i += BLOCK) {
        real x[BLOCK];
        iso_bf16 y[BLOCK];
        int64_t m = n - i < BLOCK ? n - i : BLOCK;
        for (int64_t k = 0; k < m; k++) x[k] = (real)widened(a[i + k]);
        if (where) for (int64_t k = 0; k < m; k++) x[k] = widened(where[i + k]) > 0 ? x[k] : 0;
        if (b) for (int64_t k = 0; k < m; k++) x[k] += (real)widened(b[i + k]);
        if (relu) for (int64_t k = 0; k < m; k++) x[k] = x[k] > 0 ? x[k] : 0;
        for (int64_t k = 0; k < m; k++) y[k] = narrowed(x[k]);
        memcpy(to + i, y, (size_t)m * sizeof *to);
    }
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
