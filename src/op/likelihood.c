/* likelihood: -log p(x|z) of the batch's counts under the decoder's law, summed over cells, fused with its gradient.
 *   in 0  mean head [B, G]      in 1  dropout head [B, G] or -1      in 2  dispersion [D, G], [B, G] (per cell) or -1
 *   in 3  log library size [B, 1] or -1      out [1, 1] nats; per cell in batch->cell_loss
 *   pointer  the iso_likelihood      i[0]  covariate slot that picks a cell's row of dispersion when D > 1
 *   i[1]  1 = dispersion is per cell
 *   i[2]  iso_lik_layout: in training, mean and dropout head and the gradients by them are [G, B], in real or in bfloat16 (likelihood_genes.c)
 * Forward leaves the gradients in saved 0 and 1, in place of the heads where nobody else reads them, and saved 2 holds
 * those of dispersion [D, G] and log library size [B]; backward only scales them. Cells are cut into at most BLOCKS
 * blocks, each with its own sum of the dispersion's gradient; the sums are added in order. */
#include "kernel/slots.h"
#include "likelihood_genes.h"

enum { BLOCKS = 16, MIN_ROWS = 4 };

static const char *shape(const iso_graph *g, iso_node *n)
{
    const iso_likelihood *law = n->pointer;
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 4 || !n->per_cell || !law)
        return "needs mean, dropout or -1, dispersion or -1, log library or -1, and a law";
    if (law->has_dropout != (n->in[1] >= 0) || law->has_dispersion != (n->in[2] >= 0))
        return "the heads are not those of the law";
    if ((law->counts || law->log1p_data) && n->in[3] < 0) return "the law needs the library size";
    if (n->in[2] >= 0 && g->nodes[n->in[2]].per_cell != (n->i[1] != 0))
        return "i[1] must say whether dispersion is per cell";
    if (n->i[2] != ISO_CELLS_FIRST && (!law->genes || n->i[1] || g->nodes[n->in[2]].rows != 1)) return "genes first: the law has no loop for it, or not for this dispersion";
    for (int j = 1; j < 3; j++)
        if (n->in[j] >= 0 && g->nodes[n->in[j]].cols != n->cols) return "the heads differ in width";
    n->per_cell = false, n->rows = n->cols = 1;
    return NULL;
}

typedef struct sizes { int64_t G, dispersion_rows; bool dispersion_per_cell; } sizes;
static sizes sizes_of(const iso_graph *g, const iso_node *n)
{
    const iso_node *d = n->in[2] >= 0 ? &g->nodes[n->in[2]] : NULL;
    return (sizes){g->nodes[n->in[0]].cols, d && !d->per_cell ? d->rows : 0, d && d->per_cell};
}

static int64_t block_rows(int64_t cells)
{
    int64_t rows = (cells + BLOCKS - 1) / BLOCKS;
    return rows < MIN_ROWS ? MIN_ROWS : rows;
}

static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    sizes s = sizes_of(g, n);
    if (j == 0) return cells * s.G;
    if (j == 1) return n->in[1] >= 0 ? cells * s.G : 0;
    return (s.dispersion_per_cell ? cells : s.dispersion_rows) * s.G + cells;
}

/* In slots: scratch rows. Per block: its sum of the dispersion's gradient. Then the losses and the cells' dispersion rows. */
static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    sizes s = sizes_of(g, n);
    int64_t by_cell = BLOCKS * (ISO_LIK_SCRATCH + s.dispersion_rows) * s.G + 2 * cells + 16;
    int64_t by_gene = n->i[2] ? iso_likelihood_genes_work(cells, s.G) + cells : 0;
    return backward ? 0 : by_gene > by_cell ? by_gene : by_cell;
}

typedef struct job {
    const iso_args *a;
    iso_lik_args args;
    iso_lik_rows_fn *rows;
    int64_t G, dispersion_rows, per_block;
    real *scratch, *partial;
    iso_slots slots;
} job;

static void one_block(void *arg, int64_t block)
{
    job *j = arg;
    iso_lik_args args = j->args;
    int64_t r0 = block * j->per_block, r1 = r0 + j->per_block < j->a->batch->n ? r0 + j->per_block : j->a->batch->n;
    int64_t slot = iso_slot_take(&j->slots);
    args.scratch = j->scratch + slot * ISO_LIK_SCRATCH * j->G;
    if (j->dispersion_rows > 0 && args.d_mean) {
        args.d_dispersion = j->partial + block * j->dispersion_rows * j->G;
        for (int64_t i = 0; i < j->dispersion_rows * j->G; i++) args.d_dispersion[i] = 0;
    }
    j->rows(&args, r0, r1);
    iso_slot_free(&j->slots, slot);
}

/* Losses [B] of cells, and what is saved. */
static const real *by_cell(const iso_args *a)
{
    const iso_likelihood *law = a->node->pointer;
    const iso_batch *b = a->batch;
    int64_t G = a->in_cols[0], n = b->n, D = a->in[2] ? a->in_rows[2] : 0;
    bool per_cell = law->has_dispersion && a->node->i[1];
    job j = {
        .a = a, .rows = law->rows(a->kernels), .G = G, .dispersion_rows = per_cell ? 0 : D, .per_block = block_rows(n)};
    j.scratch = a->work;
    j.partial = j.scratch + BLOCKS * ISO_LIK_SCRATCH * G;
    real *loss = j.partial + BLOCKS * j.dispersion_rows * G;
    int32_t *own_row = (int32_t *)(loss + n);
    for (int64_t r = 0; r < n; r++) own_row[r] = (int32_t)r;
    j.args = (iso_lik_args){.x = b->x,
                            .log_library = a->in[3],
                            .mean = a->in[0],
                            .dropout = a->in[1],
                            .dispersion = a->in[2],
                            .dispersion_row = per_cell ? own_row
                                              : D > 1  ? b->codes[a->node->i[0]]
                                                       : NULL,
                            .loss = loss,
                            .d_mean = a->saved[0],
                            .d_dropout = a->saved[1]};
    real *d_dispersion = a->saved[2];
    if (a->saved[2]) j.args.d_log_library = a->saved[2] + D * G;
    if (a->saved[2] && per_cell) {
        j.args.d_dispersion = d_dispersion;
        for (int64_t i = 0; i < n * G; i++) d_dispersion[i] = 0;
    }
    int64_t blocks = (n + j.per_block - 1) / j.per_block;
    iso_parallel(a->env, blocks, one_block, &j);
    int64_t D_G = j.dispersion_rows * G;
    if (a->saved[2] && D_G) a->kernels->sum_rows(j.partial, blocks, D_G, D_G, false, d_dispersion, NULL);
    return loss;
}

static void forward(const iso_args *a)
{
    const iso_batch *b = a->batch;
    real *own = a->work + iso_likelihood_genes_work(b->n, a->in_cols[0]);
    const bool genes_first = a->node->i[2] && a->settings->training;
    if (genes_first) iso_likelihood_genes(a, own);
    const real *loss = genes_first ? own : by_cell(a);
    double total = 0;
    for (int64_t r = 0; r < b->n; r++) {
        total += (double)loss[r];
        if (b->cell_loss) b->cell_loss[r] = loss[r];
    }
    a->out[0] = (real)total;
}

/* The gradient by a head, n numbers, times scale. */
static void pass_head(const iso_args *a, int head, real scale, int64_t n)
{
    enum { RUN = 256 };
    if (a->node->i[2] != ISO_GENES_FIRST_BF16 || !a->settings->training) {
        iso_pass_gradient(a->d_in[head], a->add[head], scale, a->saved[head], n);
        return;
    }
    const iso_bf16 *from = (const iso_bf16 *)a->saved[head];
    iso_bf16 *to = (iso_bf16 *)a->d_in[head];
    if (!to || (to == from && scale == 1)) return;
    for (int64_t i = 0; i < n; i += RUN) {
        int64_t m = n - i < RUN ? n - i : RUN;
        real some[RUN];
        a->kernels->from_bf16(from + i, some, m);
        for (int64_t k = 0; k < m; k++) some[k] *= scale;
        a->kernels->to_bf16(some, to + i, m);
    }
}

static void backward(const iso_args *a)
{
    int64_t G = a->in_cols[0], n = a->batch->n, D = a->in[2] ? a->in_rows[2] : 0;
    real d = a->d_out[0];
    pass_head(a, 0, d, n * G);
    pass_head(a, 1, d, n * G);
    iso_pass_gradient(a->d_in[2], a->add[2], d, a->saved[2], D * G);
    iso_pass_gradient(a->d_in[3], a->add[3], d, a->saved[2] + D * G, n);
}

extern const iso_likelihood iso_likelihood_zinb, iso_likelihood_nb, iso_likelihood_poisson,
    iso_likelihood_gaussian_log1p, iso_likelihood_gaussian;
#define HEAD(lo_, hi_) {true, .cols = 13, .lo = lo_, .hi = hi_}
#define GENES_FIRST(lo_, hi_) {true, .cols = 45, .lo = lo_, .hi = hi_}
#define LIBRARY {true, .cols = 1, .lo = 2, .hi = 4}
static const iso_example examples[] = {
    {.what = "poisson",
     .cells = 6,
     .genes = 13,
     .pointer = &iso_likelihood_poisson,
     .n_in = 4,
     .in = {HEAD(-1, 1), {0}, {0}, LIBRARY}},
    {.what = "nb",
     .cells = 9,
     .genes = 13,
     .pointer = &iso_likelihood_nb,
     .n_in = 4,
     .in = {HEAD(-1, 1), {0}, {.rows = 1, .cols = 13, .lo = -1, .hi = 2}, LIBRARY}},
    {.what = "nb by category",
     .cells = 9,
     .genes = 13,
     .n_categories = 3,
     .pointer = &iso_likelihood_nb,
     .n_in = 4,
     .in = {HEAD(-1, 1), {0}, {.rows = 3, .cols = 13, .lo = -1, .hi = 2}, LIBRARY}},
    {.what = "nb by cell",
     .cells = 5,
     .genes = 13,
     .i = {0, 1},
     .pointer = &iso_likelihood_nb,
     .n_in = 4,
     .in = {HEAD(-1, 1), {0}, HEAD(-1, 2), LIBRARY}},
    {.what = "zinb",
     .cells = 6,
     .genes = 13,
     .pointer = &iso_likelihood_zinb,
     .n_in = 4,
     .in = {HEAD(-1, 1), HEAD(-2, 1), {.rows = 1, .cols = 13, .lo = -1, .hi = 2}, LIBRARY}},
    {.what = "zinb by cell",
     .cells = 6,
     .genes = 13,
     .i = {0, 1},
     .pointer = &iso_likelihood_zinb,
     .n_in = 4,
     .in = {HEAD(-1, 1), HEAD(-2, 1), HEAD(-1, 2), LIBRARY}},
    {.what = "gaussian",
     .cells = 6,
     .genes = 13,
     .pointer = &iso_likelihood_gaussian,
     .n_in = 4,
     .in = {HEAD(-1, 3), {0}, {.rows = 1, .cols = 13, .lo = -1, .hi = 1}, {0}}},
    {.what = "gaussian_log1p",
     .cells = 6,
     .genes = 13,
     .pointer = &iso_likelihood_gaussian_log1p,
     .n_in = 4,
     .in = {HEAD(-1, 3),
            {0},
            {.rows = 1, .cols = 13, .lo = -1, .hi = 1},
            {true, .is_state = true, .cols = 1, .lo = 2, .hi = 4}}},
    {.what = "nb, genes first",
     .cells = 9,
     .genes = 45,
     .i = {0, 0, ISO_GENES_FIRST},
     .pointer = &iso_likelihood_nb,
     .training = true,
     .n_in = 4,
     .in = {GENES_FIRST(-1, 1), {0}, {.rows = 1, .cols = 45, .lo = -1, .hi = 2}, LIBRARY}},
    {.what = "zinb, genes first",
     .cells = 18,
     .genes = 45,
     .i = {0, 0, ISO_GENES_FIRST},
     .pointer = &iso_likelihood_zinb,
     .training = true,
     .n_in = 4,
     .in = {GENES_FIRST(-1, 1), GENES_FIRST(-2, 1), {.rows = 1, .cols = 45, .lo = -1, .hi = 2}, LIBRARY}},
    {0},
};

const iso_op iso_op_likelihood = {.name = "likelihood",
                                  .shape = shape,
                                  .forward = forward,
                                  .backward = backward,
                                  .n_saved = 3,
                                  .saved_size = saved_size,
                                  .work_size = work_size,
                                  .in_place = 3,
                                  .examples = examples};
