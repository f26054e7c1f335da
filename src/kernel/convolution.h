/* convolution.h: the ways of kernel/convolution.c to do a convolution. */
#ifndef ISO_CONVOLUTION_H
#define ISO_CONVOLUTION_H

#include "kernel.h"

typedef struct iso_conv_way {
    bool (*fits)(const iso_conv *c);             /* whether it can, and is worth it; asked in order */
    /* As iso_conv_work, iso_conv_gather, iso_conv_scatter. */
    int64_t (*work)(const iso_conv *c, int64_t n, bool backward);
    void (*gather)(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y, real *work);
    void (*scatter)(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x, real *work);
    /* As iso_conv_backward, but for dbias: the sums over an image's pixels are added to sums [n, channels], NULL: not wanted. */
    void (*backward)(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *sums, real *work);
} iso_conv_way;

/* bfloat16 with AMX, if it is asked for and CPU and system have it. */
extern const iso_conv_way iso_conv_by_tiles;
/* Kernels of 4 x 4 at every second pixel and of 3 x 3 at every pixel, with channels enough. */
extern const iso_conv_way iso_conv_by_winograd;

#endif
