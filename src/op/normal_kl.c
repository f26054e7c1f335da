/* normal_kl: KL of q = N(mu, v) to a prior of each cell's own, p = N(m0, v0), per dimension, in nats:
 *   (log(v0 / v) + (v + (mu - m0)^2) / v0 - 1) / 2
 *   in 0  mu [B, L]      in 1  raw [B, L]      in 2  m0 [B, L]      in 3  raw0 [B, L]; variance as in posterior.h      out [B, L]
 * Of a ladder of latent variables: the prior of the lower is what the decoder makes of the upper, and learns.
 * Source: Kingma & Welling 2014, appendix B; Sonderby et al. 2016 (arXiv:1602.02282). */
#include "op.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 4) return "needs mu, raw, prior mu, prior raw";
    for (int j = 1; j < 4; j++)
        if (n->in[j] < 0 || g->nodes[n->in[j]].cols != n->cols || !g->nodes[n->in[j]].per_cell) return "inputs differ in shape";
    return NULL;
}

enum { BLOCK = 2048 };          /* numbers a task */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, left = a->rows * a->cols - from;
    a->kernels->normal_kl(left < BLOCK ? left : BLOCK, a->in[0] + from, a->in[1] + from, a->in[2] + from, a->in[3] + from, a->out + from);
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, left = a->rows * a->cols - from, n = left < BLOCK ? left : BLOCK;
    real d[4][BLOCK];
    a->kernels->normal_kl_backward(n, a->in[0] + from, a->in[1] + from, a->in[2] + from, a->in[3] + from, a->d_out + from, d[0], d[1], d[2], d[3]);
    for (int j = 0; j < 4; j++)
        if (a->d_in[j]) iso_pass_gradient(a->d_in[j] + from, a->add[j], 1, d[j], n);
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
