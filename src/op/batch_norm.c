/* batch_norm: y = gamma (x - m) / sqrt(v + eps) + beta.
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

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    (void)g, (void)cells, (void)backward;
    return 2 * n->cols;
}

typedef struct span { int64_t c0, c1; } span;
static span block_columns(const iso_args *a, int64_t block)
{
    int64_t c0 = block * COLUMNS;
    return (span){c0, c0 + COLUMNS < a->cols ? c0 + COLUMNS : a->cols};
}

static void batch_statistics(const iso_args *a, span s, real *restrict mean, real *restrict inverse)
{
    int64_t n = a->rows, H = a->cols;
    const real *restrict x = a->in[0];
    for (int64_t c = s.c0; c < s.c1; c++) mean[c] = inverse[c] = 0;
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = s.c0; c < s.c1; c++) mean[c] += x[r * H + c];
    for (int64_t c = s.c0; c < s.c1; c++) mean[c] /= (real)n;
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = s.c0; c < s.c1; c++) inverse[c] += (x[r * H + c] - mean[c]) * (x[r * H + c] - mean[c]);
    real momentum = (real)a->node->r[0];
    for (int64_t c = s.c0; c < s.c1; c++) {
        if (n > 1) {
            a->in[3][c] += momentum * (mean[c] - a->in[3][c]);
            a->in[4][c] += momentum * (inverse[c] / (real)(n - 1) - a->in[4][c]);
        }
        inverse[c] = (real)(1 / sqrt((double)(inverse[c] / (real)n) + a->node->r[1]));
    }
}

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    span s = block_columns(a, block);
    real *mean = a->saved[0] ? a->saved[0] : a->work, *inverse = mean + a->cols;
    if (a->settings->training) batch_statistics(a, s, mean, inverse);
    else for (int64_t c = s.c0; c < s.c1; c++) {
        mean[c] = a->in[3][c];
        inverse[c] = (real)(1 / sqrt((double)a->in[4][c] + a->node->r[1]));
    }
    const real *restrict gamma = a->in[1], *restrict beta = a->in[2];
    for (int64_t r = 0; r < a->rows; r++) {
        const real *restrict x = a->in[0] + r * a->cols;
        real *restrict y = a->out + r * a->cols;
        for (int64_t c = s.c0; c < s.c1; c++) y[c] = (x[c] - mean[c]) * inverse[c] * gamma[c] + beta[c];
    }
}

/* With u = (x - m) inverse: dbeta = sum d, dgamma = sum d u, and in training
 * dx = gamma inverse (d - dbeta / n - u dgamma / n). */
static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    span s = block_columns(a, block);
    int64_t H = a->cols;
    const real *restrict x = a->in[0], *restrict d = a->d_out, *restrict mean = a->saved[0], *restrict inverse = mean + H;
    real *restrict sum = a->work, *restrict sum_u = a->work + H;
    for (int64_t c = s.c0; c < s.c1; c++) sum[c] = sum_u[c] = 0;
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = s.c0; c < s.c1; c++) {
            sum[c] += d[r * H + c];
            sum_u[c] += d[r * H + c] * (x[r * H + c] - mean[c]) * inverse[c];
        }
    real share = a->settings->training ? 1 / (real)a->rows : 0;
    for (int64_t r = 0; a->d_in[0] && r < a->rows; r++)
        for (int64_t c = s.c0; c < s.c1; c++) {
            int64_t i = r * H + c;
            real u = (x[i] - mean[c]) * inverse[c];
            real dx = a->in[1][c] * inverse[c] * (d[i] - share * (sum[c] + u * sum_u[c]));
            a->d_in[0][i] = a->add[0] ? a->d_in[0][i] + dx : dx;
        }
    for (int64_t c = s.c0; a->d_in[1] && c < s.c1; c++) a->d_in[1][c] = (a->add[1] ? a->d_in[1][c] : 0) + sum_u[c];
    for (int64_t c = s.c0; a->d_in[2] && c < s.c1; c++) a->d_in[2][c] = (a->add[2] ? a->d_in[2][c] : 0) + sum[c];
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

const iso_op iso_op_batch_norm = {.name = "batch_norm",
                                  .shape = shape,
                                  .forward = forward,
                                  .backward = backward,
                                  .reads_in = 3,
                                  .n_saved = 1,
                                  .saved_size = saved_size,
                                  .work_size = work_size,
                                  .examples = examples};
