/* quality.h: how sharp images are, and how like others. Planes are [height, width], row-major, in any unit. */
#ifndef ISO_QUALITY_H
#define ISO_QUALITY_H

#include "image.h"

/* Low, middle and high frequencies: from and to, in cycles a pixel; 0.5 is the finest that pixels can show. */
enum { ISO_BANDS = 3 };
extern const double iso_bands[ISO_BANDS][2];
/* power [channels, ISO_BANDS] of images [n, channels, height, width]: the squared Fourier transform of each plane less its mean,
 * averaged over the frequencies of a band and over the images. */
iso_status iso_band_power(iso_env *env, const float *images, int64_t n, int64_t channels, iso_area a, double *power, iso_error *err);

/* Structural similarity of two planes whose values range over `range` (Wang et al. 2004, doi:10.1109/TIP.2003.819861): a Gaussian
 * window of 11 x 11 pixels, sigma 1.5, wherever it lies inside; 1: the same. Sides of at least 11 pixels. */
iso_status iso_ssim(const float *a, const float *b, iso_area area, double range, double *out, iso_error *err);

/* What a fixed random network of three strided convolutions sees in images [n, channels, height, width], values around 0 to 1:
 * features [n, ISO_RANDOM_FEATURES], the means and standard
 * deviations over an image of each response. The same network for all who ask. Sides of at least 16. */
enum { ISO_RANDOM_FEATURES = 2 * (8 + 16 + 32) };
iso_status iso_random_features(iso_env *env, const float *images, int64_t n, int64_t channels, iso_area a, float *features, iso_error *err);

#endif
