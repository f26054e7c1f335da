/* gallery.h: pictures of what a model of images does, for its report. */
#ifndef ISO_GALLERY_H
#define ISO_GALLERY_H

#include "run.h"

enum { ISO_MOST_PICTURES = 8 };

typedef struct iso_picture_shown {
    const char *title;
    char *text;                           /* what is to be seen */
    uint8_t *png;
    size_t bytes;
    int64_t width, height, zoom;          /* zoom: each pixel is best shown as so many */
} iso_picture_shown;

typedef struct iso_gallery {
    int n;
    iso_picture_shown pictures[ISO_MOST_PICTURES];
} iso_gallery;

/* Originals and reconstructions, samples, prototypes, ways between groups, traversals of z, and the map drawn with images. view, j: as
 * the commands see the run's cells. */
iso_status iso_gallery_make(iso_env *env, const iso_run *r, const iso_run_cells *view, const iso_judge *j, const iso_groups *groups,
                            iso_gallery *out, iso_error *err);
void iso_gallery_clear(iso_gallery *g);

#endif
