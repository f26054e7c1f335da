/* dense.c: the plain dense product: reference of kernel/gemm.c, and what runs in double and without oneDNN. */
#include "isa.h"

/* Strips of C's rows stay in cache while B streams by; the inner loop is contiguous in C and, if B is not transposed,
 * in B. */
static void product_b(bool ta, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda, const real *B,
                      int64_t ldb, real *C, int64_t ldc)
{
    for (int64_t m = 0; m < M; m++) {
        real *restrict c = C + m * ldc;
        for (int64_t k = 0; k < K; k++) {
            real a = alpha * (ta ? A[k * lda + m] : A[m * lda + k]);
            const real *restrict b = B + k * ldb;
            for (int64_t n = 0; n < N; n++) c[n] += a * b[n];
        }
    }
}

/* B transposed: dot products of rows, in eight lanes. */
static void product_bt(bool ta, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda, const real *B,
                       int64_t ldb, real *C, int64_t ldc)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            const real *b = B + n * ldb;
            real lane[8] = {0};
            int64_t k = 0;
            for (; k + 8 <= K; k += 8)
                for (int j = 0; j < 8; j++) lane[j] += (ta ? A[(k + j) * lda + m] : A[m * lda + k + j]) * b[k + j];
            for (; k < K; k++) lane[0] += (ta ? A[k * lda + m] : A[m * lda + k]) * b[k];
            C[m * ldc + n] += alpha * (((lane[0] + lane[1]) + (lane[2] + lane[3])) +
                                       ((lane[4] + lane[5]) + (lane[6] + lane[7])));
        }
}

/* B transposed with short rows, as a latent space has: a tile of them is turned, and 16 sums stay in registers. */
enum { SHORT = 32, TILE = 128, SUMS = 16 };
static void product_bt_short(bool ta, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda, const real *B,
                             int64_t ldb, real *C, int64_t ldc)
{
    real turned[SHORT * TILE];
    for (int64_t n0 = 0; n0 < N; n0 += TILE) {
        int64_t width = N - n0 < TILE ? N - n0 : TILE;
        for (int64_t k = 0; k < K; k++)
            for (int64_t n = 0; n < TILE; n++) turned[k * TILE + n] = n < width ? B[(n0 + n) * ldb + k] : 0;
        for (int64_t m = 0; m < M; m++)
            for (int64_t n = 0; n < width; n += SUMS) {
                real sum[SUMS] = {0}, *c = C + m * ldc + n0 + n;
                for (int64_t k = 0; k < K; k++) {
                    real a = ta ? A[k * lda + m] : A[m * lda + k];
                    for (int j = 0; j < SUMS; j++) sum[j] += a * turned[k * TILE + n + j];
                }
                for (int64_t j = 0; j < SUMS && n + j < width; j++) c[j] += alpha * sum[j];
            }
    }
}

void KERNEL(gemm)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
                  const real *B, int64_t ldb, real beta, real *C, int64_t ldc)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) C[m * ldc + n] = beta == 0 ? 0 : beta * C[m * ldc + n];
    (!tb ? product_b : K <= SHORT && N >= SUMS ? product_bt_short : product_bt)(ta, M, N, K, alpha, A, lda, B, ldb, C, ldc);
}
