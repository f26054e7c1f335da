/* two_sample.c: can generated cells be told from real ones? A classifier two-sample test (Lopez-Paz & Oquab 2017,
 * arXiv:1610.06545): the AUC of the out-of-fold scores of a logistic regression; 0.5 = no.
 *
 * Newton's method, each step solved by conjugate gradients, so that the number of features may be large (Nocedal &
 * Wright, Numerical Optimization, 2nd ed., algorithm 7.1). Features are standardised by the mean m and 1/sd s of the
 * cells in training, without a copy: w . (x - m) s = (w s) . x - (w s) . m. The folds are shared out among threads. */
#include "base/rng.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { FOLDS = 5, NEWTON_STEPS = 30, CG_STEPS = 100, HALVINGS = 20, DRAWS_REAL = 4, DRAWS_GENERATED = 5 };
static const double RIDGE = 1;                 /* penalty RIDGE / 2 |w|^2, intercept free */
static const double CG_TOLERANCE = 1e-4, NEWTON_TOLERANCE = 1e-8;   /* of |gradient|: within a step, of the first */

typedef struct problem {
    const float *a, *b;                        /* [na, d], [nb, d] */
    int64_t na, n, d;                          /* n = na + nb */
    const uint8_t *is_real;                    /* [n] */
    const int32_t *fold;                       /* [n] */
    double *scores;                            /* [n] */
    double *room;                              /* [FOLDS, room_each] */
    int64_t room_each;
} problem;

/* One fold's fit. Arrays of d + 1 end with the intercept. */
typedef struct model {
    const problem *p;
    int32_t out;                               /* the fold left out */
    double *mean, *scale, *w, *gradient, *step, *residual, *direction, *product, *scaled; /* [d + 1] */
    double *margin, *weight, *change;          /* [n] */
} model;

static const float *features(const problem *p, int64_t i)
{
    return i < p->na ? p->a + i * p->d : p->b + (i - p->na) * p->d;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += a[k] * b[k];
    return sum;
}

static void standardize(model *m)
{
    const problem *p = m->p;
    double n = 0;
    for (int64_t i = 0; i < p->n; i++) n += p->fold[i] != m->out;
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t k = 0; p->fold[i] != m->out && k < p->d; k++) m->mean[k] += (double)features(p, i)[k] / n;
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t k = 0; p->fold[i] != m->out && k < p->d; k++) {
            double e = (double)features(p, i)[k] - m->mean[k];
            m->scale[k] += e * e / n;
        }
    for (int64_t k = 0; k < p->d; k++) m->scale[k] = m->scale[k] > 0 ? 1 / sqrt(m->scale[k]) : 0;
}

/* out [n] = standardised features times w, for all cells. */
static void multiply(const model *m, const double *w, double *out)
{
    const problem *p = m->p;
    double *scaled = m->scaled, shift = w[p->d];
    for (int64_t k = 0; k < p->d; k++) {
        scaled[k] = w[k] * m->scale[k];
        shift -= scaled[k] * m->mean[k];
    }
    for (int64_t i = 0; i < p->n; i++) {
        const float *x = features(p, i);
        double sum = shift;
        for (int64_t k = 0; k < p->d; k++) sum += (double)x[k] * scaled[k];
        out[i] = sum;
    }
}

/* out [d + 1] = standardised features' times e, over the cells in training, + RIDGE w. */
static void multiply_transposed(const model *m, const double *e, const double *w, double *out)
{
    const problem *p = m->p;
    double sum = 0;
    memset(out, 0, (size_t)(p->d + 1) * sizeof *out);
    for (int64_t i = 0; i < p->n; i++) {
        if (p->fold[i] == m->out) continue;
        const float *x = features(p, i);
        for (int64_t k = 0; k < p->d; k++) out[k] += e[i] * (double)x[k];
        sum += e[i];
    }
    for (int64_t k = 0; k < p->d; k++) out[k] = m->scale[k] * (out[k] - m->mean[k] * sum) + RIDGE * w[k];
    out[p->d] = sum;
}

/* Minus log likelihood and penalty at w - t step; margin and change belong to w and step. */
static double objective(const model *m, double t)
{
    const problem *p = m->p;
    double sum = 0;
    for (int64_t k = 0; k < p->d; k++) {
        double w = m->w[k] - t * m->step[k];
        sum += RIDGE / 2 * w * w;
    }
    for (int64_t i = 0; i < p->n; i++) {
        if (p->fold[i] == m->out) continue;
        double at = m->margin[i] - t * m->change[i], against = p->is_real[i] ? -at : at;
        sum += fmax(against, 0) + log1p(exp(-fabs(against)));
    }
    return sum;
}

/* step = hessian^-1 gradient, nearly. */
static void solve(model *m)
{
    int64_t n = m->p->d + 1;
    memset(m->step, 0, (size_t)n * sizeof *m->step);
    memcpy(m->residual, m->gradient, (size_t)n * sizeof *m->step);
    memcpy(m->direction, m->gradient, (size_t)n * sizeof *m->step);
    double size = dot(m->residual, m->residual, n), enough = size * CG_TOLERANCE * CG_TOLERANCE;
    for (int i = 0; i < CG_STEPS && size > enough; i++) {
        multiply(m, m->direction, m->change);
        for (int64_t c = 0; c < m->p->n; c++) m->change[c] *= m->weight[c];
        multiply_transposed(m, m->change, m->direction, m->product);
        double curvature = dot(m->direction, m->product, n);
        if (!(curvature > 0)) break;
        double before = size, along = size / curvature;
        for (int64_t k = 0; k < n; k++) {
            m->step[k] += along * m->direction[k];
            m->residual[k] -= along * m->product[k];
        }
        size = dot(m->residual, m->residual, n);
        for (int64_t k = 0; k < n; k++) m->direction[k] = m->residual[k] + size / before * m->direction[k];
    }
}

static void fit(model *m)
{
    const problem *p = m->p;
    double first = 0;
    for (int newton = 0; newton < NEWTON_STEPS; newton++) {
        multiply(m, m->w, m->margin);
        for (int64_t i = 0; i < p->n; i++) {
            double chance = 1 / (1 + exp(-m->margin[i]));
            m->weight[i] = chance * (1 - chance);
            m->change[i] = chance - p->is_real[i];
        }
        multiply_transposed(m, m->change, m->w, m->gradient);
        double size = sqrt(dot(m->gradient, m->gradient, p->d + 1));
        if (newton == 0) first = size;
        if (size <= NEWTON_TOLERANCE * first) break;
        solve(m);
        multiply(m, m->step, m->change);
        double t = 1, now = objective(m, 0);
        for (int half = 0; half < HALVINGS && objective(m, t) > now; half++) t /= 2;
        for (int64_t k = 0; k <= p->d; k++) m->w[k] -= t * m->step[k];
    }
}

static void fit_fold(void *arg, int64_t block)
{
    const problem *p = arg;
    model m = {.p = p, .out = (int32_t)block};
    double *room = p->room + block * p->room_each;
    double **const by_feature[] = {&m.mean,     &m.scale,     &m.w,       &m.gradient, &m.step,
                                   &m.residual, &m.direction, &m.product, &m.scaled};
    double **const by_cell[] = {&m.margin, &m.weight, &m.change};
    for (size_t i = 0; i < sizeof by_feature / sizeof *by_feature; i++, room += p->d + 1) *by_feature[i] = room;
    for (size_t i = 0; i < sizeof by_cell / sizeof *by_cell; i++, room += p->n) *by_cell[i] = room;
    standardize(&m);
    fit(&m);
    multiply(&m, m.w, m.margin);
    for (int64_t i = 0; i < p->n; i++)
        if (p->fold[i] == m.out) p->scores[i] = m.margin[i];
}

/* Numbers count cells at `fold` out in random order. */
static void deal(uint64_t seed, uint32_t draws, int64_t count, int64_t *order, int32_t *fold)
{
    iso_permutation((iso_rng_key){seed, ISO_STREAM_MAP, draws}, count, order);
    for (int64_t i = 0; i < count; i++) fold[order[i]] = (int32_t)(i % FOLDS);
}

iso_status iso_two_sample_auc(iso_env *env, const float *a, int64_t na, const float *b, int64_t nb, int64_t d,
                              uint64_t seed, double *auc, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = na + nb, *order = NULL;
    int32_t *fold = NULL;
    uint8_t *is_real = NULL;
    problem p = {.a = a, .b = b, .na = na, .n = n, .d = d, .room_each = 9 * (d + 1) + 3 * n};
    *auc = (double)NAN;
    if (na < FOLDS || nb < FOLDS) return ISO_OK;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++)
            FAIL_IF(!isfinite(features(&p, i)[k]), ISO_EDATA,
                    "two-sample test: feature %lld of %s cell %lld is not finite", (long long)k,
                    i < na ? "real" : "generated", (long long)(i < na ? i : i - na));
    ALLOC(fold, n, sizeof *fold);
    ALLOC(order, n, sizeof *order);
    ALLOC(is_real, n, sizeof *is_real);
    ALLOC(p.scores, n, sizeof *p.scores);
    ALLOC(p.room, FOLDS * p.room_each, sizeof *p.room);
    memset(is_real, 1, (size_t)na);
    deal(seed, DRAWS_REAL, na, order, fold);
    deal(seed, DRAWS_GENERATED, nb, order, fold + na);
    p.fold = fold, p.is_real = is_real;
    iso_parallel(env, FOLDS, fit_fold, &p);
    FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted during the two-sample test");
    *auc = iso_auc(p.scores, is_real, n);
    /* Both classes are there and all scores are finite. */
    FAIL_IF(isnan(*auc), ISO_EMEMORY, "out of memory: the AUC of %lld scores", (long long)n);
done:
    iso_free(fold);
    iso_free(order);
    iso_free(is_real);
    iso_free(p.scores);
    iso_free(p.room);
    return st;
}
