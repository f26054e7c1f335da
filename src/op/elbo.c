/* elbo: the loss of a batch: sum over cells of -log p(x|z) + w KL, in nats.
 *   in 0  reconstruction [1, 1], -log p summed over the batch      in 1  kl [B, L], may be missing (autoencoder)
 *   in 2  kl of the library size [B, 1], may be missing; never weighted (as scvi-tools)
 *   in 3  kl of a grid of latent variables [B, S], may be missing; weighted by settings.grid_kl_weight, without free bits
 *   out [1, 1]
 * w = settings.kl_weight. Free bits: the L dimensions are cut into free_bits_groups groups of neighbours, and each
 * group counts as at least its share of settings.free_bits nats a cell on average; below it has no gradient.
 * The sum, not the mean: the gradient is divided by the number of cells in the optimiser.
 * Source: Kingma & Welling 2014, eq. 3; free bits: Kingma et al. 2016 (arXiv:1606.04934), eq. 15. */
#include "op.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    if (n->n_in != 4 || n->in[0] < 0) return "needs reconstruction, kl or -1, kl of the library or -1, kl of the grid or -1";
    if (g->nodes[n->in[0]].per_cell || g->nodes[n->in[0]].cols != 1) return "reconstruction must be [1, 1]";
    n->rows = n->cols = 1;
    return NULL;
}

static int groups(const iso_args *a)
{
    int k = a->settings->free_bits > 0 ? a->settings->free_bits_groups : 1;
    return k < 1 ? 1 : k > a->in_cols[1] ? (int)a->in_cols[1] : k;
}

/* Sum of KL over the cells and the dimensions of group k; its dimensions are from..to-1. */
static double group_kl(const iso_args *a, int k, int64_t *from, int64_t *to)
{
    int64_t L = a->in_cols[1], n = groups(a);
    double sum = 0;
    *from = k * L / n, *to = (k + 1) * L / n;
    for (int64_t r = 0; r < a->in_rows[1]; r++)
        for (int64_t c = *from; c < *to; c++) sum += (double)a->in[1][r * L + c];
    return sum;
}

static double floor_of_group(const iso_args *a)
{
    return (double)a->settings->free_bits / groups(a) * (double)a->in_rows[1];
}

static void forward(const iso_args *a)
{
    double loss = (double)a->in[0][0];
    int64_t from, to;
    for (int k = 0; a->in[1] && k < groups(a); k++) {
        double kl = group_kl(a, k, &from, &to), least = floor_of_group(a);
        loss += (double)a->settings->kl_weight * (kl > least || a->settings->free_bits <= 0 ? kl : least);
    }
    for (int64_t r = 0; a->in[2] && r < a->in_rows[2]; r++) loss += (double)a->in[2][r];
    double grid = 0;
    for (int64_t i = 0; a->in[3] && i < a->in_rows[3] * a->in_cols[3]; i++) grid += (double)a->in[3][i];
    a->out[0] = (real)(loss + (double)a->settings->grid_kl_weight * grid);
}

static void backward(const iso_args *a)
{
    real d = a->d_out[0];
    int64_t from, to;
    iso_pass_gradient(a->d_in[0], a->add[0], d, &(real){1}, 1);
    for (int k = 0; a->d_in[1] && k < groups(a); k++) {
        bool counts = group_kl(a, k, &from, &to) > floor_of_group(a) || a->settings->free_bits <= 0;
        real dk = counts ? d * a->settings->kl_weight : 0;
        for (int64_t r = 0; r < a->in_rows[1]; r++)
            for (int64_t c = from; c < to; c++) {
                real *to_add = &a->d_in[1][r * a->in_cols[1] + c];
                *to_add = a->add[1] ? *to_add + dk : dk;
            }
    }
    for (int64_t r = 0; a->d_in[2] && r < a->in_rows[2]; r++) a->d_in[2][r] = a->add[2] ? a->d_in[2][r] + d : d;
    real grid = d * a->settings->grid_kl_weight;
    for (int64_t i = 0; a->d_in[3] && i < a->in_rows[3] * a->in_cols[3]; i++)
        a->d_in[3][i] = a->add[3] ? a->d_in[3][i] + grid : grid;
}

#define ELBO_IN                                                                                                        \
    {                                                                                                                  \
        {.rows = 1, .cols = 1, .lo = 1, .hi = 5}, {true, .cols = 6, .lo = 0, .hi = 2},                                 \
        {true, .cols = 1, .lo = 0, .hi = 1},                                                                           \
        {                                                                                                              \
            true, .cols = 5, .lo = 0, .hi = 1                                                                          \
        }                                                                                                              \
    }
static const iso_example examples[] = {
    {.what = "weighted", .cells = 4, .kl_weight = 0.37, .n_in = 4, .in = ELBO_IN},
    {.what = "free bits by group",
     .cells = 4,
     .kl_weight = 0.8,
     .free_bits = 6,
     .free_bits_groups = 6,
     .n_in = 4,
     .in = ELBO_IN},
    {.what = "free bits in total",
     .cells = 4,
     .kl_weight = 1,
     .free_bits = 3,
     .free_bits_groups = 1,
     .n_in = 4,
     .in = ELBO_IN},
    {.what = "autoencoder",
     .cells = 4,
     .kl_weight = 1,
     .n_in = 4,
     .in = {{.rows = 1, .cols = 1, .lo = 1, .hi = 5}, {0}, {0}, {0}}},
    {0},
};

const iso_op iso_op_elbo = {.name = "elbo", .shape = shape, .forward = forward, .backward = backward, .reads_in = 2,
                            .examples = examples};
