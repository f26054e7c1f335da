/* gaussian_log1p.c: y = log(1 + 1e4 x / library) ~ N(mean, sigma), library = the cell's total. The scalar functions
 * speak of y, and so does the density: it is one of transformed data, without the Jacobian of the transformation. */
#include "laws.h"

static double log_p(double y, iso_lik_point p) { return iso_likelihood_gaussian.log_p(y, p); }
static double mean(iso_lik_point p) { return iso_likelihood_gaussian.mean(p); }
static double variance(iso_lik_point p) { return iso_likelihood_gaussian.variance(p); }
static double sample(iso_rng *r, iso_lik_point p) { return iso_likelihood_gaussian.sample(r, p); }
static iso_lik_rows_fn *rows(const iso_kernels *k) { return k->gaussian_log1p_rows; }

const iso_likelihood iso_likelihood_gaussian_log1p = {
    .name = "gaussian_log1p",
    .summary = "Gaussian on log1p of counts per 10,000; a density of transformed data: its ELBO is not comparable with "
               "the count likelihoods'",
    .has_dispersion = true,
    .log1p_data = true,
    .log_p = log_p,
    .mean = mean,
    .variance = variance,
    .sample = sample,
    .rows = rows,
};
