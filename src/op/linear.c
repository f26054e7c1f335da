/* linear: y = x W^T + b.
 *   in 0  x [B, K]      in 1  W [N, K]      in 2  b [1, N], may be missing      out  y [B, N]
 *   i[0]  1 = in training, x, W and the gradient of y enter the products in bfloat16; sums, b and what comes out are real.
 *   i[1]  1 = in training, y and the gradient by it are [N, B], a column of y in a row; with i[0] in numbers of bfloat16, where pointers to
 *         real point to. For a reader that knows.
 * A layer with LARGE weights or more goes through kernel/layer.h on its way back, and on both ways in bfloat16 or by tiles (AMX). Not so if y
 * is much narrower than x: then there are no columns of y to deal out, but those of x. */
#include "kernel/layer.h"
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

/* COLUMNS of the gradient, a block; parts in which weights are stepped, by one thread where they are fewer than ALONE. */
enum { LARGE = 4096, COLUMNS = 256, STEPS = 8, ALONE = 16384, NARROW = 8 };

static bool is_large(const iso_graph *g, const iso_node *n)
{
    int64_t K = g->nodes[n->in[0]].cols;
    return n->i[0] || (n->cols * K >= LARGE && n->cols * NARROW > K);
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    bool layer = is_large(g, n) && (backward || n->i[0] || iso_layer_does_forward(false));
    return layer ? iso_layer_work(n->per_cell ? cells : n->rows, g->nodes[n->in[0]].cols, n->cols) : 0;
}

static bool is_by_column(const iso_args *a) { return a->node->i[1] && a->settings->training; }

static iso_layer layer_of(const iso_args *a)
{
    const bool training = a->settings->training;
    return (iso_layer){.B = a->rows, .K = a->in_cols[0], .N = a->cols, .bf16 = a->node->i[0] && training, .by_column = is_by_column(a),
                       .x = a->in[0], .w = a->in[1], .bias = a->in[2], .y = a->out,
                       .d = a->d_out, .dx = a->d_in[0], .dw = a->d_in[1], .dbias = a->d_in[2], .add_x = a->add[0], .add_w = a->add[1],
                       .add_bias = a->add[2], .stepper = a->squares[1] ? a->settings->stepper : NULL, .step_from = a->step_from[1],
                       .squares = a->squares[1], .work = a->work};
}

static void forward(const iso_args *a)
{
    int64_t K = a->in_cols[0], N = a->cols;
    iso_layer l = layer_of(a);
    if (a->work && iso_layer_does_forward(l.bf16)) iso_layer_forward(a->env, &l);
    else if (l.by_column) {
        iso_gemm(a->env, false, true, N, a->rows, K, 1, a->in[1], K, a->in[0], K, 0, a->out, a->rows, NULL);
        if (a->in[2]) iso_layer_add_bias(a->in[2], N, a->rows, a->out);
    } else iso_gemm(a->env, false, true, a->rows, N, K, 1, a->in[0], K, a->in[1], K, 0, a->out, N, a->in[2]);
}

static void bias_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t c0 = block * COLUMNS, n = a->cols - c0 < COLUMNS ? a->cols - c0 : COLUMNS;
    if (is_by_column(a)) iso_layer_sum_bias(a->d_out + c0 * a->rows, n, a->rows, a->add[2], a->d_in[2] + c0);
    else a->kernels->sum_rows(a->d_out + c0, a->rows, n, a->cols, a->add[2], a->d_in[2] + c0, NULL);
}

typedef struct stepping { const iso_args *a; double squares[STEPS]; } stepping;
static void step_part(void *arg, int64_t part)
{
    stepping *s = arg;
    int64_t K = s->a->in_cols[0], n0 = part * s->a->cols / STEPS * K, n1 = (part + 1) * s->a->cols / STEPS * K;
    const iso_stepper *how = s->a->settings->stepper;
    if (n1 > n0) s->squares[part] = how->step(how, s->a->step_from[1] + n0, n1 - n0, s->a->d_in[1] + n0);
}

static void backward(const iso_args *a)
{
    int64_t K = a->in_cols[0], N = a->cols;
    if (a->work) {
        iso_layer l = layer_of(a);
        iso_layer_backward(a->env, &l);
        return;
    }
    if (a->d_in[2]) iso_parallel(a->env, (N + COLUMNS - 1) / COLUMNS, bias_block, (void *)a);
    const bool across = is_by_column(a);
    int64_t step = across ? a->rows : N;
    if (a->d_in[0]) iso_gemm(a->env, across, false, a->rows, K, N, 1, a->d_out, step, a->in[1], K, a->add[0] ? 1 : 0, a->d_in[0], K, NULL);
    if (a->d_in[1]) iso_gemm(a->env, !across, false, N, K, a->rows, 1, a->d_out, step, a->in[0], K, a->add[1] ? 1 : 0, a->d_in[1], K, NULL);
    if (!a->squares[1]) return;
    stepping s = {.a = a};
    if (N * K < ALONE) for (int i = 0; i < STEPS; i++) step_part(&s, i);
    else iso_parallel(a->env, STEPS, step_part, &s);
    *a->squares[1] = 0;
    for (int i = 0; i < STEPS; i++) *a->squares[1] += s.squares[i];
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
    {.what = "in blocks",
     .cells = 7,
     .n_in = 3,
     .in = {{true, .cols = 26, .lo = -1, .hi = 1},
            {.rows = 160, .cols = 26, .lo = -1, .hi = 1},
            {.rows = 1, .cols = 160, .lo = -1, .hi = 1}}},
    {.what = "wide",
     .cells = 17,
     .n_in = 3,
     .in = {{true, .cols = 20, .lo = -1, .hi = 1},
            {.rows = 130, .cols = 20, .lo = -1, .hi = 1},
            {.rows = 1, .cols = 130, .lo = -1, .hi = 1}}},
    {.what = "by column",
     .cells = 6,
     .i = {0, 1},
     .training = true,
     .n_in = 3,
     .in = {{true, .cols = 7, .lo = -1, .hi = 1}, {.rows = 11, .cols = 7, .lo = -1, .hi = 1}, {.rows = 1, .cols = 11, .lo = -1, .hi = 1}}},
    {.what = "by column, in blocks",
     .cells = 5,
     .i = {0, 1},
     .training = true,
     .n_in = 3,
     .in = {{true, .cols = 32, .lo = -1, .hi = 1}, {.rows = 133, .cols = 32, .lo = -1, .hi = 1}, {.rows = 1, .cols = 133, .lo = -1, .hi = 1}}},
    {0},
};

const iso_op iso_op_linear = {.name = "linear", .shape = shape, .forward = forward, .backward = backward,
                              .reads_in = 3, .work_size = work_size, .steps = 1u << 1, .lingers = true, .examples = examples};
