/* route.h: ways from one place of a latent space to another. */
#ifndef ISO_ROUTE_H
#define ISO_ROUTE_H

#include "support.h"

/* n points of the straight line from a to b [n_latent], both included, into z [n, n_latent]. */
void iso_route_straight(const float *a, const float *b, int64_t n_latent, int64_t n, float *z);

/* n points of a way from a to b along the data: the shortest path over cells of the run, each joined to its neighbours. A
 * step between two cells is as long as what they decode to differs: the Fisher-Rao length 2 arccos sum sqrt(p q) of the
 * shares of counts p and q, or the Euclidean one for Gaussian laws; up to five times that where its middle lies in a
 * void. Points are evenly spaced in that length, without the factor. At most 2,000 training cells take part. */
iso_status iso_route_data(iso_env *env, const iso_run_cells *r, const iso_support *s, const float *a, const float *b, int64_t n,
                          float *z, iso_error *err);

/* Share of n points z whose p-value is at most 5 %. */
iso_status iso_route_in_voids(iso_env *env, const iso_support *s, const float *z, int64_t n, double *share, iso_error *err);

#endif
