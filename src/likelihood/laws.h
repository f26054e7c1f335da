/* laws.h: the rows of the table, and what they share; for likelihood/ alone. */
#ifndef ISO_LAWS_H
#define ISO_LAWS_H

#include "likelihood.h"

extern const iso_likelihood iso_likelihood_poisson, iso_likelihood_nb, iso_likelihood_zinb, iso_likelihood_gaussian,
    iso_likelihood_gaussian_log1p, iso_likelihood_wavelet, iso_likelihood_photon, iso_likelihood_mse, iso_likelihood_feature;

static inline double iso_clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* log Gamma(z) - [(z - 1/2) log z - z + log(2 pi) / 2], the error of Stirling's formula, for z > 0. */
double iso_stirling_error(double z);
/* log(a / b), where a - b is known without cancellation. */
double iso_log_ratio(double a, double b, double a_less_b);
/* log(1 + e^x) */
double iso_softplus(double x);

/* The negative binomial's parts that the zero-inflated one builds on: theta as it is used (e^-20 .. e^20), log p. */
double iso_nb_theta(double theta);
double iso_nb_log_p(double x, double mu, double theta);

#endif
