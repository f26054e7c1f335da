/* mixture.h: is a cell what a mixture of known groups would look like? Tells doublets (a mixture explains them) from states
 * that were never observed (none does), which density alone cannot. */
#ifndef ISO_MIXTURE_H
#define ISO_MIXTURE_H

#include "model.h"

typedef struct iso_mixture {
    int64_t K, G;
    float *profile;               /* [G, K] counts per 10,000 of each group: the mean of what its cells decode to */
    float *weight;                /* [G] 1 / (mean profile + 0.05): squared residuals of genes are comparable */
    double *gram;                 /* [K, K] weighted inner products of the profiles */
} iso_mixture;

/* Groups codes [n] of 0..K-1 (-1: none) of cells with posterior means mu [n, n_latent]; at most 100 cells of a group are
 * decoded. Groups without cells stay empty. Count likelihoods alone. */
iso_status iso_mixture_new(iso_env *env, iso_model *m, const float *mu, const int32_t *codes, int64_t n, int32_t K, iso_mixture *out,
                           iso_error *err);
void iso_mixture_clear(iso_mixture *m);
/* Each row of x [n, G] as a non-negative mixture of the groups (least squares of counts per 10,000): second [n], the
 * second largest share; fit [n], the correlation of log1p(mixture) with log1p(cell); depth [n], the row's total, on which
 * both depend. */
iso_status iso_mixture_explain(iso_env *env, const iso_mixture *m, const iso_csr *x, double *second, double *fit, double *depth,
                               iso_error *err);

#endif
