/* folds.c: see folds.h. */
#include "folds.h"

#include <stdlib.h>
#include <string.h>

typedef struct class_info { int32_t label; int64_t first, size; } class_info;   /* first: its first cell */

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
static iso_status keep_labelled(const float *x, const int32_t *labels, int64_t n_all, iso_labelled *a, class_info **classes,
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
static iso_status deal_folds(iso_labelled *a, const class_info *classes, int folds, iso_error *err)
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

iso_status iso_labelled_of(const float *x, const int32_t *labels, int64_t n, int64_t d, int folds, iso_labelled *out, iso_error *err)
{
    iso_status st = ISO_OK;
    class_info *classes = NULL;
    *out = (iso_labelled){.d = d};
    TRY(keep_labelled(x, labels, n, out, &classes, err));
    TRY(deal_folds(out, classes, folds, err));
done:
    iso_free(classes);
    if (st) iso_labelled_clear(out);
    return st;
}

void iso_labelled_clear(iso_labelled *a)
{
    iso_free(a->x);
    iso_free(a->y);
    iso_free(a->fold);
    *a = (iso_labelled){0};
}
