/* reparameterize: z = mu + sigma * eps, eps ~ N(0, I): a draw from q(z|x) through which gradients flow.
 *   in 0  mu [B, L]      in 1  raw [B, L], variance as in posterior.h      out  z [B, L]
 * eps of a cell depends on (seed, node, draw, cell) alone; batch->noise replaces it.
 * Source: Kingma & Welling 2014, section 2.4. */
#include "op.h"
#include "posterior.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 2 || n->in[1] < 0 || g->nodes[n->in[1]].cols != n->cols) return "needs mu and raw of one shape";
    return NULL;
}

static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    (void)g, (void)j;
    return cells * n->cols;
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    (void)g;
    return backward ? 0 : cells * n->cols;
}

enum { ROWS = 8 };              /* cells a block */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    iso_rng_key key = {a->settings->seed, 256 + (uint32_t)a->node_id, a->settings->draw};
    for (int64_t r = block * ROWS; r < a->rows && r < (block + 1) * ROWS; r++) {
        real *eps = (a->saved[0] ? a->saved[0] : a->work) + r * a->cols;
        if (a->batch->noise) for (int64_t c = 0; c < a->cols; c++) eps[c] = a->batch->noise[r * a->cols + c];
        else iso_normal(key, (uint64_t)a->batch->cells[r], a->cols, eps);
        for (int64_t c = 0; c < a->cols; c++) {
            int64_t i = r * a->cols + c;
            a->out[i] = a->in[0][i] + (real)sqrt(iso_posterior_variance(a->in[1][i])) * eps[c];
        }
    }
}

static void forward(const iso_args *a) { iso_parallel(a->env, (a->rows + ROWS - 1) / ROWS, forward_block, (void *)a); }

static void backward(const iso_args *a)
{
    iso_pass_gradient(a->d_in[0], a->add[0], 1, a->d_out, a->rows * a->cols);
    if (!a->d_in[1]) return;
    for (int64_t i = 0; i < a->rows * a->cols; i++) {
        real raw = a->in[1][i];
        real d = a->d_out[i] * a->saved[0][i] *
                 (real)(0.5 * iso_posterior_slope(raw) / sqrt(iso_posterior_variance(raw)));
        a->d_in[1][i] = a->add[1] ? a->d_in[1][i] + d : d;
    }
}

static const iso_example examples[] = {
    {.what = "draw",
     .training = true,
     .cells = 5,
     .n_in = 2,
     .in = {{true, .cols = 3, .lo = -2, .hi = 2}, {true, .cols = 3, .lo = -3, .hi = 1}}},
    {.what = "beyond the limit",
     .training = true,
     .cells = 3,
     .n_in = 2,
     .in = {{true, .cols = 2, .lo = -2, .hi = 2}, {true, .cols = 2, .lo = -25, .hi = -21}}},
    {0},
};

const iso_op iso_op_reparameterize = {.name = "reparameterize",
                                      .shape = shape,
                                      .forward = forward,
                                      .backward = backward,
                                      .reads_in = 2,
                                      .n_saved = 1,
                                      .saved_size = saved_size,
                                      .work_size = work_size,
                                      .examples = examples};
