/* knn_accuracy.c: how often the labels of a cell's neighbours tell its own; see map.h.
 *
 * The folds are those of scikit-learn's StratifiedKFold without shuffle: the labels, numbered by first appearance and
 * sorted, are dealt out to the folds in turn, which gives the size of each fold in each class; then the cells of a
 * class fill the folds in order. The result is the mean of the folds' accuracies, as cross_val_score().mean(). */
#include "map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct labelled {
    int64_t n, d;                    /* cells with a label */
    float *x;                        /* [n, d] */
    int32_t *y;                      /* [n] class: the rank of the label */
    int32_t *fold;                   /* [n] */
    int32_t n_classes;
    int64_t largest;                 /* cells of the largest class */
} labelled;

typedef struct class_info { int32_t label; int64_t first, size; } class_info;   /* first: its first cell */

static void labelled_free(labelled *a)
{
    iso_free(a->x);
    iso_free(a->y);
    iso_free(a->fold);
}

static int by_label(const void *a, const void *b)
{
    const class_info *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_first(const void *a, const void *b)
{
    const class_info *const *x = a, *const *y = b;
    return ((*x)->first > (*y)->first) - ((*x)->first < (*y)->first);
}

/* The cells with a label; y, n_classes; classes [n] by rising label. */
static iso_status keep_labelled(const float *x, const int32_t *labels, int64_t n_all, labelled *a, class_info **classes,
                                iso_error *err)
{
    iso_status st = ISO_OK;
    class_info *c = NULL;
    for (int64_t i = 0; i < n_all; i++) a->n += labels[i] >= 0;
    ALLOC(a->x, a->n, (size_t)a->d * sizeof *a->x);
    ALLOC(a->y, a->n, sizeof *a->y);
    ALLOC(a->fold, a->n, sizeof *a->fold);
    ALLOC(*classes, a->n, sizeof **classes);
    c = *classes;
    for (int64_t i = 0, to = 0; i < n_all; i++) {
        if (labels[i] < 0) continue;
        memcpy(a->x + to * a->d, x + i * a->d, (size_t)a->d * sizeof *x);
        c[to] = (class_info){.label = labels[i], .first = to, .size = 1};
        to++;
    }
    qsort(c, (size_t)a->n, sizeof *c, by_label);
    for (int64_t i = 0; i < a->n; i++) {
        if (a->n_classes > 0 && c[a->n_classes - 1].label == c[i].label) c[a->n_classes - 1].size++;
        else {
            class_info fresh = c[i];         /* of one label the first cell comes first */
            c[a->n_classes++] = fresh;
        }
        a->y[c[i].first] = a->n_classes - 1;
    }
    for (int32_t k = 0; k < a->n_classes; k++)
        if (c[k].size > a->largest) a->largest = c[k].size;
done:
    return st;
}

/* fold [n], from the classes in order of appearance. */
static iso_status deal_folds(labelled *a, const class_info *classes, int folds, iso_error *err)
{
    iso_status st = ISO_OK;
    const class_info **order = NULL;         /* [n_classes] by first appearance */
    int64_t *left = NULL;                    /* [n_classes, folds] cells of a class that a fold still takes */
    ALLOC(order, a->n_classes, sizeof *order);
    ALLOC(left, a->n_classes, (size_t)folds * sizeof *left);
    for (int32_t k = 0; k < a->n_classes; k++) order[k] = &classes[k];
    qsort(order, (size_t)a->n_classes, sizeof *order, by_first);
    int64_t dealt = 0;
    for (int32_t k = 0; k < a->n_classes; k++)
        for (int64_t i = 0; i < order[k]->size; i++) left[(order[k] - classes) * folds + dealt++ % folds]++;
    for (int64_t i = 0; i < a->n; i++) {
        int64_t *of_class = left + (int64_t)a->y[i] * folds;
        while (of_class[a->fold[i]] == 0) a->fold[i]++;
        of_class[a->fold[i]]--;
    }
done:
    iso_free(left);
    iso_free(order);
    return st;
}

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
static iso_status score_fold(iso_env *env, const labelled *a, int fold, int k, fold_space *s, double *accuracy,
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
    labelled a = {.d = d};
    class_info *classes = NULL;
    fold_space s = {0};
    *accuracy = (double)NAN;
    FAIL_IF(n < 0 || n >= INT32_MAX || d < 1 || k < 1 || folds < 2, ISO_EUSAGE,
            "accuracy of neighbours: %lld cells of %lld values, k = %d, %d folds", (long long)n, (long long)d, k, folds);
    TRY(keep_labelled(x, labels, n, &a, &classes, err));
    if (a.largest < folds || a.n <= k) goto done;          /* not defined: NaN */
    TRY(deal_folds(&a, classes, folds, err));
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
    iso_free(classes);
    labelled_free(&a);
    return st;
}
