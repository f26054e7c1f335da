/* knn_accuracy.c: how often the labels of a cell's neighbours tell its own; see map.h. The result is the mean of the folds'
 * accuracies, as cross_val_score().mean(). */
#include "folds.h"
#include "map.h"

#include <math.h>
#include <string.h>

/* The most frequent class of the k neighbours, the smallest of several. votes [n_classes] is zero before and after. */
static int32_t vote(const int32_t *index, const int32_t *y, int k, int32_t *votes)
{
    int32_t best = y[index[0]];
    for (int j = 0; j < k; j++) {
        int32_t c = y[index[j]];
        votes[c]++;
        if (votes[c] > votes[best] || (votes[c] == votes[best] && c < best)) best = c;
    }
    for (int j = 0; j < k; j++) votes[y[index[j]]] = 0;
    return best;
}

typedef struct fold_space {
    float *x, *q;                    /* [n, d] the other folds' cells; this fold's */
    int32_t *y, *truth;              /* [n] their classes */
    int32_t *index;                  /* [n, k] */
    float *distance;                 /* [n, k] */
    int32_t *votes;                  /* [n_classes] */
} fold_space;

/* NaN if the other folds have fewer than k cells. */
static iso_status score_fold(iso_env *env, const iso_labelled *a, int fold, int k, fold_space *s, double *accuracy,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t train = 0, test = 0, right = 0;
    for (int64_t i = 0; i < a->n; i++) {
        bool held_out = a->fold[i] == fold;
        int64_t to = held_out ? test++ : train++;
        memcpy((held_out ? s->q : s->x) + to * a->d, a->x + i * a->d, (size_t)a->d * sizeof *a->x);
        (held_out ? s->truth : s->y)[to] = a->y[i];
    }
    *accuracy = (double)NAN;
    if (train < k || test == 0) return ISO_OK;
    TRY(iso_knn_query(env, s->x, train, s->q, test, a->d, k, s->index, s->distance, err));
    for (int64_t i = 0; i < test; i++) right += vote(s->index + i * k, s->y, k, s->votes) == s->truth[i];
    *accuracy = (double)right / (double)test;
done:
    return st;
}

iso_status iso_knn_accuracy(iso_env *env, const float *x, const int32_t *labels, int64_t n, int64_t d, int k, int folds,
                            double *accuracy, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_labelled a = {0};
    fold_space s = {0};
    *accuracy = (double)NAN;
    FAIL_IF(n < 0 || n >= INT32_MAX || d < 1 || k < 1 || folds < 2, ISO_EUSAGE,
            "accuracy of neighbours: %lld cells of %lld values, k = %d, %d folds", (long long)n, (long long)d, k, folds);
    TRY(iso_labelled_of(x, labels, n, d, folds, &a, err));
    if (a.largest < folds || a.n <= k) goto done;          /* not defined: NaN */
    ALLOC(s.x, a.n, (size_t)d * sizeof *s.x);
    ALLOC(s.q, a.n, (size_t)d * sizeof *s.q);
    ALLOC(s.y, a.n, sizeof *s.y);
    ALLOC(s.truth, a.n, sizeof *s.truth);
    ALLOC(s.index, a.n, (size_t)k * sizeof *s.index);
    ALLOC(s.distance, a.n, (size_t)k * sizeof *s.distance);
    ALLOC(s.votes, a.n_classes, sizeof *s.votes);
    double sum = 0;
    for (int f = 0; f < folds; f++) {
        double one = (double)NAN;
        TRY(score_fold(env, &a, f, k, &s, &one, err));
        sum += one;
    }
    *accuracy = sum / folds;
done:
    iso_free(s.votes);
    iso_free(s.distance);
    iso_free(s.index);
    iso_free(s.truth);
    iso_free(s.y);
    iso_free(s.q);
    iso_free(s.x);
    iso_labelled_clear(&a);
    return st;
}
