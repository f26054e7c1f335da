/* images.h: a set of images of one size in memory, with their names and labels; what every image reader fills. */
#ifndef ISO_IMAGES_H
#define ISO_IMAGES_H

#include "dataset.h"

/* What holds the pixels' values exactly; for writing them again. */
typedef enum iso_pixel_kind { ISO_PIXEL_U8, ISO_PIXEL_U16, ISO_PIXEL_FLOAT } iso_pixel_kind;

typedef struct iso_images {
    int64_t n, channels, height, width;
    float *pixels; /* [n, channels, height, width], the files' own values, all of them finite */
    bool lent;     /* the pixels are someone else's */
    iso_pixel_kind kind;
    char **channel_names; /* [channels] */
    iso_frame obs;        /* a row an image: its name; columns from a labels file, or from the arrays of an npz */
} iso_images;

/* A reader of one file is one row. */
typedef struct iso_image_reader {
    const char *name, *what;                             /* what: for messages */
    bool (*sniff)(const unsigned char *start, size_t n); /* the first bytes of the file */
    /* Fills a zeroed set: sizes, pixels and kind; names and obs where the file has them. */
    iso_status (*read)(iso_env *env, const char *path, iso_images *im, iso_error *err);
} iso_image_reader;
extern const iso_image_reader iso_image_readers[]; /* ends with name NULL */

/* The image files of a folder in order of their names, or the path itself if it is a file. names [n]: without the
 * folder. The caller frees with iso_image_files_clear. */
typedef struct iso_image_files {
    int64_t n;
    char **paths, **names;
} iso_image_files;
iso_status iso_image_files_find(const char *path, iso_image_files *f, iso_error *err);
void iso_image_files_clear(iso_image_files *f);
bool iso_image_sniff(const char *path); /* an image file, or a folder with one */

/* One file. Images are named "NAME", or "NAME:0", "NAME:1", ... where the file holds several. */
iso_status iso_images_read_file(iso_env *env, const char *path, const char *name, iso_images *im, iso_error *err);
/* Pixels [height, width] in red, green and blue [height * width * 3] as a PNG in memory, *bytes [*n], the caller's. */
iso_status iso_png_encode(const uint8_t *rgb, int64_t height, int64_t width, uint8_t **bytes, size_t *n, iso_error *err);

/* A file or all image files of a folder, as one set; all must have one size and the same channels. A stack's images are
 * named by their place, "0", "1", .... labels: a CSV file, or NULL. */
iso_status iso_images_open(iso_env *env, const char *path, const char *labels, iso_images *im, iso_error *err);
/* Adds the columns of a CSV file to obs. Its rows name the images in a column file, name, image or index: the first of
 * these in which all images are found, with or without the ending of the file's name. */
iso_status iso_images_add_labels(iso_env *env, iso_images *im, const char *path, iso_error *err);
void iso_images_clear(iso_images *im);
/* Refuses pixels that are not finite; channels and images without names get numbers, images `name` too if it is not NULL. */
iso_status iso_images_complete(iso_images *im, const char *path, const char *name, iso_error *err);
/* The set as a data set, which takes it over: im is left empty. path: what messages call it. */
iso_status iso_images_as_dataset(iso_images *im, const char *path, iso_dataset **out, iso_error *err);
/* iso_images_open as a data set; labels: a CSV file, or NULL: labels.csv or cells.csv in a folder, if there is one. */
iso_status iso_images_dataset(iso_env *env, const char *path, const char *labels, iso_dataset **out, iso_error *err);

#endif
