/* image_likelihood: -log p(x|z) of the batch's images under a law of images, summed over them, with its gradient.
 *   in 0  mean [B, P], P = height * width * channels, channels last; photon: at least 0, in units of the scaled image
 *   in 1  image [B, P], no gradient
 *   in 2  state: running variance [bands, channels] of Gaussian laws, used in evaluation; photon: [2, channels], photons per
 *         unit of the scaled image, and photons where the scaled image is 0; -1 for a law with a fixed sigma
 *   out   [1, 1] nats; per cell in batch->cell_loss, added to it if i[2]
 *   pointer  the iso_likelihood      i[0] height      i[1] width      r[0] momentum of the running variance
 *
 * Gaussian laws in training: sigma^2 of a channel (wavelet: and sub-band) is the mean squared error of the batch, the best
 * value there is, so that its own derivative is 0 and the mean's is as if sigma were fixed (Rybkin et al. 2021,
 * arXiv:2006.13202, section 3.2); at least e^-12. The Haar transform is orthonormal: densities of coefficients are densities of
 * pixels. Photon: x = gain * Poisson + offset; the density is that of the scaled image.
 * Forward leaves the gradient in saved 0, over the mean where nobody else reads it. */
#include "op.h"
#include "likelihood/haar.h"
#include "likelihood/likelihood.h"

#include <math.h>
#include <string.h>

enum { LANES = 16, TOGETHER = 64 };                    /* TOGETHER: channels, at most */
static const double LEAST = 6.14421235e-6;             /* e^-12: of a variance */
static const double LOG_2PI = 1.8378770664093454836;
static const double DARK = 0.01;                       /* photons that come in any case */

typedef struct layout { int64_t height, width, channels, pixels; int bands; } layout;
static layout layout_of(const iso_node *n, int64_t cols)
{
    const iso_likelihood *law = n->pointer;
    layout l = {n->i[0], n->i[1], 0, (int64_t)n->i[0] * n->i[1], 0};
    l.channels = cols / l.pixels;
    l.bands = law->image->haar ? 3 * iso_haar_levels(l.height, l.width) + 1 : 1;
    return l;
}

static const char *shape(const iso_graph *g, iso_node *n)
{
    const iso_likelihood *law = n->pointer;
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 3 || !n->per_cell || n->in[1] < 0 || !law || !law->image || n->i[0] < 1 || n->i[1] < 1)
        return "needs mean, image, state or -1, and a law of images";
    if (g->nodes[n->in[1]].cols != n->cols || n->cols % ((int64_t)n->i[0] * n->i[1])) return "mean and image must be [height * width * channels]";
    layout l = layout_of(n, n->cols);
    if (l.channels > TOGETHER) return "at most 64 channels";
    int64_t rows = law->image->photons ? 2 : l.bands;
    if ((n->in[2] < 0) != (law->image->sigma > 0)) return "the state is not that of the law";
    if (n->in[2] >= 0 && (g->nodes[n->in[2]].leaf != ISO_STATE || g->nodes[n->in[2]].rows != rows || g->nodes[n->in[2]].cols != l.channels))
        return "the state must be [bands, channels]";
    n->per_cell = false, n->rows = n->cols = 1;
    return NULL;
}

static int64_t saved_size(const iso_graph *g, const iso_node *n, int j, int64_t cells)
{
    (void)j;
    return cells * g->nodes[n->in[0]].cols;
}

/* Per lane: an image and the transform's scratch; then the squared errors [cells, bands, channels] and the losses, in double. */
static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    int64_t P = g->nodes[n->in[0]].cols;
    layout l = layout_of(n, P);
    return backward ? 0 : LANES * 2 * P + 2 * (cells * (l.bands * l.channels + 1) + l.bands * l.channels + 2);
}

typedef struct job {
    const iso_args *a;
    const iso_image_law *law;
    layout l;
    int64_t P, lanes;
    double *squares, *losses, *variance;           /* [cells, bands * channels], [cells], [bands * channels] */
    double constant;                               /* of a cell's -log p: the sum of log(2 pi variance) / 2 */
} job;

/* Pixels are gone through several at a time: how many numbers, a multiple of the channels. */
static int64_t together(const layout *l) { return TOGETHER / l->channels * l->channels; }

/* Sums of squares of each channel of x [pixels, channels]. */
static void sum_channels(const layout *l, const real *x, double *squares)
{
    int64_t wide = together(l), size = l->pixels * l->channels;
    double few[TOGETHER] = {0};
    for (int64_t i = 0; i < size; i += wide) {
        int64_t m = size - i < wide ? size - i : wide;
        for (int64_t k = 0; k < m; k++) few[k] += (double)(x[i + k] * x[i + k]);
    }
    for (int64_t k = 0; k < wide; k++) squares[k % l->channels] += few[k];
}

/* The residual of a cell, transformed if the law says so, and its sums of squares by band and channel. */
static void residual(const job *j, int64_t r, real *out, real *work)
{
    const iso_args *a = j->a;
    layout l = j->l;
    double *squares = j->squares + r * l.bands * l.channels;
    for (int64_t i = 0; i < j->P; i++) out[i] = a->in[0][r * j->P + i] - a->in[1][r * j->P + i];
    if (j->law->haar) iso_haar(out, l.height, l.width, l.channels, work);
    memset(squares, 0, (size_t)(l.bands * l.channels) * sizeof *squares);
    if (!j->law->haar) {
        sum_channels(&l, out, squares);
        return;
    }
    for (int64_t y = 0; y < l.height; y++)
        for (int64_t x = 0; x < l.width; x++) {
            const real *p = out + (y * l.width + x) * l.channels;
            double *to = squares + iso_haar_band(l.height, l.width, y, x) * l.channels;
            for (int64_t k = 0; k < l.channels; k++) to[k] += (double)(p[k] * p[k]);
        }
}

/* -log p of a cell's photons, and the gradient by the mean. */
static void photons(const job *j, int64_t r, real *d)
{
    const real *m = j->a->in[0] + r * j->P, *x = j->a->in[1] + r * j->P, *per_unit = j->a->in[2], *at_zero = per_unit + j->l.channels;
    double sum = 0;
    for (int64_t i = 0; i < j->P; i++) {
        int64_t k = i % j->l.channels;
        double unit = (double)per_unit[k], count = unit * (double)x[i] + (double)at_zero[k], rate = unit * (double)m[i] + DARK;
        int sign;
        if (count < 0) count = 0;
        sum += rate - count * log(rate) + (count > 0 ? lgamma_r(count + 1, &sign) : 0) - log(unit);
        if (d) d[i] = (real)(unit * (1 - count / rate));
    }
    j->losses[r] = sum;
}

static void first_lane(void *arg, int64_t lane)
{
    const job *j = arg;
    real *own = j->a->work + lane * 2 * j->P;
    for (int64_t r = lane * j->a->rows / j->lanes; r < (lane + 1) * j->a->rows / j->lanes; r++) {
        real *out = j->a->saved[0] ? j->a->saved[0] + r * j->P : j->law->photons ? NULL : own;
        if (j->law->photons) photons(j, r, out);
        else residual(j, r, out, own + j->P);
    }
}

/* How many coefficients a sub-band has. */
static int64_t places_in(const job *j, int64_t band)
{
    int64_t n = 0;
    if (!j->law->haar) return j->l.pixels;
    for (int64_t p = 0; p < j->l.pixels; p++) n += iso_haar_band(j->l.height, j->l.width, p / j->l.width, p % j->l.width) == band;
    return n;
}

/* Variances by band and channel, the batch's or the running ones. */
static void find_variance(job *j)
{
    const iso_args *a = j->a;
    int64_t n = j->l.bands * j->l.channels;
    j->constant = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t places = places_in(j, k / j->l.channels);
        if (j->law->sigma > 0) j->variance[k] = j->law->sigma * j->law->sigma;
        else if (!a->settings->training) j->variance[k] = fmax((double)a->in[2][k], LEAST);
        else {
            double sum = 0;
            for (int64_t r = 0; r < a->rows; r++) sum += j->squares[r * n + k];
            j->variance[k] = fmax(sum / (double)(a->rows * places), LEAST);
            a->in[2][k] += (real)(a->node->r[0] * (j->variance[k] - (double)a->in[2][k]));
        }
        j->constant += 0.5 * (double)places * (LOG_2PI + log(j->variance[k]));
    }
}

static void divide_channels(const layout *l, const double *by, real *x)
{
    int64_t wide = together(l), size = l->pixels * l->channels;
    real few[TOGETHER];
    for (int64_t k = 0; k < wide; k++) few[k] = (real)by[k % l->channels];
    for (int64_t i = 0; i < size; i += wide)
        for (int64_t k = 0; k < wide && i + k < size; k++) x[i + k] /= few[k];
}

/* Loss of a cell from its squares; residuals become gradients. */
static void second_lane(void *arg, int64_t lane)
{
    const job *j = arg;
    layout l = j->l;
    int64_t n = l.bands * l.channels;
    for (int64_t r = lane * j->a->rows / j->lanes; r < (lane + 1) * j->a->rows / j->lanes; r++) {
        j->losses[r] = j->constant;
        for (int64_t k = 0; k < n; k++) j->losses[r] += 0.5 * j->squares[r * n + k] / j->variance[k];
        if (!j->a->saved[0]) continue;
        real *d = j->a->saved[0] + r * j->P;
        if (!j->law->haar) {
            divide_channels(&l, j->variance, d);
            continue;
        }
        for (int64_t p = 0; p < l.pixels; p++) {
            int64_t band = iso_haar_band(l.height, l.width, p / l.width, p % l.width);
            for (int64_t k = 0; k < l.channels; k++) d[p * l.channels + k] /= (real)j->variance[band * l.channels + k];
        }
        iso_haar_inverse(d, l.height, l.width, l.channels, j->a->work + lane * 2 * j->P);
    }
}

static void forward(const iso_args *a)
{
    const iso_likelihood *law = a->node->pointer;
    job j = {.a = a, .law = law->image, .l = layout_of(a->node, a->in_cols[0]), .P = a->in_cols[0]};
    int64_t n = a->in_rows[0];
    iso_args rows = *a;
    rows.rows = n, j.a = &rows, j.lanes = n < LANES ? n : LANES;
    j.squares = (double *)(((uintptr_t)(a->work + LANES * 2 * j.P) + 7) / 8 * 8);
    j.losses = j.squares + n * j.l.bands * j.l.channels;
    j.variance = j.losses + n;
    iso_parallel(a->env, j.lanes, first_lane, &j);
    if (!j.law->photons) {
        find_variance(&j);
        iso_parallel(a->env, j.lanes, second_lane, &j);
    }
    double total = 0;
    for (int64_t r = 0; r < n; r++) {
        total += j.losses[r];
        if (a->batch->cell_loss) a->batch->cell_loss[r] = (a->node->i[2] ? a->batch->cell_loss[r] : 0) + (real)j.losses[r];
    }
    a->out[0] = (real)total;
}

static void backward_lane(void *arg, int64_t lane)
{
    const iso_args *a = arg;
    int64_t n = a->in_rows[0] * a->in_cols[0], from = lane * n / LANES, end = (lane + 1) * n / LANES;
    iso_pass_gradient(a->d_in[0] + from, a->add[0], a->d_out[0], a->saved[0] + from, end - from);
}

static void backward(const iso_args *a) { iso_parallel(a->env, LANES, backward_lane, (void *)a); }

extern const iso_likelihood iso_likelihood_gaussian, iso_likelihood_wavelet, iso_likelihood_photon, iso_likelihood_mse;
#define IMAGE(cols_) {true, .is_state = true, .cols = cols_, .lo = 0, .hi = 1}
#define MEAN(cols_) {true, .cols = cols_, .lo = 0.1, .hi = 1.2}
static const iso_example examples[] = {
    {.what = "gaussian", .cells = 3, .training = true, .pointer = &iso_likelihood_gaussian, .i = {4, 6}, .r = {0.1}, .n_in = 3,
     .in = {MEAN(48), IMAGE(48), {.is_state = true, .rows = 1, .cols = 2, .lo = 0.1, .hi = 1}}},
    {.what = "gaussian, evaluated", .cells = 3, .pointer = &iso_likelihood_gaussian, .i = {4, 6}, .r = {0.1}, .n_in = 3,
     .in = {MEAN(48), IMAGE(48), {.is_state = true, .rows = 1, .cols = 2, .lo = 0.1, .hi = 1}}},
    {.what = "wavelet", .cells = 3, .training = true, .pointer = &iso_likelihood_wavelet, .i = {8, 4}, .r = {0.1}, .n_in = 3,
     .in = {MEAN(64), IMAGE(64), {.is_state = true, .rows = 7, .cols = 2, .lo = 0.1, .hi = 1}}},
    {.what = "wavelet, evaluated, odd size", .cells = 2, .pointer = &iso_likelihood_wavelet, .i = {6, 10}, .r = {0.1}, .n_in = 3,
     .in = {MEAN(60), IMAGE(60), {.is_state = true, .rows = 4, .cols = 1, .lo = 0.1, .hi = 1}}},
    {.what = "photon", .cells = 2, .training = true, .pointer = &iso_likelihood_photon, .i = {3, 5}, .n_in = 3,
     .in = {MEAN(30), IMAGE(30), {.is_state = true, .rows = 2, .cols = 2, .lo = 2, .hi = 5}}},
    {.what = "mse", .cells = 20, .training = true, .pointer = &iso_likelihood_mse, .i = {2, 2}, .n_in = 3, .in = {MEAN(4), IMAGE(4), {0}}},
    {0},
};

const iso_op iso_op_image_likelihood = {.name = "image_likelihood", .shape = shape, .forward = forward, .backward = backward, .n_saved = 1,
                                        .saved_size = saved_size, .work_size = work_size, .in_place = 1, .examples = examples};
