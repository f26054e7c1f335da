/* category: adds a category's own vector: the one-hot covariate injected into a linear layer.
 *   in 0  x [B, H], may be missing      in 1  W [n_categories, H]      out  y[b] = x[b] + W[code[b]]
 *   i[0]  slot of the covariate in the batch
 * The same as widening x with one-hot columns (scvi-tools' deeply injected covariates), at the cost of one addition. */
#include "op.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    if (n->n_in != 2 || n->in[1] < 0) return "needs x or -1, and W";
    if (n->i[0] < 0 || n->i[0] >= ISO_MAX_COVARIATES) return "no such covariate slot";
    const iso_node *w = &g->nodes[n->in[1]];
    if (n->in[0] >= 0 && (!g->nodes[n->in[0]].per_cell || g->nodes[n->in[0]].cols != w->cols))
        return "x and W differ in width";
    n->per_cell = true, n->cols = w->cols;
    return NULL;
}

static void forward(const iso_args *a)
{
    const int32_t *code = a->batch->codes[a->node->i[0]];
    for (int64_t r = 0; r < a->rows; r++) {
        const real *x = a->in[0] ? a->in[0] + r * a->cols : NULL, *w = a->in[1] + code[r] * a->cols;
        for (int64_t c = 0; c < a->cols; c++) a->out[r * a->cols + c] = (x ? x[c] : 0) + w[c];
    }
}

static void backward(const iso_args *a)
{
    const int32_t *code = a->batch->codes[a->node->i[0]];
    iso_pass_gradient(a->d_in[0], a->add[0], 1, a->d_out, a->rows * a->cols);
    if (!a->d_in[1]) return;
    for (int64_t i = 0; !a->add[1] && i < a->in_rows[1] * a->cols; i++) a->d_in[1][i] = 0;
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = 0; c < a->cols; c++) a->d_in[1][code[r] * a->cols + c] += a->d_out[r * a->cols + c];
}

static const iso_example examples[] = {
    {.what = "added",
     .cells = 7,
     .n_categories = 3,
     .n_in = 2,
     .in = {{true, .cols = 4, .lo = -1, .hi = 1}, {.rows = 3, .cols = 4, .lo = -1, .hi = 1}}},
    {.what = "alone", .cells = 4, .n_categories = 2, .n_in = 2, .in = {{0}, {.rows = 2, .cols = 5, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_category = {.name = "category", .shape = shape, .forward = forward, .backward = backward,
                                .examples = examples};
