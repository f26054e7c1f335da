/* image.h: operations on one plane of pixels: [height, width], row-major. Labels are 0 for the background, 1, 2, ...
 * for objects. */
#ifndef ISO_IMAGE_H
#define ISO_IMAGE_H

#include "base/base.h"

typedef struct iso_area {
    int64_t height, width;
} iso_area;

/* Where a line of n pixels that goes on as in a mirror has its i-th one: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ... */
int64_t iso_mirror(int64_t i, int64_t n);

/* Gaussian of width sigma, in place, mirrored at the border; cut off at 4 sigma. sigma 0: nothing. */
iso_status iso_blur(float *plane, iso_area a, double sigma, iso_error *err);

/* The threshold that splits n values into two classes of the greatest between-class variance: those above it are the
 * brighter one. Exact: no histogram. If all values are the same, that value. */
iso_status iso_otsu(const float *values, int64_t n, float *threshold, iso_error *err);

/* Distance of each pixel inside to the nearest one that is not; the world beyond the border counts as inside. */
iso_status iso_distance(const uint8_t *inside, iso_area a, float *distance, iso_error *err);

/* What is outside but not joined to the border (by edges of pixels) becomes inside. */
iso_status iso_fill_holes(uint8_t *inside, iso_area a, iso_error *err);

/* Cuts what is inside into the hills of `heights`: a hill is one of its own if its summit lies more than `least` times
 * its height above the pass to a higher one. labels [height, width]; *n: how many. */
iso_status iso_watershed(const float *heights, const uint8_t *inside, iso_area a, double least, int32_t *labels,
                         int32_t *n, iso_error *err);

/* An object's pixels; its box goes from (top, left) to before (bottom, right). */
typedef struct iso_object {
    int64_t pixels, top, left, bottom, right;
    double y, x; /* the mean of its pixels */
    bool cut;    /* it touches the border */
} iso_object;

/* objects [n]: that of label k at k - 1. Labels must be at most n. */
void iso_measure_objects(const int32_t *labels, iso_area a, int32_t n, iso_object *objects);

/* Objects of fewer than min_pixels pixels become background; the others are numbered anew, from 1. */
iso_status iso_drop_small(int32_t *labels, iso_area a, int64_t min_pixels, int32_t *n, iso_error *err);

/* Nuclei: smoothed (sigma), above Otsu's threshold, holes filled, touching ones cut apart by a watershed of the
 * distance to the background, small ones dropped. */
typedef struct iso_nuclei_how {
    double sigma;
    int64_t min_pixels;
} iso_nuclei_how;
iso_status iso_find_nuclei(const float *plane, iso_area a, iso_nuclei_how how, int32_t *labels, int32_t *n,
                           iso_error *err);

/* out [size, size]: the square around the pixel nearest to (y, x); beyond the border the plane is mirrored. */
void iso_crop(const float *plane, iso_area a, double y, double x, int64_t size, float *out);
/* The same square of one object's mask: 1 where the label is; nothing is mirrored. */
void iso_crop_mask(const int32_t *labels, iso_area a, int32_t label, double y, double x, int64_t size, uint8_t *out);

/* gain and offset of a camera, whose noise has the variance gain * (pixel - offset), from n planes of one channel, `stride` numbers
 * apart; false: the noise does not grow with brightness, or there are too few pixels. */
bool iso_photon_line(const float *pixels, iso_area a, int64_t n, int64_t stride, double *gain, double *offset);

/* Whether three channels are the red, green and blue of a colour picture. */
bool iso_is_rgb(int64_t channels, char *const *names);
/* What a channel adds to such a picture where it is brightest: red, green, blue [3]. */
const uint8_t *iso_channel_colour(int64_t channels, int64_t c, bool rgb);
/* pixels [channels, height, width] as a picture out [height, width, 3]: 0 at low, full at low + 1 / scale [channels]; rgb: of a
 * colour picture. NaN is white. */
void iso_composite(const float *pixels, int64_t channels, iso_area a, const float *low, const float *scale, bool rgb, uint8_t *out);

#endif
