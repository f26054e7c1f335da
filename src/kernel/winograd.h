/* winograd.h: the way of kernel/convolution.c for kernels of 4 x 4 at every second pixel and of 3 x 3 at every pixel. */
#ifndef ISO_WINOGRAD_H
#define ISO_WINOGRAD_H

#include "kernel.h"

/* Whether the convolution is of these, with channels enough to be worth it. */
bool iso_winograd_fits(const iso_conv *c);
/* As iso_conv_work, iso_conv_gather, iso_conv_scatter, iso_conv_weights. */
int64_t iso_winograd_work(const iso_conv *c, int64_t n);
void iso_winograd_gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, bool add,
                         real *y, real *work);
void iso_winograd_scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, bool add,
                          real *x, real *work);
void iso_winograd_weights(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *y, bool add, real *dw, real *work);

/* y [n, channels] + bias (NULL: none), then max(., 0) if relu. */
void iso_conv_finish(real *y, int64_t n, int64_t channels, const real *bias, bool relu);

#endif
