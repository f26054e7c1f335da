/* linear_probe.c: how well a linear rule tells labels from places; see map.h.
 *
 * Ridge regression of each class's membership on standardised coordinates; the class with the greatest response is the answer, as
 * scikit-learn's RidgeClassifier after StandardScaler. Closed form, so it has nothing to tune and gives the same bits each time. */
#include "folds.h"
#include "map.h"

#include <math.h>
#include <string.h>

static const double RIDGE = 1;

typedef struct probe {
    const iso_labelled *a;
    int fold;                     /* held out */
    int64_t d, c;                 /* coordinates; classes */
    double *mean, *scale;         /* [d] */
    double *row;                  /* [d] one cell, standardised */
    double *gram;                 /* [d, d], then its Cholesky factor */
    double *w;                    /* [d, c] */
    double *share;                /* [c] of the cells in training: the intercepts */
} probe;

static iso_status open_probe(probe *p, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(p->mean, p->d, sizeof(double));
    ALLOC(p->scale, p->d, sizeof(double));
    ALLOC(p->row, p->d, sizeof(double));
    ALLOC(p->gram, p->d * p->d, sizeof(double));
    ALLOC(p->w, p->d * p->c, sizeof(double));
    ALLOC(p->share, p->c, sizeof(double));
done:
    return st;
}

static void close_probe(probe *p)
{
    iso_free(p->mean);
    iso_free(p->scale);
    iso_free(p->row);
    iso_free(p->gram);
    iso_free(p->w);
    iso_free(p->share);
}

static void standardize(probe *p, double n)
{
    const iso_labelled *a = p->a;
    memset(p->mean, 0, (size_t)p->d * sizeof(double));
    memset(p->scale, 0, (size_t)p->d * sizeof(double));
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t k = 0; a->fold[i] != p->fold && k < p->d; k++) p->mean[k] += (double)a->x[i * p->d + k] / n;
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t k = 0; a->fold[i] != p->fold && k < p->d; k++) p->scale[k] += pow((double)a->x[i * p->d + k] - p->mean[k], 2) / n;
    for (int64_t k = 0; k < p->d; k++) p->scale[k] = p->scale[k] > 0 ? 1 / sqrt(p->scale[k]) : 1;
}

static void take_row(probe *p, int64_t i)
{
    for (int64_t k = 0; k < p->d; k++) p->row[k] = ((double)p->a->x[i * p->d + k] - p->mean[k]) * p->scale[k];
}

/* gram = X^T X + RIDGE; w = X^T Y. Coordinates have mean 0, so the intercepts are the classes' shares. */
static void add_up(probe *p, double n)
{
    memset(p->gram, 0, (size_t)(p->d * p->d) * sizeof(double));
    memset(p->w, 0, (size_t)(p->d * p->c) * sizeof(double));
    memset(p->share, 0, (size_t)p->c * sizeof(double));
    for (int64_t i = 0; i < p->a->n; i++) {
        if (p->a->fold[i] == p->fold) continue;
        take_row(p, i);
        p->share[p->a->y[i]] += 1 / n;
        for (int64_t k = 0; k < p->d; k++) {
            p->w[k * p->c + p->a->y[i]] += p->row[k];
            for (int64_t l = 0; l <= k; l++) p->gram[k * p->d + l] += p->row[k] * p->row[l];
        }
    }
    for (int64_t k = 0; k < p->d; k++) p->gram[k * p->d + k] += RIDGE;
}

/* w = gram^-1 w, by a Cholesky factor L in gram's lower half. */
static void solve(probe *p)
{
    double *L = p->gram, *w = p->w;
    int64_t d = p->d, c = p->c;
    for (int64_t j = 0; j < d; j++)
        for (int64_t i = j; i < d; i++) {
            for (int64_t k = 0; k < j; k++) L[i * d + j] -= L[i * d + k] * L[j * d + k];
            L[i * d + j] = i == j ? sqrt(L[j * d + j]) : L[i * d + j] / L[j * d + j];
        }
    for (int64_t i = 0; i < d; i++)
        for (int64_t m = 0; m < c; m++) {
            for (int64_t k = 0; k < i; k++) w[i * c + m] -= L[i * d + k] * w[k * c + m];
            w[i * c + m] /= L[i * d + i];
        }
    for (int64_t i = d - 1; i >= 0; i--)
        for (int64_t m = 0; m < c; m++) {
            for (int64_t k = i + 1; k < d; k++) w[i * c + m] -= L[k * d + i] * w[k * c + m];
            w[i * c + m] /= L[i * d + i];
        }
}

static int32_t answer(probe *p, int64_t i)
{
    int32_t best = 0;
    double most = -HUGE_VAL;
    take_row(p, i);
    for (int32_t m = 0; m < p->c; m++) {
        double response = p->share[m];
        for (int64_t k = 0; k < p->d; k++) response += p->row[k] * p->w[k * p->c + m];
        if (response > most) most = response, best = m;
    }
    return best;
}

/* Accuracy on the fold that is held out; NaN if it or the others are empty. */
static double score_fold(probe *p)
{
    int64_t test = 0, right = 0;
    for (int64_t i = 0; i < p->a->n; i++) test += p->a->fold[i] == p->fold;
    double n = (double)(p->a->n - test);
    if (test == 0 || n < 1) return (double)NAN;
    standardize(p, n);
    add_up(p, n);
    solve(p);
    for (int64_t i = 0; i < p->a->n; i++) right += p->a->fold[i] == p->fold && answer(p, i) == p->a->y[i];
    return (double)right / (double)test;
}

iso_status iso_linear_probe(const float *x, const int32_t *labels, int64_t n, int64_t d, int folds, double *accuracy, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_labelled a = {0};
    probe p = {.a = &a, .d = d};
    double sum = 0;
    *accuracy = (double)NAN;
    FAIL_IF(n < 0 || n >= INT32_MAX || d < 1 || folds < 2, ISO_EUSAGE, "linear probe: %lld cells of %lld values, %d folds", (long long)n, (long long)d, folds);
    TRY(iso_labelled_of(x, labels, n, d, folds, &a, err));
    if (a.largest < folds) goto done;                    /* not defined: NaN */
    p.c = a.n_classes;
    TRY(open_probe(&p, err));
    for (p.fold = 0; p.fold < folds; p.fold++) sum += score_fold(&p);
    *accuracy = sum / folds;
done:
    close_probe(&p);
    iso_labelled_clear(&a);
    return st;
}
