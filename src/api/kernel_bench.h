/* kernel_bench.h: each kernel against its reference and against the roofline of this machine. */
#ifndef ISO_KERNEL_BENCH_H
#define ISO_KERNEL_BENCH_H

#include "base/base.h"

/* One line a kernel, tab-separated with a heading, to f; on one thread. Sizes: --batch-size cells, --n-genes genes,
 * --n-hidden units. */
iso_status iso_bench_kernels(iso_env *env, const iso_options *o, FILE *f, iso_error *err);

#endif
