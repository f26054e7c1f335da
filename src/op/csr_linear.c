/* csr_linear: y = f(x) W + b with the batch's sparse counts: the first layer of an encoder.
 *   in 0  W [G, H] (a gene's weights are a row)      in 1  b [1, H], may be missing      out  y [B, H]
 *   i[0]  1 = in training f(x), W and the gradient of y may enter the products in bfloat16, where that is faster (kernel/spread_rows.h)
 * f(x) comes with the batch (input_values): log1p of counts, or another transform that keeps zeros. */
#include "kernel/layer.h"
#include "kernel/slots.h"
#include "kernel/spread_rows.h"
#include "op.h"

enum { ROWS = 32, COLUMNS = 128, DEEP = 4 * COLUMNS };             /* cells, and genes, a block; genes of a product by tiles, forward */

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

/* Reals that n cursors, or n numbers of 16 bits, take. */
static int64_t cursors(int64_t n) { return n * (int64_t)(sizeof(int64_t) / sizeof(real)); }
static int64_t halves(int64_t n) { return n / (int64_t)(sizeof(real) / sizeof(iso_bf16)); }

/* The batch's rows spread out, in training in bfloat16. */
static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    (void)j;
    return n->i[0] && iso_tiles_usable() ? halves(iso_spread_by_tiles.size(cells, g->nodes[n->in[0]].rows)) : 0;
}

/* In slots: forward what spread_rows.h makes of W; backward what it makes of the rows, or a cursor for each cell, and the gradient of a block of W. */
static int64_t own_size(int64_t cells, int64_t H, bool backward)
{
    int64_t half = !iso_tiles_usable() ? 0 : halves(backward ? COLUMNS * iso_layer_padded(cells) : DEEP * iso_layer_padded(H));
    return backward && half < cursors(cells) ? cursors(cells) : half;
}
static int64_t slot_size(int64_t cells, int64_t H, bool backward) { return own_size(cells, H, backward) + (backward ? COLUMNS * H : 0); }

/* Forward: of each group its part of y. Backward: the gradient of y as spread_rows.h wants it. */
static int64_t before_slots(int64_t groups, int64_t cells, int64_t H, bool backward)
{
    return backward ? halves(iso_layer_padded(cells) * iso_layer_padded(H)) : groups * cells * H;
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    int64_t groups = groups_of(g->nodes[n->in[0]].rows);
    return before_slots(groups, cells, n->cols, backward) + groups * slot_size(cells, n->cols, backward);
}

typedef struct job { const iso_args *a; int64_t genes, groups; bool spread; double squares[ISO_LAYER_GROUPS]; iso_slots slots; } job;

static job job_of(const iso_args *a)
{
    return (job){.a = a, .genes = a->in_rows[0], .groups = groups_of(a->in_rows[0]), .spread = a->saved[0] && a->settings->training && iso_spread_by_tiles.pays(&a->batch->x)};
}

/* The work of a slot. */
static real *slot_of(const job *j, int64_t slot, bool backward)
{
    return j->a->work + before_slots(j->groups, j->a->rows, j->a->cols, backward) + slot * slot_size(j->a->rows, j->a->cols, backward);
}

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

static void spread_block(void *arg, int64_t block)
{
    const iso_args *a = arg;
    int64_t r0 = block * ROWS, r1 = r0 + ROWS < a->rows ? r0 + ROWS : a->rows;
    iso_spread_by_tiles.rows(&a->batch->x, a->batch->input_values, r0, r1, (iso_bf16 *)a->saved[0]);
}

static void spread_group(void *arg, int64_t group)
{
    job *j = arg;
    const iso_args *a = j->a;
    const int64_t slot = iso_slot_take(&j->slots);
    span s = genes_of(j, group);
    for (int64_t c = s.from; c < s.to; c += DEEP)
        iso_spread_by_tiles.forward((const iso_bf16 *)a->saved[0], a->rows, j->genes, c, s.to - c < DEEP ? s.to - c : DEEP, a->in[0] + c * a->cols, a->cols,
                           (iso_bf16 *)slot_of(j, slot, false), a->work + group * a->rows * a->cols, c > s.from);
    iso_slot_free(&j->slots, slot);
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
    if (j->spread && a->in[1]) a->kernels->add_to_rows(a->in[1], (to - from) / a->cols, a->cols, a->cols, y + from);
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
    if (j.spread) iso_parallel(a->env, row_blocks, spread_block, (void *)a);
    iso_parallel(a->env, j.groups, j.spread ? spread_group : gene_group, &j);
    iso_parallel(a->env, row_blocks, add_groups, &j);
}

static void weight_group(void *arg, int64_t group)
{
    job *j = arg;
    const iso_args *a = j->a;
    int64_t H = a->cols;
    span s = genes_of(j, group);
    const int64_t slot = iso_slot_take(&j->slots);
    real *own = slot_of(j, slot, true), *block = own + own_size(a->rows, H, true);
    int64_t *cursor = (int64_t *)own;
    for (int64_t r = 0; r < a->rows && !j->spread; r++) cursor[r] = -1;
    for (int64_t c = s.from; c < s.to; c += COLUMNS) {
        int64_t n = s.to - c < COLUMNS ? s.to - c : COLUMNS;
        real *dw = a->squares[0] ? block : a->d_in[0] + c * H;
        bool add = !a->squares[0] && a->add[0];
        if (j->spread) iso_spread_by_tiles.backward((const iso_bf16 *)a->saved[0], a->rows, j->genes, c, n, (const iso_bf16 *)a->work, H, (iso_bf16 *)own, dw, add);
        else a->kernels->csr_linear_dw(&a->batch->x, a->batch->input_values, a->d_out, H, cursor, dw, add, c, c + n);
        if (a->squares[0]) j->squares[group] += a->settings->stepper->step(a->settings->stepper, a->step_from[0] + c * H, n * H, dw);
    }
    iso_slot_free(&j->slots, slot);
}

static void backward(const iso_args *a)
{
    job j = job_of(a);
    if (j.spread && a->d_in[0]) iso_spread_by_tiles.gradient(a->d_out, a->rows, a->cols, (iso_bf16 *)a->work);
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
                                  .n_saved = 1, .saved_size = saved_size, .work_size = work_size, .steps = 1u << 0, .examples = examples};
