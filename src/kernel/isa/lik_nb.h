/* lik_nb.h: the negative binomial of one entry, shared by lik_nb.c and lik_zinb.c.
 *
 *     log p(x) = log Gamma(x + t) - log Gamma(t) - log x! + t log(t / (t + mu)) + x log(mu / (t + mu)),  t = theta
 *     dloss/dlog mu = t (mu - x) / (t + mu)
 *     dloss/dlog t  = t [log(1 + r) - r / (1 + r)] - t / (t + mu) * sum over i < x of (mu - i) / (t + i),  r = mu / t
 *
 * (the last for whole x, in the form that stays exact as t grows and the law turns Poisson). With r = mu / t a zero
 * costs t log(1 + r): one closed form for the dense row. Entries with x > 0 are taken out of the dense row (their e
 * set to 0, so that it adds nothing for them), gathered, and done NB_POINTS at a time:
 *   x = 1..NB_SMALL, whole: sums over i < x as products, in vector code;
 *   larger whole x: Stirling's series, in vector code;
 *   x that is not whole: the same in double, one by one. */
#ifndef ISO_LIK_NB_H
#define ISO_LIK_NB_H

#include "lik_common.h"

/* theta from 2e-9 to 5e8. */
#define LOG_THETA_MAX 20

enum { ROW_E = ROW_D_DISPERSION + 1, ROW_THETA, ROW_INV_THETA, ROW_KEPT_E, ROW_POINT_D_MU, ROW_POINT_D_DROPOUT };
enum { NB_POINTS = 64, NB_LANES = 16, NB_SMALL = 8 };

typedef struct nb_points {
    int n, padded;                          /* padded: to whole vectors, with copies of any valid entry */
    int64_t first;                          /* this chunk's place in the rows ROW_KEPT_E and ROW_POINT_* */
    int32_t gene[NB_POINTS];
    real x[NB_POINTS], log_mu[NB_POINTS], mu[NB_POINTS], log_theta[NB_POINTS], theta[NB_POINTS],
         inv_theta[NB_POINTS], dropout[NB_POINTS];
    real loss[NB_POINTS], d_log_mu[NB_POINTS], d_log_theta[NB_POINTS];
} nb_points;

static inline void nb_prepare(const iso_lik_args *a, const real *dispersion)
{
    real *restrict theta = scratch_row(a, ROW_THETA), *restrict inv_theta = scratch_row(a, ROW_INV_THETA);
    for (int64_t g = 0; g < a->x.n_cols; g++) {
        real d = real_clamp(dispersion[g], -LOG_THETA_MAX, LOG_THETA_MAX);
        theta[g] = real_exp(d);
        inv_theta[g] = real_exp(-d);
    }
}

/* Whole x up to NB_SMALL. With s = max(t, 1) the product over i < x of (t + i) / (s (i + 1)) is
 * Gamma(x + t) / (Gamma(t) x! s^x), in range for any t; `slope` follows the sum of (mu - i) / (t + i) times it. */
static inline void nb_points_small(nb_points *p)
{
    static const real reciprocal[NB_SMALL] = {(real)1, (real)(1. / 2), (real)(1. / 3), (real)(1. / 4), (real)(1. / 5),
                                              (real)(1. / 6), (real)(1. / 7), (real)(1. / 8)};
    for (int j = 0; j < p->padded; j++) {
        real x = p->x[j], t = p->theta[j], mu = p->mu[j], inv_s = real_min(p->inv_theta[j], 1);
        real product = 1, slope = 0;
        for (int i = 0; i < NB_SMALL; i++) {
            real c = inv_s * reciprocal[i], up = (t + (real)i) * c;
            real next = slope * up + product * ((mu - (real)i) * c);
            slope = x > (real)i ? next : slope;
            product = x > (real)i ? product * up : product;
        }
        log1p_terms r = log1p_split(mu * p->inv_theta[j]);
        real log_s_part = r.log1p + real_min(p->log_theta[j], 0);         /* log((t + mu) / s) */
        p->loss[j] = t * r.log1p - real_log(product) - x * (p->log_mu[j] - log_s_part);
        p->d_log_mu[j] = (mu - x) * r.inverse;
        p->d_log_theta[j] = t * r.excess - r.inverse * (slope / product);
    }
}

/* The saddle-point form of Loader (2000), "Fast and accurate computation of binomial probabilities", with its
 * differences of nearby numbers written out; twice, for what is common and in double for what is not. */

/* Whole x > NB_SMALL of the gathered entries, those first that are: which [n], n a multiple of 8 with the rest any. */
static inline void nb_points_large(nb_points *p, const int *which, int n, int padded)
{
    real x[NB_POINTS], t[NB_POINTS], mu[NB_POINTS], log_mu[NB_POINTS], log_t[NB_POINTS], inv_t[NB_POINTS];
    real loss[NB_POINTS], d_log_mu[NB_POINTS], d_log_t[NB_POINTS];
    for (int k = 0; k < padded; k++) {
        int j = which[k < n ? k : 0];
        x[k] = p->x[j], t[k] = p->theta[j], mu[k] = p->mu[j], log_mu[k] = p->log_mu[j];
        log_t[k] = p->log_theta[j], inv_t[k] = p->inv_theta[j];
    }
    for (int k = 0; k < padded; k++) {
        real s = t[k] + mu[k], w = (x[k] - mu[k]) / s, q = t[k] * -w / x[k];
        real_stirling st = stirling_small(t[k], log_t[k]), sx = stirling_large(x[k]), sxt = stirling_large(x[k] + t[k]);
        log_terms a = log_split_near((x[k] + t[k]) / s, w), b = log_split_near(1 + q, q);
        real log_x = real_log(x[k]);
        /* t log((x + t) / (t + mu)) + x log(mu (x + t) / (x (t + mu))): near the mode, t w and x q = -t w cancel. */
        real near = t[k] * a.less + x[k] * b.less, far = t[k] * a.log + x[k] * (log_mu[k] - log_x + a.log);
        real fit = real_abs(q) < (real)0.5 ? near : far;
        real width = (real)1.837877066409345484 + log_x + log1p_split(x[k] * inv_t[k]).log1p;     /* log(2 pi) + ... */
        loss[k] = (real)0.5 * width - fit - sxt.correction + sx.correction + st.correction;
        d_log_mu[k] = -t[k] * w;
        d_log_t[k] = -t[k] * (a.less + sxt.digamma_less_log - st.digamma_less_log);
    }
    for (int k = 0; k < n; k++) {
        int j = which[k];
        p->loss[j] = loss[k], p->d_log_mu[j] = d_log_mu[k], p->d_log_theta[j] = d_log_t[k];
    }
}

/* Any x > 0. */
static inline void nb_point_any(nb_points *p, int j)
{
    double x = (double)p->x[j], log_mu = (double)p->log_mu[j], log_t = (double)p->log_theta[j];
    double mu = exp(log_mu), t = exp(log_t), w = (x - mu) / (t + mu);
    stirling st = stirling_at(t), sx = stirling_at(x), sxt = stirling_at(x + t);
    double a = log_ratio(x + t, t + mu, x - mu), q = t * -w / x;
    double b = fabs(q) < 0.5 ? log1p(q) : log_mu - log(x) + a;           /* log(mu (x + t) / (x (t + mu))) */
    double log_p = t * a + x * b + sxt.correction - sx.correction - st.correction -
                   0.5 * (log(6.283185307179586477 * x) + log((x + t) / t));
    p->loss[j] = (real)-log_p;
    p->d_log_mu[j] = (real)(-t * w);
    p->d_log_theta[j] = (real)(-t * (a - w + sxt.digamma_less_log - st.digamma_less_log));
}

/* loss and its derivatives of the gathered entries. */
static inline void nb_points_run(nb_points *p)
{
    int large[NB_POINTS + 8], n = 0;
    p->padded = (p->n + NB_LANES - 1) / NB_LANES * NB_LANES;
    for (int j = p->n; j < p->padded; j++)
        p->x[j] = p->mu[j] = p->theta[j] = p->inv_theta[j] = 1, p->log_mu[j] = p->log_theta[j] = p->dropout[j] = 0;
    nb_points_small(p);
    for (int j = 0; j < p->padded; j++) n += p->x[j] > NB_SMALL;
    for (int j = 0, k = 0; n && j < p->n; j++) {
        large[k] = j;
        k += p->x[j] > NB_SMALL;
    }
    if (n) nb_points_large(p, large, n, (n + 7) / 8 * 8);
    int parts = 0;
    for (int j = 0; j < p->padded; j++) parts += p->x[j] != real_floor(p->x[j]);
    for (int j = 0; parts && j < p->n; j++)
        if (p->x[j] != real_floor(p->x[j])) nb_point_any(p, j);
}

#define DROPOUT_MAX 40

/* The odds against a dropout. What is not finite shows in shadow_of. */
static inline real odds_of(real pi) { return exp_within(-held_within(pi, DROPOUT_MAX)); }
static inline real shadow_of(real pi) { return 0 * pi; }

/* What zero inflation adds to the gathered entries, which have x > 0 (lik_zinb.c). */
static inline void nb_points_dropout(nb_points *p, real d_dropout[NB_POINTS])
{
    for (int j = 0; j < p->padded; j++) {
        real odds = odds_of(p->dropout[j]), chance = 1 / (1 + odds);
        p->loss[j] -= log_near(odds * chance, -chance);
        d_dropout[j] = chance;
    }
}

/* Next entries with x > 0 of a row from *at on, taken out of e. Entries stored as zeros stay in the dense row. */
static inline void nb_points_gather(const iso_lik_args *a, int64_t row, const lik_heads *heads, const softmax *s, int64_t *at, nb_points *p)
{
    const int64_t end = a->x.indptr[row + 1], G = a->x.n_cols;
    const float *restrict values = a->x.values;
    const int32_t *restrict genes = a->x.indices;
    const real *restrict h = heads->mean, *restrict dropout = heads->dropout ? heads->dropout : heads->mean;       /* nb: read, not used */
    const real *restrict dispersion = a->dispersion + dispersion_row(a, row) * G;
    const real *restrict theta = scratch_row(a, ROW_THETA), *restrict inv_theta = scratch_row(a, ROW_INV_THETA);
    real *restrict e = scratch_row(a, ROW_E), *restrict kept = scratch_row(a, ROW_KEPT_E) + p->first + p->n;
    real logit[NB_POINTS], weight[NB_POINTS], log_theta[NB_POINTS];
    int64_t i = *at;
    int n = 0;
    for (; i < end && n < NB_POINTS; i++) {              /* without branches: what is stored as zero is written over */
        const bool counts = values[i] > 0;
        const int32_t g = genes[i];
        p->gene[n] = g, p->x[n] = (real)values[i], p->theta[n] = theta[g], p->inv_theta[n] = inv_theta[g], p->dropout[n] = dropout[g];
        logit[n] = h[g], weight[n] = e[g], log_theta[n] = dispersion[g];
        e[g] = counts ? 0 : weight[n];
        n += counts;
    }
    for (int k = 0; k < n; k++) {
        p->log_mu[k] = (real)((double)logit[k] + s->log_scale);
        p->mu[k] = weight[k] * s->scale;
        p->log_theta[k] = real_clamp(log_theta[k], -LOG_THETA_MAX, LOG_THETA_MAX);
        kept[k] = weight[k];
    }
    *at = i, p->first += p->n, p->n = n;
}

/* d_log_theta into the dispersion's row, d_log_mu aside until the dense pass is over. Sums both losses and d_log_mu. */
static inline void nb_points_add(const iso_lik_args *a, const nb_points *p, double *loss, double *d_log_mu)
{
    real *d_dispersion = scratch_row(a, ROW_D_DISPERSION), *d_mu = scratch_row(a, ROW_POINT_D_MU);
    *loss += real_sum(p->loss, p->n);
    *d_log_mu += real_sum(p->d_log_mu, p->n);
    memcpy(d_mu + p->first, p->d_log_mu, (size_t)p->n * sizeof *d_mu);
    for (int j = 0; j < p->n; j++) d_dispersion[p->gene[j]] += p->d_log_theta[j];
}

/* d_log_mu, d_dropout [G] of the zeros, and of the `points` entries with x > 0 aside: to the gradients by the heads. sum: that of all
 * d_log_mu. d_dropout may be NULL. */
static inline void nb_backward(const iso_lik_args *a, int64_t row, const softmax *s, double sum, int64_t points, real *d_log_mu, real *d_dropout)
{
    const real *kept = scratch_row(a, ROW_KEPT_E), *d_pi = scratch_row(a, ROW_POINT_D_DROPOUT);
    real *d_mu = scratch_row(a, ROW_POINT_D_MU);
    softmax_backward(s, scratch_row(a, ROW_E), sum, d_log_mu, a->x.n_cols);      /* those with x > 0 have e = 0 */
    softmax_backward(s, kept, sum, d_mu, points);
    const int32_t *restrict genes = a->x.indices;
    const float *restrict values = a->x.values;
    int64_t n = 0;
    for (int64_t j = a->x.indptr[row], end = a->x.indptr[row + 1]; j < end; j++) {
        if (!(values[j] > 0)) continue;
        int32_t g = genes[j];
        d_log_mu[g] = d_mu[n];
        if (d_dropout) d_dropout[g] = d_pi[n];
        n++;
    }
}

#endif
