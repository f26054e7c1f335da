/* csr_linear: y = f(x) W + b with the batch's sparse counts: the first layer of an encoder.
 *   in 0  W [G, H] (a gene's weights are a row)      in 1  b [1, H], may be missing      out  y [B, H]
 * f(x) comes with the batch (input_values): log1p of counts, or another transform that keeps zeros. */
#include "kernel/layer.h"
#include "kernel/slots.h"
#include "op.h"

enum { ROWS = 32, COLUMNS = 128 };              /* cells, and genes, a block */

/* Groups of blocks of genes, as those of a layer. In training a group's weights are read, and stepped, by the thread that has them in its cache. */
static int64_t blocks_of(int64_t genes) { return (genes + COLUMNS - 1) / COLUMNS; }
static int64_t groups_of(int64_t genes) { return iso_layer_groups(blocks_of(genes)); }

static const char *shape(const iso_graph *g, iso_node *n)
{
    if (n->n_in != 2 || n->in[0] < 0) return "needs W and b or -1";
    const iso_node *w = &g->nodes[n->in[0]];
    if (w->per_cell) return "W must be [genes, out]";
    if (n->in[1] >= 0 && g->nodes[n->in[1]].cols != w->cols) return "b must be [1, out]";
    n->per_cell = true, n->cols = w->cols;
    return NULL;
}

/* Reals that n cursors take. */
static int64_t cursors(int64_t n) { return n * (int64_t)(sizeof(int64_t) / sizeof(real)); }

/* Forward: of each group its part of y. Backward: in slots, a cursor for each cell, and the gradient of a block of W. */
static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    return groups_of(g->nodes[n->in[0]].rows) * (backward ? cursors(cells) + COLUMNS * n->cols : cells * n->cols);
}

typedef struct job { const iso_args *a; int64_t genes, groups; double squares[ISO_LAYER_GROUPS]; iso_slots slots; } job;

static job job_of(const iso_args *a) { return (job){.a = a, .genes = a->in_rows[0], .groups = groups_of(a->in_rows[0])}; }

/* Genes from..to-1 of a group. */
typedef struct span { int64_t from, to; } span;
static span genes_of(const job *j, int64_t group)
{
    int64_t blocks = blocks_of(j->genes), end = (group + 1) * blocks / j->groups * COLUMNS;
    return (span){group * blocks / j->groups * COLUMNS, end < j->genes ? end : j->genes};
}

static void row_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t r0 = block * ROWS, r1 = r0 + ROWS < a->rows ? r0 + ROWS : a->rows;
    a->kernels->csr_linear(&a->batch->x, a->batch->input_values, a->in[0], a->in[1], a->cols, a->out, r0, r1, 0, a->in_rows[0]);
}

static void gene_group(void *arg, int64_t group)
{
    const job *j = arg;
    const iso_args *a = j->a;
    span s = genes_of(j, group);
    a->kernels->csr_linear(&a->batch->x, a->batch->input_values, a->in[0], group ? NULL : a->in[1], a->cols, a->work + group * a->rows * a->cols, 0,
                           a->rows, s.from, s.to);
}

static void add_groups(void *arg, int64_t block)
{
    const job *j = arg;
    const iso_args *a = j->a;
    int64_t size = a->rows * a->cols, from = block * ROWS * a->cols, to = from + ROWS * a->cols < size ? from + ROWS * a->cols : size;
    real *restrict y = a->out;
    for (int64_t i = from; i < to; i++) y[i] = a->work[i];
    for (int64_t g = 1; g < j->groups; g++) {
        const real *restrict part = a->work + g * size;
        for (int64_t i = from; i < to; i++) y[i] += part[i];
    }
}

static void forward(const iso_args *a)
{
    int64_t row_blocks = (a->rows + ROWS - 1) / ROWS;
    job j = job_of(a);
    if (!a->settings->training) {
        iso_parallel(a->env, row_blocks, row_block, (void *)a);
        return;
    }
    iso_parallel(a->env, j.groups, gene_group, &j);
    iso_parallel(a->env, row_blocks, add_groups, &j);
}

static void weight_group(void *arg, int64_t group)
{
    job *j = arg;
    const iso_args *a = j->a;
    int64_t H = a->cols;
    span s = genes_of(j, group);
    int64_t slot = iso_slot_take(&j->slots);
    real *work = a->work + slot * (cursors(a->rows) + COLUMNS * H);
    int64_t *cursor = (int64_t *)work;
    for (int64_t r = 0; r < a->rows; r++) cursor[r] = -1;
    for (int64_t c = s.from; c < s.to; c += COLUMNS) {
        int64_t n = s.to - c < COLUMNS ? s.to - c : COLUMNS;
        real *dw = a->squares[0] ? work + cursors(a->rows) : a->d_in[0] + c * H;
        a->kernels->csr_linear_dw(&a->batch->x, a->batch->input_values, a->d_out, H, cursor, dw, !a->squares[0] && a->add[0], c, c + n);
        if (a->squares[0]) j->squares[group] += a->settings->stepper->step(a->settings->stepper, a->step_from[0] + c * H, n * H, dw);
    }
    iso_slot_free(&j->slots, slot);
}

static void backward(const iso_args *a)
{
    job j = job_of(a);
    if (a->d_in[0]) iso_parallel(a->env, j.groups, weight_group, &j);
    if (a->squares[0]) *a->squares[0] = 0;
    for (int64_t g = 0; a->squares[0] && g < j.groups; g++) *a->squares[0] += j.squares[g];
    if (a->d_in[1]) a->kernels->sum_rows(a->d_out, a->rows, a->cols, a->cols, a->add[1], a->d_in[1], NULL);
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
                                  .work_size = work_size, .steps = 1u << 0, .examples = examples};
