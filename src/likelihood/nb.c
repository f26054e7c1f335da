/* nb.c: counts with over-dispersion, variance mu + mu^2 / theta:
 *   log p = log Gamma(x + t) - log Gamma(t) - log x! + t log(t / (t + mu)) + x log(mu / (t + mu)),   t = theta
 * For x > 0 in the saddle-point form of Loader (2000), "Fast and accurate computation of binomial probabilities",
 * which keeps its digits from t near 0 to t so large that the law is Poisson. */
#include "laws.h"

#include <math.h>

double iso_nb_theta(double theta) { return iso_clamp(theta, exp(-20), exp(20)); }

double iso_nb_log_p(double x, double mu, double theta)
{
    const double t = iso_nb_theta(theta);
    if (x == 0) return -t * log1p(mu / t);
    const double a = iso_log_ratio(x + t, t + mu, x - mu);
    const double b = iso_log_ratio(mu * (x + t), x * (t + mu), t * (mu - x));
    return t * a + x * b + iso_stirling_error(x + t) - iso_stirling_error(x) - iso_stirling_error(t) -
           0.5 * (log(2 * M_PI * x) + log((x + t) / t));
}

static double log_p(double x, iso_lik_point p) { return iso_nb_log_p(x, p.mean, p.dispersion); }
static double mean(iso_lik_point p) { return p.mean; }
static double variance(iso_lik_point p) { return p.mean * (1 + p.mean / iso_nb_theta(p.dispersion)); }

static double sample(iso_rng *r, iso_lik_point p)
{
    double t = iso_nb_theta(p.dispersion);
    return iso_rng_poisson(r, iso_rng_gamma(r, t) * p.mean / t);
}

static iso_lik_rows_fn *rows(const iso_kernels *k) { return k->nb_rows; }
static iso_lik_genes_fn *genes(const iso_kernels *k) { return k->nb_genes; }

const iso_likelihood iso_likelihood_nb = {
    .name = "nb",
    .summary = "negative binomial: counts with over-dispersion, the usual choice for UMI data",
    .counts = true,
    .has_dispersion = true,
    .log_p = log_p,
    .mean = mean,
    .variance = variance,
    .sample = sample,
    .rows = rows,
    .genes = genes,
};
