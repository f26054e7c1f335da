/* dense.c: the plain dense product: reference of kernel/gemm.c, and what runs in double and without oneDNN. */
#include "isa.h"

#include <string.h>

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

/* -- products with a short side: sums of a few rows, of one or two vectors each, stay in registers while all of B's rows go by. */

typedef real vec __attribute__((vector_size(REGISTER_BYTES)));
enum { LANES = REGISTER_BYTES / sizeof(real), ROWS = REGISTER_BYTES == 64 ? 8 : 4 };

/* B: rows of whole vectors, `width` apart. */
typedef struct narrow { int64_t N, K, lda, width, ldc; real alpha, beta; const real *A, *B; real *C; } narrow;

static inline __attribute__((always_inline)) void narrow_tile(const narrow *p, const bool ta, const int rows, const int vectors, int64_t m, int64_t n)
{
    vec sum[2 * ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < rows * vectors; i++) sum[i] = (vec){0};
    const real *a = p->A + (ta ? m : m * p->lda), *b = p->B + n;
    const int64_t a_row = ta ? 1 : p->lda, a_col = ta ? p->lda : 1, left = p->N - n;
    for (int64_t k = 0; k < p->K; k++, a += a_col, b += p->width) {
        vec first, second = {0};
        memcpy(&first, b, sizeof first);
        if (vectors > 1) memcpy(&second, b + LANES, sizeof second);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            sum[r * vectors] += a[r * a_row] * first;
            if (vectors > 1) sum[r * vectors + 1] += a[r * a_row] * second;
        }
    }
    real *c = p->C + m * p->ldc + n;
#pragma GCC unroll 16
    for (int i = 0; i < rows * vectors; i++) {
        real *to = c + i / vectors * p->ldc + i % vectors * LANES, some[LANES];
        const int64_t cols = left - i % vectors * LANES;
        vec before = {0}, after = p->alpha * sum[i];
        if (cols >= LANES) {
            if (p->beta != 0) memcpy(&before, to, sizeof before), after += p->beta * before;
            memcpy(to, &after, sizeof after);
            continue;
        }
        memcpy(some, &after, sizeof some);
        if (p->beta != 0) for (int64_t l = 0; l < cols; l++) some[l] += p->beta * to[l];
        for (int64_t l = 0; l < cols; l++) to[l] = some[l];
    }
}

/* Rows m .. M-1 as far as there are so many together; returns the first that is left. */
static inline __attribute__((always_inline)) int64_t narrow_rows(const narrow *p, const bool ta, const int rows, const int vectors, int64_t m, int64_t M)
{
    for (; m + rows <= M; m += rows)
        for (int64_t n = 0; n < p->N; n += vectors * LANES) narrow_tile(p, ta, rows, vectors, m, n);
    return m;
}

static inline __attribute__((always_inline)) void narrow_all(const narrow *p, const bool ta, const int vectors, int64_t M)
{
    int64_t m = narrow_rows(p, ta, ROWS, vectors, 0, M);
    narrow_rows(p, ta, 1, vectors, m, M);
}

/* Numbers of B that are laid out at once, in rows of whole vectors. */
enum { LAID = ISO_GEMM_DEEP * 2 * LANES };

static void product_narrow(const narrow *whole, bool ta, bool tb, int64_t M, int64_t ldb)
{
    _Alignas(64) real laid[LAID];
    const bool as_it_lies = !tb && whole->N % (2 * LANES) == 0;
    const int64_t K = whole->K, most = as_it_lies ? whole->N : LAID / (K * 2 * LANES) * 2 * LANES;        /* columns at once */
    for (int64_t n0 = 0; n0 < whole->N; n0 += most) {
        narrow p = *whole;
        const real *B = p.B + (tb ? n0 * ldb : n0);
        p.N = whole->N - n0 < most ? whole->N - n0 : most, p.C += n0;
        p.B = as_it_lies ? B : laid, p.width = as_it_lies ? ldb : p.N <= LANES ? LANES : (p.N + 2 * LANES - 1) / (2 * LANES) * 2 * LANES;
        if (!as_it_lies) memset(laid, 0, (size_t)(K * p.width) * sizeof *laid);
        for (int64_t n = 0; tb && n < p.N; n++)
            for (int64_t k = 0; k < K; k++) laid[k * p.width + n] = B[n * ldb + k];
        for (int64_t k = 0; !tb && !as_it_lies && k < K; k++) memcpy(laid + k * p.width, B + k * ldb, (size_t)p.N * sizeof *laid);
        if (p.N <= LANES && ta) narrow_all(&p, true, 1, M);
        else if (p.N <= LANES) narrow_all(&p, false, 1, M);
        else if (ta) narrow_all(&p, true, 2, M);
        else narrow_all(&p, false, 2, M);
    }
}

void KERNEL(gemm)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
                  const real *B, int64_t ldb, real beta, real *C, int64_t ldc)
{
    if (K > 0 && iso_gemm_is_narrow(tb, M, N, K)) {
        product_narrow(&(narrow){N, K, lda, 0, ldc, alpha, beta, A, B, C}, ta, tb, M, ldb);
        return;
    }
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) C[m * ldc + n] = beta == 0 ? 0 : beta * C[m * ldc + n];
    (tb ? product_bt : product_b)(ta, M, N, K, alpha, A, lda, B, ldb, C, ldc);
}
