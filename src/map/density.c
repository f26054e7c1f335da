/* density.c: see density.h. A point meets the components CHUNK at a time, dimension by dimension, in vector code. */
#include "density.h"

#include "kernel/kernel.h"

#include <math.h>

enum { CHUNK = 1024, POINTS = 8, MAX_TRIED = 2000 };
static const double LOG_2PI = 1.837877066409345484;

iso_status iso_density_new(const float *mu, const float *variance, int64_t n, int64_t d, double h, iso_density *out,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_density){.n = n, .d = d, .bandwidth = h};
    FAIL_IF(n < 1 || d < 1 || !(h > 0), ISO_EUSAGE, "a density needs cells, dimensions and a width above 0");
    ALLOC(out->center, n * d, sizeof *out->center);
    ALLOC(out->precision, n * d, sizeof *out->precision);
    ALLOC(out->log_weight, n, sizeof *out->log_weight);
    for (int64_t i = 0; i < n; i++) {
        double sum = -log((double)n) - 0.5 * (double)d * LOG_2PI;
        for (int64_t k = 0; k < d; k++) {
            double v = h * h + (variance ? (double)variance[i * d + k] : 0);
            FAIL_IF(!isfinite(mu[i * d + k]) || !isfinite(v), ISO_EDATA, "cell %lld has no finite place in the latent space", (long long)i + 1);
            out->center[k * n + i] = mu[i * d + k];
            out->precision[k * n + i] = (float)(1 / v);
            sum -= 0.5 * log(v);
        }
        out->log_weight[i] = (float)sum;
    }
done:
    if (st) iso_density_clear(out);
    return st;
}

void iso_density_clear(iso_density *q)
{
    iso_free(q->center);
    iso_free(q->precision);
    iso_free(q->whiten);
    iso_free(q->cloud);
    iso_free(q->log_weight);
    *q = (iso_density){0};
}

typedef struct job {
    const iso_density *q;
    const iso_kernels *k;
    const float *z;
    const int64_t *own;
    double *log_q;
    int64_t m;
} job;

/* e [n] -= half the squared distance of z from the components `from` and on, in units of their widths. */
static void subtract_diagonal(const iso_density *q, const float *z, int64_t from, int64_t n, real *restrict e)
{
    for (int64_t k = 0; k < q->d; k++) {
        const float *restrict center = q->center + k * q->n + from, *restrict precision = q->precision + k * q->n + from;
        float zk = z[k];
        for (int64_t i = 0; i < n; i++) {
            float u = zk - center[i];
            e[i] -= (real)(0.5f * u * u * precision[i]);
        }
    }
}

static void subtract_full(const iso_density *q, const float *z, int64_t from, int64_t n, real *restrict e)
{
    float y[CHUNK];
    const float *restrict w = q->whiten + from;
    for (int64_t a = 0; a < q->d; a++) {
        for (int64_t i = 0; i < n; i++) y[i] = 0;
        for (int64_t b = 0; b <= a; b++, w += q->n) {
            const float *restrict center = q->center + b * q->n + from;
            for (int64_t i = 0; i < n; i++) y[i] += w[i] * (z[b] - center[i]);
        }
        for (int64_t i = 0; i < n; i++) e[i] -= (real)(0.5f * y[i] * y[i]);
    }
}

/* log sum over components of exp(log weight - half the squared distance). */
static double log_sum(const job *j, const float *z, int64_t own)
{
    const iso_density *q = j->q;
    real e[CHUNK];
    double top = -HUGE_VAL, sum = 0;
    for (int64_t from = 0; from < q->n; from += CHUNK) {
        int64_t n = q->n - from < CHUNK ? q->n - from : CHUNK;
        for (int64_t i = 0; i < n; i++) e[i] = (real)q->log_weight[from + i];
        (q->whiten ? subtract_full : subtract_diagonal)(q, z, from, n, e);
        if (own >= from && own < from + n) e[own - from] = (real)-HUGE_VAL;
        real best = e[0];
        for (int64_t i = 1; i < n; i++) best = e[i] > best ? e[i] : best;
        if ((double)best > top) {
            sum = top > -HUGE_VAL ? sum * exp(top - (double)best) : 0;
            top = (double)best;
        }
        if (!(top > -HUGE_VAL)) continue;
        for (int64_t i = 0; i < n; i++) e[i] -= (real)top;
        j->k->vexp(e, e, n);
        for (int64_t i = 0; i < n; i++) sum += (double)e[i];
    }
    return top + log(sum);
}

static void points_block(void *arg, int64_t block)
{
    const job *j = arg;
    for (int64_t p = block * POINTS; p < j->m && p < (block + 1) * POINTS; p++) {
        int64_t own = j->own ? j->own[p] : -1;
        double left = own >= 0 ? log((double)j->q->n / fmax(1, (double)j->q->n - 1)) : 0;       /* of n - 1 components */
        j->log_q[p] = log_sum(j, j->z + p * j->q->d, own) + left;
    }
}

iso_status iso_density_log(iso_env *env, const iso_density *q, const float *z, int64_t m, const int64_t *own, double *log_q,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    job j = {q, iso_kernels_best(), z, own, log_q, m};
    FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
    iso_parallel(env, (m + POINTS - 1) / POINTS, points_block, &j);
done:
    return st;
}

static iso_status mean_log(iso_env *env, const float *mu, const float *variance, int64_t n, int64_t d, double h, const float *z, int64_t m,
                           const int64_t *own, double *log_q, double *mean, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_density q = {0};
    TRY(iso_density_new(mu, variance, n, d, h, &q, err));
    TRY(iso_density_log(env, &q, z, m, own, log_q, err));
    *mean = 0;
    for (int64_t i = 0; i < m; i++) *mean += log_q[i] / (double)m;
done:
    iso_density_clear(&q);
    return st;
}

iso_status iso_density_bandwidth(iso_env *env, const float *mu, const float *variance, int64_t n, int64_t d, const float *held_out,
                                 int64_t m, double *h, iso_error *err)
{
    static const double widths[] = {0.001, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4, 2};
    iso_status st = ISO_OK;
    float *z = NULL;
    int64_t *own = NULL, of = m > 0 ? m : n, some = of < MAX_TRIED ? of : MAX_TRIED;
    double *log_q = NULL, best = -HUGE_VAL, mean;
    ALLOC(z, some * d, sizeof *z);
    ALLOC(own, some, sizeof *own);
    ALLOC(log_q, some, sizeof *log_q);
    for (int64_t i = 0; i < some; i++) {
        int64_t from = i * of / some;
        own[i] = m > 0 ? -1 : from;
        for (int64_t k = 0; k < d; k++) z[i * d + k] = (m > 0 ? held_out : mu)[from * d + k];
    }
    *h = widths[0];
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        TRY(mean_log(env, mu, variance, n, d, widths[w], z, some, own, log_q, &mean, err));
        if (mean > best) best = mean, *h = widths[w];
    }
done:
    iso_free(z);
    iso_free(own);
    iso_free(log_q);
    return st;
}

/* -------------------------------------------------------------------------------------- climbing */

enum { MOST_STEPS = 200 };
static const double STILL = 1e-5;                  /* in units of the width h */

/* y [d] = W_i (mu_i - z); returns the log of component i's part of q(z). */
static double whitened(const iso_density *q, int64_t i, const float *z, double *y)
{
    const float *w = q->whiten + i;
    double e = (double)q->log_weight[i];
    for (int64_t a = 0; a < q->d; a++) {
        y[a] = 0;
        for (int64_t b = 0; b <= a; b++, w += q->n) y[a] += (double)*w * (double)(q->center[b * q->n + i] - z[b]);
        e -= 0.5 * y[a] * y[a];
    }
    return e;
}

/* One step over fitted components: z += sum_i r_i cloud_i W_i' W_i (mu_i - z) with responsibilities r_i. A component's
 * covariance is its cloud and more, so no step goes too far. sum and y [d]: room. Returns how far z moved. */
static double climb_components(const iso_density *q, float *z, double *sum, double *y)
{
    double moved = 0, total = 0, top = -HUGE_VAL;
    for (int64_t i = 0; i < q->n; i++) top = fmax(top, whitened(q, i, z, y));
    for (int64_t k = 0; k < q->d; k++) sum[k] = 0;
    for (int64_t i = 0; i < q->n; i++) {
        double responsibility = exp(whitened(q, i, z, y) - top);
        const float *w = q->whiten + i;
        total += responsibility;
        for (int64_t a = 0; a < q->d && responsibility > 0; a++)
            for (int64_t b = 0; b <= a; b++, w += q->n) sum[b] += responsibility * (double)q->cloud[b * q->n + i] * (double)*w * y[a];
    }
    for (int64_t k = 0; k < q->d && total > 0; k++) {
        double by = sum[k] / total;
        moved = fmax(moved, fabs(by));
        z[k] = (float)((double)z[k] + by);
    }
    return moved;
}

/* One step over cells: z = sum_i r_i P_i mu_i / sum_i r_i P_i with responsibilities r_i, where the gradient of log q would be 0. sum and
 * total [d]: room. Returns how far z moved. */
static double climb_cells(const iso_density *q, float *z, double *sum, double *total)
{
    const double least = -40;                      /* log of a responsibility, below which it is nothing */
    double moved = 0, top = log_sum(&(job){.q = q, .k = iso_kernels_best()}, z, -1);
    for (int64_t k = 0; k < q->d; k++) sum[k] = total[k] = 0;
    for (int64_t i = 0; i < q->n; i++) {
        double e = (double)q->log_weight[i] - top;
        for (int64_t k = 0; k < q->d && e > least; k++) {
            double u = (double)(z[k] - q->center[k * q->n + i]);
            e -= 0.5 * u * u * (double)q->precision[k * q->n + i];
        }
        double responsibility = e > least ? exp(e) : 0;
        for (int64_t k = 0; k < q->d && responsibility > 0; k++) {
            double w = responsibility * (double)q->precision[k * q->n + i];
            sum[k] += w * (double)q->center[k * q->n + i], total[k] += w;
        }
    }
    for (int64_t k = 0; k < q->d; k++) {
        double next = total[k] > 0 ? sum[k] / total[k] : (double)z[k];
        moved = fmax(moved, fabs(next - (double)z[k]));
        z[k] = (float)next;
    }
    return moved;
}

static double climb_once(const iso_density *q, float *z, double *room)
{
    return (q->whiten ? climb_components : climb_cells)(q, z, room, room + q->d);
}

iso_status iso_density_step(const iso_density *q, float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    double *room = NULL;
    ALLOC(room, 2 * q->d, sizeof *room);
    climb_once(q, z, room);
done:
    iso_free(room);
    return st;
}

iso_status iso_density_climb(const iso_density *q, float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    double *room = NULL;
    ALLOC(room, 2 * q->d, sizeof *room);
    for (int step = 0; step < MOST_STEPS; step++)
        if (climb_once(q, z, room) <= STILL * q->bandwidth) break;
done:
    iso_free(room);
    return st;
}
