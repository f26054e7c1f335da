/* dropout: in training, y = x m / (1 - p) with m = 0 with probability p; otherwise y = x.
 *   r[0]  p (held to 16 bits)
 * The mask of a cell depends on (seed, node, draw, cell) alone.
 * Source: Srivastava et al. 2014, JMLR 15:1929 (scaled at training time). */
#include "op.h"

static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    (void)g, (void)j;
    return cells * n->cols;
}

enum { ROWS = 32 };             /* cells a block */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    iso_rng_key key = {a->settings->seed, 256 + (uint32_t)a->node_id, a->settings->draw};
    int32_t threshold = (int32_t)(a->node->r[0] * 65536);
    real keep = (real)(1 / (1 - threshold / 65536.0));
    for (int64_t r = block * ROWS; r < a->rows && r < (block + 1) * ROWS; r++) {
        real *restrict mask = (a->saved[0] ? a->saved[0] : a->work) + r * a->cols, *restrict y = a->out + r * a->cols;
        const real *restrict x = a->in[0] + r * a->cols;
        a->kernels->dropout_mask(key, (uint64_t)a->batch->cells[r], a->cols, threshold, keep, mask);
        for (int64_t c = 0; c < a->cols; c++) y[c] = x[c] * mask[c];
    }
}

static void forward(const iso_args *a)
{
    if (a->settings->training && a->node->r[0] > 0)
        iso_parallel(a->env, (a->rows + ROWS - 1) / ROWS, forward_block, (void *)a);
    else for (int64_t i = 0; i < a->rows * a->cols; i++) a->out[i] = a->in[0][i];
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    (void)g;
    return backward ? 0 : cells * n->cols;
}

static void backward(const iso_args *a)
{
    bool off = !a->settings->training || a->node->r[0] <= 0;
    if (off) iso_pass_gradient(a->d_in[0], a->add[0], 1, a->d_out, a->rows * a->cols);
    else if (a->add[0]) for (int64_t i = 0; i < a->rows * a->cols; i++) a->d_in[0][i] += a->d_out[i] * a->saved[0][i];
    else for (int64_t i = 0; i < a->rows * a->cols; i++) a->d_in[0][i] = a->d_out[i] * a->saved[0][i];
}

static const iso_example examples[] = {
    {.what = "training",
     .training = true,
     .cells = 6,
     .r = {0.3},
     .n_in = 1,
     .in = {{true, .cols = 21, .lo = -1, .hi = 1}}},
    {.what = "evaluation", .cells = 3, .r = {0.3}, .n_in = 1, .in = {{true, .cols = 5, .lo = -1, .hi = 1}}},
    {.what = "off", .training = true, .cells = 3, .r = {0}, .n_in = 1, .in = {{true, .cols = 5, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_dropout = {.name = "dropout", .shape = iso_same_shape, .forward = forward, .backward = backward,
                               .n_saved = 1, .saved_size = saved_size, .work_size = work_size, .examples = examples};
