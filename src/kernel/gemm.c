/* gemm.c: dense products, cut into blocks that depend on the shape alone.
 *
 * Each block is one single-threaded oneDNN call, so the order of every sum is the same for any thread count. oneDNN's
 * own threading (OpenMP) is held at one thread during a call and put back after it. */
#include "kernel.h"

#ifndef ISO_REAL_DOUBLE
#ifdef ISO_HAVE_DNNL
#define USE_DNNL 1
#include <oneapi/dnnl/dnnl.h>
/* oneDNN's threads are those of libgomp, which has this header in gcc's folders, where clang does not look. */
int omp_get_max_threads(void);
void omp_set_num_threads(int n);
#if defined(ISO_HAVE_DNNL_BF16) && defined(__x86_64__)
#define USE_DNNL_BF16 1
/* Exported by the library, but in none of its headers. */
dnnl_status_t dnnl_gemm_bf16bf16f32(char ta, char tb, dnnl_dim_t M, dnnl_dim_t N, dnnl_dim_t K, float alpha, const iso_bf16 *A, dnnl_dim_t lda,
                                    const iso_bf16 *B, dnnl_dim_t ldb, float beta, float *C, dnnl_dim_t ldc);
#endif
#endif
#endif

typedef struct gemm_job {
    const iso_kernels *kernels;
    bool ta, tb;
    int64_t M, N, K, lda, ldb, ldc;
    real alpha, beta;
    const real *A, *B, *bias;
    real *C;
    int64_t block_m, block_n, blocks_n;
} gemm_job;

enum { SMALL = 1 << 20 };        /* multiplications up to which the plain kernel does better with a short side than a library that is made for large products */

static void multiply(const gemm_job *j, int64_t M, int64_t N, const real *A, const real *B, real *C)
{
    if (iso_gemm_is_narrow(j->tb, M, N, j->K) && M * N * j->K <= SMALL) {
        j->kernels->gemm(j->ta, j->tb, M, N, j->K, j->alpha, A, j->lda, B, j->ldb, j->beta, C, j->ldc);
        return;
    }
#ifdef USE_DNNL
    int threads = omp_get_max_threads();
    if (threads != 1) omp_set_num_threads(1);
    dnnl_status_t done = dnnl_sgemm(j->ta ? 'T' : 'N', j->tb ? 'T' : 'N', M, N, j->K, j->alpha, A, j->lda, B, j->ldb,
                                    j->beta, C, j->ldc);
    if (threads != 1) omp_set_num_threads(threads);
    if (done == dnnl_success) return;
#endif
    j->kernels->gemm(j->ta, j->tb, M, N, j->K, j->alpha, A, j->lda, B, j->ldb, j->beta, C, j->ldc);
}

static void one_block(void *arg, int64_t i)
{
    const gemm_job *j = arg;
    int64_t m = i / j->blocks_n * j->block_m, n = i % j->blocks_n * j->block_n;
    int64_t M = j->M - m < j->block_m ? j->M - m : j->block_m;
    int64_t N = j->N - n < j->block_n ? j->N - n : j->block_n;
    real *C = j->C + m * j->ldc + n;
    multiply(j, M, N, j->A + (j->ta ? m : m * j->lda), j->B + (j->tb ? n * j->ldb : n), C);
    if (j->bias) j->kernels->add_to_rows(j->bias + n, M, N, j->ldc, C);         /* while the block is in cache */
}

/* Cut the longer side first, in pieces of at least 64, until a block is about 4 Mflop or there are 16. */
static void choose_blocks(gemm_job *j)
{
    int64_t m = 1, n = 1;
    while (m * n < 16 && 2 * j->M * j->N * j->K / (m * n) > 4000000) {
        if (j->N / n >= j->M / m) n *= 2;
        else m *= 2;
        if (j->N / n < 64 && j->M / m < 64) break;
    }
    j->block_m = (j->M + m - 1) / m;
    j->block_n = ((j->N + n - 1) / n + 15) / 16 * 16;
    j->blocks_n = (j->N + j->block_n - 1) / j->block_n;
}

static void run(iso_env *env, gemm_job *j)
{
    if (j->M <= 0 || j->N <= 0) return;
    choose_blocks(j);
    iso_parallel(env, (j->M + j->block_m - 1) / j->block_m * j->blocks_n, one_block, j);
}

void iso_gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda, const real *B, int64_t ldb,
                     real beta, real *C, int64_t ldc)
{
    gemm_job j = {.kernels = iso_kernels_best(), .ta = ta, .tb = tb, .K = K, .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = alpha, .beta = beta};
    multiply(&j, M, N, A, B, C);
}

void iso_gemm(iso_env *env, bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
              const real *B, int64_t ldb, real beta, real *C, int64_t ldc, const real *bias)
{
    run(env, &(gemm_job){.kernels = iso_kernels_best(), .ta = ta, .tb = tb, .M = M, .N = N, .K = K,
                         .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = alpha, .beta = beta, .A = A, .B = B, .bias = bias, .C = C});
}

void iso_gemm_bf16(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const iso_bf16 *A, int64_t lda, const iso_bf16 *B, int64_t ldb,
                   real beta, real *C, int64_t ldc)
{
#ifdef USE_DNNL_BF16
    if (iso_bf16_is_fast()) {
        int threads = omp_get_max_threads();
        if (threads != 1) omp_set_num_threads(1);
        dnnl_status_t done = dnnl_gemm_bf16bf16f32(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, 1, A, lda, B, ldb, beta, C, ldc);
        if (threads != 1) omp_set_num_threads(threads);
        if (done == dnnl_success) return;
    }
#endif
    iso_kernels_best()->gemm_bf16(ta, tb, M, N, K, A, lda, B, ldb, beta, C, ldc);
}

bool iso_bf16_is_fast(void)
{
#ifdef USE_DNNL_BF16
    return __builtin_cpu_supports("avx512bf16");        /* CPUs with AMX have it too */
#else
    return false;
#endif
}
