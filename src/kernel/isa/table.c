/* table.c: the kernels of one instruction set, collected. */
#include "isa.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

static bool supported(void)
{
#if defined(ISO_ISA_avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(ISO_ISA_avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

const iso_kernels KERNEL(iso_kernels) = {
    .name = TEXT(ISO_ISA),
    .supported = supported,
    .csr_linear = KERNEL(csr_linear),
    .csr_linear_dw = KERNEL(csr_linear_dw),
    .adam = KERNEL(adam),
    .normal = KERNEL(normal),
    .dropout_mask = KERNEL(dropout_mask),
    .sum_squares = KERNEL(sum_squares),
    .gemm = KERNEL(gemm),
    .gemm_bf16 = KERNEL(gemm_bf16),
    .to_bf16 = KERNEL(to_bf16),
    .from_bf16 = KERNEL(from_bf16),
    .add_bf16 = KERNEL(add_bf16),
    .sum_rows = KERNEL(sum_rows),
    .add_to_rows = KERNEL(add_to_rows),
    .tile_distances = KERNEL(tile_distances),
    .layout_step = KERNEL(layout_step),
    .pixels_finish = KERNEL(pixels_finish),
    .pixels_unfinish = KERNEL(pixels_unfinish),
    .winograd = KERNEL(winograd),
    .normal_kl = KERNEL(normal_kl),
    .normal_kl_backward = KERNEL(normal_kl_backward),
    .norm_moments = KERNEL(norm_moments),
    .norm = KERNEL(norm),
    .norm_sums = KERNEL(norm_sums),
    .norm_back = KERNEL(norm_back),
    .vexp = KERNEL(vexp),
    .vlog = KERNEL(vlog),
    .poisson_rows = KERNEL(poisson_rows),
    .nb_rows = KERNEL(nb_rows),
    .zinb_rows = KERNEL(zinb_rows),
    .gaussian_rows = KERNEL(gaussian_rows),
    .gaussian_log1p_rows = KERNEL(gaussian_log1p_rows),
    .lik_totals = KERNEL(lik_totals),
    .lik_scales = KERNEL(lik_scales),
    .nb_genes = KERNEL(nb_genes),
    .zinb_genes = KERNEL(zinb_genes),
    .genes_first = REGISTER_BYTES == 64 && sizeof(real) == sizeof(float),              /* lanes.h */
    .lik_softmax_back = KERNEL(lik_softmax_back),
};
