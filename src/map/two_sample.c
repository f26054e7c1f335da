/* two_sample.c: can generated cells be told from real ones? A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545): the AUC of
 * out-of-fold scores of a logistic regression; 0.5 = no. */
#include "base/rng.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { FOLDS = 5, NEWTON = 25 };
static const double RIDGE = 1;                 /* penalty RIDGE / 2 |w|^2 of standardised features, intercept free */

typedef struct problem {
    const float *a, *b;
    int64_t na, nb, d;
    const int32_t *fold;                       /* [na + nb] */
    double *mean, *scale, *w;                  /* [d], [d], [d + 1] */
    double *gradient, *hessian, *row;          /* [d + 1], [d + 1, d + 1], [d + 1] */
} problem;

static const float *features(const problem *p, int64_t i) { return i < p->na ? p->a + i * p->d : p->b + (i - p->na) * p->d; }

static void standardize(problem *p, int out)
{
    double n = 0;
    memset(p->mean, 0, (size_t)p->d * sizeof *p->mean);
    memset(p->scale, 0, (size_t)p->d * sizeof *p->scale);
    for (int64_t i = 0; i < p->na + p->nb; i++) n += p->fold[i] != out;
    for (int64_t i = 0; i < p->na + p->nb; i++)
        for (int64_t k = 0; p->fold[i] != out && k < p->d; k++) p->mean[k] += (double)features(p, i)[k] / n;
    for (int64_t i = 0; i < p->na + p->nb; i++)
        for (int64_t k = 0; p->fold[i] != out && k < p->d; k++) {
            double e = (double)features(p, i)[k] - p->mean[k];
            p->scale[k] += e * e / n;
        }
    for (int64_t k = 0; k < p->d; k++) p->scale[k] = p->scale[k] > 0 ? 1 / sqrt(p->scale[k]) : 0;
}

/* Standardised features and a 1, into p->row; returns w . row. */
static double place(const problem *p, int64_t i)
{
    double sum = p->w[p->d];
    const float *x = features(p, i);
    for (int64_t k = 0; k < p->d; k++) {
        p->row[k] = ((double)x[k] - p->mean[k]) * p->scale[k];
        sum += p->w[k] * p->row[k];
    }
    p->row[p->d] = 1;
    return sum;
}

/* Solves hessian step = gradient in place (Cholesky); the hessian is positive definite by the ridge. */
static void solve(double *h, double *g, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double x = h[i * n + j];
            for (int64_t k = 0; k < j; k++) x -= h[i * n + k] * h[j * n + k];
            h[i * n + j] = i == j ? sqrt(fmax(x, 1e-12)) : x / h[j * n + j];
        }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) g[i] -= h[i * n + k] * g[k];
        g[i] /= h[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) g[i] -= h[k * n + i] * g[k];
        g[i] /= h[i * n + i];
    }
}

/* Newton's method on the cells that are not in fold `out`. */
static void fit(problem *p, int out)
{
    int64_t n = p->d + 1;
    memset(p->w, 0, (size_t)n * sizeof *p->w);
    for (int step = 0; step < NEWTON; step++) {
        double size = 0;
        memset(p->hessian, 0, (size_t)(n * n) * sizeof *p->hessian);
        for (int64_t k = 0; k < n; k++) {
            p->gradient[k] = k < p->d ? RIDGE * p->w[k] : 0;
            p->hessian[k * n + k] = k < p->d ? RIDGE : 1e-9;
        }
        for (int64_t i = 0; i < p->na + p->nb; i++) {
            if (p->fold[i] == out) continue;
            double at = place(p, i), chance = 1 / (1 + exp(-at)), e = chance - (i < p->na), weight = chance * (1 - chance);
            for (int64_t k = 0; k < n; k++) {
                p->gradient[k] += e * p->row[k];
                for (int64_t j = 0; j <= k; j++) p->hessian[k * n + j] += weight * p->row[k] * p->row[j];
            }
        }
        solve(p->hessian, p->gradient, n);
        for (int64_t k = 0; k < n; k++) {
            p->w[k] -= p->gradient[k];
            size += p->gradient[k] * p->gradient[k];
        }
        if (size < 1e-16) break;
    }
}

iso_status iso_two_sample_auc(iso_env *env, const float *a, int64_t na, const float *b, int64_t nb, int64_t d, uint64_t seed, double *auc,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    problem p = {.a = a, .b = b, .na = na, .nb = nb, .d = d};
    int32_t *fold = NULL;
    int64_t *order = NULL, n = na + nb;
    double *scores = NULL;
    uint8_t *real_cell = NULL;
    *auc = (double)NAN;
    if (na < FOLDS || nb < FOLDS) return ISO_OK;
    ALLOC(fold, n, sizeof *fold);
    ALLOC(order, n, sizeof *order);
    ALLOC(scores, n, sizeof *scores);
    ALLOC(real_cell, n, 1);
    ALLOC(p.mean, d, sizeof *p.mean);
    ALLOC(p.scale, d, sizeof *p.scale);
    ALLOC(p.w, d + 1, sizeof *p.w);
    ALLOC(p.row, d + 1, sizeof *p.row);
    ALLOC(p.gradient, d + 1, sizeof *p.gradient);
    ALLOC(p.hessian, (d + 1) * (d + 1), sizeof *p.hessian);
    iso_permutation((iso_rng_key){seed, ISO_STREAM_MAP, 4}, na, order);
    for (int64_t i = 0; i < na; i++) fold[order[i]] = (int32_t)(i % FOLDS), real_cell[i] = 1;
    iso_permutation((iso_rng_key){seed, ISO_STREAM_MAP, 5}, nb, order);
    for (int64_t i = 0; i < nb; i++) fold[na + order[i]] = (int32_t)(i % FOLDS);
    p.fold = fold;
    for (int out = 0; out < FOLDS; out++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        standardize(&p, out);
        fit(&p, out);
        for (int64_t i = 0; i < n; i++)
            if (fold[i] == out) scores[i] = place(&p, i);
    }
    *auc = iso_auc(scores, real_cell, n);
done:
    iso_free(fold);
    iso_free(order);
    iso_free(scores);
    iso_free(real_cell);
    iso_free(p.mean);
    iso_free(p.scale);
    iso_free(p.w);
    iso_free(p.row);
    iso_free(p.gradient);
    iso_free(p.hessian);
    return st;
}
