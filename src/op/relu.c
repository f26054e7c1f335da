/* relu: y = max(x, 0). Its gradient at 0 is 0. */
#include "op.h"

static void forward(const iso_args *a)
{
    for (int64_t i = 0; i < a->rows * a->cols; i++) a->out[i] = a->in[0][i] > 0 ? a->in[0][i] : 0;
}

static void backward(const iso_args *a)
{
    if (a->add[0])
        for (int64_t i = 0; i < a->rows * a->cols; i++) a->d_in[0][i] += a->out[i] > 0 ? a->d_out[i] : 0;
    else
        for (int64_t i = 0; i < a->rows * a->cols; i++) a->d_in[0][i] = a->out[i] > 0 ? a->d_out[i] : 0;
}

static const iso_example examples[] = {
    {.what = "both sides", .cells = 6, .n_in = 1, .in = {{true, .cols = 5, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_relu = {.name = "relu", .shape = iso_same_shape, .forward = forward, .backward = backward,
                            .reads_out = true, .examples = examples};
