/* convolution.c: convolutions of channels-last images: which way they go, and the way that fits all of them, by dense products.
 *
 * The patch of pixels under the kernel at each place of the output is copied into a row, and rows are multiplied by the
 * weights; a pixel's neighbours along x lie side by side, so that a row is `size` copies. Rows are made a few at a time
 * and stay in cache. The adjoint multiplies first and adds rows back to their pixels.
 *
 * Kernels of 1 x 1 need no rows: the pixels are them.
 *
 * Images are dealt to LANES lanes by their number alone, and each lane does its images in order: the same bits for any
 * number of threads. */
#include "convolution.h"

#include <string.h>

enum { LANES = 16, GROUPS = 4 };
static const int64_t CHUNK = 96 * 1024;        /* numbers in a lane's rows of patches; half of a second-level cache */

static int64_t side(int64_t n, const iso_conv *c) { return (n + 2 * ((c->size - 1) / 2) - c->size) / c->stride + 1; }
int64_t iso_conv_height(const iso_conv *c) { return side(c->height, c); }
int64_t iso_conv_width(const iso_conv *c) { return side(c->width, c); }

/* Part of the kernel: its rows ky0 .. ky1-1. */
typedef struct part { int64_t ky0, ky1; } part;

typedef struct job {
    const iso_conv *c;
    const iso_kernels *k;
    int64_t n, out_h, out_w, patch, rows, chunk;   /* patch: numbers in a whole patch; rows: output rows at once */
    const real *x, *y, *w, *bias;
    real *to, *work;
    bool relu, add;
    bool plain;                                    /* 1 x 1 at every pixel: the patches are the pixels themselves */
    int64_t parts;                                 /* of the kernel, for its gradient */
} job;

static job make_job(const iso_conv *c, int64_t n, real *work)
{
    job j = {.c = c, .k = iso_kernels_best(), .n = n, .out_h = iso_conv_height(c), .out_w = iso_conv_width(c), .work = work};
    j.patch = c->size * c->size * c->in;
    j.rows = CHUNK / (j.out_w * j.patch);
    if (j.rows < 1) j.rows = 1;
    if (j.rows > n * j.out_h) j.rows = n * j.out_h;
    j.chunk = j.rows * j.out_w * j.patch;
    j.plain = c->size == 1 && c->stride == 1;
    j.parts = c->size * c->in < 64 ? 1 : c->size;
    return j;
}

/* Numbers in the larger of the two sides of n images. */
static int64_t larger_side(const iso_conv *c, int64_t n)
{
    int64_t x = c->height * c->width * c->in, y = iso_conv_height(c) * iso_conv_width(c) * c->out;
    return n * (x > y ? x : y);
}

static int64_t patches_work(const iso_conv *c, int64_t n, bool backward)
{
    job j = make_job(c, n, NULL);
    return LANES * j.chunk + (backward ? GROUPS * c->out * j.patch + larger_side(c, n) : 0);
}

/* The pixels x0 .. x0+size-1 of a row of the input that exist: from, to within the kernel. */
typedef struct span { int64_t from, to; } span;
static span inside(const iso_conv *c, int64_t x0)
{
    span s = {x0 < 0 ? -x0 : 0, c->size};
    if (x0 + c->size > c->width) s.to = c->width - x0;
    if (s.to < s.from) s.to = s.from;
    return s;
}

/* n numbers; those of a patch's row over 1 or 2 channels without a call. */
static inline void copy(real *to, const real *from, int64_t n)
{
    if (n == 4) memcpy(to, from, 4 * sizeof *to);
    else if (n == 8) memcpy(to, from, 8 * sizeof *to);
    else memcpy(to, from, (size_t)n * sizeof *to);
}

static inline void add(real *restrict to, const real *restrict from, int64_t n)
{
    if (n == 4) for (int i = 0; i < 4; i++) to[i] += from[i];
    else if (n == 8) for (int i = 0; i < 8; i++) to[i] += from[i];
    else for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

/* One row of the output's patches: out [out_w, part]. */
static void read_row(const job *j, part p, int64_t row, real *out)
{
    const iso_conv *c = j->c;
    int64_t pad = (c->size - 1) / 2, wide = c->size * c->in, all = (p.ky1 - p.ky0) * wide;
    const real *image = j->x + row / j->out_h * c->height * c->width * c->in;
    for (int64_t ky = p.ky0; ky < p.ky1; ky++) {
        int64_t iy = row % j->out_h * c->stride - pad + ky;
        real *to = out + (ky - p.ky0) * wide;
        for (int64_t ox = 0; ox < j->out_w; ox++, to += all) {
            int64_t x0 = ox * c->stride - pad;
            span s = inside(c, x0);
            if (iy < 0 || iy >= c->height) s.from = s.to = 0;
            if (s.to - s.from < c->size) memset(to, 0, (size_t)wide * sizeof *to);
            if (s.to > s.from) copy(to + s.from * c->in, image + (iy * c->width + x0 + s.from) * c->in, (s.to - s.from) * c->in);
        }
    }
}

/* Adds a row of the output's patches to the pixels of j->to. */
static void add_row(const job *j, int64_t row, const real *from)
{
    const iso_conv *c = j->c;
    int64_t pad = (c->size - 1) / 2, wide = c->size * c->in;
    real *image = j->to + row / j->out_h * c->height * c->width * c->in;
    for (int64_t ox = 0; ox < j->out_w; ox++)
        for (int64_t ky = 0; ky < c->size; ky++, from += wide) {
            int64_t iy = row % j->out_h * c->stride - pad + ky, x0 = ox * c->stride - pad;
            if (iy < 0 || iy >= c->height) continue;
            span s = inside(c, x0);
            add(image + (iy * c->width + x0 + s.from) * c->in, from + s.from * c->in, (s.to - s.from) * c->in);
        }
}

static int64_t lanes_of(int64_t n) { return n < LANES ? n : LANES; }

static void gather_lane(void *arg, int64_t lane)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    int64_t lanes = lanes_of(j->n), r1 = (lane + 1) * j->n / lanes * j->out_h;
    real *own = j->work + lane * j->chunk;
    for (int64_t r = lane * j->n / lanes * j->out_h; r < r1; r += j->rows) {
        int64_t m = r1 - r < j->rows ? r1 - r : j->rows, places = m * j->out_w;
        const real *rows = j->plain ? j->x + r * j->out_w * c->in : own;
        for (int64_t i = 0; i < m && !j->plain; i++) read_row(j, (part){0, c->size}, r + i, own + i * j->out_w * j->patch);
        real *y = j->to + r * j->out_w * c->out;
        iso_gemm_serial(false, true, places, c->out, j->patch, 1, rows, j->patch, j->w, j->patch, j->add ? 1 : 0, y, c->out);
        if (j->bias || j->relu) j->k->pixels_finish(places, c->out, y, j->bias, j->relu, false, y);
    }
}

static void patches_gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y, real *work)
{
    job j = make_job(c, n, work);
    j.x = x, j.w = w, j.bias = bias, j.relu = relu, j.to = y;
    iso_parallel(env, lanes_of(n), gather_lane, &j);
}

static void scatter_lane(void *arg, int64_t lane)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    int64_t lanes = lanes_of(j->n), i0 = lane * j->n / lanes, i1 = (lane + 1) * j->n / lanes, r1 = i1 * j->out_h;
    int64_t pixels = c->height * c->width;
    real *own = j->work + lane * j->chunk, *x = j->to + i0 * pixels * c->in;
    if (!j->add && !j->plain) memset(x, 0, (size_t)((i1 - i0) * pixels * c->in) * sizeof *x);
    for (int64_t r = i0 * j->out_h; r < r1; r += j->rows) {
        int64_t m = r1 - r < j->rows ? r1 - r : j->rows;
        real *rows = j->plain ? j->to + r * j->out_w * c->in : own;
        iso_gemm_serial(false, false, m * j->out_w, j->patch, c->out, 1, j->y + r * j->out_w * c->out, c->out, j->w, j->patch,
                        j->plain && j->add ? 1 : 0, rows, j->patch);
        for (int64_t i = 0; i < m && !j->plain; i++) add_row(j, r + i, rows + i * j->out_w * j->patch);
    }
    if (j->bias || j->relu) j->k->pixels_finish((i1 - i0) * pixels, c->in, x, j->bias, j->relu, false, x);
}

static void patches_scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x, real *work)
{
    job j = make_job(c, n, work);
    j.y = y, j.w = w, j.bias = bias, j.relu = relu, j.to = x;
    iso_parallel(env, lanes_of(n), scatter_lane, &j);
}

/* ------------------------------------------------------------------------------------------ gradients */

/* A part of the kernel's gradient over a group of images. */
static void weights_task(void *arg, int64_t task)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    int64_t group = task / j->parts, k = task % j->parts, deep = c->size / j->parts;
    int64_t r0 = group * j->n / GROUPS * j->out_h, r1 = (group + 1) * j->n / GROUPS * j->out_h, cols = deep * c->size * c->in;
    real *own = j->work + task * (j->chunk / j->parts), *to = j->to + group * c->out * j->patch + k * cols;
    if (r0 == r1) for (int64_t o = 0; o < c->out; o++) memset(to + o * j->patch, 0, (size_t)cols * sizeof *to);
    for (int64_t r = r0; r < r1; r += j->rows) {
        int64_t m = r1 - r < j->rows ? r1 - r : j->rows;
        const real *rows = j->plain ? j->x + r * j->out_w * c->in : own;
        for (int64_t i = 0; i < m && !j->plain; i++) read_row(j, (part){k * deep, (k + 1) * deep}, r + i, own + i * j->out_w * cols);
        iso_gemm_serial(true, false, c->out, cols, m * j->out_w, 1, j->y + r * j->out_w * c->out, c->out, rows, cols, r > r0 ? 1 : 0, to,
                        j->patch);
    }
}

static void weights(iso_env *env, job *j, bool add, real *dw)
{
    int64_t size = j->c->out * j->patch;
    j->to = j->work + LANES * j->chunk;
    iso_parallel(env, GROUPS * j->parts, weights_task, j);
    for (int64_t i = 0; i < size; i++) {
        real sum = add ? dw[i] : 0;
        for (int64_t g = 0; g < GROUPS; g++) sum += j->to[g * size + i];
        dw[i] = sum;
    }
}

/* The gradient by the result before its relu, and its sums over the pixels of each image. */
typedef struct unfinished { const iso_kernels *k; const iso_conv_gradient *g; int64_t pixels, channels; real *d, *sums; } unfinished;
static void unfinish_image(void *arg, int64_t i)
{
    const unfinished *u = arg;
    int64_t at = i * u->pixels * u->channels;
    u->k->pixels_unfinish(u->pixels, u->channels, u->g->d + at, u->g->out ? u->g->out + at : NULL, u->g->out ? u->d + at : NULL, u->sums ? u->sums + i * u->channels : NULL);
}

static void patches_backward(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *sums, real *work)
{
    job j = make_job(c, n, work);
    unfinished u = {j.k, g, g->transposed ? c->height * c->width : j.out_h * j.out_w, g->transposed ? c->in : c->out,
                    work + LANES * j.chunk + GROUPS * c->out * j.patch, sums};
    if (g->out || sums) iso_parallel(env, n, unfinish_image, &u);
    const real *d = g->out ? u.d : g->d;
    j.w = g->w, j.to = g->dx, j.add = g->add_x;
    if (g->transposed) j.x = d, j.y = g->x;
    else j.x = g->x, j.y = d;
    if (g->dx) iso_parallel(env, lanes_of(n), g->transposed ? gather_lane : scatter_lane, &j);
    if (g->dw) weights(env, &j, g->add_w, g->dw);
}

static bool always(const iso_conv *c)
{
    (void)c;
    return true;
}

/* -------------------------------------------------------------------------------------- the ways */

static const iso_conv_way by_patches = {always, patches_work, patches_gather, patches_scatter, patches_backward};
static const iso_conv_way *const ways[] = {&iso_conv_by_tiles, &iso_conv_by_winograd, &by_patches};
static const iso_conv_way *way_of(const iso_conv *c)
{
    int i = 0;
    while (!ways[i]->fits(c)) i++;
    return ways[i];
}

bool iso_conv_in_tiles(const iso_conv *c) { return iso_conv_by_tiles.fits(c); }

static int64_t most_channels(const iso_conv *c) { return c->in > c->out ? c->in : c->out; }
int64_t iso_conv_work(const iso_conv *c, int64_t n, bool backward)
{
    return (backward ? n * most_channels(c) : 0) + way_of(c)->work(c, n, backward);
}

void iso_conv_gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y, real *work)
{
    way_of(c)->gather(env, c, n, x, w, bias, relu, y, work);
}

void iso_conv_scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x, real *work)
{
    way_of(c)->scatter(env, c, n, y, w, bias, relu, x, work);
}

void iso_conv_backward(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *work)
{
    int64_t channels = g->transposed ? c->in : c->out;
    real *sums = g->dbias ? work : NULL;                /* [n, channels]: the bias's gradient from each image */
    if (sums) memset(sums, 0, (size_t)(n * channels) * sizeof *sums);
    way_of(c)->backward(env, c, n, g, sums, work + n * most_channels(c));
    for (int64_t k = 0; sums && k < channels; k++) {
        real sum = g->add_bias ? g->dbias[k] : 0;
        for (int64_t i = 0; i < n; i++) sum += sums[i * channels + k];
        g->dbias[k] = sum;
    }
}
