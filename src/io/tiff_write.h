/* tiff_write.h: one image as an OME-TIFF. */
#ifndef ISO_TIFF_WRITE_H
#define ISO_TIFF_WRITE_H

#include "images.h"

/* A page a channel, deflated, in the numbers that `set` says. pixels [channels, height, width] of one image of the set.
 */
iso_status iso_tiff_write(const char *path, const iso_images *set, const float *pixels, iso_error *err);

#endif
