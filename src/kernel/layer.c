/* layer.c: who does which columns of a layer, and how a CPU without tiles does them: by products of gemm.c. */
#include "layer.h"
#include "slots.h"

void iso_layer_add_bias(const real *bias, int64_t n, int64_t B, real *y)
{
    for (int64_t i = 0; i < n; i++, y += B)
        for (int64_t c = 0; c < B; c++) y[c] += bias[i];
}

void iso_layer_sum_bias(const real *d, int64_t n, int64_t B, bool add, real *sum)
{
    enum { LANES = 16 };
    for (int64_t i = 0; i < n; i++, d += B) {
        real lane[LANES] = {0}, total = 0;
        int64_t c = 0;
        for (; c + LANES <= B; c += LANES)
            for (int j = 0; j < LANES; j++) lane[j] += d[c + j];
        for (; c < B; c++) lane[c % LANES] += d[c];
        for (int j = 0; j < LANES; j++) total += lane[j];
        sum[i] = (add ? sum[i] : 0) + total;
    }
}

/* -------------------------------------------------------------------------------------- blocks by products of gemm.c */

static void to_bf16(const real *x, iso_bf16 *y, int64_t n) { iso_kernels_best()->to_bf16(x, y, n); }
static void sum_bias(const iso_layer *l, const iso_layer_block *b, const real *d, int64_t step, iso_bf16 *half)
{
    iso_kernels_best()->sum_rows(d, l->B, b->n, step, l->add_bias, b->dbias, half);
}

static void half_lay_out(const iso_layer *l, bool backward, int64_t r0, int64_t rows, iso_bf16 *x)
{
    (void)backward;
    to_bf16(l->x + r0 * l->K, x + r0 * l->K, rows * l->K);
}

static iso_bf16 *half_column(const real *y, const iso_layer *l, int64_t c) { return (iso_bf16 *)(uintptr_t)y + c * l->B; }

static void half_forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    to_bf16(l->w + b->c * l->K, b->half, b->n * l->K);
    if (l->by_column) {
        iso_gemm_bf16(false, true, b->n, l->B, l->K, b->half, l->K, x, l->K, 0, b->wide, l->B);
        if (l->bias) iso_layer_add_bias(l->bias + b->c, b->n, l->B, b->wide);
        to_bf16(b->wide, half_column(l->y, l, b->c), b->n * l->B);
        return;
    }
    iso_gemm_bf16(false, true, l->B, b->n, l->K, x, l->K, b->half, l->K, 0, l->y + b->c, l->N);
    if (l->bias) iso_kernels_best()->add_to_rows(l->bias + b->c, l->B, b->n, l->N, l->y + b->c);
}

static void half_backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    const bool across = l->by_column;
    iso_bf16 *rounded = b->half, *w = rounded + l->B * b->n;
    const iso_bf16 *d = across ? half_column(l->d, l, b->c) : rounded;
    int64_t step = across ? l->B : b->n;
    if (!across) sum_bias(l, b, l->d + b->c, l->N, rounded);
    else if (b->dbias) {
        iso_kernels_best()->from_bf16(d, b->wide, b->n * l->B);
        iso_layer_sum_bias(b->wide, b->n, l->B, l->add_bias, b->dbias);
    }
    if (b->dw) iso_gemm_bf16(!across, false, b->n, l->K, l->B, d, step, x, l->K, b->add_w ? 1 : 0, b->dw, l->K);
    if (!b->dx) return;
    to_bf16(l->w + b->c * l->K, w, b->n * l->K);
    iso_gemm_bf16(across, false, l->B, l->K, b->n, d, step, w, l->K, b->add_x ? 1 : 0, b->dx, iso_layer_padded(l->K));
}

static void whole_backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    (void)x;
    const bool across = l->by_column;
    const real *d = l->d + (across ? b->c * l->B : b->c);
    int64_t step = across ? l->B : l->N;
    if (b->dbias && across) iso_layer_sum_bias(d, b->n, l->B, l->add_bias, b->dbias);
    else if (b->dbias) sum_bias(l, b, d, step, NULL);
    if (b->dw) iso_gemm_serial(!across, false, b->n, l->K, l->B, 1, d, step, l->x, l->K, b->add_w ? 1 : 0, b->dw, l->K);
    if (b->dx) iso_gemm_serial(across, false, l->B, l->K, b->n, 1, d, step, l->w + b->c * l->K, l->K, b->add_x ? 1 : 0, b->dx, iso_layer_padded(l->K));
}

static const iso_layer_way by_half = {.lay_out = half_lay_out, .forward = half_forward, .backward = half_backward}, by_whole = {.backward = whole_backward};

/* -------------------------------------------------------------------------------------- groups */

int64_t iso_layer_groups(int64_t blocks)
{
    enum { FEW = 4, BLOCKS = 4 };        /* groups, if there are as many blocks; blocks a group */
    int64_t groups = blocks / BLOCKS < FEW ? FEW : blocks / BLOCKS > ISO_LAYER_GROUPS ? ISO_LAYER_GROUPS : blocks / BLOCKS;
    return groups < blocks ? groups : blocks;
}

/* What memory holds, in reals: a job, x; of each group its part of dx; in slots the gradient of a block's weights, a block of y or d, and numbers of 16 bits. */
typedef struct layout { int64_t blocks, groups, parts, x, dw, dx, wide, half; } layout;

/* Backward, weights are stepped in parts, as a job without hurry (iso_later): what comes next waits for dx alone. A thread that is alone steps a block at
 * once, while its weights are in cache. Both add up squares by part. */
typedef struct job { iso_layer l; const iso_layer_way *how; layout m; bool backward, at_once; double squares[ISO_LAYER_GROUPS]; iso_slots slots; } job;
enum { A_JOB = (sizeof(job) + 63) / 64 * 64 / sizeof(real) };

static layout layout_of(int64_t B, int64_t K, int64_t N)
{
    enum { FEW_PARTS = 8 };              /* at least, if there are as many blocks */
    const int64_t per_real = sizeof(real) / sizeof(iso_bf16), of_a_number = iso_tiles_usable() ? ISO_LAYER_PARTS : 1;
    int64_t b = iso_layer_padded(B), k = iso_layer_padded(K), blocks = (N + ISO_LAYER_COLUMNS - 1) / ISO_LAYER_COLUMNS;
    int64_t groups = iso_layer_groups(blocks), few = blocks < FEW_PARTS ? blocks : FEW_PARTS;
    int64_t most = iso_tiles_usable() ? ISO_LAYER_RUN : ISO_LAYER_COLUMNS;
    int64_t half = of_a_number * ISO_LAYER_COLUMNS * (2 * b + k), half_of_run = (most + ISO_LAYER_PAD) * 2 * b + most * k;
    return (layout){.blocks = blocks, .groups = groups, .parts = groups > few ? groups : few, .x = of_a_number * b * k / per_real, .dw = most * k, .dx = b * k,
                    .wide = ISO_LAYER_COLUMNS * b, .half = (half > half_of_run ? half : half_of_run) / per_real};
}

static int64_t slot_size(const layout *m) { return m->dw + m->wide + m->half; }

int64_t iso_layer_work(int64_t B, int64_t K, int64_t N)
{
    layout m = layout_of(B, K, N);
    return A_JOB + m.x + m.groups * m.dx + m.parts * slot_size(&m);
}

static iso_bf16 *x_of(const job *j) { return (iso_bf16 *)(j->l.work + A_JOB); }
static real *dx_of(const job *j, int64_t group) { return j->l.work + A_JOB + j->m.x + group * j->m.dx; }
static real *slot_of(const job *j, int64_t slot) { return dx_of(j, j->m.groups) + slot * slot_size(&j->m); }

/* Columns of y. */
typedef struct span { int64_t from, end; } span;
static span columns_of(const job *j, int64_t task, int64_t tasks)
{
    int64_t end = (task + 1) * j->m.blocks / tasks * ISO_LAYER_COLUMNS;
    return (span){task * j->m.blocks / tasks * ISO_LAYER_COLUMNS, end < j->l.N ? end : j->l.N};
}

static int64_t most_of(const job *j) { return j->backward && j->l.by_column && j->how->long_runs ? ISO_LAYER_RUN : ISO_LAYER_COLUMNS; }
static iso_layer_block block_of(const job *j, int64_t c, int64_t end, int64_t slot)
{
    real *own = slot_of(j, slot);
    return (iso_layer_block){.c = c, .n = end - c < most_of(j) ? end - c : most_of(j), .wide = own + j->m.dw, .half = (iso_bf16 *)(own + j->m.dw + j->m.wide)};
}

static void step_block(job *j, const iso_layer_block *b)
{
    const int64_t K = j->l.K;
    for (int64_t i = 0, n; i < b->n; i += n) {
        int64_t block = (b->c + i) / ISO_LAYER_COLUMNS, part = ((block + 1) * j->m.parts - 1) / j->m.blocks;
        n = b->n - i < ISO_LAYER_COLUMNS ? b->n - i : ISO_LAYER_COLUMNS;
        j->squares[part] += j->l.stepper->step(j->l.stepper, j->l.step_from + (b->c + i) * K, n * K, b->dw + i * K);
    }
}

/* late: the weights alone, which the others left. */
static void do_blocks(job *j, int64_t task, int64_t tasks, bool late)
{
    const iso_layer *l = &j->l;
    const bool steps = late || j->at_once;
    const span s = columns_of(j, task, tasks);
    const int64_t slot = iso_slot_take(&j->slots);
    for (int64_t c = s.from; c < s.end; c += most_of(j)) {
        iso_layer_block b = block_of(j, c, s.end, slot);
        if (l->dx && !late) b.dx = dx_of(j, task), b.add_x = c > s.from;
        if (l->dbias && !late) b.dbias = l->dbias + b.c;
        if (steps) b.dw = slot_of(j, slot);
        else if (l->dw && !l->stepper) b.dw = l->dw + b.c * l->K, b.add_w = l->add_w;
        (j->backward ? j->how->backward : j->how->forward)(l, &b, x_of(j));
        if (steps) step_block(j, &b);
    }
    iso_slot_free(&j->slots, slot);
}

static void one_group(void *arg, int64_t group) { do_blocks(arg, group, ((job *)arg)->m.groups, false); }
static void step_part(void *arg, int64_t part) { do_blocks(arg, part, ((job *)arg)->m.parts, true); }

static void sum_squares(void *arg)
{
    const job *j = arg;
    *j->l.squares = 0;
    for (int64_t p = 0; p < j->m.parts; p++) *j->l.squares += j->squares[p];
}

enum { ROWS = ISO_LAYER_PAD };       /* of x and dx, a task */
static int64_t row_tasks(const iso_layer *l) { return (l->B + ROWS - 1) / ROWS; }

static void lay_rows(void *arg, int64_t block)
{
    const job *j = arg;
    const int64_t r0 = block * ROWS, left = j->l.B - r0;
    j->how->lay_out(&j->l, j->backward, r0, left < ROWS ? left : ROWS, x_of(j));
}

static void add_groups(void *arg, int64_t block)
{
    const job *j = arg;
    const iso_layer *l = &j->l;
    int64_t width = iso_layer_padded(l->K), end = (block + 1) * ROWS < l->B ? (block + 1) * ROWS : l->B;
    for (int64_t r = block * ROWS; r < end; r++)
        for (int64_t g = 0; g < j->m.groups; g++) {
            const real *part = dx_of(j, g) + r * width;
            real *restrict dx = l->dx + r * l->K;
            if (g == 0 && !l->add_x) for (int64_t k = 0; k < l->K; k++) dx[k] = part[k];
            else for (int64_t k = 0; k < l->K; k++) dx[k] += part[k];
        }
}

static const iso_layer_way *way_of(bool bf16)
{
    if (iso_tiles_usable()) return bf16 ? &iso_layer_half_by_tiles : &iso_layer_whole_by_tiles;
    return bf16 ? &by_half : &by_whole;
}

bool iso_layer_does_forward(bool bf16) { return way_of(bf16)->forward != NULL; }

static void run(iso_env *env, const iso_layer *l, bool backward)
{
    job *j = (job *)l->work;
    *j = (job){.l = *l, .how = way_of(l->bf16), .m = layout_of(l->B, l->K, l->N), .backward = backward,
                .at_once = backward && l->stepper && iso_env_threads(env) == 1};
    if (j->how->lay_out) iso_parallel(env, row_tasks(l), lay_rows, j);
    iso_parallel(env, j->m.groups, one_group, j);
    if (backward && l->dx) iso_parallel(env, row_tasks(l), add_groups, j);
    if (j->at_once) sum_squares(j);
    else if (backward && l->stepper) iso_later(env, j->m.parts, step_part, sum_squares, j);
}

void iso_layer_forward(iso_env *env, const iso_layer *l) { run(env, l, false); }
void iso_layer_backward(iso_env *env, const iso_layer *l) { run(env, l, true); }
