/* poisson.c: counts without over-dispersion: log p = x log mu - mu - log x!.
 * Written as in Loader (2000), "Fast and accurate computation of binomial probabilities": large terms cancel on
 * paper, not in floating point. */
#include "laws.h"

#include <math.h>

static double log_p(double x, iso_lik_point p)
{
    if (x == 0) return -p.mean;
    return x * iso_log_ratio(p.mean, x, p.mean - x) + (x - p.mean) - iso_stirling_error(x) - 0.5 * log(2 * M_PI * x);
}

static double mean(iso_lik_point p) { return p.mean; }
static double variance(iso_lik_point p) { return p.mean; }
static double sample(iso_rng *r, iso_lik_point p) { return iso_rng_poisson(r, p.mean); }
static iso_lik_rows_fn *rows(const iso_kernels *k) { return k->poisson_rows; }

const iso_likelihood iso_likelihood_poisson = {
    .name = "poisson",
    .summary = "counts whose variance is their mean (deep or pooled data); no dispersion to learn",
    .counts = true,
    .log_p = log_p,
    .mean = mean,
    .variance = variance,
    .sample = sample,
    .rows = rows,
};
