/* linear: y = x W^T + b.
 *   in 0  x [B, K]      in 1  W [N, K]      in 2  b [1, N], may be missing      out  y [B, N]
 *   i[0]  1 = where a gradient will be asked for, x, W and the gradient of y enter the products in bfloat16; sums, b and what
 *         comes out are real. Saved 0 and 1 then hold x and W in bfloat16. */
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

/* Reals that n numbers of 16 bits take. */
static int64_t halves(int64_t n) { return (n * (int64_t)sizeof(iso_bf16) + (int64_t)sizeof(real) - 1) / (int64_t)sizeof(real); }

static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    if (!n->i[0]) return 0;
    return halves(j == 0 ? (n->per_cell ? cells : n->rows) * g->nodes[n->in[0]].cols : n->cols * g->nodes[n->in[1]].cols);
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    (void)g;
    return n->i[0] && backward ? halves((n->per_cell ? cells : n->rows) * n->cols) : 0;
}

static void forward(const iso_args *a)
{
    int64_t K = a->in_cols[0], N = a->cols;
    iso_bf16 *x = (iso_bf16 *)a->saved[0], *w = (iso_bf16 *)a->saved[1];
    if (!x) {
        iso_gemm(a->env, false, true, a->rows, N, K, 1, a->in[0], K, a->in[1], K, 0, a->out, N, a->in[2]);
        return;
    }
    iso_to_bf16(a->env, a->kernels, a->in[0], x, a->rows * K);
    iso_to_bf16(a->env, a->kernels, a->in[1], w, N * K);
    iso_gemm_bf16(a->env, false, true, a->rows, N, K, x, K, w, K, 0, a->out, N, a->in[2]);
}

enum { COLUMNS = 256 };         /* of the gradient, a block */

/* The bias's gradient, and the gradient itself in bfloat16: one pass over it. */
static void column_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t c0 = block * COLUMNS, n = a->cols - c0 < COLUMNS ? a->cols - c0 : COLUMNS;
    iso_bf16 *half = a->work ? (iso_bf16 *)a->work + c0 : NULL;
    a->kernels->sum_rows(a->d_out + c0, a->rows, n, a->cols, a->add[2], a->d_in[2] ? a->d_in[2] + c0 : NULL, half);
}

static void backward(const iso_args *a)
{
    int64_t K = a->in_cols[0], N = a->cols;
    real add_x = a->add[0] ? 1 : 0, add_w = a->add[1] ? 1 : 0;
    const iso_bf16 *x = (const iso_bf16 *)a->saved[0], *w = (const iso_bf16 *)a->saved[1], *d = (const iso_bf16 *)a->work;
    if (a->d_in[2] || d) iso_parallel(a->env, (N + COLUMNS - 1) / COLUMNS, column_block, (void *)a);
    if (a->d_in[0] && !d) iso_gemm(a->env, false, false, a->rows, K, N, 1, a->d_out, N, a->in[1], K, add_x, a->d_in[0], K, NULL);
    if (a->d_in[1] && !d) iso_gemm(a->env, true, false, N, K, a->rows, 1, a->d_out, N, a->in[0], K, add_w, a->d_in[1], K, NULL);
    if (a->d_in[0] && d) iso_gemm_bf16(a->env, false, false, a->rows, K, N, d, N, w, K, add_x, a->d_in[0], K, NULL);
    if (a->d_in[1] && d) iso_gemm_bf16(a->env, true, false, N, K, a->rows, d, N, x, K, add_w, a->d_in[1], K, NULL);
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
                              .reads_in = 3, .n_saved = 2, .saved_size = saved_size, .work_size = work_size,
                              .examples = examples};
