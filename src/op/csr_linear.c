/* csr_linear: y = f(x) W + b with the batch's sparse counts: the first layer of an encoder.
 *   in 0  W [G, H] (a gene's weights are a row)      in 1  b [1, H], may be missing      out  y [B, H]
 * f(x) comes with the batch (input_values): log1p of counts, or another transform that keeps zeros. */
#include "op.h"

enum { ROWS = 32, COLUMNS = 128 };      /* cells, and genes, a block */

static const char *shape(const iso_graph *g, iso_node *n)
{
    if (n->n_in != 2 || n->in[0] < 0) return "needs W and b or -1";
    const iso_node *w = &g->nodes[n->in[0]];
    if (w->per_cell) return "W must be [genes, out]";
    if (n->in[1] >= 0 && g->nodes[n->in[1]].cols != w->cols) return "b must be [1, out]";
    n->per_cell = true, n->cols = w->cols;
    return NULL;
}

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t r0 = block * ROWS, r1 = r0 + ROWS < a->rows ? r0 + ROWS : a->rows;
    a->kernels->csr_linear(&a->batch->x, a->batch->input_values, a->in[0], a->in[1], a->cols, a->out, r0, r1);
}

static void forward(const iso_args *a) { iso_parallel(a->env, (a->rows + ROWS - 1) / ROWS, forward_block, (void *)a); }

static void weight_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    const iso_batch *b = a->batch;
    int64_t c0 = block * COLUMNS, c1 = c0 + COLUMNS < a->in_rows[0] ? c0 + COLUMNS : a->in_rows[0];
    a->kernels->csr_linear_dw(b->colptr, b->by_column, a->d_out, a->cols, a->d_in[0], a->add[0], c0, c1);
}

static void backward(const iso_args *a)
{
    if (a->d_in[0]) iso_parallel(a->env, (a->in_rows[0] + COLUMNS - 1) / COLUMNS, weight_block, (void *)a);
    if (!a->d_in[1]) return;
    for (int64_t c = 0; !a->add[1] && c < a->cols; c++) a->d_in[1][c] = 0;
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = 0; c < a->cols; c++) a->d_in[1][c] += a->d_out[r * a->cols + c];
}

static const iso_example examples[] = {
    {.what = "with bias",
     .cells = 6,
     .genes = 11,
     .n_in = 2,
     .in = {{.rows = 11, .cols = 5, .lo = -1, .hi = 1}, {.rows = 1, .cols = 5, .lo = -1, .hi = 1}}},
    {.what = "many genes, no bias",
     .cells = 20,
     .genes = 300,
     .n_in = 2,
     .in = {{.rows = 300, .cols = 3, .lo = -1, .hi = 1}, {0}}},
    {0},
};

const iso_op iso_op_csr_linear = {.name = "csr_linear", .shape = shape, .forward = forward, .backward = backward,
                                  .examples = examples};
