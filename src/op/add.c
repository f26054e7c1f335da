/* add: y = a + b, of one shape. */
#include "op.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 2 || n->in[1] < 0) return "needs two inputs";
    const iso_node *b = &g->nodes[n->in[1]];
    return b->cols == n->cols && b->per_cell == n->per_cell && b->rows == n->rows ? NULL : "inputs differ in shape";
}

static void forward(const iso_args *a)
{
    for (int64_t i = 0; i < a->rows * a->cols; i++) a->out[i] = a->in[0][i] + a->in[1][i];
}

static void backward(const iso_args *a)
{
    iso_pass_gradient(a->d_in[0], a->add[0], 1, a->d_out, a->rows * a->cols);
    iso_pass_gradient(a->d_in[1], a->add[1], 1, a->d_out, a->rows * a->cols);
}

static const iso_example examples[] = {
    {.what = "two",
     .cells = 4,
     .n_in = 2,
     .in = {{true, .cols = 3, .lo = -1, .hi = 1}, {true, .cols = 3, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_add = {
    .name = "add", .shape = shape, .forward = forward, .backward = backward, .examples = examples};
