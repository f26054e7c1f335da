/* mixture.h: is a state what a mixture of known groups would look like? Tells doublets (a mixture explains them) from states
 * that were never observed (none does), which density alone cannot. */
#ifndef ISO_MIXTURE_H
#define ISO_MIXTURE_H

#include "io/dataset.h"

typedef struct iso_mixture {
    int64_t K, G;
    float *profile;               /* [G, K] counts per 10,000 of each group */
    float *weight;                /* [G] of squared residuals, so that those of all genes are comparable */
    double *gram;                 /* [K, K] weighted inner products of the profiles */
} iso_mixture;

/* How a state is explained: its two largest shares (group -1: none), the correlation of log1p(mixture) with log1p(state),
 * and the state's counts, on which both depend. */
typedef struct iso_mixed {
    int32_t group[2];
    double share[2], fit, depth;
} iso_mixed;

/* Groups with mean profiles [K, G], shares of a cell's counts; a group of zeros stays empty. */
iso_status iso_mixture_new(const float *profiles, int64_t K, int64_t G, iso_mixture *out, iso_error *err);
void iso_mixture_clear(iso_mixture *m);
/* Each row of x [n, G] as a non-negative mixture of the groups (least squares of counts per 10,000): out [n]. */
iso_status iso_mixture_explain(iso_env *env, const iso_mixture *m, const iso_csr *x, iso_mixed *out, iso_error *err);
/* The same of n states, dense [n, G], shares of counts. */
iso_status iso_mixture_explain_dense(iso_env *env, const iso_mixture *m, const float *dense, int64_t n, iso_mixed *out, iso_error *err);

#endif
