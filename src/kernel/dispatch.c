/* dispatch.c: which copy of the kernels this CPU gets. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#ifdef ISO_HAVE_AVX512
extern const iso_kernels iso_kernels_avx512;
#endif
#ifdef ISO_HAVE_AVX2
extern const iso_kernels iso_kernels_avx2;
#endif
extern const iso_kernels iso_kernels_baseline;

const iso_kernels *const iso_kernel_table[] = {
#ifdef ISO_HAVE_AVX512
    &iso_kernels_avx512,
#endif
#ifdef ISO_HAVE_AVX2
    &iso_kernels_avx2,
#endif
    &iso_kernels_baseline,
    NULL,
};

const iso_kernels *iso_kernels_best(void)
{
    const char *wanted = getenv("ISOLARIO_ISA");
    for (int i = 0; iso_kernel_table[i]; i++) {
        const iso_kernels *k = iso_kernel_table[i];
        if (k->supported() && (!wanted || strcmp(wanted, k->name) == 0)) return k;
    }
    return &iso_kernels_baseline;
}
