/* image_laws.c: the laws of images alone; `gaussian` has its own file. Their loss is op/image_likelihood.c. */
#include "laws.h"

#include <math.h>

static double normal_log_p(double x, iso_lik_point p)
{
    double z = (x - p.mean) / p.dispersion;
    return -0.5 * z * z - log(p.dispersion) - 0.5 * log(2 * M_PI);
}
static double mean(iso_lik_point p) { return p.mean; }
static double normal_variance(iso_lik_point p) { return p.dispersion * p.dispersion; }
static double normal_sample(iso_rng *r, iso_lik_point p) { return p.mean + p.dispersion * iso_rng_normal(r); }

/* Poisson, continued to numbers of photons that are not whole, as gains and offsets are never exact. */
static double photon_log_p(double x, iso_lik_point p) { return x * log(p.mean) - p.mean - lgamma(x + 1); }
static double photon_variance(iso_lik_point p) { return p.mean; }
static double photon_sample(iso_rng *r, iso_lik_point p) { return iso_rng_poisson(r, p.mean); }

static const iso_image_law haar = {.haar = true}, photons = {.photons = true}, features = {.features = true}, fixed = {.sigma = 1};

const iso_likelihood iso_likelihood_wavelet = {
    .name = "wavelet",
    .summary = "images: Gaussian in an orthonormal Haar basis, one sigma a sub-band and channel; comparable with gaussian",
    .has_dispersion = true,
    .log_p = normal_log_p,
    .mean = mean,
    .variance = normal_variance,
    .sample = normal_sample,
    .image = &haar,
};
const iso_likelihood iso_likelihood_photon = {
    .name = "photon",
    .summary = "images: Poisson in photons, with the gain and offset of the camera; for few photons, with a grid",
    .log_p = photon_log_p,
    .mean = mean,
    .variance = photon_variance,
    .sample = photon_sample,
    .image = &photons,
};
const iso_likelihood iso_likelihood_mse = {
    .name = "mse",
    .summary = "images: squared error, sigma = 1: collapses and blurs; for contrast",
    .has_dispersion = true,
    .log_p = normal_log_p,
    .mean = mean,
    .variance = normal_variance,
    .sample = normal_sample,
    .image = &fixed,
};
const iso_likelihood iso_likelihood_feature = {
    .name = "feature",
    .summary = "images: gaussian, of pixels and of the responses of fixed random convolutions",
    .has_dispersion = true,
    .log_p = normal_log_p,
    .mean = mean,
    .variance = normal_variance,
    .sample = normal_sample,
    .image = &features,
};
