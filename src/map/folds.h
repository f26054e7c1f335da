/* folds.h: cells with labels, dealt out to folds, for scores of a space by cross-validation. */
#ifndef ISO_FOLDS_H
#define ISO_FOLDS_H

#include "base/base.h"

typedef struct iso_labelled {
    int64_t n, d;                    /* cells with a label */
    float *x;                        /* [n, d] */
    int32_t *y;                      /* [n] class: the rank of the label */
    int32_t *fold;                   /* [n] */
    int32_t n_classes;
    int64_t largest;                 /* cells of the largest class */
} iso_labelled;

/* The cells of x [n, d] with a label, those of labels [n] below 0 left out. The folds are those of scikit-learn's StratifiedKFold
 * without shuffle: the labels, numbered by first appearance and sorted, are dealt out to the folds in turn, which gives the size
 * of each fold in each class; then the cells of a class fill the folds in order. */
iso_status iso_labelled_of(const float *x, const int32_t *labels, int64_t n, int64_t d, int folds, iso_labelled *out, iso_error *err);
void iso_labelled_clear(iso_labelled *a);

#endif
