/* gaussian.c: real values: x ~ N(mean, sigma); the mean is the decoder's output itself. sigma is used within
 * e^-7 .. e^7. */
#include "laws.h"

#include <math.h>

static double sigma(iso_lik_point p) { return iso_clamp(p.dispersion, exp(-7), exp(7)); }

static double log_p(double x, iso_lik_point p)
{
    double z = (x - p.mean) / sigma(p);
    return -0.5 * z * z - log(sigma(p)) - 0.5 * log(2 * M_PI);
}

static double mean(iso_lik_point p) { return p.mean; }
static double variance(iso_lik_point p) { return sigma(p) * sigma(p); }
static double sample(iso_rng *r, iso_lik_point p) { return p.mean + sigma(p) * iso_rng_normal(r); }
static iso_lik_rows_fn *rows(const iso_kernels *k) { return k->gaussian_rows; }

/* Of images: one sigma a channel, in closed form (Rybkin et al. 2021, arXiv:2006.13202). */
static const iso_image_law image = {0};

const iso_likelihood iso_likelihood_gaussian = {
    .name = "gaussian",
    .summary = "real values as they are (already normalised data, proteins, scores), one sigma a gene; images: one sigma a channel",
    .has_dispersion = true,
    .log_p = log_p,
    .mean = mean,
    .variance = variance,
    .sample = sample,
    .rows = rows,
    .image = &image,
};
