/* conv.h: what conv and its transpose share. Images lie channels last: [height, width, channels].
 * Attributes: i[0] height, i[1] width, i[3] relu; i[2] stride. Height and width are those of the larger side: conv's input,
 * its transpose's output. Weights [out, size * size * in] as for the convolution; see kernel.h. */
#ifndef ISO_OP_CONV_H
#define ISO_OP_CONV_H

#include "op.h"

/* The convolution of an op whose larger side has `in` channels; size 0: the weights fit none. */
static inline iso_conv iso_conv_of(const iso_node *n, int64_t in, int64_t w_rows, int64_t w_cols)
{
    iso_conv c = {.height = n->i[0], .width = n->i[1], .in = in, .out = w_rows, .stride = n->i[2]};
    while (in > 0 && (c.size + 1) * (c.size + 1) * in <= w_cols) c.size++;
    if (c.size * c.size * in != w_cols) c.size = 0;
    return c;
}

/* d = d_out where the output is above zero. */
static inline const real *iso_masked(const iso_args *a, real *masked)
{
    if (!a->node->i[3]) return a->d_out;
    for (int64_t i = 0; i < a->rows * a->cols; i++) masked[i] = a->out[i] > 0 ? a->d_out[i] : 0;
    return masked;
}

/* (+)= the sum over pixels of d [pixels, channels]. */
static inline void iso_bias_gradient(const real *d, int64_t pixels, int64_t channels, bool add, real *db)
{
    for (int64_t c = 0; !add && c < channels; c++) db[c] = 0;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < channels; c++) db[c] += d[p * channels + c];
}

#endif
