/* gmm.h: a density of a few hundred normal laws instead of one law a cell, for speed where cells are many.
 *
 * q(z) = sum over components k of w_k N(z; m_k, C_k), full covariances, fitted by EM to the cells' clouds N(mu_i, diag variance_i) rather
 * than to points: a component's covariance is the scatter of its cells' mu and the mean of their variances. Sources: Dempster, Laird &
 * Rubin 1977 (EM); Hoffman & Johnson 2016 (the aggregated posterior, which it is fitted to); Arthur & Vassilvitskii 2007 (k-means++). */
#ifndef ISO_GMM_H
#define ISO_GMM_H

#include "density.h"

/* Covariances have d^2 / 2 numbers: with more dimensions they are not to be had from cells. */
enum { ISO_GMM_DIMENSIONS = 50 };

/* The cells to fit: mu, variance [n, d] (variance NULL: 0). */
typedef struct iso_gmm_cells {
    const float *mu, *variance;
    int64_t n, d;
} iso_gmm_cells;

/* Fits K <= n components. The same bits for any number of threads. Duplicate cells and dimensions without any spread are no harm: every
 * covariance holds a thousandth of the cells' own in each dimension. ISO_EUSAGE: K < 1, K > n or d > ISO_GMM_DIMENSIONS; ISO_EDATA: a cell's
 * place is not finite. */
iso_status iso_gmm_fit(iso_env *env, const iso_gmm_cells *c, int64_t K, uint64_t seed, iso_density *out, iso_error *err);
/* Fits 64 components, and twice as many while that makes the held-out points [m, d] likelier by at least 0.01 nats a point, up to 256. */
iso_status iso_gmm_choose(iso_env *env, const iso_gmm_cells *c, const float *held_out, int64_t m, uint64_t seed, iso_density *out, iso_error *err);

#endif
