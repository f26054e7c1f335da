/* linear: y = x W^T + b.
 *   in 0  x [B, K]      in 1  W [N, K]      in 2  b [1, N], may be missing      out  y [B, N] */
#include "op.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 3 || n->in[1] < 0) return "needs x, W and b or -1";
    const iso_node *w = &g->nodes[n->in[1]];
    if (w->per_cell || w->cols != n->cols) return "W must be [out, columns of x]";
    if (n->in[2] >= 0 && g->nodes[n->in[2]].cols != w->rows) return "b must be [1, out]";
    n->cols = w->rows;
    return NULL;
}

static void forward(const iso_args *a)
{
    iso_gemm(a->env, false, true, a->rows, a->cols, a->in_cols[0], 1, a->in[0], a->in_cols[0], a->in[1], a->in_cols[0], 0,
             a->out, a->cols, a->in[2]);
}

enum { COLUMNS = 512 };         /* of the bias gradient, a block */

static void bias_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t c0 = block * COLUMNS, c1 = c0 + COLUMNS < a->cols ? c0 + COLUMNS : a->cols;
    real *db = a->d_in[2];
    for (int64_t c = c0; !a->add[2] && c < c1; c++) db[c] = 0;
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = c0; c < c1; c++) db[c] += a->d_out[r * a->cols + c];
}

static void backward(const iso_args *a)
{
    int64_t K = a->in_cols[0], N = a->cols;
    if (a->d_in[0])
        iso_gemm(a->env, false, false, a->rows, K, N, 1, a->d_out, N, a->in[1], K, a->add[0] ? 1 : 0, a->d_in[0], K, NULL);
    if (a->d_in[1])
        iso_gemm(a->env, true, false, N, K, a->rows, 1, a->d_out, N, a->in[0], K, a->add[1] ? 1 : 0, a->d_in[1], K, NULL);
    if (a->d_in[2]) iso_parallel(a->env, (N + COLUMNS - 1) / COLUMNS, bias_block, (void *)a);
}

static const iso_example examples[] = {
    {.what = "with bias",
     .cells = 5,
     .n_in = 3,
     .in = {{true, .cols = 7, .lo = -1, .hi = 1},
            {.rows = 4, .cols = 7, .lo = -1, .hi = 1},
            {.rows = 1, .cols = 4, .lo = -1, .hi = 1}}},
    {.what = "no bias, one column",
     .cells = 3,
     .n_in = 3,
     .in = {{true, .cols = 1, .lo = -1, .hi = 1}, {.rows = 9, .cols = 1, .lo = -1, .hi = 1}, {0}}},
    {.what = "wide",
     .cells = 17,
     .n_in = 3,
     .in = {{true, .cols = 20, .lo = -1, .hi = 1},
            {.rows = 130, .cols = 20, .lo = -1, .hi = 1},
            {.rows = 1, .cols = 130, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_linear = {.name = "linear", .shape = shape, .forward = forward, .backward = backward,
                              .reads_in = 3, .examples = examples};
