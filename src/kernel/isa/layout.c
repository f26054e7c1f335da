/* layout.c: one step of ISO_LANES points of a two-dimensional layout; see map/umap.c. Each point comes nearer to one
 * other, then leaves others, all of these at once. The likeness of two points at squared distance s is 1 / (1 + a s^b).
 */
#include "isa.h"
#include "vmath.h"

static const real CLIP = 4;              /* of a move along either axis */
static const real LEAST = (real)1e-20;   /* squared distance; has a logarithm */
static const real NEAR = (real)0.001;    /* keeps the push of a point nearby finite */

static inline real clipped(real v)
{
    v = v < CLIP ? v : CLIP;
    return v > -CLIP ? v : -CLIP;
}

/* a s^b */
static inline real power(const iso_layout_curve *c, real s) { return c->a * real_exp(c->b * real_log(s)); }

void KERNEL(layout_step)(const iso_layout_curve *c, const real *rate, int n_repel, const real *ox, const real *oy,
                         real *restrict x, real *restrict y)
{
    real mx[ISO_LANES] = {0}, my[ISO_LANES] = {0};
    for (int l = 0; l < ISO_LANES; l++) {
        real dx = x[l] - ox[l], dy = y[l] - oy[l], s = dx * dx + dy * dy;
        s = s > LEAST ? s : LEAST;
        real p = power(c, s), force = -2 * c->b * p / (s * (1 + p));         /* gradient of log likeness */
        x[l] += rate[l] * clipped(force * dx);
        y[l] += rate[l] * clipped(force * dy);
    }
    for (int k = 1; k <= n_repel; k++)
        for (int l = 0; l < ISO_LANES; l++) {
            real dx = x[l] - ox[k * ISO_LANES + l], dy = y[l] - oy[k * ISO_LANES + l], s = dx * dx + dy * dy;
            s = s > LEAST ? s : LEAST;
            real force = 2 * c->b / ((NEAR + s) * (1 + power(c, s)));        /* gradient of log(1 - likeness) */
            mx[l] += clipped(force * dx);
            my[l] += clipped(force * dy);
        }
    for (int l = 0; l < ISO_LANES; l++) {
        x[l] += rate[l] * mx[l];
        y[l] += rate[l] * my[l];
    }
}
