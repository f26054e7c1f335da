/* isa.h: the functions of kernel/isa/, whose names end in the instruction set they are compiled for. */
#ifndef ISO_ISA_H
#define ISO_ISA_H

#include "kernel/kernel.h"

/* One vector register of that set. */
#if defined(__AVX512F__)
enum { REGISTER_BYTES = 64 };
#elif defined(__AVX__)
enum { REGISTER_BYTES = 32 };
#else
enum { REGISTER_BYTES = 16 };
#endif

extern const iso_kernels KERNEL(iso_kernels);

void KERNEL(csr_linear)(const iso_batch_csr *x, const real *values, const real *w, const real *bias, int64_t H, real *y,
                        int64_t row0, int64_t row1, int64_t col0, int64_t col1);
void KERNEL(csr_linear_dw)(const iso_batch_csr *x, const real *values, const real *dy, int64_t H, int64_t *cursor, real *dw, bool accumulate,
                           int64_t col0, int64_t col1);
double KERNEL(adam)(const iso_adam_step *a, int64_t first, int64_t n, const real *g, real *p, const iso_moments *moments);
void KERNEL(normal)(iso_rng_key key, const int64_t *items, int64_t rows, int64_t n, real *out);
void KERNEL(dropout_mask)(iso_rng_key key, uint64_t item, int64_t n, int32_t threshold, real keep, real *mask);
double KERNEL(sum_squares)(const real *x, int64_t n);
void KERNEL(gemm)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
                  const real *B, int64_t ldb, real beta, real *C, int64_t ldc);
void KERNEL(gemm_bf16)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const iso_bf16 *A, int64_t lda, const iso_bf16 *B, int64_t ldb,
                       real beta, real *C, int64_t ldc);
void KERNEL(to_bf16)(const real *x, iso_bf16 *y, int64_t n);
void KERNEL(from_bf16)(const iso_bf16 *x, real *y, int64_t n);
void KERNEL(add_bf16)(int64_t n, const iso_bf16 *a, const iso_bf16 *where, const iso_bf16 *b, bool relu, iso_bf16 *to);
void KERNEL(sum_rows)(const real *x, int64_t rows, int64_t n, int64_t step, bool add, real *sum, iso_bf16 *y);
void KERNEL(add_to_rows)(const real *bias, int64_t rows, int64_t n, int64_t step, real *x);
float KERNEL(tile_distances)(const float *q, const float *tile, int64_t d, float *d2);
void KERNEL(layout_step)(const iso_layout_curve *c, const real *rate, int n_repel, const real *ox, const real *oy,
                         real *x, real *y);
void KERNEL(pixels_finish)(int64_t n, int64_t channels, const real *from, const real *bias, bool relu, bool add, real *to);
void KERNEL(pixels_unfinish)(int64_t n, int64_t channels, const real *d, const real *out, real *to, real *sums);
extern const iso_winograd KERNEL(winograd)[2][2];
void KERNEL(normal_kl)(int64_t n, const real *mu, const real *raw, const real *mu0, const real *raw0, real *out);
void KERNEL(normal_kl_backward)(int64_t n, const real *mu, const real *raw, const real *mu0, const real *raw0, const real *up, real *d_mu,
                                real *d_raw, real *d_mu0, real *d_raw0);
void KERNEL(norm_moments)(const real *x, int64_t n, int64_t cols, int64_t step, real *mean, real *squares);
void KERNEL(norm)(const real *x, int64_t n, int64_t cols, int64_t step, const real *mean, const real *scale, const real *shift, bool relu, real *y);
void KERNEL(norm_sums)(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, real *sum, real *sum_of_products);
void KERNEL(norm_back)(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, const real *of_d, const real *of_x,
                       const real *shift, bool add, real *dx);
void KERNEL(vexp)(const real *x, real *y, int64_t n);
void KERNEL(vlog)(const real *x, real *y, int64_t n);
void KERNEL(poisson_rows)(const iso_lik_args *a, int64_t row0, int64_t row1);
void KERNEL(nb_rows)(const iso_lik_args *a, int64_t row0, int64_t row1);
void KERNEL(zinb_rows)(const iso_lik_args *a, int64_t row0, int64_t row1);
void KERNEL(gaussian_rows)(const iso_lik_args *a, int64_t row0, int64_t row1);
void KERNEL(gaussian_log1p_rows)(const iso_lik_args *a, int64_t row0, int64_t row1);
void KERNEL(lik_totals)(const iso_lik_genes *a, int64_t g0, int64_t g1, real *top, real *sum);
void KERNEL(lik_scales)(const iso_lik_genes *a, const real *log_library, int64_t groups, const real *tops, const real *sums);
void KERNEL(nb_genes)(const iso_lik_genes *a, int64_t g0, int64_t g1, int64_t *cursor, double *loss, double *sum);
void KERNEL(zinb_genes)(const iso_lik_genes *a, int64_t g0, int64_t g1, int64_t *cursor, double *loss, double *sum);
void KERNEL(lik_softmax_back)(const iso_lik_genes *a, int64_t g0, int64_t g1);

#endif
