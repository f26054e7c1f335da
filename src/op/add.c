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

enum { BLOCK = 32768 };         /* numbers a task */

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t size = a->rows * a->cols, from = block * BLOCK, to = from + BLOCK < size ? from + BLOCK : size;
    for (int64_t i = from; i < to; i++) a->out[i] = a->in[0][i] + a->in[1][i];
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t size = a->rows * a->cols, from = block * BLOCK, n = size - from < BLOCK ? size - from : BLOCK;
    for (int j = 0; j < 2; j++)
        if (a->d_in[j]) iso_pass_gradient(a->d_in[j] + from, a->add[j], 1, a->d_out + from, n);
}

static int64_t blocks(const iso_args *a) { return (a->rows * a->cols + BLOCK - 1) / BLOCK; }
static void forward(const iso_args *a) { iso_parallel(a->env, blocks(a), forward_block, (void *)a); }
static void backward(const iso_args *a) { iso_parallel(a->env, blocks(a), backward_block, (void *)a); }

static const iso_example examples[] = {
    {.what = "two",
     .cells = 4,
     .n_in = 2,
     .in = {{true, .cols = 3, .lo = -1, .hi = 1}, {true, .cols = 3, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_add = {
    .name = "add", .shape = shape, .forward = forward, .backward = backward, .examples = examples};
