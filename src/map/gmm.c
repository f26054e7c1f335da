/* gmm.c: see gmm.h. Both steps of EM are matrix products, because a normal law's log density is linear in the features
 * f = (1, x, variance, x_a x_b for b <= a) of a cell's cloud:
 *     E: log r_ik = f_i . t_k, then normalised over k; its mean over the cloud, so that wide clouds belong less to narrow components
 *     M: w, m and C of component k from sum_i r_ik f_i
 * x: mu centred and in units of the cells' spread, so that floats do for the products. Sums over cells are made in parts of
 * ROWS, added in order in double. */
#include "gmm.h"

#include "centers.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

enum { ROWS = 8192, ROWS_EACH = 64, MOST_STEPS = 60, MOST_SEEDING = 5000, LEAST_COMPONENTS = 64, MOST_COMPONENTS = 256 };
static const double LOG_2PI = 1.837877066409345484;
static const double FLOOR = 1e-3;                  /* of the cells' variance, in every covariance */
static const double LEAST_SPREAD = 1e-3;           /* of a dimension, as part of the widest one's */
static const double ENOUGH = 5e-3;                 /* nats a cell: EM stops when a step gains less */
static const double WORTH = 0.01;                  /* nats a held-out point: what twice the components must gain */
static const double LEAST_CELLS = 1e-3;            /* a component of fewer keeps its law, and its share is that of so many */

typedef struct fitter {
    const iso_gmm_cells *c;
    int64_t K, F;                 /* components, features */
    const iso_kernels *k;
    double *mean, *scale;         /* [d] of the cells; x = (mu - mean) / scale */
    double *sum;                  /* [K, F] sum of r f */
    double *m, *W;                /* [K, d], [K, d (d + 1) / 2] the inverse of the lower Cholesky factor of C, by rows */
    double *log_weight;           /* [K] log w - log |C| / 2 - d log(2 pi) / 2 */
    double *room;                 /* [d, d] */
    real *t;                      /* [K, F] */
    int64_t first, rows;          /* the part of cells at hand */
    real *f, *r, *part;           /* [ROWS, F], [ROWS, K], [K, F] */
    double *log_q;                /* [ROWS] */
} fitter;

/* ------------------------------------------------------------------------------------ the cells */

static double x_of(const fitter *g, int64_t i, int64_t k) { return ((double)g->c->mu[i * g->c->d + k] - g->mean[k]) / g->scale[k]; }

static double variance_of(const fitter *g, int64_t i, int64_t k)
{
    return g->c->variance ? (double)g->c->variance[i * g->c->d + k] / (g->scale[k] * g->scale[k]) : 0;
}

/* Mean and spread of the cells' clouds. */
static iso_status measure(fitter *g, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_gmm_cells *c = g->c;
    double n = (double)c->n, widest = 0;
    for (int64_t i = 0; i < c->n * c->d; i++) {
        FAIL_IF(!isfinite(c->mu[i]) || (c->variance && !(c->variance[i] >= 0 && isfinite(c->variance[i]))), ISO_EDATA,
                "cell %lld has no finite place in the latent space", (long long)(i / c->d) + 1);
        g->mean[i % c->d] += (double)c->mu[i] / n;
    }
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->d; k++) {
            double u = (double)c->mu[i * c->d + k] - g->mean[k];
            g->scale[k] += (u * u + (c->variance ? (double)c->variance[i * c->d + k] : 0)) / n;
        }
    for (int64_t k = 0; k < c->d; k++) widest = fmax(widest, sqrt(g->scale[k]));
    for (int64_t k = 0; k < c->d; k++) g->scale[k] = fmax(sqrt(g->scale[k]), LEAST_SPREAD * (widest > 0 ? widest : 1));
done:
    return st;
}

static void features_block(void *arg, int64_t block)
{
    const fitter *g = arg;
    int64_t d = g->c->d;
    for (int64_t i = block * ROWS_EACH; i < g->rows && i < (block + 1) * ROWS_EACH; i++) {
        real *f = g->f + i * g->F, *x = f + 1, *product = f + 1 + 2 * d;
        f[0] = 1;
        for (int64_t k = 0; k < d; k++) x[k] = (real)x_of(g, g->first + i, k), x[d + k] = (real)variance_of(g, g->first + i, k);
        for (int64_t a = 0; a < d; a++)
            for (int64_t b = 0; b <= a; b++) *product++ = x[a] * x[b];
    }
}

/* ---------------------------------------------------------------------------------- the components */

/* Component k's covariance, whose lower half is in g->room, as W, and its log density as t. */
static void set_law(fitter *g, int64_t k, double share)
{
    int64_t d = g->c->d;
    double *C = g->room, *W = g->W + k * d * (d + 1) / 2, *m = g->m + k * d, log_weight = log(share) - 0.5 * (double)d * LOG_2PI;
    for (int64_t a = 0; a < d; a++)                                     /* C = L L' */
        for (int64_t b = 0; b <= a; b++) {
            double sum = C[a * d + b];
            for (int64_t j = 0; j < b; j++) sum -= C[a * d + j] * C[b * d + j];
            C[a * d + b] = a == b ? sqrt(fmax(sum, FLOOR)) : sum / C[b * d + b];
        }
    for (int64_t a = 0; a < d; a++) {                                   /* W L = 1 */
        double *row = W + a * (a + 1) / 2;
        row[a] = 1 / C[a * d + a];
        for (int64_t b = 0; b < a; b++) {
            double sum = 0;
            for (int64_t j = b; j < a; j++) sum += C[a * d + j] * W[j * (j + 1) / 2 + b];
            row[b] = -sum * row[a];
        }
        log_weight += log(row[a]);
    }
    g->log_weight[k] = log_weight;
    real *t = g->t + k * g->F, *product = t + 1 + 2 * d;
    double constant = log_weight;
    for (int64_t a = 0; a < d; a++) {                                   /* P = W'W, by columns of W */
        double along = 0;
        for (int64_t b = 0; b < d; b++) {
            double p = 0;
            for (int64_t j = a > b ? a : b; j < d; j++) p += W[j * (j + 1) / 2 + a] * W[j * (j + 1) / 2 + b];
            along += p * m[b];
            if (b < a) *product++ = (real)-p;
            if (b == a) *product++ = (real)(-p / 2), t[1 + d + a] = (real)(-p / 2);
        }
        t[1 + a] = (real)along;
        constant -= m[a] * along / 2;
    }
    t[0] = (real)constant;
}

static void maximise(fitter *g)
{
    int64_t d = g->c->d;
    for (int64_t k = 0; k < g->K; k++) {
        const double *s = g->sum + k * g->F, *product = s + 1 + 2 * d;
        double cells = s[0], *m = g->m + k * d;
        if (cells < LEAST_CELLS) continue;
        for (int64_t a = 0; a < d; a++) m[a] = s[1 + a] / cells;
        for (int64_t a = 0; a < d; a++)
            for (int64_t b = 0; b <= a; b++)
                g->room[a * d + b] = *product++ / cells - m[a] * m[b] + (a == b ? fmax(0, s[1 + d + a] / cells) + FLOOR : 0);
        set_law(g, k, cells / (double)g->c->n);
    }
}

static void responsibilities_block(void *arg, int64_t block)
{
    const fitter *g = arg;
    for (int64_t i = block * ROWS_EACH; i < g->rows && i < (block + 1) * ROWS_EACH; i++) {
        real *r = g->r + i * g->K, top = r[0], sum = 0;
        for (int64_t k = 1; k < g->K; k++) top = r[k] > top ? r[k] : top;
        for (int64_t k = 0; k < g->K; k++) r[k] -= top;
        g->k->vexp(r, r, g->K);
        for (int64_t k = 0; k < g->K; k++) sum += r[k];
        for (int64_t k = 0; k < g->K; k++) r[k] /= sum;
        g->log_q[i] = (double)top + log((double)sum);
    }
}

/* The E step: g->sum; returns the mean over cells of the log density. */
static double expect(iso_env *env, fitter *g)
{
    double total = 0;
    memset(g->sum, 0, (size_t)(g->K * g->F) * sizeof *g->sum);
    for (g->first = 0; g->first < g->c->n; g->first += ROWS) {
        g->rows = g->c->n - g->first < ROWS ? g->c->n - g->first : ROWS;
        int64_t blocks = (g->rows + ROWS_EACH - 1) / ROWS_EACH;
        iso_parallel(env, blocks, features_block, g);
        iso_gemm(env, false, true, g->rows, g->K, g->F, 1, g->f, g->F, g->t, g->F, 0, g->r, g->K, NULL);
        iso_parallel(env, blocks, responsibilities_block, g);
        iso_gemm(env, true, false, g->K, g->F, g->rows, 1, g->r, g->K, g->f, g->F, 0, g->part, g->F, NULL);
        for (int64_t e = 0; e < g->K * g->F; e++) g->sum[e] += (double)g->part[e];
        for (int64_t i = 0; i < g->rows; i++) total += g->log_q[i];
    }
    return total / (double)g->c->n;
}

/* ------------------------------------------------------------------------------------- the start */

/* All components begin round, with centres among the cells, as wide as a cell is far from its centre. */
static iso_status start(fitter *g, uint64_t seed, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t d = g->c->d, n = g->c->n < MOST_SEEDING ? g->c->n : MOST_SEEDING;
    double *x = NULL, left;
    ALLOC(x, n * d, sizeof *x);
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < d; a++) x[i * d + a] = x_of(g, i * g->c->n / n, a);
    TRY(iso_centers(x, n, d, g->K, seed, g->m, &left, err));
    for (int64_t k = 0; k < g->K; k++) {
        memset(g->room, 0, (size_t)(d * d) * sizeof *g->room);
        for (int64_t a = 0; a < d; a++) g->room[a * d + a] = left / (double)d + FLOOR;
        set_law(g, k, 1 / (double)g->K);
    }
done:
    iso_free(x);
    return st;
}

/* ------------------------------------------------------------------------------------- the whole */

static iso_status fitter_open(fitter *g, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t d = g->c->d, rows = g->c->n < ROWS ? g->c->n : ROWS;
    ALLOC(g->mean, d, sizeof *g->mean);
    ALLOC(g->scale, d, sizeof *g->scale);
    ALLOC(g->sum, g->K * g->F, sizeof *g->sum);
    ALLOC(g->m, g->K * d, sizeof *g->m);
    ALLOC(g->W, g->K * d * (d + 1) / 2, sizeof *g->W);
    ALLOC(g->log_weight, g->K, sizeof *g->log_weight);
    ALLOC(g->room, d * d, sizeof *g->room);
    ALLOC(g->t, g->K * g->F, sizeof *g->t);
    ALLOC(g->f, rows * g->F, sizeof *g->f);
    ALLOC(g->r, rows * g->K, sizeof *g->r);
    ALLOC(g->part, g->K * g->F, sizeof *g->part);
    ALLOC(g->log_q, rows, sizeof *g->log_q);
    TRY(measure(g, err));
done:
    return st;
}

static void fitter_close(fitter *g)
{
    void *const all[] = {g->mean, g->scale, g->sum, g->m, g->W, g->log_weight, g->room, g->t, g->f, g->r, g->part, g->log_q};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) iso_free(all[i]);
}

/* The density in the cells' own units. */
static iso_status hand_over(const fitter *g, iso_density *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t K = g->K, d = g->c->d;
    double width = 0, log_scale = 0;
    *out = (iso_density){.n = K, .d = d};
    ALLOC(out->center, K * d, sizeof *out->center);
    ALLOC(out->whiten, K * d * (d + 1) / 2, sizeof *out->whiten);
    ALLOC(out->cloud, K * d, sizeof *out->cloud);
    ALLOC(out->log_weight, K, sizeof *out->log_weight);
    for (int64_t a = 0; a < d; a++) log_scale += log(g->scale[a]);
    for (int64_t k = 0; k < K; k++) {
        const double *s = g->sum + k * g->F, *W = g->W + k * d * (d + 1) / 2;
        for (int64_t a = 0, e = 0; a < d; a++) {
            double cloud = (s[0] < LEAST_CELLS ? 0 : fmax(0, s[1 + d + a] / s[0])) + FLOOR;
            out->center[a * K + k] = (float)(g->mean[a] + g->scale[a] * g->m[k * d + a]);
            out->cloud[a * K + k] = (float)(cloud * g->scale[a] * g->scale[a]);
            width += s[0] / (double)(g->c->n * d) * cloud * g->scale[a] * g->scale[a];
            for (int64_t b = 0; b <= a; b++, e++) out->whiten[e * K + k] = (float)(W[e] / g->scale[b]);
        }
        out->log_weight[k] = (float)(g->log_weight[k] - log_scale);
    }
    out->bandwidth = sqrt(width);
done:
    if (st) iso_density_clear(out);
    return st;
}

iso_status iso_gmm_fit(iso_env *env, const iso_gmm_cells *c, int64_t K, uint64_t seed, iso_density *out, iso_error *err)
{
    iso_status st = ISO_OK;
    fitter g = {.c = c, .K = K, .F = 1 + 2 * c->d + c->d * (c->d + 1) / 2, .k = iso_kernels_best()};
    *out = (iso_density){0};
    FAIL_IF(K < 1 || K > c->n || c->d < 1 || c->d > ISO_GMM_DIMENSIONS, ISO_EUSAGE,
            "a mixture of %lld normal laws needs as many cells and 1 to %d dimensions; here are %lld cells of %lld", (long long)K,
            ISO_GMM_DIMENSIONS, (long long)c->n, (long long)c->d);
    TRY(fitter_open(&g, err));
    TRY(start(&g, seed, err));
    double before = -HUGE_VAL;
    for (int step = 0; step < MOST_STEPS; step++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        double now = expect(env, &g);
        maximise(&g);
        if (now - before < ENOUGH) break;
        before = now;
    }
    TRY(hand_over(&g, out, err));
done:
    fitter_close(&g);
    return st;
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] / (double)n;
    return sum;
}

iso_status iso_gmm_choose(iso_env *env, const iso_gmm_cells *c, const float *held_out, int64_t m, uint64_t seed, iso_density *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_density next = {0};
    double *log_q = NULL, best = -HUGE_VAL;
    *out = (iso_density){0};
    ALLOC(log_q, m, sizeof *log_q);
    for (int64_t K = LEAST_COMPONENTS; K <= MOST_COMPONENTS && K <= c->n; K *= 2) {
        TRY(iso_gmm_fit(env, c, K, seed, &next, err));
        TRY(iso_density_log(env, &next, held_out, m, NULL, log_q, err));
        double now = mean_of(log_q, m);
        if (out->n && now < best + WORTH) break;
        iso_density_clear(out);
        *out = next, next = (iso_density){0}, best = now;
    }
    FAIL_IF(out->n == 0, ISO_EUSAGE, "a mixture needs %d cells", LEAST_COMPONENTS);
done:
    iso_density_clear(&next);
    iso_free(log_q);
    if (st) iso_density_clear(out);
    return st;
}
