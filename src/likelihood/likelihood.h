/* likelihood.h: what a decoder's law is. A likelihood is one row of likelihood/table.c.
 *
 * Parameters of one value x (one cell, one gene):
 *   mean        mu: expected count = library * softmax(mean logits), or the Gaussian mean
 *   dispersion  theta = exp(.) for NB laws (variance mu + mu^2 / theta), sigma = exp(.) for Gaussian laws
 *   dropout     logit of the zero-inflation probability
 * The scalar functions take the natural parameters in double and are the readable reference. */
#ifndef ISO_LIKELIHOOD_H
#define ISO_LIKELIHOOD_H

#include "base/base.h"
#include "base/rng.h"
#include "kernel/kernel.h"

typedef struct iso_lik_point {
    double mean, dispersion, dropout;
} iso_lik_point; /* dispersion: theta or sigma itself */

/* How a law speaks of images, whose values stand in pixels scaled to about 0 .. 1; see op/image_likelihood.c. */
typedef struct iso_image_law {
    bool haar;                    /* of the Haar coefficients of mean and image, one sigma a sub-band; else of pixels */
    bool photons;                 /* of photons: Poisson; without sigma */
    bool features;                /* of the responses of fixed random convolutions, too */
    double sigma;                 /* > 0: not learned */
} iso_image_law;

typedef struct iso_likelihood {
    const char *name;             /* as the user types it */
    const char *summary;          /* what it is for, one line of help */
    bool counts;                  /* needs non-negative integers; mean head goes through softmax * library */
    bool has_dispersion, has_dropout;
    bool log1p_data;              /* the law speaks of log1p(x / library * 1e4), not of x */
    real init_dispersion;         /* scvi-tools draws N(0, 1) for NB; Gaussian laws start at log sigma = this */
    double (*log_p)(double x, iso_lik_point p);
    double (*mean)(iso_lik_point p);
    double (*variance)(iso_lik_point p);
    double (*sample)(iso_rng *r, iso_lik_point p);
    iso_lik_rows_fn *(*rows)(const iso_kernels *k);       /* its loop at a CPU level; NULL: for images alone */
    iso_lik_genes_fn *(*genes)(const iso_kernels *k);     /* its loop for heads that lie genes first, in training; NULL: it has none */
    const iso_image_law *image;   /* NULL: not for images */
} iso_likelihood;

extern const iso_likelihood *const iso_likelihoods[];     /* ends with NULL */
/* By name; ISO_EUSAGE that lists the known ones. */
iso_status iso_likelihood_find(const char *name, const iso_likelihood **out, iso_error *err);

#endif
