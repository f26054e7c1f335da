/* centers.h: centres that are spread over points, for a fit to begin with. */
#ifndef ISO_CENTERS_H
#define ISO_CENTERS_H

#include "base/base.h"

/* k-means++ (Arthur & Vassilvitskii 2007), with a few tries for each centre: K of the points x [n, d], centers [K, d]. *left: the mean
 * squared distance of a point from its nearest centre. Where points are fewer than K or the same, centres are the same. */
iso_status iso_centers(const double *x, int64_t n, int64_t d, int64_t K, uint64_t seed, double *centers, double *left, iso_error *err);

#endif
