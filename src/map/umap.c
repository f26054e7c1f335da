/* umap.c: two-dimensional layout of the neighbour graph (McInnes, Healy & Melville 2018, arXiv:1802.03426,
 * section 3.2).
 *
 * Edges attract as often as their weight says, random pairs repel; the likeness of two points at distance d is
 * 1 / (1 + a d^2b), a and b fitted to min_dist.
 *
 * The method moves one point after the other. Here each epoch moves all points at once, from where the others stood at
 * its start; a point's own moves still follow each other. So points can be shared out among threads, and the result is
 * the same for any number of them. An edge is stored at both its ends and is due at both in the same epoch: each end
 * is drawn twice, as head and as tail, and is pushed away from random points as head alone. */
#include "base/rng.h"
#include "eigen.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { NEGATIVES = 5, FEW = 10000, EPOCHS_FEW = 500, EPOCHS_MANY = 200, FIT_POINTS = 300, FIT_STEPS = 200, RANGE = 64 };
enum { DRAWS_START = 1, DRAWS_EPOCH = 16 };  /* epoch numbers of the random streams */
static const float CLIP = 4, START = 10;
static const double NOISE = 1e-4;            /* parts copies */

/* ------------------------------------------------------------------------------------- a and b */

static double wanted(double d, double min_dist) { return d < min_dist ? 1 : exp(min_dist - d); }

/* Least squares of 1 / (1 + a d^2b) to `wanted` on d in (0, 3] (spread 1), in log a and b, by Levenberg-Marquardt. */
static void fit_curve(double min_dist, double *a_out, double *b_out)
{
    double p = 0, b = 1, damping = 1e-3, last = HUGE_VAL;
    for (int step = 0; step < FIT_STEPS; step++) {
        double pp = 0, pb = 0, bb = 0, rp = 0, rb = 0, sum = 0;
        for (int i = 1; i < FIT_POINTS; i++) {
            double d = 3.0 * i / (FIT_POINTS - 1), t = exp(p) * pow(d, 2 * b), y = 1 / (1 + t);
            double e = y - wanted(d, min_dist);
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

/* covariance [d, d] and mean [d] of x [n, d], times n. */
static void covariance_of(const float *x, int64_t n, int64_t d, double *mean, double *covariance)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++) mean[k] += (double)x[i * d + k] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < d; a++) {
            double centred = (double)x[i * d + a] - mean[a];
            for (int64_t b = 0; b < d; b++) covariance[a * d + b] += centred * ((double)x[i * d + b] - mean[b]);
        }
}

/* xy [n, 2] = the first two principal components of x [n, d], scaled to +-START, and a little noise. Where x has no
 * spread the start is random. */
static iso_status start(const float *x, int64_t n, int64_t d, uint64_t seed, float *xy, iso_error *err)
{
    iso_status st = ISO_OK;
    double *mean = NULL, *covariance = NULL, *vectors = NULL, *values = NULL, *work = NULL, most = 0;
    for (int64_t e = 0; e < n * d; e++)
        FAIL_IF(!isfinite(x[e]), ISO_EDATA, "layout: the coordinates of cell %lld are not finite", (long long)(e / d));
    ALLOC(mean, d, sizeof *mean);
    ALLOC(covariance, d * d, sizeof *covariance);
    ALLOC(vectors, d * d, sizeof *vectors);
    ALLOC(values, d, sizeof *values);
    ALLOC(work, 3 * d, sizeof *work);
    covariance_of(x, n, d, mean, covariance);
    eigen_symmetric(covariance, d, d, values, vectors, work);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            double sum = 0;
            for (int64_t k = 0; c < d && k < d; k++) sum += ((double)x[i * d + k] - mean[k]) * vectors[c * d + k];
            xy[2 * i + c] = (float)sum;
            most = fmax(most, fabs((double)xy[2 * i + c]));
        }
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_MAP, DRAWS_START}, (uint64_t)i);
        for (int c = 0; c < 2; c++) {
            double noise = (most > 0 ? NOISE : (double)START) * iso_rng_normal(&r);
            xy[2 * i + c] = (float)((most > 0 ? (double)xy[2 * i + c] / most * (double)START : 0) + noise);
        }
    }
done:
    iso_free(mean);
    iso_free(covariance);
    iso_free(vectors);
    iso_free(values);
    iso_free(work);
    return st;
}

/* ---------------------------------------------------------------------------------------- layout */

typedef struct point { float x, y; } point;

typedef struct layout {
    const iso_csr *graph;
    float a, b, rate;
    double most;                  /* largest weight */
    int epochs, epoch;
    uint64_t seed;
    const point *from;            /* [n] at the start of the epoch */
    point *to;                    /* [n] */
} layout;

static float clipped(float v) { return v > CLIP ? CLIP : v < -CLIP ? -CLIP : v; }

/* Gradient of log likeness: p comes nearer to q. */
static void attract(const layout *l, point *p, point q)
{
    float dx = p->x - q.x, dy = p->y - q.y, square = dx * dx + dy * dy;
    if (square <= 0) return;
    float power = powf(square, l->b), c = -2 * l->a * l->b * power / square / (1 + l->a * power);
    p->x += clipped(c * dx) * l->rate;
    p->y += clipped(c * dy) * l->rate;
}

/* Gradient of log(1 - likeness): p leaves q. */
static void repel(const layout *l, point *p, point q)
{
    float dx = p->x - q.x, dy = p->y - q.y, square = dx * dx + dy * dy;
    float c = 2 * l->b / ((0.001f + square) * (1 + l->a * powf(square, l->b)));
    p->x += clipped(c * dx) * l->rate;
    p->y += clipped(c * dy) * l->rate;
}

/* An edge of weight w is due floor(t w / most) times in the first t epochs. */
static bool is_due(const layout *l, float weight)
{
    double often = (double)weight / l->most;
    return (int64_t)((l->epoch + 1) * often) > (int64_t)(l->epoch * often);
}

static void move_range(void *arg, int64_t range)
{
    const layout *l = arg;
    const iso_csr *g = l->graph;
    int64_t n = g->n_rows, end = (range + 1) * RANGE < n ? (range + 1) * RANGE : n;
    const iso_rng_key key = {l->seed, ISO_STREAM_MAP, (uint32_t)(DRAWS_EPOCH + l->epoch)};
    for (int64_t i = range * RANGE; i < end; i++) {
        iso_rng r = iso_rng_start(key, (uint64_t)i);
        point p = l->from[i];
        for (int64_t e = g->indptr[i]; e < g->indptr[i + 1]; e++) {
            if (!is_due(l, g->values[e])) continue;
            attract(l, &p, l->from[g->indices[e]]);
            for (int k = 0; k < NEGATIVES; k++) {
                int64_t j = (int64_t)(((uint64_t)iso_rng_u32(&r) * (uint64_t)n) >> 32);
                if (j != i) repel(l, &p, l->from[j]);
            }
            attract(l, &p, l->from[g->indices[e]]);
        }
        l->to[i] = p;
    }
}

iso_status iso_umap(iso_env *env, const iso_csr *connectivities, const float *x, int64_t d, double min_dist,
                    uint64_t seed, float *xy, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = connectivities->n_rows;
    double a, b;
    point *from = NULL, *to = NULL;
    fit_curve(min_dist, &a, &b);
    layout l = {.graph = connectivities, .a = (float)a, .b = (float)b, .seed = seed,
                .epochs = n <= FEW ? EPOCHS_FEW : EPOCHS_MANY};
    TRY(start(x, n, d, seed, xy, err));
    ALLOC(from, n, sizeof *from);
    ALLOC(to, n, sizeof *to);
    memcpy(to, xy, (size_t)n * sizeof *to);
    for (int64_t e = 0; e < connectivities->nnz; e++) l.most = fmax(l.most, (double)connectivities->values[e]);
    for (l.epoch = 0; l.most > 0 && l.epoch < l.epochs; l.epoch++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted during the layout");
        point *swap = from;
        from = to, to = swap;
        l.from = from, l.to = to, l.rate = 1 - (float)l.epoch / (float)l.epochs;
        iso_parallel(env, (n + RANGE - 1) / RANGE, move_range, &l);
    }
    memcpy(xy, to, (size_t)n * sizeof *to);
done:
    iso_free(from);
    iso_free(to);
    return st;
}
