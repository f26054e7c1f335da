/* add: y = a + b, of one shape; i[0]: then max(y, 0), whose gradient at 0 is 0; i[1]: in
 * training all numbers are kept in bfloat16, the gradients too. */
#include "op.h"

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 2 || n->in[1] < 0) return "needs two inputs";
    const iso_node *b = &g->nodes[n->in[1]];
    return b->cols == n->cols && b->per_cell == n->per_cell && b->rows == n->rows ? NULL : "inputs differ in shape";
}

enum { BLOCK = 32768, PART = 1024 };         /* numbers a task; at once, on the way back */

static bool half(const iso_args *a) { return a->node->i[1] && a->settings->training; }

static void forward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t size = a->rows * a->cols, from = block * BLOCK, to = from + BLOCK < size ? from + BLOCK : size;
    const real *p = a->in[0], *q = a->in[1];
    real *y = a->out;
    if (half(a)) {
        a->kernels->add_bf16(to - from, (const iso_bf16 *)p + from, NULL, (const iso_bf16 *)q + from, a->node->i[0], (iso_bf16 *)y + from);
        return;
    }
    if (!a->node->i[0]) for (int64_t i = from; i < to; i++) y[i] = p[i] + q[i];
    else
        for (int64_t i = from; i < to; i++) {
            real sum = p[i] + q[i];
            y[i] = sum > 0 ? sum : 0;
        }
}

static void backward_half(const iso_args *a, int64_t from, int64_t n)
{
    const iso_bf16 *d = (const iso_bf16 *)a->d_out + from, *where = a->node->i[0] ? (const iso_bf16 *)a->out + from : NULL;
    for (int j = 0; j < 2; j++) {
        iso_bf16 *to = (iso_bf16 *)a->d_in[j] + from;
        if (a->d_in[j]) a->kernels->add_bf16(n, d, where, a->add[j] ? to : NULL, false, to);
    }
}

static void backward_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t size = a->rows * a->cols, from = block * BLOCK, end = from + BLOCK < size ? from + BLOCK : size;
    real masked[PART];
    if (half(a)) {
        backward_half(a, from, end - from);
        return;
    }
    for (int64_t i = from; i < end; i += PART) {
        int64_t n = end - i < PART ? end - i : PART;
        const real *d = a->d_out + i, *y = a->out + i;
        for (int64_t k = 0; a->node->i[0] && k < n; k++) {
            real dk = d[k];                                 /* read in any case: no branch, so that it vectorises */
            masked[k] = y[k] > 0 ? dk : 0;
        }
        for (int j = 0; j < 2; j++)
            if (a->d_in[j]) iso_pass_gradient(a->d_in[j] + i, a->add[j], 1, a->node->i[0] ? masked : d, n);
    }
}

static int64_t blocks(const iso_args *a) { return (a->rows * a->cols + BLOCK - 1) / BLOCK; }
static void forward(const iso_args *a) { iso_parallel(a->env, blocks(a), forward_block, (void *)a); }
static void backward(const iso_args *a) { iso_parallel(a->env, blocks(a), backward_block, (void *)a); }

static const iso_example examples[] = {
    {.what = "two",
     .cells = 4,
     .n_in = 2,
     .in = {{true, .cols = 3, .lo = -1, .hi = 1}, {true, .cols = 3, .lo = -1, .hi = 1}}},
    {.what = "relu",
     .cells = 4,
     .i = {1},
     .n_in = 2,
     .in = {{true, .cols = 3, .lo = -1, .hi = 1}, {true, .cols = 3, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_add = {
    .name = "add", .shape = shape, .forward = forward, .backward = backward, .reads_out = true, .examples = examples};
