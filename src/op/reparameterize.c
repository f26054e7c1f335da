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

enum { ROWS = 16, BLOCK = 512 }; /* cells whose noise is drawn by one task; numbers whose exponentials are taken at once */

static real real_sqrt(real x) { return sizeof x == 4 ? (real)sqrtf((float)x) : (real)sqrt((double)x); }

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    iso_rng_key key = {a->settings->seed, 256 + (uint32_t)a->node_id, a->settings->draw};
    int64_t r0 = block * ROWS, rows = a->rows - r0 < ROWS ? a->rows - r0 : ROWS, from = r0 * a->cols, end = from + rows * a->cols;
    real *eps = a->saved[0] ? a->saved[0] : a->work;
    if (a->batch->noise) for (int64_t i = from; i < end; i++) eps[i] = a->batch->noise[i];
    else a->kernels->normal(key, a->batch->cells + r0, rows, a->cols, eps + from);
    for (int64_t i = from; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        real e[BLOCK];
        iso_raw_exps(a->kernels, a->in[1] + i, e, n);
        for (int64_t k = 0; k < n; k++) a->out[i + k] = a->in[0][i + k] + real_sqrt(e[k] + (real)ISO_VARIANCE_FLOOR) * eps[i + k];
    }
}

static void forward(const iso_args *a) { iso_parallel(a->env, (a->rows + ROWS - 1) / ROWS, forward_block, (void *)a); }

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t from = block * BLOCK, left = a->rows * a->cols - from, n = left < BLOCK ? left : BLOCK;
    const real *raw = a->in[1] + from, *d = a->d_out + from, *eps = a->saved[0] + from;
    real e[BLOCK];
    if (a->d_in[0]) iso_pass_gradient(a->d_in[0] + from, a->add[0], 1, d, n);
    if (!a->d_in[1]) return;
    iso_raw_exps(a->kernels, raw, e, n);
    for (int64_t i = 0; i < n; i++)
        e[i] = d[i] * eps[i] * (real)0.5 * iso_slope_of(raw[i], e[i]) / real_sqrt(e[i] + (real)ISO_VARIANCE_FLOOR);
    iso_pass_gradient(a->d_in[1] + from, a->add[1], 1, e, n);
}

static void backward(const iso_args *a) { iso_parallel(a->env, (a->rows * a->cols + BLOCK - 1) / BLOCK, backward_block, (void *)a); }

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
