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

static void multiply(const gemm_job *j, int64_t M, int64_t N, const real *A, const real *B, real *C)
{
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
    const real *A = j->A + (j->ta ? m : m * j->lda);
    const real *B = j->B + (j->tb ? n * j->ldb : n);
    real *C = j->C + m * j->ldc + n;
    multiply(j, M, N, A, B, C);
    for (int64_t r = 0; j->bias && r < M; r++)          /* while the block is in cache */
        for (int64_t c = 0; c < N; c++) C[r * j->ldc + c] += j->bias[n + c];
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

void iso_gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda, const real *B, int64_t ldb,
                     real beta, real *C, int64_t ldc)
{
    gemm_job j = {iso_kernels_best(), ta, tb, M, N, K, lda, ldb, ldc, alpha, beta, A, B, NULL, C, 0, 0, 0};
    multiply(&j, M, N, A, B, C);
}

void iso_gemm(iso_env *env, bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
              const real *B, int64_t ldb, real beta, real *C, int64_t ldc, const real *bias)
{
    if (M <= 0 || N <= 0) return;
    gemm_job j = {iso_kernels_best(), ta, tb, M, N, K, lda, ldb, ldc, alpha, beta, A, B, bias, C, 0, 0, 0};
    choose_blocks(&j);
    iso_parallel(env, (M + j.block_m - 1) / j.block_m * j.blocks_n, one_block, &j);
}
