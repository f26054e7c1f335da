/* winograd.c: convolutions with fewer multiplications (Winograd's minimal filters: Lavin & Gray 2016, arXiv:1509.09308).
 *
 * With a stride of s, an image whose s x s neighbours are taken for one pixel of s s in channels is convolved by r x r taps,
 * r = size / s, at every pixel. m by m outputs need n x n such pixels, n = m + r - 1: a tile. Tiles and weights are lifted to
 * n x n points, V and U, where convolving is a product for each point, M = V U^T, and M is brought back to outputs. For kernels
 * of 4 x 4 at every second pixel that is 25 products for 64 (m = 4) or 9 for 16 (m = 2), for those of 3 x 3 it is 36 for 144 or 16 for 36.
 *
 * Images go through in blocks whose V stays in the last-level cache; the size of a block, and what a task does, depend on the
 * shape alone: the same bits for any number of threads. */
#include "convolution.h"

#include <string.h>

static const int64_t BLOCK = 1 << 20;                    /* numbers in V */
enum { ROWS = 256, LEAST_CHANNELS = 32 };                /* rows of a product that are one task */
enum { APART = 48 };                                     /* numbers between points, so that these do not all fall on the same lines of a cache */
enum { LIFTED = 16 };                                    /* a lifted number of U costs as much as that many rows of a product with it */

/* One of the two sides of a convolution, and what is made of it on the way in: 0 where `positive` (unless NULL) is not above 0, and
 * the sum over an image's pixels added to sums [n, channels] (unless NULL). */
typedef struct side { const real *values, *positive; real *sums; } side;

typedef struct job {
    const iso_conv *c;
    const iso_kernels *k;
    const iso_winograd *f;
    int64_t n;                                           /* points of a tile's side */
    int64_t K, out_h, out_w, tiles_x, tiles, pad_h, pad_w, tiled_h, tiled_w;  /* K: channels of s x s pixels; tiles: of an image */
    int64_t frame, images, first, count;                 /* numbers of an image's scratch; images of a full block; of this one */
    int64_t plane_U, plane_V, plane_M;                   /* numbers from one point to the next */
    side x, y;
    const real *w, *bias;
    real *to, *to_w, *turned, *U, *dU, *V, *M, *scratch;
    bool relu, add, add_w;
    int64_t work;                                        /* numbers of scratch in all */
} job;

static bool fits(const iso_conv *c)
{
    bool strided = c->size == 4 && c->stride == 2, plain = c->size == 3 && c->stride == 1;
    return (strided || plain) && c->stride * c->stride * c->in >= LEAST_CHANNELS && c->out >= LEAST_CHANNELS && c->height > 1 && c->width > 1;
}

/* With tiles of the f-th kind. */
static job job_with(const iso_conv *c, int64_t n, int f, bool backward, real *work)
{
    int64_t s = c->stride, r = c->size / s;
    job j = {.c = c, .k = iso_kernels_best(), .K = s * s * c->in, .out_h = iso_conv_height(c), .out_w = iso_conv_width(c)};
    j.f = &j.k->winograd[f][r - 2];
    int64_t m = j.f->outputs, tiles_y = (j.out_h + m - 1) / m;
    j.n = m + r - 1, j.tiles_x = (j.out_w + m - 1) / m, j.tiles = tiles_y * j.tiles_x;
    j.tiled_h = tiles_y * m, j.tiled_w = j.tiles_x * m;
    j.pad_h = s * (j.tiled_h + r - 1), j.pad_w = s * (j.tiled_w + r - 1);
    int64_t in_frame = j.pad_h * j.pad_w * c->in, out_frame = j.tiled_h * j.tiled_w * c->out, points = j.n * j.n;
    j.frame = in_frame > out_frame ? in_frame : out_frame;
    j.images = BLOCK / (points * j.K * j.tiles);
    if (j.images > n) j.images = n;
    if (j.images < 1) j.images = 1;
    j.plane_U = c->out * j.K + APART, j.plane_V = j.images * j.tiles * j.K + APART, j.plane_M = j.images * j.tiles * c->out + APART;
    j.turned = work;
    j.U = work + c->out * c->size * c->size * c->in;
    j.dU = j.U + points * j.plane_U;
    j.V = j.dU + (backward ? points * j.plane_U : 0);
    j.M = j.V + points * j.plane_V;
    j.scratch = j.M + points * j.plane_M;
    j.work = j.scratch - work + j.images * j.frame;
    return j;
}

/* With the tiles that cost least. */
static job make_job(const iso_conv *c, int64_t n, bool backward, real *work)
{
    job small = job_with(c, n, 0, backward, work), large = job_with(c, n, 1, backward, work);
    return small.n * small.n * (n * small.tiles + LIFTED) < large.n * large.n * (n * large.tiles + LIFTED) ? small : large;
}

static int64_t work_size(const iso_conv *c, int64_t n, bool backward)
{
    int64_t small = job_with(c, n, 0, backward, NULL).work, large = job_with(c, n, 1, backward, NULL).work;
    return small > large ? small : large;           /* fewer images may go another way */
}

/* --------------------------------------------------------------------------------- weights and points */

static void lift_weights(void *arg, int64_t o)
{
    const job *j = arg;
    int64_t s = j->c->stride, line = s * j->c->in, plane = j->plane_U;
    const real *w = j->w + o * j->c->size * j->c->size * j->c->in;
    for (int64_t b = 0; b < s; b++)
        j->f->taps(line, w + b * j->c->size * j->c->in, j->c->size * line, line, j->U + o * j->K + b * line, j->n * plane, plane, false);
}

/* The same, U turned: [n, n, K, out], for products with it that are V U^T. First the weights are turned, TURNED outputs a task: */
enum { TURNED = 16 };
static void turn_weights(void *arg, int64_t task)
{
    const job *j = arg;
    int64_t out = j->c->out, size = j->c->size * j->c->size * j->c->in, o1 = (task + 1) * TURNED < out ? (task + 1) * TURNED : out;
    for (int64_t i = 0; i < size; i++)
        for (int64_t o = task * TURNED; o < o1; o++) j->turned[i * out + o] = j->w[o * size + i];
}

static void lift_turned(void *arg, int64_t k)
{
    const job *j = arg;
    int64_t s = j->c->stride, line = s * j->c->in, out = j->c->out, plane = j->plane_U;
    const real *w = j->turned + (k / line * j->c->size * j->c->in + k % line) * out;
    j->f->taps(out, w, j->c->size * line * out, line * out, j->U + k * out, j->n * plane, plane, false);
}

static void drop_weights(void *arg, int64_t o)
{
    const job *j = arg;
    int64_t s = j->c->stride, line = s * j->c->in, plane = j->plane_U;
    real *w = j->to_w + o * j->c->size * j->c->size * j->c->in;
    for (int64_t b = 0; b < s; b++)
        j->f->untaps(line, j->dU + o * j->K + b * line, j->n * plane, plane, w + b * j->c->size * j->c->in, j->c->size * line, line, j->add_w);
}

/* ------------------------------------------------------------------------------------ images and tiles */

/* An image [height, width, channels] of a side into a frame [tall, wide, channels] of zeros, `edge` pixels from its upper left corner. */
static void enter(const job *j, side from, int64_t i, int64_t height, int64_t width, int64_t channels, real *frame, int64_t tall, int64_t wide,
                  int64_t edge)
{
    int64_t line = width * channels, at = (j->first + i) * height * line, before = edge * channels, after = (wide - width) * channels - before;
    real *sums = from.sums ? from.sums + (j->first + i) * channels : NULL;
    memset(frame, 0, (size_t)(edge * wide * channels) * sizeof *frame);
    for (int64_t y = 0; y < height; y++, at += line) {
        real *to = frame + (edge + y) * wide * channels;
        memset(to, 0, (size_t)before * sizeof *to);
        if (sums || from.positive)
            j->k->pixels_unfinish(width, channels, from.values + at, from.positive ? from.positive + at : NULL, to + before, sums);
        else memcpy(to + before, from.values + at, (size_t)line * sizeof *to);
        memset(to + before + line, 0, (size_t)after * sizeof *to);
    }
    memset(frame + (edge + height) * wide * channels, 0, (size_t)((tall - edge - height) * wide * channels) * sizeof *frame);
}

/* Out of such a frame to image i of j->to. */
static void leave(const job *j, const real *frame, int64_t wide, int64_t edge, int64_t i, int64_t height, int64_t width, int64_t channels)
{
    for (int64_t y = 0; y < height; y++)
        j->k->pixels_finish(width, channels, frame + ((edge + y) * wide + edge) * channels, j->bias, j->relu, j->add,
                            j->to + ((j->first + i) * height + y) * width * channels);
}

/* Image i of the block to V. */
static void lift_inputs(void *arg, int64_t i)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    real *frame = j->scratch + i * j->frame;
    int64_t s = c->stride, line = s * c->in, wide = j->pad_w * c->in, plane = j->plane_V, step = j->f->outputs;
    enter(j, j->x, i, c->height, c->width, c->in, frame, j->pad_h, j->pad_w, 1);
    for (int64_t t = 0; t < j->tiles; t++)
        for (int64_t b = 0; b < s; b++)
            j->f->read(line, frame + (t / j->tiles_x * step * s + b) * wide + t % j->tiles_x * step * line, s * wide, line,
                       j->V + (i * j->tiles + t) * j->K + b * line, j->n * plane, plane, false);
}

/* Its adjoint, from V to image i of j->to. */
static void drop_inputs(void *arg, int64_t i)
{
    const job *j = arg;
    const iso_conv *c = j->c;
    real *frame = j->scratch + i * j->frame;
    int64_t s = c->stride, line = s * c->in, wide = j->pad_w * c->in, plane = j->plane_V, step = j->f->outputs;
    memset(frame, 0, (size_t)(j->pad_h * wide) * sizeof *frame);
    for (int64_t t = 0; t < j->tiles; t++)
        for (int64_t b = 0; b < s; b++)
            j->f->unread(line, j->V + (i * j->tiles + t) * j->K + b * line, j->n * plane, plane,
                         frame + (t / j->tiles_x * step * s + b) * wide + t % j->tiles_x * step * line, s * wide, line, true);
    leave(j, frame, j->pad_w, 1, i, c->height, c->width, c->in);
}

/* M to image i of j->to. */
static void drop_outputs(void *arg, int64_t i)
{
    const job *j = arg;
    int64_t out = j->c->out, wide = j->tiled_w * out, plane = j->plane_M, step = j->f->outputs;
    real *frame = j->scratch + i * j->frame;
    for (int64_t t = 0; t < j->tiles; t++)
        j->f->write(out, j->M + (i * j->tiles + t) * out, j->n * plane, plane, frame + t / j->tiles_x * step * wide + t % j->tiles_x * step * out,
                    wide, out, false);
    leave(j, frame, j->tiled_w, 0, i, j->out_h, j->out_w, out);
}

/* Its adjoint, from image i of the block to M. */
static void lift_outputs(void *arg, int64_t i)
{
    const job *j = arg;
    int64_t out = j->c->out, wide = j->tiled_w * out, plane = j->plane_M, step = j->f->outputs;
    const real *image = j->y.values + (j->first + i) * j->out_h * j->out_w * out;
    if (j->y.positive || j->y.sums || j->tiled_h != j->out_h || j->tiled_w != j->out_w) {
        real *frame = j->scratch + i * j->frame;
        enter(j, j->y, i, j->out_h, j->out_w, out, frame, j->tiled_h, j->tiled_w, 0);
        image = frame;
    }
    for (int64_t t = 0; t < j->tiles; t++)
        j->f->unwrite(out, image + t / j->tiles_x * step * wide + t % j->tiles_x * step * out, wide, out, j->M + (i * j->tiles + t) * out,
                      j->n * plane, plane, false);
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
    iso_gemm_serial(false, false, m, out, j->K, 1, j->V + point * j->plane_V + r0 * j->K, j->K, j->U + point * j->plane_U, out, 0,
                    j->M + point * j->plane_M + r0 * out, out);
}

/* V = M U. */
static void multiply_backward(void *arg, int64_t task)
{
    const job *j = arg;
    int64_t rows = j->count * j->tiles, parts = parts_of(rows), point = task / parts, r0 = task % parts * ROWS;
    int64_t m = rows - r0 < ROWS ? rows - r0 : ROWS, out = j->c->out;
    iso_gemm_serial(false, false, m, j->K, out, 1, j->M + point * j->plane_M + r0 * out, out, j->U + point * j->plane_U, j->K, 0,
                    j->V + point * j->plane_V + r0 * j->K, j->K);
}

enum { OUTPUTS = 64 };

/* dU (+)= M^T V at one point, for a part of the output's channels. */
static void multiply_weights(void *arg, int64_t task)
{
    const job *j = arg;
    int64_t rows = j->count * j->tiles, out = j->c->out, parts = (out + OUTPUTS - 1) / OUTPUTS, point = task / parts;
    int64_t o = task % parts * OUTPUTS, m = out - o < OUTPUTS ? out - o : OUTPUTS;
    iso_gemm_serial(true, false, m, j->K, rows, 1, j->M + point * j->plane_M + o, out, j->V + point * j->plane_V, j->K, j->first > 0 ? 1 : 0,
                    j->dU + point * j->plane_U + o * j->K, j->K);
}

static void lift_for_forward(iso_env *env, job *j)
{
    iso_parallel(env, (j->c->out + TURNED - 1) / TURNED, turn_weights, j);
    iso_parallel(env, j->K, lift_turned, j);
}

static void forward(iso_env *env, job *j) { iso_parallel(env, j->n * j->n * parts_of(j->count * j->tiles), multiply_forward, j); }
static void backward(iso_env *env, job *j) { iso_parallel(env, j->n * j->n * parts_of(j->count * j->tiles), multiply_backward, j); }
static void weights(iso_env *env, job *j) { iso_parallel(env, j->n * j->n * ((j->c->out + OUTPUTS - 1) / OUTPUTS), multiply_weights, j); }

/* ------------------------------------------------------------------------------------------- all of it */

static bool next_block(job *j, int64_t n)
{
    j->first += j->count;
    j->count = n - j->first < j->images ? n - j->first : j->images;
    return j->count > 0;
}

static void gather_all(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y, real *work)
{
    job j = make_job(c, n, false, work);
    j.x.values = x, j.w = w, j.bias = bias, j.relu = relu, j.to = y;
    lift_for_forward(env, &j);
    while (next_block(&j, n)) {
        iso_parallel(env, j.count, lift_inputs, &j);
        forward(env, &j);
        iso_parallel(env, j.count, drop_outputs, &j);
    }
}

static void scatter_all(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x, real *work)
{
    job j = make_job(c, n, false, work);
    j.y.values = y, j.w = w, j.bias = bias, j.relu = relu, j.to = x;
    iso_parallel(env, c->out, lift_weights, &j);
    while (next_block(&j, n)) {
        iso_parallel(env, j.count, lift_outputs, &j);
        backward(env, &j);
        iso_parallel(env, j.count, drop_inputs, &j);
    }
}

static void backward_all(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *sums, real *work)
{
    job j = make_job(c, n, true, work);
    side d = {g->d, g->out, sums}, x = {g->x, NULL, NULL};
    j.x = g->transposed ? d : x, j.y = g->transposed ? x : d;
    j.w = g->w, j.to = g->dx, j.to_w = g->dw, j.add = g->add_x, j.add_w = g->add_w;
    if (n <= 0) memset(j.dU, 0, (size_t)(j.n * j.n * j.plane_U) * sizeof *j.dU);
    if (g->dx && g->transposed) lift_for_forward(env, &j);
    else if (g->dx) iso_parallel(env, c->out, lift_weights, &j);
    while (next_block(&j, n)) {
        iso_parallel(env, j.count, g->dw ? lift_both : g->transposed ? lift_inputs : lift_outputs, &j);
        if (g->dw) weights(env, &j);
        if (!g->dx) continue;
        if (g->transposed) forward(env, &j);
        else backward(env, &j);
        iso_parallel(env, j.count, g->transposed ? drop_outputs : drop_inputs, &j);
    }
    if (g->dw) iso_parallel(env, c->out, drop_weights, &j);
}

const iso_conv_way iso_conv_by_winograd = {fits, work_size, gather_all, scatter_all, backward_all};
