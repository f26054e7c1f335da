/* batch_norm: y = gamma (x - m) / sqrt(v + eps) + beta. batch_norm_relu: max(y, 0) of that, whose gradient at 0 is 0.
 *   in 0  x [B, H]      in 1  gamma [1, H]      in 2  beta [1, H]      in 3  running mean [1, H]      in 4  running
 * variance [1, H]
 *   r[0]  momentum      r[1]  eps
 * Training: m, v of the batch (v biased); running = (1 - momentum) running + momentum batch, with the unbiased
 * variance. Evaluation: the running values. A batch of one cell leaves the running values alone.
 * Source: Ioffe & Szegedy 2015; details as torch.nn.BatchNorm1d. */
#include "op.h"

#include <math.h>

enum { COLUMNS = 128 };         /* a block: smaller ones wait longer for each other than they take */

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 5) return "needs x, gamma, beta, running mean, running variance";
    for (int j = 1; j < 5; j++)
        if (n->in[j] < 0 || g->nodes[n->in[j]].cols != n->cols || g->nodes[n->in[j]].per_cell)
            return "inputs 1 to 4 must be [1, columns of x]";
    return NULL;
}

/* saved: mean [H], then 1 / sqrt(v + eps) [H]. */
static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    (void)g, (void)j, (void)cells;
    return 2 * n->cols;
}

/* Rows of work [.., H]. */
enum { MEAN, INVERSE, SCALE, FORWARD };                                    /* the first two: where nothing is saved */
enum { SUM, SUM_U, OF_D, OF_X, SHIFT, BACKWARD };
static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    (void)g, (void)cells;
    return (backward ? BACKWARD : FORWARD) * n->cols;
}

static bool has_relu(const iso_args *a) { return a->node->op == &iso_op_batch_norm_relu; }

typedef struct span { int64_t from, n; } span;
static span block_columns(const iso_args *a, int64_t block)
{
    int64_t from = block * COLUMNS;
    return (span){from, a->cols - from < COLUMNS ? a->cols - from : COLUMNS};
}

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    const span s = block_columns(a, block);
    const real *x = a->in[0] + s.from, *gamma = a->in[1] + s.from, *beta = a->in[2] + s.from;
    real *saved = (a->saved[0] ? a->saved[0] : a->work) + s.from, *mean = saved, *inverse = saved + a->cols, *scale = a->work + SCALE * a->cols + s.from;
    real *running_mean = a->in[3] + s.from, *running_variance = a->in[4] + s.from;
    const real n = (real)a->rows, momentum = (real)a->node->r[0];
    if (a->settings->training) a->kernels->norm_moments(x, a->rows, s.n, a->cols, mean, inverse);               /* squares, there, for now */
    else for (int64_t c = 0; c < s.n; c++) inverse[c] = 0;
    for (int64_t c = 0; c < s.n; c++) {
        real variance = inverse[c] / n;
        if (!a->settings->training) mean[c] = running_mean[c], variance = running_variance[c];
        else if (n > 1) {
            running_mean[c] += momentum * (mean[c] - running_mean[c]);
            running_variance[c] += momentum * (inverse[c] / (n - 1) - running_variance[c]);
        }
        inverse[c] = (real)(1 / sqrt((double)variance + a->node->r[1]));
        scale[c] = inverse[c] * gamma[c];
    }
    a->kernels->norm(x, a->rows, s.n, a->cols, mean, scale, beta, has_relu(a), a->out + s.from);
}

/* With u = (x - m) inverse: dbeta = sum d, dgamma = sum d u, and in training
 * dx = gamma inverse (d - dbeta / n - u dgamma / n). */
static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    const span s = block_columns(a, block);
    const real *x = a->in[0] + s.from, *d = a->d_out + s.from, *y = has_relu(a) ? a->out + s.from : NULL;
    const real *mean = a->saved[0] + s.from, *inverse = mean + a->cols, *gamma = a->in[1] + s.from;
    real *sum = a->work + SUM * a->cols + s.from, *sum_u = a->work + SUM_U * a->cols + s.from, *of_d = a->work + OF_D * a->cols + s.from,
         *of_x = a->work + OF_X * a->cols + s.from, *shift = a->work + SHIFT * a->cols + s.from;
    const real share = a->settings->training ? 1 / (real)a->rows : 0;
    a->kernels->norm_sums(x, d, y, a->rows, s.n, a->cols, mean, sum, sum_u);
    for (int64_t c = 0; c < s.n; c++) {
        sum_u[c] *= inverse[c];
        of_d[c] = gamma[c] * inverse[c], of_x[c] = -of_d[c] * share * sum_u[c] * inverse[c], shift[c] = -of_d[c] * share * sum[c];
    }
    if (a->d_in[0]) a->kernels->norm_back(x, d, y, a->rows, s.n, a->cols, mean, of_d, of_x, shift, a->add[0], a->d_in[0] + s.from);
    iso_pass_gradient(a->d_in[1] ? a->d_in[1] + s.from : NULL, a->add[1], 1, sum_u, s.n);
    iso_pass_gradient(a->d_in[2] ? a->d_in[2] + s.from : NULL, a->add[2], 1, sum, s.n);
}

static void forward(const iso_args *a)
{
    iso_parallel(a->env, (a->cols + COLUMNS - 1) / COLUMNS, forward_block, (void *)a);
}
static void backward(const iso_args *a)
{
    iso_parallel(a->env, (a->cols + COLUMNS - 1) / COLUMNS, backward_block, (void *)a);
}

#define BN_IN(H)                                                                                                       \
    {                                                                                                                  \
        {true, .cols = H, .lo = -1, .hi = 1}, {.rows = 1, .cols = H, .lo = 0.5, .hi = 2},                              \
            {.rows = 1, .cols = H, .lo = -1, .hi = 1},                                                                 \
            {.is_state = true, .rows = 1, .cols = H, .lo = -0.3, .hi = 0.3},                                           \
        {                                                                                                              \
            .is_state = true, .rows = 1, .cols = H, .lo = 0.5, .hi = 2                                                 \
        }                                                                                                              \
    }
static const iso_example examples[] = {
    {.what = "training", .training = true, .cells = 8, .r = {0.01, 1e-3}, .n_in = 5, .in = BN_IN(5)},
    {.what = "training, wide", .training = true, .cells = 5, .r = {0.1, 1e-3}, .n_in = 5, .in = BN_IN(300)},
    {.what = "evaluation", .cells = 4, .r = {0.01, 1e-3}, .n_in = 5, .in = BN_IN(6)},
    {0},
};

/* Two ops and not a flag: only one of them needs its output on the way back, and heads with batch norm and no relu are large. */
#define BATCH_NORM .shape = shape, .forward = forward, .backward = backward, .reads_in = 3, .n_saved = 1, .saved_size = saved_size, .work_size = work_size, .examples = examples
const iso_op iso_op_batch_norm = {.name = "batch_norm", BATCH_NORM};
const iso_op iso_op_batch_norm_relu = {.name = "batch_norm_relu", .reads_out = true, BATCH_NORM};
