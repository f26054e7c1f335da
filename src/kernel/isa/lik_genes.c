/* lik_genes.c: the losses of lik_nb.c and lik_zinb.c for heads that lie genes first, [G, B]: a gene's dispersion is then one number for a row of
 * cells, and who multiplies a block of a head's weights has its logits in cache. mu = library * softmax(h), where softmax goes over genes, so that
 * there are three passes: lik_totals (of each cell: the largest h, the sum of exp h), nb_genes or zinb_genes, lik_softmax_back.
 *
 * With r = mu / t, L = log(1 + r), s = max(t, 1), c = min(log t, 0), for any count x = 0, 1, 2, ...:
 *     NB loss = (t + x) L - x log mu - T(x),    T(x) = sum over i < x of log((t + i) / (s (i + 1))) - c
 *     dloss/dlog mu = (mu - x) / (1 + r)
 *     dloss/dlog t  = t [L - r / (1 + r)] + S(x) - x r / (1 + r),   S(x) = sum over i < x of i / (t + i)
 * T and S are tables of a gene for x below COUNTS. Larger x, and x that are not whole, are strange: done before the others,
 * as in the other loops, and then passed over. Zero inflation is as in lik_zinb.c. */
#include "lik_genes.h"

#include "entries.h"

enum { GENES = 128 };                          /* that are done together */

static inline int64_t size_of(const iso_lik_genes *a) { return a->half ? (int64_t)sizeof(iso_bf16) : (int64_t)sizeof(real); }
static inline void *element(const iso_lik_genes *a, real *head, int64_t gene, int64_t cell) { return (char *)head + (gene * a->x.n_rows + cell) * size_of(a); }
static inline int64_t chunk(int64_t from, int64_t end, int64_t most) { return end - from < most ? end - from : most; }

/* Asks for what the gene AHEAD genes on has of these cells: rows lie far apart, and no CPU guesses that for as many as there are. Harmless past the last.
 * Always inline: GCC takes a call for one without effect, and leaves it out. */
static inline __attribute__((always_inline)) void fetch_ahead_of(const iso_lik_genes *a, real *head, int64_t gene, int64_t cell)
{
    enum { AHEAD = 16 };
    const char *at = element(a, head, gene + AHEAD, cell);
    for (int64_t i = 0; i < CELLS * size_of(a); i += LINE) __builtin_prefetch(at + i);
}

static inline real read_one(bool half, const void *at) { return half ? (real)widened(*(const iso_bf16 *)at) : *(const real *)at; }
static inline void write_one(bool half, real x, void *at)
{
    if (half) *(iso_bf16 *)at = narrowed_result(x);
    else *(real *)at = x;
}

/* Of the n cells that are there, in order of place, and `rest` for others. */
static inline void cells_in(const real *from, int64_t n, bool half, real rest, real to[CELLS])
{
    for (int c = 0; c < CELLS; c++) to[place(half, c)] = c < n ? from[c] : rest;
}
static inline void cells_out(const real from[CELLS], bool half, int64_t n, real *to)
{
    for (int c = 0; c < n; c++) to[c] = from[place(half, c)];
}

/* A row of fewer cells is done in one of CELLS. */
typedef struct padded { _Alignas(LINE) real numbers[CELLS]; } padded;
static inline void *row_in(const iso_lik_genes *a, void *row, int64_t n, padded *own)
{
    if (n == CELLS) return row;
    memset(own, 0, sizeof *own);
    return memcpy(own, row, (size_t)(n * size_of(a)));
}
static inline void row_out(const iso_lik_genes *a, const padded *own, int64_t n, void *row)
{
    if (n < CELLS) memcpy(row, own, (size_t)(n * size_of(a)));
}

/* -------------------------------------------------------------------------------------- softmax */

/* Genes g0..g1-1 of cells c0..c0+n-1. */
static inline void totals_of(const iso_lik_genes *a, bool half, int64_t g0, int64_t g1, int64_t c0, int64_t n, real *top, real *sum)
{
    enum { TOGETHER = 16 };
    _Alignas(LINE) real most[CELLS], total[CELLS] = {0};
    padded own[TOGETHER];
    const void *rows[TOGETHER];
    for (int c = 0; c < CELLS; c++) most[c] = LEAST;
    for (int64_t g = g0; g < g1; g += TOGETHER) {
        const int64_t m = chunk(g, g1, TOGETHER);
        for (int64_t i = 0; i < m; i++) fetch_ahead_of(a, a->mean, g + i, c0), rows[i] = row_in(a, element(a, a->mean, g + i, c0), n, &own[i]);
        rows_total(rows, m, half, most, total);
    }
    cells_out(most, half, n, top + c0), cells_out(total, half, n, sum + c0);
}

void KERNEL(lik_totals)(const iso_lik_genes *a, int64_t g0, int64_t g1, real *top, real *sum)
{
    for (int64_t c = 0, B = a->x.n_rows; c < B; c += CELLS) {
        if (a->half) totals_of(a, true, g0, g1, c, chunk(c, B, CELLS), top, sum);
        else totals_of(a, false, g0, g1, c, chunk(c, B, CELLS), top, sum);
    }
}

void KERNEL(lik_scales)(const iso_lik_genes *a, const real *log_library, int64_t groups, const real *tops, const real *sums)
{
    const int64_t B = a->x.n_rows;
    for (int64_t c0 = 0; c0 < B; c0 += CELLS) {
        const int64_t n = chunk(c0, B, CELLS);
        const real *restrict top_of = tops + c0, *restrict sum_of_group = sums + c0, *restrict library = log_library + c0;
        real top[CELLS], total[CELLS] = {0};
        memcpy(top, top_of, (size_t)n * sizeof *top);
        for (int64_t g = 1; g < groups; g++)
            for (int64_t c = 0; c < n; c++) top[c] = real_max(top_of[g * B + c], top[c]);
        for (int64_t g = 0; g < groups; g++)
            for (int64_t c = 0; c < n; c++) total[c] += sum_of_group[g * B + c] * exp_of(top_of[g * B + c] - top[c]);
        for (int64_t c = 0; c < n; c++) {
            const real l = real_clamp(library[c], -(real)LOG_LIBRARY_MAX, (real)LOG_LIBRARY_MAX);
            a->top[c0 + c] = top[c], a->factor[c0 + c] = total[c];
            a->scale[c0 + c] = real_exp(l) / total[c], a->log_scale[c0 + c] = l - real_log(total[c]);
        }
    }
}

static inline void softmax_back(const iso_lik_genes *a, bool half, int64_t g0, int64_t g1, int64_t c0, int64_t n)
{
    _Alignas(LINE) real top[CELLS], factor[CELLS];
    padded own[2];
    cells_in(a->top + c0, n, half, 0, top), cells_in(a->factor + c0, n, half, 0, factor);
    for (int64_t g = g0; g < g1; g++) {
        void *head = element(a, a->mean, g, c0), *h = row_in(a, head, n, &own[0]);
        fetch_ahead_of(a, a->mean, g, c0), fetch_ahead_of(a, a->aside, g, c0);
        row_softmax_back(h, row_in(a, element(a, a->aside, g, c0), n, &own[1]), half, top, factor);
        row_out(a, &own[0], n, head);
    }
}

void KERNEL(lik_softmax_back)(const iso_lik_genes *a, int64_t g0, int64_t g1)
{
    for (int64_t c = 0, B = a->x.n_rows; c < B; c += CELLS) {
        if (a->half) softmax_back(a, true, g0, g1, c, chunk(c, B, CELLS));
        else softmax_back(a, false, g0, g1, c, chunk(c, B, CELLS));
    }
}

/* -------------------------------------------------------------------------------------- GENES genes of CELLS cells */

/* Those of m genes. */
static inline void terms_of(const real *dispersion, int64_t m, gene_terms gene[GENES])
{
    real log_theta[GENES], theta[GENES], inv_theta[GENES];
    for (int i = 0; i < GENES; i++) log_theta[i] = i < m ? real_clamp(dispersion[i], -LOG_THETA_MAX, LOG_THETA_MAX) : 0;
    for (int i = 0; i < GENES; i++) theta[i] = real_exp(log_theta[i]), inv_theta[i] = real_exp(-log_theta[i]);
    for (int i = 0; i < GENES; i++) gene[i].theta = theta[i], gene[i].inv_theta = inv_theta[i], gene[i].log_theta = log_theta[i];
    for (int i = 0; i < m; i += GENES_TOGETHER) gene[i].has_upper = gene_tables(gene + i, false);
}

typedef struct block {
    int64_t g, m, c, n;                           /* genes g..g+m-1, cells c..c+n-1 */
    cell_terms cells;
    gene_terms genes[GENES];
    _Alignas(LINE) uint8_t x[GENES + 1][CELLS];                  /* counts, in order of place; the last row: for what is none */
    _Alignas(LINE) real d_theta[GENES][LANES];                   /* sums of dloss/dlog theta over every LANES-th cell */
    double d_theta_strange[GENES];
} block;

/* -- strange counts: their gradients wait in their places of `aside` and `dropout`. */

typedef struct strange { nb_points p; int32_t cell[NB_POINTS]; real above_top[NB_POINTS], scale[NB_POINTS]; } strange;

static void do_strange(const iso_lik_genes *a, block *b, strange *s, bool zinb)
{
    nb_points *p = &s->p;
    real d_dropout[NB_POINTS];
    for (int j = p->n; j < NB_POINTS; j++) s->above_top[j] = s->scale[j] = 0;
    for (int j = 0; j < NB_POINTS; j++) p->mu[j] = exp_of(s->above_top[j]) * s->scale[j];
    nb_points_run(p);
    if (zinb) nb_points_dropout(p, d_dropout);
    for (int j = 0; j < p->n; j++) {
        int g = p->gene[j], c = s->cell[j], at = place(a->half, c);
        b->cells.loss[at] += p->loss[j], b->cells.sum[at] += p->d_log_mu[j], b->d_theta_strange[g] += (double)p->d_log_theta[j];
        write_one(a->half, p->d_log_mu[j], element(a, a->aside, b->g + g, b->c + c));
        if (zinb) write_one(a->half, d_dropout[j], element(a, a->dropout, b->g + g, b->c + c));
    }
    p->n = 0;
}

static void add_strange(const iso_lik_genes *a, block *b, int32_t g, int32_t c, real x, strange *s, bool zinb)
{
    nb_points *p = &s->p;
    const gene_terms *k = &b->genes[g];
    const int j = p->n++, at = place(a->half, c);
    b->x[g][at] = STRANGE;
    s->cell[j] = c, s->above_top[j] = read_one(a->half, element(a, a->mean, b->g + g, b->c + c)) - b->cells.top[at], s->scale[j] = b->cells.scale[at];
    p->gene[j] = g, p->x[j] = x, p->log_mu[j] = s->above_top[j] + b->cells.log_scale[at];
    p->theta[j] = k->theta, p->inv_theta[j] = k->inv_theta, p->log_theta[j] = k->log_theta;
    p->dropout[j] = zinb ? read_one(a->half, element(a, a->dropout, b->g + g, b->c + c)) : 0;
    if (p->n == NB_POINTS) do_strange(a, b, s, zinb);
}

/* The counts, cell by cell; cursor [n]: the next entry of each. */
static inline void read_counts(const iso_lik_genes *a, block *b, int64_t *cursor, bool zinb)
{
    const int32_t *indices = a->x.indices, first = (int32_t)b->g, end = (int32_t)(b->g + b->m);
    const float *values = a->x.values;
    strange s;
    s.p.n = 0;
    memset(b->x, 0, sizeof b->x);
    for (int32_t c = 0; c < b->n; c++) {
        enum { AHEAD = 8, A_LINE = LINE / sizeof *indices };
        bool others = false;
        int64_t i = cursor[c], soon = cursor[c + AHEAD < b->n ? c + AHEAD : c];
        __builtin_prefetch(indices + soon), __builtin_prefetch(indices + soon + A_LINE), __builtin_prefetch(values + soon), __builtin_prefetch(values + soon + A_LINE);
        cursor[c] = cell_counts(indices, values, i, a->x.indptr[b->c + c + 1], first, end, GENES, &b->x[0][place(a->half, c)], &others);
        for (; others && i < cursor[c]; i++)
            if (values[i] > 0 && !(values[i] < COUNTS && (float)(int32_t)values[i] == values[i])) add_strange(a, b, indices[i] - first, c, (real)values[i], &s, zinb);
    }
    if (s.p.n) do_strange(a, b, &s, zinb);
}

/* -- the others */

static inline void start_logs(cell_terms *k)
{
    for (int c = 0; c < CELLS; c++) k->product[c] = 1, k->exponent[c] = 0;
}

static inline void take_logs(cell_terms *k)
{
    for (int c = 0; c < CELLS; c++) k->loss[c] -= log_of_product(k->product[c], k->exponent[c]);
    start_logs(k);
}

/* The rows of gene i, of which the counts are of that kind; a copy for each, without questions. */
static inline __attribute__((always_inline)) void one_gene(const iso_lik_genes *a, block *b, int64_t i, bool half, bool zinb, row_kind kind)
{
    row_law(&b->cells, &b->genes[i], b->d_theta[i], b->x[i], half, element(a, a->mean, b->g + i, b->c), zinb ? element(a, a->dropout, b->g + i, b->c) : NULL,
            element(a, a->aside, b->g + i, b->c), zinb, kind);
}

/* The same of fewer cells, in rows of CELLS. */
static void few_cells(const iso_lik_genes *a, block *b, int64_t i, bool zinb)
{
    padded own[3];
    void *d = element(a, a->aside, b->g + i, b->c), *dropout = zinb ? element(a, a->dropout, b->g + i, b->c) : NULL;
    void *h_in = row_in(a, element(a, a->mean, b->g + i, b->c), b->n, &own[0]), *d_in = row_in(a, d, b->n, &own[1]), *dropout_in = zinb ? row_in(a, dropout, b->n, &own[2]) : NULL;
    row_law(&b->cells, &b->genes[i], b->d_theta[i], b->x[i], a->half, h_in, dropout_in, d_in, zinb, SOME_STRANGE);
    row_out(a, &own[1], b->n, d);
    if (zinb) row_out(a, &own[2], b->n, dropout);
}

/* The upper halves of tables, of which few are needed. */
static void make_upper(block *b)
{
    for (int64_t i = 0; i < b->m; i++) {
        gene_terms *together = &b->genes[i / GENES_TOGETHER * GENES_TOGETHER];
        if (!together->has_upper && has_above(b->x[i], UPPER)) together->has_upper = gene_tables(together, true);
    }
}

/* No function is called in this loop: what it keeps in registers stays there. */
static inline void all_genes(const iso_lik_genes *a, block *b, bool half, bool zinb)
{
    for (int64_t i = 0; i < b->m; i++) {
        const row_kind kind = kind_of(b->x[i]);
        fetch_ahead_of(a, a->mean, b->g + i, b->c), fetch_ahead_of(a, a->aside, b->g + i, b->c);
        if (zinb) fetch_ahead_of(a, a->dropout, b->g + i, b->c);
        if (kind == NONE_COUNTED) one_gene(a, b, i, half, zinb, NONE_COUNTED);
        else if (kind == SOME_COUNTED) one_gene(a, b, i, half, zinb, SOME_COUNTED);
        else one_gene(a, b, i, half, zinb, SOME_STRANGE);
        if (zinb && (i + 1) % LOGS == 0) take_logs(&b->cells);
    }
    if (zinb) take_logs(&b->cells);
}

static void all_genes_of_few(const iso_lik_genes *a, block *b, bool zinb)
{
    for (int64_t i = 0; i < b->m; i++) {
        few_cells(a, b, i, zinb);
        if (zinb && (i + 1) % LOGS == 0) take_logs(&b->cells);
    }
    if (zinb) take_logs(&b->cells);
}

static inline void run_block(const iso_lik_genes *a, block *b, int64_t *cursor, double *loss, double *sum, bool zinb)
{
    cell_terms *k = &b->cells;
    cells_in(a->top + b->c, b->n, a->half, 0, k->top), cells_in(a->scale + b->c, b->n, a->half, 0, k->scale);
    cells_in(a->log_scale + b->c, b->n, a->half, LEAST, k->log_scale);
    for (int c = 0; c < CELLS; c++) k->log_scale_less_top[c] = k->log_scale[c] - k->top[c];
    memset(k->loss, 0, sizeof k->loss), memset(k->sum, 0, sizeof k->sum);
    start_logs(k);
    read_counts(a, b, cursor + b->c, zinb);
    make_upper(b);
    if (b->n < CELLS) all_genes_of_few(a, b, zinb);
    else if (a->half) all_genes(a, b, true, zinb);
    else all_genes(a, b, false, zinb);
    for (int c = 0; c < b->n; c++) loss[b->c + c] += (double)k->loss[place(a->half, c)], sum[b->c + c] += (double)k->sum[place(a->half, c)];
}

/* dloss/dlog theta of the block's genes, once all cells have gone by. */
static inline void put_dispersion(const block *b, const real *restrict dispersion, real *restrict d_dispersion)
{
    real sum[GENES] = {0};
    for (int64_t i = 0; i < b->m; i++) sum[i] = (real)(b->d_theta_strange[i] + (double)sum_of(b->d_theta[i]));
    for (int64_t i = 0; i < b->m; i++) {                /* not on beyond what theta is held to; without branches */
        const bool stuck = ((dispersion[i] < -LOG_THETA_MAX) & (sum[i] > 0)) | ((dispersion[i] > LOG_THETA_MAX) & (sum[i] < 0));
        d_dispersion[i] = stuck ? 0 : sum[i];
    }
}

static inline void run_genes(const iso_lik_genes *a, int64_t g0, int64_t g1, int64_t *cursor, double *loss, double *sum, bool zinb)
{
    const int64_t B = a->x.n_rows;
    block b;
    for (int64_t c = 0; c < B; c++) cursor[c] = entry_at(&a->x, c, g0), loss[c] = sum[c] = 0;
    for (b.g = g0; b.g < g1; b.g += GENES) {
        b.m = chunk(b.g, g1, GENES);
        memset(b.d_theta, 0, sizeof b.d_theta), memset(b.d_theta_strange, 0, sizeof b.d_theta_strange);
        terms_of(a->dispersion + b.g, b.m, b.genes);
        for (b.c = 0; b.c < B; b.c += CELLS) {
            b.n = chunk(b.c, B, CELLS);
            run_block(a, &b, cursor, loss, sum, zinb);
        }
        put_dispersion(&b, a->dispersion + b.g, a->d_dispersion + b.g);
    }
}

void KERNEL(nb_genes)(const iso_lik_genes *a, int64_t g0, int64_t g1, int64_t *cursor, double *loss, double *sum)
{
    run_genes(a, g0, g1, cursor, loss, sum, false);
}

void KERNEL(zinb_genes)(const iso_lik_genes *a, int64_t g0, int64_t g1, int64_t *cursor, double *loss, double *sum)
{
    run_genes(a, g0, g1, cursor, loss, sum, true);
}
