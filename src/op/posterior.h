/* posterior.h: how the encoder's two heads become a normal law, for the ops that read them:
 * mean = mu, variance = exp(raw) + 1e-4 (scvi-tools), with raw held to +-20 (its gradient outside is 0). */
#ifndef ISO_POSTERIOR_H
#define ISO_POSTERIOR_H

#include "base/base.h"

#include <math.h>

#define ISO_VARIANCE_FLOOR 1e-4
#define ISO_RAW_LIMIT 20

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

#endif
