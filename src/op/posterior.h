/* posterior.h: how the encoder's two heads become a normal law, for the ops that read them:
 * mean = mu, variance = exp(raw) + 1e-4 (scvi-tools), with raw held to +-20 (its gradient outside is 0). */
#ifndef ISO_POSTERIOR_H
#define ISO_POSTERIOR_H

#include "kernel/kernel.h"

#include <math.h>

static inline double iso_raw_exp(real raw)
{
    return exp((double)(raw > ISO_RAW_LIMIT ? ISO_RAW_LIMIT : raw < -ISO_RAW_LIMIT ? -ISO_RAW_LIMIT : raw));
}
static inline double iso_posterior_variance(real raw) { return iso_raw_exp(raw) + ISO_VARIANCE_FLOOR; }
/* d variance / d raw */
static inline double iso_posterior_slope(real raw)
{
    return raw > ISO_RAW_LIMIT || raw < -ISO_RAW_LIMIT ? 0 : iso_raw_exp(raw);
}

/* exp(raw) of n values, held as above: the slope, and less the floor the variance. */
static inline void iso_raw_exps(const iso_kernels *k, const real *raw, real *out, int64_t n)
{
    const real least = (real)2.0611536224385578e-9, most = (real)485165195.40979028;     /* e^-20, e^20 */
    k->vexp(raw, out, n);
    for (int64_t i = 0; i < n; i++) out[i] = out[i] < least ? least : out[i] > most ? most : out[i];
}
static inline real iso_slope_of(real raw, real raw_exp) { return raw > ISO_RAW_LIMIT || raw < -ISO_RAW_LIMIT ? 0 : raw_exp; }

#endif
