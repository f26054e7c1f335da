/* softmax: y[b, g] = exp(x[b, g]) / sum_h exp(x[b, h]): each gene's share of a cell's counts. For decoding; in training
 * it is part of the likelihood. */
#include "op.h"

#include <math.h>

static void forward_row(void *arg, int64_t r)
{
    const iso_args *a = arg;
    const real *x = a->in[0] + r * a->cols;
    real *y = a->out + r * a->cols, top = x[0];
    double sum = 0;
    for (int64_t c = 1; c < a->cols; c++) top = x[c] > top ? x[c] : top;
    for (int64_t c = 0; c < a->cols; c++) y[c] = x[c] - top;
    a->kernels->vexp(y, y, a->cols);
    for (int64_t c = 0; c < a->cols; c++) sum += (double)y[c];
    for (int64_t c = 0; c < a->cols; c++) y[c] = (real)((double)y[c] / sum);
}

static void forward(const iso_args *a) { iso_parallel(a->env, a->rows, forward_row, (void *)a); }

static void backward(const iso_args *a)
{
    for (int64_t r = 0; r < a->rows; r++) {
        const real *y = a->out + r * a->cols, *d = a->d_out + r * a->cols;
        real *dx = a->d_in[0] + r * a->cols;
        double dot = 0;
        for (int64_t c = 0; c < a->cols; c++) dot += (double)y[c] * (double)d[c];
        for (int64_t c = 0; c < a->cols; c++) dx[c] = (a->add[0] ? dx[c] : 0) + y[c] * (d[c] - (real)dot);
    }
}

static const iso_example examples[] = {
    {.what = "rows", .cells = 4, .n_in = 1, .in = {{true, .cols = 9, .lo = -3, .hi = 3}}},
    {0},
};

const iso_op iso_op_softmax = {.name = "softmax", .shape = iso_same_shape, .forward = forward, .backward = backward,
                               .reads_out = true, .examples = examples};
