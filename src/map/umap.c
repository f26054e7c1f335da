/* umap.c: two-dimensional layout of the neighbour graph (McInnes, Healy & Melville 2018, arXiv:1802.03426, section 3.2).
 *
 * Edges attract as often as their weight says, random pairs repel; the likeness of two points at distance d is
 * 1 / (1 + a d^2b), a and b fitted to min_dist. Sequential, as the method is: the same bits for any number of threads. */
#include "base/rng.h"
#include "eigen.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { NEGATIVES = 5, FEW = 10000, EPOCHS_FEW = 500, EPOCHS_MANY = 200, FIT_POINTS = 300, FIT_STEPS = 200 };
static const float CLIP = 4, START = 10;

/* ------------------------------------------------------------------------------------- a and b */

static double wanted(double d, double min_dist) { return d < min_dist ? 1 : exp(min_dist - d); }

/* Least squares of 1 / (1 + a d^2b) to `wanted` on d in (0, 3] (spread 1), in log a and b, by Levenberg-Marquardt. */
static void fit_curve(double min_dist, double *a_out, double *b_out)
{
    double p = 0, b = 1, damping = 1e-3, last = HUGE_VAL;
    for (int step = 0; step < FIT_STEPS; step++) {
        double pp = 0, pb = 0, bb = 0, rp = 0, rb = 0, sum = 0;
        for (int i = 1; i < FIT_POINTS; i++) {
            double d = 3.0 * i / (FIT_POINTS - 1), t = exp(p) * pow(d, 2 * b), y = 1 / (1 + t), e = y - wanted(d, min_dist);
            double dp = -y * y * t, db = dp * 2 * log(d);
            sum += e * e, pp += dp * dp, pb += dp * db, bb += db * db, rp += dp * e, rb += db * e;
        }
        if (sum >= last) damping *= 10;
        else damping *= 0.3;
        last = sum;
        double m00 = pp * (1 + damping), m11 = bb * (1 + damping), det = m00 * m11 - pb * pb;
        if (det <= 0) break;
        p -= (m11 * rp - pb * rb) / det;
        b -= (m00 * rb - pb * rp) / det;
    }
    *a_out = exp(p), *b_out = b;
}

/* ---------------------------------------------------------------------------------------- start */

/* First two principal components of x [n, d], to +-START, and a little noise that parts copies. */
static iso_status start(const float *x, int64_t n, int64_t d, uint64_t seed, float *xy, iso_error *err)
{
    iso_status st = ISO_OK;
    double *mean = NULL, *covariance = NULL, *vectors = NULL, *values = NULL;
    float most = 0;
    ALLOC(mean, 4 * d, sizeof *mean);
    ALLOC(covariance, d * d, sizeof *covariance);
    ALLOC(vectors, d * d, sizeof *vectors);
    ALLOC(values, d, sizeof *values);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++) mean[k] += (double)x[i * d + k] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < d; a++)
            for (int64_t b = 0; b <= a; b++)
                covariance[a * d + b] += ((double)x[i * d + a] - mean[a]) * ((double)x[i * d + b] - mean[b]) / (double)n;
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b < a; b++) covariance[b * d + a] = covariance[a * d + b];
    eigen_symmetric(covariance, d, d, values, vectors, mean + d);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            double sum = 0;
            for (int64_t k = 0; c < d && k < d; k++) sum += ((double)x[i * d + k] - mean[k]) * vectors[c * d + k];
            xy[2 * i + c] = (float)sum;
            most = fmaxf(most, fabsf(xy[2 * i + c]));
        }
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_MAP, 1}, (uint64_t)i);
        for (int c = 0; c < 2; c++)
            xy[2 * i + c] = (most > 0 ? xy[2 * i + c] * START / most : 0) + (float)(1e-4 * iso_rng_normal(&r));
    }
done:
    iso_free(mean);
    iso_free(covariance);
    iso_free(vectors);
    iso_free(values);
    return st;
}

/* ---------------------------------------------------------------------------------------- layout */

typedef struct layout {
    const iso_csr *graph;
    float a, b, rate, *xy;
    double most;                  /* largest weight */
    int epochs;
    iso_rng rng;
} layout;

static float clipped(float v) { return v > CLIP ? CLIP : v < -CLIP ? -CLIP : v; }

/* Gradient of log likeness: both ends come nearer. */
static void attract(layout *l, int64_t i, int64_t j)
{
    float *p = l->xy + 2 * i, *q = l->xy + 2 * j, dx = p[0] - q[0], dy = p[1] - q[1], square = dx * dx + dy * dy;
    if (square <= 0) return;
    float power = powf(square, l->b), c = -2 * l->a * l->b * power / square / (1 + l->a * power);
    float mx = clipped(c * dx) * l->rate, my = clipped(c * dy) * l->rate;
    p[0] += mx, p[1] += my, q[0] -= mx, q[1] -= my;
}

/* Gradient of log(1 - likeness): i leaves a random point. */
static void repel(layout *l, int64_t i)
{
    int64_t j = (int64_t)(((uint64_t)iso_rng_u32(&l->rng) * (uint64_t)l->graph->n_rows) >> 32);
    if (j == i) return;
    float *p = l->xy + 2 * i, *q = l->xy + 2 * j, dx = p[0] - q[0], dy = p[1] - q[1], square = dx * dx + dy * dy;
    float c = square > 0 ? 2 * l->b / ((0.001f + square) * (1 + l->a * powf(square, l->b))) : 0;
    p[0] += (c > 0 ? clipped(c * dx) : CLIP) * l->rate;
    p[1] += (c > 0 ? clipped(c * dy) : CLIP) * l->rate;
}

/* An edge of weight w is due floor((t + 1) w / most) times in the first t + 1 epochs. */
static void one_epoch(layout *l, int t)
{
    const iso_csr *g = l->graph;
    l->rate = 1 - (float)t / (float)l->epochs;
    for (int64_t i = 0; i < g->n_rows; i++)
        for (int64_t e = g->indptr[i]; e < g->indptr[i + 1]; e++) {
            double often = (double)g->values[e] / l->most;
            if (floor((t + 1) * often) == floor(t * often)) continue;
            attract(l, i, g->indices[e]);
            for (int k = 0; k < NEGATIVES; k++) repel(l, i);
        }
}

iso_status iso_umap(iso_env *env, const iso_csr *connectivities, const float *x, int64_t d, double min_dist, uint64_t seed, float *xy,
                    iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = connectivities->n_rows;
    double a, b;
    layout l = {.graph = connectivities, .xy = xy, .epochs = n <= FEW ? EPOCHS_FEW : EPOCHS_MANY,
                .rng = iso_rng_start((iso_rng_key){seed, ISO_STREAM_MAP, 2}, 0)};
    fit_curve(min_dist, &a, &b);
    l.a = (float)a, l.b = (float)b;
    TRY(start(x, n, d, seed, xy, err));
    for (int64_t e = 0; e < connectivities->nnz; e++)
        if ((double)connectivities->values[e] > l.most) l.most = (double)connectivities->values[e];
    for (int t = 0; l.most > 0 && t < l.epochs; t++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        one_epoch(&l, t);
    }
done:
    return st;
}
