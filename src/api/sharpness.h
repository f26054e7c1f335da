/* sharpness.h: how sharp and how true the images are that a model reconstructs and generates. */
#ifndef ISO_SHARPNESS_H
#define ISO_SHARPNESS_H

#include "image/quality.h"
#include "model.h"

/* Of held-out images against their reconstructions, of generated images, and of as many training images as the measure of what is
 * possible. Power ratios are means over channels, in iso_bands. NaN: not measured. */
typedef struct iso_sharpness {
    int64_t n;                                     /* held-out images looked at; 0: nothing was measured */
    double psnr, ssim;                             /* dB; of the range that the model takes for 0 to 1 */
    double reconstructed[ISO_BANDS], generated[ISO_BANDS], training[ISO_BANDS];
    double frechet, frechet_reconstructed, frechet_floor;          /* of random features, to the held-out images */
} iso_sharpness;

/* Images [n, channels, height, width] in the files' units: held-out ones, their reconstructions, and n generated and n training ones;
 * each of the last three may be NULL. */
typedef struct iso_sides { int64_t n; const float *held_out, *reconstructed, *generated, *training; } iso_sides;
iso_status iso_sharpness_of(iso_env *env, const iso_image_terms *t, const iso_sides *s, iso_sharpness *out, iso_error *err);

/* The images of a set that are looked at: held-out ones, evenly spaced, and as many training ones; *n is the number of each. */
typedef struct iso_looked { int64_t n, *held_out, *training; } iso_looked;
iso_status iso_looked_of(const iso_split *p, iso_looked *out, iso_error *err);
void iso_looked_clear(iso_looked *l);
/* Pixels of some of the images of d. */
iso_status iso_take_images(const iso_images *im, const int64_t *index, int64_t n, float **pixels, iso_error *err);

/* Pixels of the looked-at held-out images as f reconstructs them, and of as many that it generates from where the training images are (an
 * autoencoder: none). e: of f's images; mu, variance [images, n_latent]. */
iso_status iso_looked_made(iso_env *env, iso_fitted *f, iso_evaluator *e, const iso_looked *l, const float *mu, const float *variance, uint64_t seed,
                           float **reconstructed, float **generated, iso_error *err);
/* Of a fitted model: mu, variance [images, n_latent]. */
iso_status iso_sharpness_of_model(iso_env *env, const iso_images *im, iso_fitted *f, iso_evaluator *e, const float *mu, const float *variance,
                                  uint64_t seed, iso_sharpness *out, iso_error *err);
/* Held-out -ELBO in bits a pixel and channel, of densities in the files' units; comparable within a law alone. */
double iso_bits_per_dim(const iso_model *m);

#endif
