/* cells_cut.h: cells cut out of whole fields: a growing set of crops with their table. */
#ifndef ISO_CELLS_CUT_H
#define ISO_CELLS_CUT_H

#include "image/image.h"
#include "io/images.h"

/* What `crops` is asked for. */
typedef struct iso_crops_how {
    int64_t size;        /* side of a crop */
    const char *channel; /* where nuclei are looked for: a name or a number */
    iso_nuclei_how nuclei;
    bool keep_edge; /* cells that touch the border too */
} iso_crops_how;

typedef struct iso_crops {
    iso_images set;          /* crops; obs: field, label, x, y, area, mean_CHANNEL */
    uint8_t *masks;          /* [set.n, size, size] 1 where the cell is */
    int64_t room;            /* crops that there is memory for */
    int64_t n_edge, n_large; /* cells left out at the border; cells larger than a crop */
} iso_crops;

/* The cells of image i of `fields`: those of image i of `masks`, whose values are labels, or nuclei that are found if
 * masks is NULL. Fields must have the channels of those before; their sizes may differ. *n: how many cells were added.
 */
iso_status iso_crops_add(iso_crops *c, const iso_crops_how *how, const iso_images *fields, int64_t i,
                         const iso_images *masks, int64_t *n, iso_error *err);
void iso_crops_clear(iso_crops *c);

/* One archive, and the table beside it: PATH with .csv for .npz. */
iso_status iso_crops_write_npz(const iso_crops *c, const char *path, iso_error *err);
/* A folder with a TIFF a cell, and cells.csv. */
iso_status iso_crops_write_folder(const iso_crops *c, const char *path, iso_error *err);

/* Files of fields and of their masks go together by name, but for endings such as _img and _masks. */
bool iso_is_mask(const char *name);
/* The mask's place in `masks`; -1: none. */
int64_t iso_mask_of(const char *field, const iso_image_files *masks);

#endif
