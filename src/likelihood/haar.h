/* haar.h: the orthonormal Haar transform of an image [height, width, channels], in place, and its sub-bands. */
#ifndef ISO_HAAR_H
#define ISO_HAAR_H

#include "base/base.h"

/* Levels: as often as both sides can be halved, at most 4. Sub-bands: 3 a level from the finest (in x, in y, in both), then the rest. */
int iso_haar_levels(int64_t height, int64_t width);
void iso_haar(real *x, int64_t height, int64_t width, int64_t channels, real *work);            /* work as large as x */
void iso_haar_inverse(real *x, int64_t height, int64_t width, int64_t channels, real *work);
/* The sub-band of the coefficient at (row, column). */
int iso_haar_band(int64_t height, int64_t width, int64_t row, int64_t column);

#endif
