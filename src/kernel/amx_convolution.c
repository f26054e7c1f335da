/* amx_convolution.c: convolutions in bfloat16 with AMX (amx.h).
 *
 * An image is laid into a frame: rounded, with zeros around it, row y in plane y % stride. What a row of the kernel sees at a place of the
 * output is then a run of numbers side by side, what it sees at the next place lies `step` further on, and so on from row to row and from
 * image to image: 16 places are the rows of a tile as they lie, and nothing is copied. A row of the output is one place longer than its
 * pixels, so that neighbours across its end are zeros; that place, and a last row of places, are computed and dropped. Where that would be
 * too many, in small images, the runs of a place are copied side by side after all: patches.
 *
 * The adjoint is of the same form: with a stride of s, pixel (s i + p, s j + q) of the larger side sees size / s by size / s pixels of the
 * smaller one at place (i, j), by weights of its own for each p and q.
 *
 * The weights' gradient is a sum over places. A tile wants pairs of its rows interleaved: they are the same place in two images, which are
 * interleaved as they are laid. The other side is turned, so that its places are along a row.
 *
 * What a task does depends on the shape alone: the same bits for any number of threads. */
#include "convolution.h"

#if defined(ISO_HAVE_AMX) && !defined(ISO_REAL_DOUBLE)

#include "amx_frame.h"
#include "slots.h"


enum { LANES = 16, PLACES = 512 };               /* tasks of a pass over all images; places of a product, if a lane has as many */
enum { TEAMS = 8, FEW = 4, CHUNKS = 8 };         /* on the way back: teams, at most and at least; tasks that share a block, at most */
enum { SHARED = 2 };                             /* times as large is a shared block, which adds to more weights */
enum { COLUMNS = 64 };                           /* of the weights' gradient, a task */
enum { FULL = 7 };                               /* tenths of places that are not dropped; patches, if fewer */
static const int64_t BLOCK = 512 * 1024;         /* numbers of 16 bits that a block of images is laid out in: half of a second-level cache */
static const int64_t SUMS = 512 * 1024;          /* numbers in all teams' gradients of the weights */

/* Pairs of images that are laid out for the weights' gradient, and where their part of it goes. */
typedef struct block { int64_t first, pairs; iso_bf16 *paired, *turned; real *dw; bool add; } block;

typedef struct job {
    const iso_conv *c;
    const iso_kernels *k;
    int64_t n, across, places;                   /* images; places of a row, of an image */
    bool patches;
    frame x, y;
    int64_t patch, gather_run, scatter_run;      /* numbers of an output's weights; of a run, padded */
    int64_t lanes, images;                       /* of a pass over all images: tasks; images at once */
    /* Backward: pairs of images in a block, and in one go; teams; without teams, tasks that share a block. */
    int64_t pairs, together, teams, chunks, turned_step;      /* turned_step: from a row of the turned side to the next */
    const real *from, *w, *bias;                 /* from: the side that is convolved */
    const iso_conv_gradient *g;
    real *to, *sums;                             /* to: the other side */
    bool relu, add, adjoint;                     /* adjoint: from the smaller side to the larger */
    iso_bf16 *weights, *framed, *patched, *paired, *turned;
    real *product, *masked, *team_dw;
    iso_slots *slots;                            /* of framed, patched, product and masked; of a team, also paired and turned */
    block block;                                 /* without teams */
} job;

/* -------------------------------------------------------------------------------------- sizes */

static bool fits(const iso_conv *c)
{
    bool kind = (c->size == 4 && c->stride == 2) || ((c->size == 3 || c->size == 1) && c->stride == 1);
    return kind && c->bf16 && c->out % 2 == 0 && c->height % c->stride == 0 && c->width % c->stride == 0 && iso_tiles_usable();
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t even_parts(int64_t n, int64_t most) { int64_t parts = (n + most - 1) / most; return parts ? (n + parts - 1) / parts : 1; }

static job job_of(const iso_conv *c, int64_t n)
{
    int64_t s = c->stride, pad = (c->size - 1) / 2, h = iso_conv_height(c), w = iso_conv_width(c), across = w + pad, rows = h + pad;
    bool patches = 10 * h * w < FULL * rows * across;
    job j = {.c = c, .k = iso_kernels_best(), .n = n, .patches = patches, .across = patches ? w : across, .places = patches ? h * w : rows * across,
             .patch = c->size * c->size * c->in,
             .x = {c->height, c->width, c->in, s, rows, s * across * c->in, s * c->in, pad, c->half_x},
             .y = {h, w, c->out, 1, rows, across * c->out, c->out, pad, c->half_y},
             .gather_run = iso_layer_padded(c->size * c->in), .scatter_run = iso_layer_padded(c->size / s * c->out)};
    j.lanes = smaller(LANES, n);
    j.images = larger(1, smaller(PLACES / j.places, (n + LANES - 1) / LANES));
    int64_t all = (n + 1) / 2, pair = 2 * ((patches ? j.places * j.patch : s * rows * j.x.row) + iso_layer_padded(c->out) * j.places);
    j.teams = smaller(all, smaller(TEAMS, SUMS / (c->out * j.patch)));
    if (j.teams < FEW) j.teams = 0;
    j.pairs = even_parts(j.teams ? (all + j.teams - 1) / j.teams : all, larger(1, (j.teams ? BLOCK : SHARED * BLOCK) / pair));
    if (!j.teams && j.pairs >= 4) j.pairs = (j.pairs + 3) / 4 * 4;        /* so that tasks come out even */
    j.chunks = smaller(CHUNKS, j.pairs);
    j.together = j.teams ? larger(1, smaller(j.pairs, PLACES / (2 * j.places))) : (j.pairs + j.chunks - 1) / j.chunks;
    return j;
}

static int64_t weights_size(const job *j)
{
    int64_t s = j->c->stride, gather = j->c->size * j->gather_run * iso_layer_padded(j->c->out);
    return larger(gather, s * s * (j->c->size / s) * j->scatter_run * iso_layer_padded(j->c->in));
}

/* Of a task with so many images: the larger frame; reals of its products. */
static int64_t framed_size(const job *j, int64_t images) { return larger(j->x.planes * plane_of(&j->x, images), plane_of(&j->y, images)); }
static int64_t product_size(const job *j, int64_t images)
{
    return iso_layer_padded(images * j->places) * larger(j->c->out, j->c->stride * j->c->stride * j->c->in);
}

static int64_t pair_frame(const job *j, int64_t pairs) { return 2 * j->x.planes * plane_of(&j->x, pairs); }
static int64_t paired_size(const job *j)
{
    return j->patches ? (iso_layer_padded(j->pairs * j->places) * j->patch + COLUMNS) * 2 : pair_frame(j, j->pairs);
}
/* Scratch for patches: those of a product, or a pair's frame before its patches are copied. */
static int64_t patched_size(const job *j, int64_t images)
{
    int64_t row = larger(j->c->size * j->gather_run, j->c->size / j->c->stride * j->scatter_run);
    return j->patches ? larger(iso_layer_padded(images * j->places) * row, pair_frame(j, 1)) : 0;
}
static int64_t turned_size(const job *j) { return iso_layer_padded(j->c->out) * j->turned_step; }
static int64_t masked_size(const job *j)
{
    return 2 * larger(j->x.height * j->x.width * j->x.channels, j->y.height * j->y.width * j->y.channels);
}

static int64_t align(int64_t reals) { return (reals + TILE - 1) / TILE * TILE; }
static iso_bf16 *take_half(real **at, int64_t n) { iso_bf16 *p = (iso_bf16 *)*at; *at += align((n + 1) / 2); return p; }
static real *take(real **at, int64_t n) { real *p = *at; *at += align(n); return p; }

/* Gives the job its memory; reals of it in all. */
static int64_t lay_memory(job *j, bool backward, real *work)
{
    real *at = work;
    int64_t blocks = larger(1, j->teams), tasks = !backward ? j->lanes : j->teams ? j->teams : j->chunks, images = backward ? 2 * j->together : j->images;
    j->weights = take_half(&at, weights_size(j));
    j->framed = take_half(&at, tasks * framed_size(j, images));
    j->patched = take_half(&at, tasks * patched_size(j, images));
    j->product = take(&at, tasks * product_size(j, images));
    if (!backward) return at - work;
    j->turned_step = iso_layer_padded(2 * j->pairs * j->places);
    j->masked = take(&at, tasks * masked_size(j));
    j->paired = take_half(&at, blocks * paired_size(j));
    j->turned = take_half(&at, blocks * turned_size(j));
    j->team_dw = take(&at, j->teams * j->c->out * j->patch);
    return at - work;
}

static int64_t work_size(const iso_conv *c, int64_t n, bool backward)
{
    int64_t most = 0;
    for (int64_t i = 1; i <= n; i++) {           /* fewer images may go in larger blocks */
        job j = job_of(c, i);
        most = larger(most, lay_memory(&j, backward, NULL));
    }
    return most;
}

/* -------------------------------------------------------------------------------------- laying out */

/* Two images of the smaller side, the i-th pair of so many, turned: [channels, pairs, places, 2]. */
static void lay_turned(const job *j, pixels a, pixels b, int64_t i, int64_t pairs, iso_bf16 *turned)
{
    const frame *f = &j->y;
    iso_bf16 *to = turned + 2 * i * j->places;
    for (int64_t p = 0; p < j->places; p += TILE) {
        int64_t at[TILE], y = p / j->across, x = p % j->across;
        for (int k = 0; k < TILE; k++) {
            at[k] = y < f->height && x < f->width ? (y * f->width + x) * f->channels : -1;
            if (++x == j->across) x = 0, y++;
        }
        __mmask16 there = the_first(j->places - p);
        for (int64_t c = 0; c < f->channels; c += TILE) {
            __m512i v[TILE];
            for (int k = 0; k < TILE; k++)
                v[k] = at[k] < 0 ? _mm512_setzero_si512()
                                 : in_pairs(load_pixels(a, at[k] + c, f->channels - c), b.at ? load_pixels(b, at[k] + c, f->channels - c) : _mm512_setzero_ps());
            transpose(v);
            for (int64_t k = 0; k < TILE && c + k < f->channels; k++)
                _mm512_mask_storeu_epi32(to + (c + k) * j->turned_step + 2 * p, there, v[k]);
        }
    }
    int64_t end = 2 * pairs * j->places;
    for (int64_t c = 0; i == pairs - 1 && c < f->channels; c++)
        memset(turned + c * j->turned_step + end, 0, (size_t)(iso_layer_padded(end) - end) * sizeof *to);
}

/* A row of the kernel, for products over its pixels and channels: [run / 2, padded out, 2]. */
static void gather_weights(void *arg, int64_t ky)
{
    const job *j = arg;
    int64_t run = j->c->size * j->c->in;
    lay_transposed(j->w + ky * run, j->c->out, run, j->patch, iso_layer_padded(j->c->out), nearest, j->weights + ky * j->gather_run * iso_layer_padded(j->c->out));
}

/* A tap of the adjoint's: task = ((p * s + q) * t + row) * t + column. Which of the kernel's rows it is, for phase p. */
static int64_t kernel_row(const iso_conv *c, int64_t p, int64_t tap)
{
    int64_t pad = (c->size - 1) / 2;
    return p + pad - c->stride * (p + tap - pad);
}

static void scatter_weights(void *arg, int64_t task)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    int64_t s = c->stride, t = c->size / s, phase = task / (t * t), row = task / t % t, column = task % t, wide = iso_layer_padded(c->in);
    int64_t ky = kernel_row(c, phase / s, row), kx = kernel_row(c, phase % s, column);
    iso_bf16 *to = j->weights + ((phase * t + row) * j->scatter_run + column * c->out) * wide;
    lay_pairs(j->w + (ky * c->size + kx) * c->in, c->out, c->in, j->patch, column == t - 1 ? j->scatter_run - column * c->out : c->out, nearest, to);
}

static void lay_weights(iso_env *env, job *j)
{
    if (j->adjoint) iso_parallel(env, j->c->size * j->c->size, scatter_weights, j);
    else iso_parallel(env, j->c->size, gather_weights, j);
}

/* -------------------------------------------------------------------------------------- products and what comes of them */

/* The runs of each place side by side: patches, at `to`. From one row of places to the next, one image to the next. */
static strips patches_of(const job *j, strips A, int64_t row, int64_t image, int64_t images, iso_bf16 *to)
{
    int64_t wide = A.runs * A.run;
    strips patches = {to, wide, 1, wide, {0}};
    for (int64_t i = 0; i < images; i++)
        for (int64_t y = 0; y < j->y.height; y++)
            for (int64_t x = 0; x < j->y.width; x++)
                for (int64_t r = 0; r < A.runs; r++, to += A.run)
                    memcpy(to, A.at + i * image + y * row + x * A.step + A.from[r], (size_t)A.run * sizeof *to);
    return patches;
}

/* pixels_finish of n pixels to the at-th number of a side's images. */
static void finish(const job *j, const frame *f, int64_t n, const real *from, int64_t at)
{
    if (!f->half) {
        j->k->pixels_finish(n, f->channels, from, j->bias, j->relu, j->add, j->to + at);
        return;
    }
    iso_bf16 *to = (iso_bf16 *)j->to + at;
    for (int64_t p = 0; p < n; p++, from += f->channels, to += f->channels)
        for (int64_t k = 0; k < f->channels; k += TILE) {
            int64_t left = f->channels - k;
            __m512 x = load(from + k, left);
            if (j->bias) x = _mm512_add_ps(x, load(j->bias + k, left));
            if (j->add) x = _mm512_add_ps(x, widened(to + k, left));
            if (j->relu) x = _mm512_max_ps(x, _mm512_setzero_ps());
            store_half(to + k, x, left);
        }
}

/* From the larger side's frame to images first.. of the smaller side. */
static void gather_images(const job *j, const iso_bf16 *framed, iso_bf16 *patched, real *C, int64_t first, int64_t images)
{
    const iso_conv *c = j->c;
    int64_t plane = plane_of(&j->x, images), all = images * j->places;
    strips A = {framed, j->x.step, c->size, j->gather_run, {0}};
    for (int64_t ky = 0; ky < c->size; ky++) A.from[ky] = ky % c->stride * plane + ky / c->stride * j->x.row;
    if (j->patches) A = patches_of(j, A, j->x.row, j->x.rows * j->x.row, images, patched);
    int64_t wide = iso_layer_padded(c->out);
    product(iso_layer_padded(all), wide, &A, j->weights, 2 * wide, &(sums){C, c->out, iso_layer_padded(all), c->out, false, NULL});
    for (int64_t r = 0; r < images * j->y.height; r++)
        finish(j, &j->y, j->y.width, C + (r / j->y.height * j->places + r % j->y.height * j->across) * c->out,
               (first * j->y.height + r) * j->y.width * c->out);
}

/* From the smaller side's frame to images first.. of the larger side. */
static void scatter_images(const job *j, const iso_bf16 *framed, iso_bf16 *patched, real *C, int64_t first, int64_t images)
{
    const iso_conv *c = j->c;
    int64_t s = c->stride, t = c->size / s, all = iso_layer_padded(images * j->places), wide = iso_layer_padded(c->in), line = all * s * c->in;
    for (int64_t phase = 0; phase < s * s; phase++) {
        strips A = {framed + phase / s * j->y.row + phase % s * j->y.step, j->y.step, t, j->scatter_run, {0}};
        for (int64_t row = 0; row < t; row++) A.from[row] = row * j->y.row;
        if (j->patches) A = patches_of(j, A, j->y.row, j->y.rows * j->y.row, images, patched);
        product(all, wide, &A, j->weights + phase * t * j->scatter_run * wide, 2 * wide,
                &(sums){C + phase / s * line + phase % s * c->in, s * c->in, all, c->in, false, NULL});
    }
    for (int64_t r = 0; r < images * c->height; r++) {
        int64_t y = r % c->height;
        finish(j, &j->x, c->width, C + y % s * line + (r / c->height * j->places + y / s * j->across) * s * c->in,
               (first * c->height + r) * c->width * c->in);
    }
}

static void multiply(const job *j, const iso_bf16 *framed, iso_bf16 *patched, real *C, int64_t first, int64_t images)
{
    tiles_on();
    if (j->adjoint) scatter_images(j, framed, patched, C, first, images);
    else gather_images(j, framed, patched, C, first, images);
    _tile_release();
}

static const frame *from_side(const job *j) { return j->adjoint ? &j->y : &j->x; }

static void convolve_lane(void *arg, int64_t lane)
{
    const job *j = arg;
    const frame *f = from_side(j);
    int64_t end = (lane + 1) * j->n / j->lanes;
    int64_t slot = iso_slot_take(j->slots);
    iso_bf16 *framed = j->framed + slot * framed_size(j, j->images);
    for (int64_t i = lane * j->n / j->lanes; i < end; i += j->images) {
        int64_t images = smaller(j->images, end - i);
        for (int64_t k = 0; k < images; k++) lay_frame(f, image_of(f, j->from, i + k), k, images, framed);
        multiply(j, framed, j->patched + slot * patched_size(j, j->images), j->product + slot * product_size(j, j->images), i, images);
    }
    iso_slot_free(j->slots, slot);
}

static void convolve(iso_env *env, const iso_conv *c, int64_t n, bool adjoint, const real *from, const real *w, const real *bias, bool relu, real *to,
                     real *work)
{
    if (n <= 0) return;
    job j = job_of(c, n);
    iso_slots slots = {0};
    lay_memory(&j, false, work);
    j.slots = &slots;
    j.adjoint = adjoint, j.from = from, j.w = w, j.bias = bias, j.relu = relu, j.to = to;
    lay_weights(env, &j);
    iso_parallel(env, j.lanes, convolve_lane, &j);
}

static void gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y, real *work)
{
    convolve(env, c, n, false, x, w, bias, relu, y, work);
}

static void scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x, real *work)
{
    convolve(env, c, n, true, y, w, bias, relu, x, work);
}

/* -------------------------------------------------------------------------------------- gradients */

/* Image i of the gradient by the result before its relu; sums its pixels. */
static pixels gradient_of(const job *j, int64_t i, real *masked)
{
    const frame *f = from_side(j);
    const iso_conv_gradient *g = j->g;
    pixels d = image_of(f, g->d, i);
    real *pixel_sums = j->sums ? j->sums + i * f->channels : NULL;
    if (!g->out && !pixel_sums) return d;
    if (f->half) unfinish_half(f, d.at, g->out ? image_of(f, g->out, i).at : NULL, (iso_bf16 *)masked, pixel_sums);
    else j->k->pixels_unfinish(f->height * f->width, f->channels, d.at, g->out ? image_of(f, g->out, i).at : NULL, g->out ? masked : NULL, pixel_sums);
    return g->out ? (pixels){masked, f->half} : d;
}

/* lay_pair in patches: [pairs, places, patch, 2]. */
static void lay_pair_patches(const job *j, pixels x, pixels y, int64_t i, const block *b, iso_bf16 *patched)
{
    const iso_conv *c = j->c;
    strips A = {patched, 2 * j->x.step, c->size, 2 * c->size * c->in, {0}};
    for (int64_t ky = 0; ky < c->size; ky++) A.from[ky] = 2 * (ky % c->stride * plane_of(&j->x, 1) + ky / c->stride * j->x.row);
    int64_t all = b->pairs * j->places, end = (iso_layer_padded(all) * j->patch + COLUMNS) * 2;
    lay_pair(&j->x, x, y, 0, 1, patched);
    patches_of(j, A, 2 * j->x.row, 0, 1, b->paired + 2 * i * j->places * j->patch);
    if (i == b->pairs - 1) memset(b->paired + 2 * all * j->patch, 0, (size_t)(end - 2 * all * j->patch) * sizeof *patched);
}

/* Pairs p0 .. p1-1 of a block, at most `together`: laid out for the weights' gradient; the gradient by their pixels. */
static void lay_some(const job *j, const block *b, int64_t p0, int64_t p1, int64_t slot)
{
    const frame *f = from_side(j), *other = j->adjoint ? &j->x : &j->y;
    int64_t first = 2 * (b->first + p0), images = smaller(2 * (b->first + p1), j->n) - first, size = masked_size(j) / 2;
    iso_bf16 *framed = j->framed + slot * framed_size(j, 2 * j->together), *patched = j->patched + slot * patched_size(j, 2 * j->together);
    for (int64_t p = p0; p < p1; p++) {
        pixels d[2] = {{NULL, false}, {NULL, false}}, in[2] = {{NULL, false}, {NULL, false}};
        for (int64_t k = 0; k < 2 && 2 * (b->first + p) + k < j->n; k++) {
            int64_t i = 2 * (b->first + p) + k;
            d[k] = gradient_of(j, i, j->masked + (2 * slot + k) * size);
            in[k] = image_of(other, j->g->x, i);
            if (j->to) lay_frame(f, d[k], i - first, images, framed);
        }
        const pixels *x = j->adjoint ? in : d, *y = j->adjoint ? d : in;
        if (!j->g->dw) continue;
        if (j->patches) lay_pair_patches(j, x[0], x[1], p, b, patched);
        else lay_pair(&j->x, x[0], x[1], p, b->pairs, b->paired);
        lay_turned(j, y[0], y[1], p, b->pairs, b->turned);
    }
    if (j->to && images > 0) multiply(j, framed, patched, j->product + slot * product_size(j, 2 * j->together), first, images);
}

/* Some columns of a row of the kernel: the block's part of their gradient. */
static int64_t weights_tasks(const iso_conv *c) { return c->size * ((c->size * c->in + COLUMNS - 1) / COLUMNS); }
static void add_weights(const job *j, const block *b, int64_t task)
{
    const iso_conv *c = j->c;
    int64_t run = c->size * c->in, parts = (run + COLUMNS - 1) / COLUMNS, ky = task / parts, from = task % parts * COLUMNS;
    int64_t deep = iso_layer_padded(2 * b->pairs * j->places), cols = smaller(COLUMNS, run - from);
    int64_t at = j->patches ? ky * run : ky % c->stride * plane_of(&j->x, b->pairs) + ky / c->stride * j->x.row;
    tiles_on();
    product(iso_layer_padded(c->out), iso_layer_padded(cols), &(strips){b->turned, j->turned_step, 1, deep, {0}}, b->paired + 2 * (at + from),
            2 * (j->patches ? j->patch : j->x.step),
            &(sums){b->dw + ky * run + from, j->patch, c->out, cols, b->add, NULL});
    _tile_release();
}

/* A team is one task, which does its images block by block, and sums its own gradient of the weights. */
static void one_team(void *arg, int64_t team)
{
    const job *j = arg;
    int64_t all = (j->n + 1) / 2, end = (team + 1) * all / j->teams, slot = iso_slot_take(j->slots);
    block b = {.first = team * all / j->teams, .paired = j->paired + slot * paired_size(j), .turned = j->turned + slot * turned_size(j),
               .dw = j->team_dw + team * j->c->out * j->patch};
    for (; b.first < end; b.first += b.pairs, b.add = true) {
        b.pairs = smaller(j->pairs, end - b.first);
        for (int64_t p = 0; p < b.pairs; p += j->together) lay_some(j, &b, p, smaller(p + j->together, b.pairs), slot);
        for (int64_t task = 0; j->g->dw && task < weights_tasks(j->c); task++) add_weights(j, &b, task);
    }
    iso_slot_free(j->slots, slot);
}

static void sum_teams(void *arg, int64_t o)
{
    const job *j = arg;
    real *restrict dw = j->g->dw + o * j->patch;
    for (int64_t team = 0; team < j->teams; team++) {
        const real *its = j->team_dw + (team * j->c->out + o) * j->patch;
        if (team == 0 && !j->g->add_w) memcpy(dw, its, (size_t)j->patch * sizeof *dw);
        else for (int64_t i = 0; i < j->patch; i++) dw[i] += its[i];
    }
}

/* Where there are too many weights for that, all tasks share a block. */
static void some_pairs(void *arg, int64_t chunk)
{
    const job *j = arg;
    int64_t slot = iso_slot_take(j->slots);
    lay_some(j, &j->block, chunk * j->block.pairs / j->chunks, (chunk + 1) * j->block.pairs / j->chunks, slot);
    iso_slot_free(j->slots, slot);
}

static void some_weights(void *arg, int64_t task)
{
    const job *j = arg;
    add_weights(j, &j->block, task);
}

static void backward(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *pixel_sums, real *work)
{
    job j = job_of(c, n);
    if (n <= 0) {
        if (g->dw && !g->add_w) memset(g->dw, 0, (size_t)(c->out * j.patch) * sizeof *g->dw);
        return;
    }
    iso_slots slots = {0};
    lay_memory(&j, true, work);
    j.slots = &slots;
    /* the gradient by x of a convolution is its adjoint, and the other way round */
    j.adjoint = !g->transposed, j.g = g, j.w = g->w, j.to = g->dx, j.add = g->add_x, j.sums = pixel_sums;
    if (g->dx) lay_weights(env, &j);
    if (j.teams) {
        iso_parallel(env, j.teams, one_team, &j);
        if (g->dw) iso_parallel(env, c->out, sum_teams, &j);
        return;
    }
    j.block = (block){.paired = j.paired, .turned = j.turned, .dw = g->dw, .add = g->add_w};
    for (; 2 * j.block.first < n; j.block.first += j.block.pairs, j.block.add = true) {
        j.block.pairs = smaller(j.pairs, (n + 1) / 2 - j.block.first);
        iso_parallel(env, j.chunks, some_pairs, &j);
        if (g->dw) iso_parallel(env, weights_tasks(c), some_weights, &j);
    }
}

const iso_conv_way iso_conv_by_tiles = {fits, work_size, gather, scatter, backward};

#else

static bool fits(const iso_conv *c)
{
    (void)c;
    return false;
}

const iso_conv_way iso_conv_by_tiles = {.fits = fits};

#endif
