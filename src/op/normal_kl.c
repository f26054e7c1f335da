/* normal_kl: KL of q = N(mu, v) to a prior of each cell's own, p = N(m0, v0), per dimension, in nats:
 *   (log(v0 / v) + (v + (mu - m0)^2) / v0 - 1) / 2
 *   in 0  mu [B, L]      in 1  raw [B, L]      in 2  m0 [B, L]      in 3  raw0 [B, L]; variances as in posterior.h      out [B, L]
 * Of a ladder of latent variables: the prior of the lower is what the decoder makes of the upper, and learns.
 * Source: Kingma & Welling 2014, appendix B; Sonderby et al. 2016 (arXiv:1602.02282). */
#include "op.h"
#include "posterior.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 4) return "needs mu, raw, prior mu, prior raw";
    for (int j = 1; j < 4; j++)
        if (n->in[j] < 0 || g->nodes[n->in[j]].cols != n->cols || !g->nodes[n->in[j]].per_cell) return "inputs differ in shape";
    return NULL;
}

enum { ROWS = 4 };              /* cells a block */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t end = (block + 1) * ROWS < a->rows ? (block + 1) * ROWS : a->rows;
    for (int64_t i = block * ROWS * a->cols; i < end * a->cols; i++) {
        double v = iso_posterior_variance(a->in[1][i]), v0 = iso_posterior_variance(a->in[3][i]),
               d = (double)a->in[0][i] - (double)a->in[2][i];
        a->out[i] = (real)(0.5 * (log(v0 / v) + (v + d * d) / v0 - 1));
    }
}

static void put(const iso_args *a, int j, int64_t i, double d)
{
    if (a->d_in[j]) a->d_in[j][i] = a->add[j] ? a->d_in[j][i] + (real)d : (real)d;
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t end = (block + 1) * ROWS < a->rows ? (block + 1) * ROWS : a->rows;
    for (int64_t i = block * ROWS * a->cols; i < end * a->cols; i++) {
        double v = iso_posterior_variance(a->in[1][i]), v0 = iso_posterior_variance(a->in[3][i]),
               d = (double)a->in[0][i] - (double)a->in[2][i], up = (double)a->d_out[i];
        put(a, 0, i, up * d / v0);
        put(a, 1, i, up * 0.5 * (1 / v0 - 1 / v) * iso_posterior_slope(a->in[1][i]));
        put(a, 2, i, -up * d / v0);
        put(a, 3, i, up * 0.5 * (1 / v0 - (v + d * d) / (v0 * v0)) * iso_posterior_slope(a->in[3][i]));
    }
}

static void forward(const iso_args *a) { iso_parallel(a->env, (a->rows + ROWS - 1) / ROWS, forward_block, (void *)a); }
static void backward(const iso_args *a) { iso_parallel(a->env, (a->rows + ROWS - 1) / ROWS, backward_block, (void *)a); }

static const iso_example examples[] = {
    {.what = "learned prior",
     .cells = 5,
     .n_in = 4,
     .in = {{true, .cols = 3, .lo = -2, .hi = 2}, {true, .cols = 3, .lo = -3, .hi = 1}, {true, .cols = 3, .lo = -2, .hi = 2},
            {true, .cols = 3, .lo = -2, .hi = 1}}},
    {0},
};

const iso_op iso_op_normal_kl = {.name = "normal_kl", .shape = shape, .forward = forward, .backward = backward, .reads_in = 15,
                                 .examples = examples};
