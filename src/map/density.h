/* density.h: where cells are: the aggregated posterior of a set of cells, q(z) = mean over cells i of
 * N(z; mu_i, diag(variance_i + h^2)), and how low it must fall to be called a void.
 *
 * Low density says "never observed in these data", not "impossible". The density belongs to the coordinates of z: it is
 * compared between points of one map alone. Source: Hoffman & Johnson 2016 (aggregated posterior); Tomczak & Welling
 * 2018. The width h is chosen so that held-out cells are most likely.
 *
 * The components need not be cells: map/gmm.h makes a density of a few hundred normal laws with covariances of their own, for
 * speed. All calls but iso_density_new and iso_density_bandwidth serve both. */
#ifndef ISO_DENSITY_H
#define ISO_DENSITY_H

#include "base/base.h"

typedef struct iso_density {
    int64_t n;
    int64_t d;
    double bandwidth;         /* h; of a fitted mixture: the usual width of a cell's cloud */
    float *center;            /* [d, n] mu, by dimension */
    float *precision;         /* [d, n] 1 / (variance + h^2); NULL where whiten is there */
    float *whiten;            /* [d (d + 1) / 2, n] W by rows, lower triangular: W'W is the inverse of a component's covariance; or NULL */
    float *cloud;             /* [d, n] with whiten: the mean variance of the clouds of a component's cells */
    float *log_weight;        /* [n] log of a component's share (of cells: 1/n), and the normal laws' constants */
} iso_density;

/* mu, variance [n, d]; variance NULL: 0. h > 0. */
iso_status iso_density_new(const float *mu, const float *variance, int64_t n, int64_t d, double h, iso_density *out,
                           iso_error *err);
void iso_density_clear(iso_density *q);
/* log q(z) of m points z [m, d] into log_q [m]. own [m] (NULL: none): the component that is left out for each point, or
 * -1: a cell does not vouch for itself. Cost: m n d. */
iso_status iso_density_log(iso_env *env, const iso_density *q, const float *z, int64_t m, const int64_t *own, double *log_q,
                           iso_error *err);
/* The width of 1e-3 .. 2 that makes the mean log q of the held-out points [m, d] largest; with m = 0, of the cells
 * themselves, each left out. At most 2,000 points are used, evenly spaced. */
iso_status iso_density_bandwidth(iso_env *env, const float *mu, const float *variance, int64_t n, int64_t d, const float *held_out,
                                 int64_t m, double *h, iso_error *err);
/* A step of mean shift: moves z [d] to the mean of the components, weighted by how likely each is to have made z. The components of
 * a fitted mixture are too wide for that: there z goes as far as the clouds of their cells would move it, cloud times the slope of log q. */
iso_status iso_density_step(const iso_density *q, float *z, iso_error *err);
/* Climbs from z [d] to the nearest peak of q by mean shift (Carreira-Perpinan 2000), z is overwritten. */
iso_status iso_density_climb(const iso_density *q, float *z, iso_error *err);

#endif
