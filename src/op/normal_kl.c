/* normal_kl: KL of q = N(mu, v) to a prior of each cell's own, p = N(m0, v0), per dimension, in nats:
 *   (log(v0 / v) + (v + (mu - m0)^2) / v0 - 1) / 2
 *   in 0  mu [B, L]      in 1  raw [B, L]      in 2  m0 [B, L]      in 3  raw0 [B, L]; variances as in posterior.h      out [B, L]
 * Of a ladder of latent variables: the prior of the lower is what the decoder makes of the upper, and learns.
 * Source: Kingma & Welling 2014, appendix B; Sonderby et al. 2016 (arXiv:1602.02282). */
#include "op.h"
#include "posterior.h"

static const real FLOOR = (real)ISO_VARIANCE_FLOOR, HALF = (real)0.5;

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 4) return "needs mu, raw, prior mu, prior raw";
    for (int j = 1; j < 4; j++)
        if (n->in[j] < 0 || g->nodes[n->in[j]].cols != n->cols || !g->nodes[n->in[j]].per_cell) return "inputs differ in shape";
    return NULL;
}

enum { BLOCK = 512 };           /* numbers whose exponentials are taken at once, by one task */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, left = a->rows * a->cols - from, n = left < BLOCK ? left : BLOCK;
    const real *mu = a->in[0] + from, *mu0 = a->in[2] + from;
    real v[BLOCK], v0[BLOCK], ratio[BLOCK];
    iso_raw_exps(a->kernels, a->in[1] + from, v, n);
    iso_raw_exps(a->kernels, a->in[3] + from, v0, n);
    for (int64_t i = 0; i < n; i++) v[i] += FLOOR, v0[i] += FLOOR, ratio[i] = v0[i] / v[i];
    a->kernels->vlog(ratio, ratio, n);
    for (int64_t i = 0; i < n; i++) {
        real d = mu[i] - mu0[i];
        a->out[from + i] = HALF * (ratio[i] + (v[i] + d * d) / v0[i] - 1);
    }
}

static void put(const iso_args *a, int j, int64_t from, const real *d, int64_t n)
{
    if (a->d_in[j]) iso_pass_gradient(a->d_in[j] + from, a->add[j], 1, d, n);
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, left = a->rows * a->cols - from, n = left < BLOCK ? left : BLOCK;
    const real *mu = a->in[0] + from, *raw = a->in[1] + from, *mu0 = a->in[2] + from, *raw0 = a->in[3] + from, *up = a->d_out + from;
    real e[BLOCK], e0[BLOCK], d_mu[BLOCK], d_mu0[BLOCK];
    iso_raw_exps(a->kernels, raw, e, n);
    iso_raw_exps(a->kernels, raw0, e0, n);
    for (int64_t i = 0; i < n; i++) {
        real v = e[i] + FLOOR, v0 = e0[i] + FLOOR, d = mu[i] - mu0[i], half = HALF * up[i];
        d_mu[i] = up[i] * d / v0, d_mu0[i] = -d_mu[i];
        e[i] = half * (1 / v0 - 1 / v) * iso_slope_of(raw[i], e[i]);
        e0[i] = half * (1 - (v + d * d) / v0) / v0 * iso_slope_of(raw0[i], e0[i]);
    }
    const real *gradients[] = {d_mu, e, d_mu0, e0};
    for (int j = 0; j < 4; j++) put(a, j, from, gradients[j], n);
}

static int64_t blocks(const iso_args *a) { return (a->rows * a->cols + BLOCK - 1) / BLOCK; }
static void forward(const iso_args *a) { iso_parallel(a->env, blocks(a), forward_block, (void *)a); }
static void backward(const iso_args *a) { iso_parallel(a->env, blocks(a), backward_block, (void *)a); }

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
