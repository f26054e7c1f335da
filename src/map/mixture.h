/* mixture.h: is a state what a mixture of known groups would look like? Tells doublets (a mixture explains them) from states
 * that were never observed (none does), which density alone cannot. */
#ifndef ISO_MIXTURE_H
#define ISO_MIXTURE_H

#include "io/dataset.h"

typedef struct iso_mixture {
    int64_t K, G;
    float *profile;               /* [G, K] counts per 10,000 of each group */
    float *against;               /* [G, K] M p of the profiles p, where M weighs residuals; see iso_mixture_learn */
    double *gram;                 /* [K, K] p' M p */
} iso_mixture;

/* How a state is explained: its two largest shares (group -1: none), the correlation of log1p(mixture) with log1p(state),
 * and the state's counts, on which both depend. */
typedef struct iso_mixed {
    int32_t group[2];
    double share[2], fit, depth;
} iso_mixed;

/* From counts x [n, G] of groups codes [n] of 0 .. K-1 (-1: none). A profile is the group's counts in all, per 10,000. Residuals r of
 * cells within their groups say what M must be for r' M r to treat all directions alike: the variance of each gene, and the
 * ten directions of largest variance beyond it, along which cells of a group differ together and a mixture of groups is not to
 * be read (a whitening as in linear discriminant analysis; Fisher 1936). At most 4,000 cells tell it, evenly spaced. Groups without
 * cells stay empty. */
iso_status iso_mixture_learn(iso_env *env, const iso_csr *x, const int32_t *codes, int64_t K, uint64_t seed, iso_mixture *out, iso_error *err);
/* From a learned mixture's profile and against, [G, K] each. */
iso_status iso_mixture_set(const float *profile, const float *against, int64_t K, int64_t G, iso_mixture *out, iso_error *err);
void iso_mixture_clear(iso_mixture *m);
/* Each row of x [n, G] as a non-negative mixture of the groups (least squares of counts per 10,000): out [n]. */
iso_status iso_mixture_explain(iso_env *env, const iso_mixture *m, const iso_csr *x, iso_mixed *out, iso_error *err);
/* The same of n states, dense [n, G], shares of counts. */
iso_status iso_mixture_explain_dense(iso_env *env, const iso_mixture *m, const float *dense, int64_t n, iso_mixed *out, iso_error *err);

#endif
