/* compare_images.h: `compare` of images: one model a dialect, the plain autoencoder and principal components, side by side. */
#ifndef ISO_COMPARE_IMAGES_H
#define ISO_COMPARE_IMAGES_H

#include "sharpness.h"

enum { ISO_MOST_RIVALS = 12, ISO_RIVAL_SHOWN = 10 };

/* One model and what became of it. Pixels are in the files' units: [ISO_RIVAL_SHOWN or fewer, channels, height, width]. */
typedef struct iso_rival {
    const char *name;
    iso_sharpness sharpness;
    double bits_per_dim, knn_accuracy, linear_probe, seconds;      /* NaN: not measured */
    int active_units;
    char verdict[32];
    float *reconstructed, *generated;
} iso_rival;

typedef struct iso_rivals {
    const iso_dataset *data;
    const iso_options *options;            /* resolved */
    const int32_t *labels;                 /* [images], or NULL */
    iso_fitted first;                      /* of the first dialect: its split, sizes and scaling are those of all */
    iso_looked looked;
    float *held_out, *training;            /* pixels [looked.n, ...] */
    int64_t shown;                         /* images in each rival's pictures: the first of those looked at */
    int n;
    iso_rival rival[ISO_MOST_RIVALS];
} iso_rivals;

/* Trains them all; dialects that the data cannot speak are left out with a warning. */
iso_status iso_rivals_meet(iso_env *env, const iso_dataset *d, const iso_options *resolved, const int32_t *labels, iso_rivals *r, iso_error *err);
void iso_rivals_clear(iso_rivals *r);
/* Tab-separated, a line a model. */
void iso_rivals_print(const iso_rivals *r, FILE *f);
/* A page with the same table and pictures. */
iso_status iso_rivals_report(iso_env *env, const iso_rivals *r, const char *command_line, const char *path, iso_error *err);

/* compare of images from end to end. */
iso_status iso_compare_images(iso_env *env, const iso_options *o, const char *path, const char *command_line, iso_error *err);

#endif
