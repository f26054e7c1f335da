/* relu: y = max(x, 0). Its gradient at 0 is 0. */
#include "op.h"

static void forward(const iso_args *a)
{
    const real *restrict x = a->in[0];
    real *restrict y = a->out;
    for (int64_t i = 0; i < a->rows * a->cols; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

static void backward(const iso_args *a)
{
    const real *restrict y = a->out, *restrict d = a->d_out;
    real *restrict dx = a->d_in[0];
    bool add = a->add[0];
    for (int64_t i = 0; i < a->rows * a->cols; i++) {
        real di = d[i], old = add ? dx[i] : 0;              /* read in any case: no branch, so that it vectorises */
        dx[i] = old + (y[i] > 0 ? di : 0);
    }
}

static const iso_example examples[] = {
    {.what = "both sides", .cells = 6, .n_in = 1, .in = {{true, .cols = 5, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_relu = {.name = "relu", .shape = iso_same_shape, .forward = forward, .backward = backward,
                            .reads_out = true, .examples = examples};
