/* gaussian_kl: KL of q = N(mu, v) to a normal prior, per cell and dimension, in nats.
 *   in 0  mu [B, L]      in 1  raw [B, L], variance as in posterior.h
 *   in 2  prior mean [C, L]      in 3  prior variance [C, L], both -1 for N(0, 1); row = category of covariate slot
 * i[0]
 *         (C = 1: row 0 for all)
 *   out  (log(v0 / v) + (v + (mu - m0)^2) / v0 - 1) / 2
 * Source: Kingma & Welling 2014, appendix B. The prior is not trained. */
#include "op.h"
#include "posterior.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 4 || n->in[1] < 0 || g->nodes[n->in[1]].cols != n->cols)
        return "needs mu, raw, prior mean or -1, prior variance or -1";
    if ((n->in[2] < 0) != (n->in[3] < 0)) return "a prior needs both mean and variance";
    for (int j = 2; j < 4; j++)
        if (n->in[j] >= 0 && (g->nodes[n->in[j]].cols != n->cols || g->nodes[n->in[j]].leaf != ISO_STATE))
            return "a prior must be state [categories, dimensions]";
    return NULL;
}

enum { BLOCK = 512 };           /* numbers whose exponentials and logarithms are taken at once */

typedef struct prior { double mean, variance; } prior;
static prior prior_at(const iso_args *a, int64_t i)
{
    if (!a->in[2]) return (prior){0, 1};
    int64_t row = i / a->cols, c = i % a->cols, category = a->in_rows[2] > 1 ? a->batch->codes[a->node->i[0]][row] : 0;
    return (prior){(double)a->in[2][category * a->cols + c], (double)a->in[3][category * a->cols + c]};
}

static int64_t block_size(const iso_args *a, int64_t from)
{
    int64_t left = a->rows * a->cols - from;
    return left < BLOCK ? left : BLOCK;
}

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, n = block_size(a, from);
    const real *mu = a->in[0] + from;
    real v[BLOCK], log_v[BLOCK];
    iso_raw_exps(a->kernels, a->in[1] + from, v, n);
    for (int64_t i = 0; i < n; i++) v[i] += (real)ISO_VARIANCE_FLOOR;
    a->kernels->vlog(v, log_v, n);
    if (!a->in[2]) {
        for (int64_t i = 0; i < n; i++) a->out[from + i] = (real)0.5 * (v[i] + mu[i] * mu[i] - 1 - log_v[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        prior p = prior_at(a, from + i);
        double d = (double)mu[i] - p.mean;
        a->out[from + i] = (real)(0.5 * (log(p.variance) - (double)log_v[i] + ((double)v[i] + d * d) / p.variance - 1));
    }
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, n = block_size(a, from);
    const real *mu = a->in[0] + from, *raw = a->in[1] + from, *d = a->d_out + from;
    real e[BLOCK], d_mu[BLOCK];
    iso_raw_exps(a->kernels, raw, e, n);
    for (int64_t i = 0; i < n; i++) {
        prior p = prior_at(a, from + i);
        d_mu[i] = (real)((double)d[i] * ((double)mu[i] - p.mean) / p.variance);
        e[i] = d[i] * (real)0.5 * ((real)(1 / p.variance) - 1 / (e[i] + (real)ISO_VARIANCE_FLOOR)) * iso_slope_of(raw[i], e[i]);
    }
    if (a->d_in[0]) iso_pass_gradient(a->d_in[0] + from, a->add[0], 1, d_mu, n);
    if (a->d_in[1]) iso_pass_gradient(a->d_in[1] + from, a->add[1], 1, e, n);
}

static int64_t blocks(const iso_args *a) { return (a->rows * a->cols + BLOCK - 1) / BLOCK; }
static void forward(const iso_args *a) { iso_parallel(a->env, blocks(a), forward_block, (void *)a); }
static void backward(const iso_args *a) { iso_parallel(a->env, blocks(a), backward_block, (void *)a); }

static const iso_example examples[] = {
    {.what = "standard prior",
     .cells = 5,
     .n_in = 4,
     .in = {{true, .cols = 3, .lo = -2, .hi = 2}, {true, .cols = 3, .lo = -3, .hi = 1}, {0}, {0}}},
    {.what = "prior by category",
     .cells = 5,
     .n_categories = 2,
     .n_in = 4,
     .in = {{true, .cols = 1, .lo = 5, .hi = 8},
            {true, .cols = 1, .lo = -3, .hi = 0},
            {.is_state = true, .rows = 2, .cols = 1, .lo = 5, .hi = 8},
            {.is_state = true, .rows = 2, .cols = 1, .lo = 0.1, .hi = 1}}},
    {0},
};

const iso_op iso_op_gaussian_kl = {.name = "gaussian_kl", .shape = shape, .forward = forward, .backward = backward,
                                   .reads_in = 3, .examples = examples};
