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

typedef struct prior { double mean, variance; } prior;
static prior prior_at(const iso_args *a, int64_t row, int64_t c)
{
    if (!a->in[2]) return (prior){0, 1};
    int64_t category = a->in_rows[2] > 1 ? a->batch->codes[a->node->i[0]][row] : 0;
    return (prior){(double)a->in[2][category * a->cols + c], (double)a->in[3][category * a->cols + c]};
}

static void forward(const iso_args *a)
{
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = 0; c < a->cols; c++) {
            int64_t i = r * a->cols + c;
            prior p = prior_at(a, r, c);
            double v = iso_posterior_variance(a->in[1][i]), d = (double)a->in[0][i] - p.mean;
            a->out[i] = (real)(0.5 * (log(p.variance / v) + (v + d * d) / p.variance - 1));
        }
}

static void backward(const iso_args *a)
{
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = 0; c < a->cols; c++) {
            int64_t i = r * a->cols + c;
            prior p = prior_at(a, r, c);
            double v = iso_posterior_variance(a->in[1][i]), d = (double)a->d_out[i];
            real dmu = (real)(d * ((double)a->in[0][i] - p.mean) / p.variance);
            real draw = (real)(d * 0.5 * (1 / p.variance - 1 / v) * iso_posterior_slope(a->in[1][i]));
            if (a->d_in[0]) a->d_in[0][i] = a->add[0] ? a->d_in[0][i] + dmu : dmu;
            if (a->d_in[1]) a->d_in[1][i] = a->add[1] ? a->d_in[1][i] + draw : draw;
        }
}

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
