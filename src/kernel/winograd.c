/* winograd.c: convolutions with fewer multiplications (Winograd's minimal filters: Lavin & Gray 2016, arXiv:1509.09308).
 *
 * With a stride of s, an image whose s x s neighbours are taken for one pixel of s s in channels is convolved by r x r taps,
 * r = size / s, at every pixel. Two by two outputs need n x n such pixels, n = r + 1: a tile. Tiles and weights are lifted to
 * n x n points, V and U, where convolving is a product for each point, M = V U^T, and M is brought back to outputs. That is
 * 9 products where there were 16 for kernels of 4 x 4 at every second pixel, and 16 for 36 for those of 3 x 3.
 *
 * Images go through in blocks whose V stays in the last-level cache; the size of a block, and what a task does, depend on the
 * shape alone: the same bits for any number of threads. */
#include "winograd.h"

#include <string.h>

static const int64_t BLOCK = 1 << 20;                    /* numbers in V */
enum { ROWS = 256, LEAST_CHANNELS = 32 };                /* rows of a product that are one task */

typedef struct job {
    const iso_conv *c;
    const iso_winograd *f;
    int64_t n;                                           /* points of a tile's side */
    int64_t K, out_h, out_w, tiles_x, tiles, pad_h, pad_w, aside;     /* K: channels of s x s pixels; tiles: of an image; aside: an image's scratch */
    int64_t images, first, count;                        /* of a full block; of this one */
    const real *x, *y, *w, *bias;
    real *to, *U, *V, *M, *scratch;
    bool relu, add;
} job;

bool iso_winograd_fits(const iso_conv *c)
{
    bool strided = c->size == 4 && c->stride == 2, plain = c->size == 3 && c->stride == 1;
    return (strided || plain) && c->stride * c->stride * c->in >= LEAST_CHANNELS && c->out >= LEAST_CHANNELS && c->height > 1 && c->width > 1;
}

static job make_job(const iso_conv *c, int64_t n, real *work)
{
    int64_t s = c->stride, r = c->size / s;
    job j = {.c = c, .f = &iso_kernels_best()->winograd[r - 2], .n = r + 1, .K = s * s * c->in};
    j.out_h = iso_conv_height(c), j.out_w = iso_conv_width(c);
    j.tiles_x = (j.out_w + 1) / 2, j.tiles = (j.out_h + 1) / 2 * j.tiles_x;
    j.pad_h = s * ((j.out_h + 1) / 2 * 2 + r - 1), j.pad_w = s * (j.tiles_x * 2 + r - 1);
    j.aside = j.pad_h * j.pad_w * c->in + 4 * c->out;
    j.images = BLOCK / (j.n * j.n * j.K * j.tiles);
    if (j.images > n) j.images = n;
    if (j.images < 1) j.images = 1;
    j.U = work;
    j.V = j.U + j.n * j.n * c->out * j.K;
    j.M = j.V + j.n * j.n * j.images * j.tiles * j.K;
    j.scratch = j.M + j.n * j.n * j.images * j.tiles * c->out;
    return j;
}

int64_t iso_winograd_work(const iso_conv *c, int64_t n)
{
    job j = make_job(c, n, NULL);
    return j.n * j.n * (c->out * j.K + j.images * j.tiles * (j.K + c->out)) + j.images * j.aside;
}

/* --------------------------------------------------------------------------------- weights and points */

static void lift_weights(void *arg, int64_t o)
{
    const job *j = arg;
    int64_t s = j->c->stride, line = s * j->c->in, plane = j->c->out * j->K;
    const real *w = j->w + o * j->c->size * j->c->size * j->c->in;
    for (int64_t b = 0; b < s; b++)
        j->f->taps(line, w + b * j->c->size * j->c->in, j->c->size * line, line, j->U + o * j->K + b * line, j->n * plane, plane, false);
}

static void drop_weights(void *arg, int64_t o)
{
    const job *j = arg;
    int64_t s = j->c->stride, line = s * j->c->in, plane = j->c->out * j->K;
    real *w = j->to + o * j->c->size * j->c->size * j->c->in;
    for (int64_t b = 0; b < s; b++)
        j->f->untaps(line, j->U + o * j->K + b * line, j->n * plane, plane, w + b * j->c->size * j->c->in, j->c->size * line, line, j->add);
}

/* ------------------------------------------------------------------------------------ images and tiles */

/* Image i of the block, within a frame of zeros, to V. */
static void lift_inputs(void *arg, int64_t i)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    real *frame = j->scratch + i * j->aside;
    const real *image = j->x + (j->first + i) * c->height * c->width * c->in;
    int64_t s = c->stride, line = s * c->in, wide = j->pad_w * c->in, plane = j->count * j->tiles * j->K;
    memset(frame, 0, (size_t)(j->pad_h * wide) * sizeof *frame);
    for (int64_t y = 0; y < c->height; y++)
        memcpy(frame + (y + 1) * wide + c->in, image + y * c->width * c->in, (size_t)(c->width * c->in) * sizeof *frame);
    for (int64_t t = 0; t < j->tiles; t++)
        for (int64_t b = 0; b < s; b++)
            j->f->read(line, frame + (t / j->tiles_x * 2 * s + b) * wide + t % j->tiles_x * 2 * line, s * wide, line,
                       j->V + (i * j->tiles + t) * j->K + b * line, j->n * plane, plane, false);
}

/* Its adjoint, from V to image i of j->to. */
static void drop_inputs(void *arg, int64_t i)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    real *frame = j->scratch + i * j->aside, *image = j->to + (j->first + i) * c->height * c->width * c->in;
    int64_t s = c->stride, line = s * c->in, wide = j->pad_w * c->in, plane = j->count * j->tiles * j->K;
    memset(frame, 0, (size_t)(j->pad_h * wide) * sizeof *frame);
    for (int64_t t = 0; t < j->tiles; t++)
        for (int64_t b = 0; b < s; b++)
            j->f->unread(line, j->V + (i * j->tiles + t) * j->K + b * line, j->n * plane, plane,
                         frame + (t / j->tiles_x * 2 * s + b) * wide + t % j->tiles_x * 2 * line, s * wide, line, true);
    for (int64_t y = 0; y < c->height; y++) {
        real *restrict to = image + y * c->width * c->in;
        const real *restrict from = frame + (y + 1) * wide + c->in;
        if (!j->add) memcpy(to, from, (size_t)(c->width * c->in) * sizeof *to);
        else for (int64_t k = 0; k < c->width * c->in; k++) to[k] += from[k];
    }
    iso_conv_finish(image, c->height * c->width, c->in, j->bias, j->relu);
}

/* The outputs of tile t that exist, 1 or 2 a side. */
typedef struct corner { int64_t y, x, rows, cols; } corner;
static corner corner_of(const job *j, int64_t t)
{
    corner k = {t / j->tiles_x * 2, t % j->tiles_x * 2, 2, 2};
    if (k.y + 2 > j->out_h) k.rows = 1;
    if (k.x + 2 > j->out_w) k.cols = 1;
    return k;
}

/* M to image i of j->to. */
static void drop_outputs(void *arg, int64_t i)
{
    const job *j = arg;
    int64_t out = j->c->out, wide = j->out_w * out, plane = j->count * j->tiles * out;
    real *image = j->to + (j->first + i) * j->out_h * wide, *square = j->scratch + (i + 1) * j->aside - 4 * out;
    for (int64_t t = 0; t < j->tiles; t++) {
        corner k = corner_of(j, t);
        const real *m = j->M + (i * j->tiles + t) * out;
        real *y = image + k.y * wide + k.x * out;
        if (k.rows == 2 && k.cols == 2) {
            j->f->write(out, m, j->n * plane, plane, y, wide, out, j->add);
            continue;
        }
        j->f->write(out, m, j->n * plane, plane, square, 2 * out, out, false);
        for (int64_t a = 0; a < k.rows; a++)
            for (int64_t o = 0; o < k.cols * out; o++) y[a * wide + o] = (j->add ? y[a * wide + o] : 0) + square[a * 2 * out + o];
    }
    iso_conv_finish(image, j->out_h * j->out_w, out, j->bias, j->relu);
}

/* Its adjoint, from image i of j->y to M. */
static void lift_outputs(void *arg, int64_t i)
{
    const job *j = arg;
    int64_t out = j->c->out, wide = j->out_w * out, plane = j->count * j->tiles * out;
    const real *image = j->y + (j->first + i) * j->out_h * wide;
    real *square = j->scratch + (i + 1) * j->aside - 4 * out;
    for (int64_t t = 0; t < j->tiles; t++) {
        corner k = corner_of(j, t);
        real *m = j->M + (i * j->tiles + t) * out;
        const real *y = image + k.y * wide + k.x * out;
        if (k.rows == 2 && k.cols == 2) {
            j->f->unwrite(out, y, wide, out, m, j->n * plane, plane, false);
            continue;
        }
        memset(square, 0, (size_t)(4 * out) * sizeof *square);
        for (int64_t a = 0; a < k.rows; a++) memcpy(square + a * 2 * out, y + a * wide, (size_t)(k.cols * out) * sizeof *square);
        j->f->unwrite(out, square, 2 * out, out, m, j->n * plane, plane, false);
    }
}

static void lift_both(void *arg, int64_t i)
{
    lift_inputs(arg, i);
    lift_outputs(arg, i);
}

/* ------------------------------------------------------------------------------------------- products */

static int64_t parts_of(int64_t rows) { return (rows + ROWS - 1) / ROWS; }

/* M = V U^T at one point, for a part of the tiles. */
static void multiply_forward(void *arg, int64_t task)
{
    const job *j = arg;
    int64_t rows = j->count * j->tiles, parts = parts_of(rows), point = task / parts, r0 = task % parts * ROWS;
    int64_t m = rows - r0 < ROWS ? rows - r0 : ROWS, out = j->c->out;
    iso_gemm_serial(false, true, m, out, j->K, 1, j->V + (point * rows + r0) * j->K, j->K, j->U + point * out * j->K, j->K, 0,
                    j->M + (point * rows + r0) * out, out);
}

/* V = M U. */
static void multiply_backward(void *arg, int64_t task)
{
    const job *j = arg;
    int64_t rows = j->count * j->tiles, parts = parts_of(rows), point = task / parts, r0 = task % parts * ROWS;
    int64_t m = rows - r0 < ROWS ? rows - r0 : ROWS, out = j->c->out;
    iso_gemm_serial(false, false, m, j->K, out, 1, j->M + (point * rows + r0) * out, out, j->U + point * out * j->K, j->K, 0,
                    j->V + (point * rows + r0) * j->K, j->K);
}

enum { OUTPUTS = 32 };

/* U (+)= M^T V at one point, for a part of the output's channels. */
static void multiply_weights(void *arg, int64_t task)
{
    const job *j = arg;
    int64_t rows = j->count * j->tiles, out = j->c->out, parts = (out + OUTPUTS - 1) / OUTPUTS, point = task / parts;
    int64_t o = task % parts * OUTPUTS, m = out - o < OUTPUTS ? out - o : OUTPUTS;
    iso_gemm_serial(true, false, m, j->K, rows, 1, j->M + point * rows * out + o, out, j->V + point * rows * j->K, j->K, j->first > 0 ? 1 : 0,
                    j->U + (point * out + o) * j->K, j->K);
}

/* ------------------------------------------------------------------------------------------- all of it */

static bool next_block(job *j, int64_t n)
{
    j->first += j->count;
    j->count = n - j->first < j->images ? n - j->first : j->images;
    return j->count > 0;
}

void iso_winograd_gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, bool add,
                         real *y, real *work)
{
    job j = make_job(c, n, work);
    j.x = x, j.w = w, j.bias = bias, j.relu = relu, j.add = add, j.to = y;
    iso_parallel(env, c->out, lift_weights, &j);
    while (next_block(&j, n)) {
        iso_parallel(env, j.count, lift_inputs, &j);
        iso_parallel(env, j.n * j.n * parts_of(j.count * j.tiles), multiply_forward, &j);
        iso_parallel(env, j.count, drop_outputs, &j);
    }
}

void iso_winograd_scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, bool add,
                          real *x, real *work)
{
    job j = make_job(c, n, work);
    j.y = y, j.w = w, j.bias = bias, j.relu = relu, j.add = add, j.to = x;
    iso_parallel(env, c->out, lift_weights, &j);
    while (next_block(&j, n)) {
        iso_parallel(env, j.count, lift_outputs, &j);
        iso_parallel(env, j.n * j.n * parts_of(j.count * j.tiles), multiply_backward, &j);
        iso_parallel(env, j.count, drop_inputs, &j);
    }
}

void iso_winograd_weights(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *y, bool add, real *dw, real *work)
{
    job j = make_job(c, n, work);
    j.x = x, j.y = y, j.add = add, j.to = dw;
    if (n <= 0) memset(j.U, 0, (size_t)(j.n * j.n * c->out * j.K) * sizeof *j.U);
    while (next_block(&j, n)) {
        iso_parallel(env, j.count, lift_both, &j);
        iso_parallel(env, j.n * j.n * ((c->out + OUTPUTS - 1) / OUTPUTS), multiply_weights, &j);
    }
    iso_parallel(env, c->out, drop_weights, &j);
}
