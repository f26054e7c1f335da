/* npy.h: arrays of NumPy: their header, and their values; for io/ alone. */
#ifndef ISO_NPY_H
#define ISO_NPY_H

#include "image_file.h"
#include "zip.h"

enum { NPY_RANK = 8 };
typedef struct npy_array {
    char kind;    /* 'b', 'u', 'i', 'f', or 'U' and 'S': texts */
    int bytes;    /* of an element */
    bool swapped; /* not in this machine's byte order */
    int rank;
    int64_t shape[NPY_RANK], count;
} npy_array;

/* Reads the header: then the source stands before the values, of which it holds exactly as many as the shape says. */
iso_status npy_header(byte_source *s, npy_array *a, iso_error *err);
iso_status npy_floats(byte_source *s, const npy_array *a, float *to, iso_error *err); /* [count] */
/* A column of the array's values, ISO_COL_STRING for texts. name is copied. */
iso_status npy_column(byte_source *s, const npy_array *a, const char *name, iso_column *c, iso_error *err);
/* Image sizes of an array [height, width], [n, height, width], [n, channels, height, width] or [n, height, width,
 * channels]; the last when its last axis has at most 4 and its second more. *channels_last says which. */
iso_status npy_image_shape(const char *path, const npy_array *a, iso_images *im, bool *channels_last, iso_error *err);
iso_status npy_images(byte_source *s, const npy_array *a, iso_images *im, iso_error *err); /* sizes and pixels */

#endif
