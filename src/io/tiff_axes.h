/* tiff_axes.h: which page of a TIFF is which channel of which image; for io/ alone. */
#ifndef ISO_TIFF_AXES_H
#define ISO_TIFF_AXES_H

#include "base/base.h"

/* Pages in file order: channel (page / stride) % channels of image (page / (stride channels)) stride + page % stride.
 */
typedef struct tiff_axes {
    int64_t channels;   /* pages that make one image */
    int64_t stride;     /* pages from one channel to the next */
    int64_t pages;      /* as described; 0: nothing is said */
    const char *source; /* who describes them: "OME-XML", ... */
    int64_t n_names;    /* names of channels, 0 or one each */
    char **names;
} tiff_axes;

/* description: the ImageDescription of the first page, or NULL; samples: of a page's pixel. */
iso_status tiff_axes_find(const char *path, const char *description, int64_t samples, tiff_axes *a, iso_error *err);
void tiff_axes_clear(tiff_axes *a);

#endif
