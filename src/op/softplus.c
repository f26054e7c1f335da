/* softplus: y = log(1 + exp(x)): a positive mean that grows like x. */
#include "op.h"

#include <math.h>

static void forward(const iso_args *a)
{
    for (int64_t i = 0; i < a->rows * a->cols; i++) {
        double x = (double)a->in[0][i];
        a->out[i] = (real)(x > 30 ? x : log1p(exp(x)));
    }
}

static void backward(const iso_args *a)
{
    for (int64_t i = 0; i < a->rows * a->cols; i++) {
        real d = a->d_out[i] * (real)-expm1(-(double)a->out[i]);        /* the logistic of x is 1 - exp(-y) */
        a->d_in[0][i] = a->add[0] ? a->d_in[0][i] + d : d;
    }
}

static const iso_example examples[] = {
    {.what = "both sides", .cells = 6, .n_in = 1, .in = {{true, .cols = 5, .lo = -4, .hi = 4}}},
    {.what = "large", .cells = 3, .n_in = 1, .in = {{true, .cols = 2, .lo = 28, .hi = 33}}},
    {0},
};

const iso_op iso_op_softplus = {.name = "softplus", .shape = iso_same_shape, .forward = forward, .backward = backward, .reads_out = true,
                                .examples = examples};
