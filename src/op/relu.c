/* relu: y = max(x, 0). Its gradient at 0 is 0. */
#include "op.h"

enum { BLOCK = 32768 };         /* numbers a task */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t size = a->rows * a->cols, from = block * BLOCK, to = from + BLOCK < size ? from + BLOCK : size;
    const real *restrict x = a->in[0];
    real *restrict y = a->out;
    for (int64_t i = from; i < to; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t size = a->rows * a->cols, from = block * BLOCK, to = from + BLOCK < size ? from + BLOCK : size;
    const real *restrict y = a->out, *restrict d = a->d_out;
    real *restrict dx = a->d_in[0];
    bool add = a->add[0];
    for (int64_t i = from; i < to; i++) {
        real di = d[i], old = add ? dx[i] : 0;              /* read in any case: no branch, so that it vectorises */
        dx[i] = old + (y[i] > 0 ? di : 0);
    }
}

static int64_t blocks(const iso_args *a) { return (a->rows * a->cols + BLOCK - 1) / BLOCK; }
static void forward(const iso_args *a) { iso_parallel(a->env, blocks(a), forward_block, (void *)a); }
static void backward(const iso_args *a) { iso_parallel(a->env, blocks(a), backward_block, (void *)a); }

static const iso_example examples[] = {
    {.what = "both sides", .cells = 6, .n_in = 1, .in = {{true, .cols = 5, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_relu = {.name = "relu", .shape = iso_same_shape, .forward = forward, .backward = backward,
                            .reads_out = true, .examples = examples};
