/* picture_out.h: images that a model makes, to files. */
#ifndef ISO_PICTURE_OUT_H
#define ISO_PICTURE_OUT_H

#include "model.h"

/* Images that the commands of a model of images write: pixels [n, channels, height, width] in the units of the files it was fitted to,
 * their names [n], and z [n, n_latent] or NULL. */
typedef struct iso_made {
    int64_t n;
    const float *pixels;
    const char *const *names;
    const float *z;
    int64_t columns;              /* of a sheet; 0: as many as make it square */
} iso_made;

/* By the ending of path: .npz an archive (images, name, latent, channel_names), .png one sheet of all of them (at most 1,000), else a
 * new folder with an OME-TIFF each. */
iso_status iso_made_write(iso_env *env, const iso_model *m, const iso_made *made, const char *path, iso_error *err);
/* decoded [n, P], as a decoder gives them, to pixels [n, channels, height, width]. */
iso_status iso_made_pixels(const iso_model *m, const float *decoded, int64_t n, float **pixels, iso_error *err);
/* All n as one picture of `columns` columns, the colours scaled as the model's images: *rgb [*height, *width, 3], the caller's. */
iso_status iso_made_sheet(const iso_model *m, const float *pixels, int64_t n, int64_t columns, uint8_t **rgb, int64_t *height, int64_t *width,
                          iso_error *err);

/* z [n, n_latent] decoded, to --output, or to `otherwise`. sharp: the grid drawn from its prior with --seed, else at its mean. */
iso_status iso_decoded_write(iso_env *env, iso_model *m, const float *z, int64_t n, const char *const *names, bool sharp, int64_t columns,
                             const iso_options *o, const char *otherwise, iso_error *err);

#endif
