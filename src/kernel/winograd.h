/* winograd.h: the way of kernel/convolution.c for kernels of 4 x 4 at every second pixel and of 3 x 3 at every pixel. */
#ifndef ISO_WINOGRAD_H
#define ISO_WINOGRAD_H

#include "kernel.h"

/* Whether the convolution is of these, with channels enough to be worth it. */
bool iso_winograd_fits(const iso_conv *c);
/* As iso_conv_work, iso_conv_gather, iso_conv_scatter. */
int64_t iso_winograd_work(const iso_conv *c, int64_t n, bool backward);
void iso_winograd_gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y,
                         real *work);
void iso_winograd_scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x,
                          real *work);
/* As iso_conv_backward, but for db: the sums over an image's pixels are added to sums [n, channels], NULL: not wanted. */
void iso_winograd_backward(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *sums, real *work);

#endif
