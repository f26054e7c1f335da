/* conv.h: what conv and its transpose share. Images lie channels last: [height, width, channels].
 * Attributes: i[0] height, i[1] width, i[2] stride, i[3] relu, i[4] bits of iso_conv_bits. Height and width are those of the
 * larger side: conv's input, its transpose's output. Weights [out, size * size * in] as for the convolution; see kernel.h. */
#ifndef ISO_OP_CONV_H
#define ISO_OP_CONV_H

#include "op.h"

/* In training: products in bfloat16, where iso_conv_in_tiles; numbers of the larger side, of the smaller side kept in it. */
enum iso_conv_bits { ISO_CONV_BF16 = 1, ISO_CONV_HALF_X = 2, ISO_CONV_HALF_Y = 4 };

/* The convolution of an op whose larger side has `in` channels; size 0: the weights fit none. */
static inline iso_conv iso_conv_of(const iso_node *n, int64_t in, int64_t w_rows, int64_t w_cols)
{
    iso_conv c = {.height = n->i[0], .width = n->i[1], .in = in, .out = w_rows, .stride = n->i[2], .bf16 = n->i[4] & ISO_CONV_BF16,
                  .half_x = n->i[4] & ISO_CONV_HALF_X, .half_y = n->i[4] & ISO_CONV_HALF_Y};
    while (in > 0 && (c.size + 1) * (c.size + 1) * in <= w_cols) c.size++;
    if (c.size * c.size * in != w_cols) c.size = 0;
    return c;
}

static inline iso_conv iso_conv_in_float32(iso_conv c)
{
    c.bf16 = c.half_x = c.half_y = false;
    return c;
}

/* Of a run: c in training, in evaluation all in float32. */
static inline iso_conv iso_conv_now(const iso_args *a, iso_conv c) { return a->settings->training ? c : iso_conv_in_float32(c); }

/* Scratch for training and for evaluation. */
static inline int64_t iso_conv_work_of(const iso_conv *c, int64_t cells, bool backward)
{
    iso_conv whole = iso_conv_in_float32(*c);
    int64_t trained = iso_conv_work(c, cells, backward), evaluated = iso_conv_work(&whole, cells, backward);
    return trained > evaluated ? trained : evaluated;
}

static inline iso_conv_gradient iso_conv_gradient_of(const iso_args *a, bool transposed)
{
    return (iso_conv_gradient){.transposed = transposed, .add_x = a->add[0], .add_w = a->add[1], .add_bias = a->add[2],
                               .x = a->in[0], .w = a->in[1], .d = a->d_out, .out = a->node->i[3] ? a->out : NULL,
                               .dx = a->d_in[0], .dw = a->d_in[1], .dbias = a->d_in[2]};
}

#endif
