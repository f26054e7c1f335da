/* image_file.h: what the image readers share; for io/ alone. */
#ifndef ISO_IMAGE_FILE_H
#define ISO_IMAGE_FILE_H

#include "images.h"

bool tiff_sniff(const unsigned char *start, size_t n);
iso_status tiff_read(iso_env *env, const char *path, iso_images *im, iso_error *err);
bool png_sniff(const unsigned char *start, size_t n);
iso_status png_read(iso_env *env, const char *path, iso_images *im, iso_error *err);
bool npy_sniff(const unsigned char *start, size_t n);
iso_status npy_read(iso_env *env, const char *path, iso_images *im, iso_error *err);
bool npz_sniff(const unsigned char *start, size_t n);
iso_status npz_read(iso_env *env, const char *path, iso_images *im, iso_error *err);

/* Checks sizes that a file declares and allocates the pixels. stored: bytes of the file that hold them; sample: bytes
 * of a value in the file. Lossless compression makes at most about MOST_INFLATED bytes of one. */
enum { MOST_INFLATED = 3000, MOST_SIDE = 1 << 20, MOST_CHANNELS = 1024 };
iso_status images_alloc(iso_images *im, const char *path, int64_t stored, int64_t sample, iso_error *err);

/* A kind of number as files store it. */
typedef struct sample_type {
    char kind; /* 'u', 'i', 'f' or 'b' (one byte, 0 or 1) */
    int bytes;
} sample_type;
bool sample_known(sample_type t);
iso_pixel_kind sample_pixel_kind(sample_type t);
/* n values of the machine's byte order, `step` values apart, as floats. False if one is an integer of 2^24 or more. */
bool sample_floats(sample_type t, const void *from, int64_t step, int64_t n, float *to);
void sample_swap(void *values, int64_t n, int bytes); /* the other byte order */

#endif
