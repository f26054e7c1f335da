/* umap.c: two-dimensional layout of the neighbour graph (McInnes, Healy & Melville 2018, arXiv:1802.03426,
 * section 3.2).
 *
 * Edges attract as often as their weight says, random pairs repel; the likeness of two points at distance d is
 * 1 / (1 + a d^2b), a and b fitted to min_dist.
 *
 * The method moves one point after the other. Here BATCHES groups of the points take turns, and the points of a batch
 * move at once, from where all stood at its start; a point's own moves still follow each other. So points can be shared
 * out among threads, and the result is the same for any number of them.
 *
 * Two rounds are an epoch of the method: an edge, which is stored at both its ends, is due at each end once a round. There
 * a due edge moves both its ends, twice an epoch; here each end moves by itself, once a round. To make both moves at once
 * costs half of what separates a good layout from a fair one, as does a single batch (docs/BENCHMARKS.md). */
#include "base/rng.h"
#include "eigen.h"
#include "kernel/kernel.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { FIT_POINTS = 300, FIT_STEPS = 200 };
enum { NEGATIVES = 5, MOST_REPEL = 3 };
enum { LANES = ISO_LANES, BATCHES = 16, FEW = 10000, ROUNDS_FEW = 1000, ROUNDS_MANY = 600 };
enum { DRAWS_START = 1, DRAWS_ROUND = 16 };  /* epoch numbers of the random streams */
static const float START = 10;
static const real FAR = 1e6;                 /* where nothing repels from */
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
    const iso_kernels *kernels;
    iso_layout_curve curve;
    const uint32_t *step;         /* [nnz] weight as a part of the largest, of 2^32 */
    int32_t *due;                 /* [nnz] neighbours that draw a point in this round, from indptr on */
    uint64_t seed;
    int rounds, round, batch;
    point *from, *to;             /* [n] before and after a batch */
} layout;

/* An edge is due as often as its step, added up, comes around. Returns how many of point i's are due. */
static int64_t list_due(const layout *l, int64_t i)
{
    int64_t first = l->graph->indptr[i], n = 0;
    for (int64_t e = first; e < l->graph->indptr[i + 1]; e++) {
        uint32_t at = (uint32_t)l->round * l->step[e];
        l->due[first + n] = l->graph->indices[e];
        n += at + l->step[e] < at;
    }
    return n;
}

typedef struct group {
    int64_t first;                /* its points are first..first + n - 1 */
    int n;
    int64_t n_due[LANES], most_due;
    real x[LANES], y[LANES], rate[LANES];
    real ox[(1 + MOST_REPEL) * LANES], oy[(1 + MOST_REPEL) * LANES];
} group;

/* What draws and what repels the points of a group in a step. The same random points repel all of them. */
static int choose_others(const layout *l, group *g, int64_t step)
{
    const iso_rng_key key = {l->seed, ISO_STREAM_MAP, (uint32_t)(DRAWS_ROUND + l->round)};
    const int n_repel = NEGATIVES / 2 + l->round % 2;
    uint32_t words[4];
    for (int i = 0; i < g->n; i++) {
        bool due = step < g->n_due[i];
        point q = due ? l->from[l->due[l->graph->indptr[g->first + i] + step]] : (point){0, 0};
        g->ox[i] = (real)q.x, g->oy[i] = (real)q.y;
        g->rate[i] = due ? 1 - (real)l->round / (real)l->rounds : 0;
    }
    iso_philox(key, (uint64_t)g->first, (uint32_t)step, words);
    for (int k = 1; k <= n_repel; k++) {
        int64_t j = (int64_t)(((uint64_t)words[k] * (uint64_t)l->graph->n_rows) >> 32), own = j - g->first;
        for (int i = 0; i < LANES; i++) g->ox[k * LANES + i] = (real)l->from[j].x, g->oy[k * LANES + i] = (real)l->from[j].y;
        if (own >= 0 && own < g->n) g->ox[k * LANES + own] = g->oy[k * LANES + own] = FAR;      /* not by itself */
    }
    return n_repel;
}

static void move_group(void *arg, int64_t block)
{
    const layout *l = arg;
    int64_t left;
    group g = {.first = (block * BATCHES + l->batch) * LANES};
    left = l->graph->n_rows - g.first;
    g.n = left < LANES ? (int)left : LANES;
    for (int i = 0; i < g.n; i++) {
        g.x[i] = (real)l->from[g.first + i].x, g.y[i] = (real)l->from[g.first + i].y;
        g.n_due[i] = list_due(l, g.first + i);
        if (g.n_due[i] > g.most_due) g.most_due = g.n_due[i];
    }
    for (int64_t step = 0; step < g.most_due; step++) {
        int n_repel = choose_others(l, &g, step);
        l->kernels->layout_step(&l->curve, g.rate, n_repel, g.ox, g.oy, g.x, g.y);
    }
    for (int i = 0; i < g.n; i++) l->to[g.first + i] = (point){(float)g.x[i], (float)g.y[i]};
}

/* Points of the groups of a batch, from `to` to `from`. */
static void take_over(const layout *l, int64_t groups)
{
    for (int64_t g = l->batch; g < groups; g += BATCHES) {
        int64_t first = g * LANES, left = l->graph->n_rows - first;
        memcpy(l->from + first, l->to + first, (size_t)(left < LANES ? left : LANES) * sizeof *l->to);
    }
}

static iso_status play_rounds(iso_env *env, layout *l, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t groups = (l->graph->n_rows + LANES - 1) / LANES;
    for (l->round = 0; l->round < l->rounds; l->round++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted during the layout");
        for (l->batch = 0; l->batch < BATCHES && l->batch < groups; l->batch++) {
            iso_parallel(env, (groups - l->batch + BATCHES - 1) / BATCHES, move_group, l);
            take_over(l, groups);
        }
    }
done:
    return st;
}

/* steps [nnz]: weights as parts of the largest; false where none is above 0. */
static bool set_steps(const iso_csr *graph, uint32_t *steps)
{
    double most = 0;
    for (int64_t e = 0; e < graph->nnz; e++) most = fmax(most, (double)graph->values[e]);
    for (int64_t e = 0; most > 0 && e < graph->nnz; e++)
        steps[e] = (uint32_t)((double)graph->values[e] / most * UINT32_MAX);
    return most > 0;
}

iso_status iso_umap(iso_env *env, const iso_csr *connectivities, const float *x, int64_t d, double min_dist,
                    uint64_t seed, float *xy, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = connectivities->n_rows;
    double a, b;
    uint32_t *steps = NULL;
    layout l = {.graph = connectivities, .kernels = iso_kernels_best(), .seed = seed,
                .rounds = n <= FEW ? ROUNDS_FEW : ROUNDS_MANY};
    fit_curve(min_dist, &a, &b);
    l.curve = (iso_layout_curve){(real)a, (real)b};
    TRY(start(x, n, d, seed, xy, err));
    ALLOC(l.from, n, sizeof *l.from);
    ALLOC(l.to, n, sizeof *l.to);
    ALLOC(l.due, connectivities->nnz, sizeof *l.due);
    ALLOC(steps, connectivities->nnz, sizeof *steps);
    l.step = steps;
    memcpy(l.from, xy, (size_t)n * sizeof *l.from);
    if (set_steps(connectivities, steps)) TRY(play_rounds(env, &l, err));
    memcpy(xy, l.from, (size_t)n * sizeof *l.from);
done:
    iso_free(l.from);
    iso_free(l.to);
    iso_free(l.due);
    iso_free(steps);
    return st;
}
