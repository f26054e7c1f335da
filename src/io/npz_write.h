/* npz_write.h: NumPy archives (.npz) written array by array. */
#ifndef ISO_NPZ_WRITE_H
#define ISO_NPZ_WRITE_H

#include "images.h"
#include "tensors.h"

typedef struct iso_npz iso_npz;

/* The file appears at `path` when it is committed. Arrays are stored as they are, not packed. */
iso_status iso_npz_create(const char *path, iso_npz **z, iso_error *err);
/* type: 'b', 'u', 'i' or 'f' and bytes, as NumPy names them: "u1", "u2", "i8", "f4", "f8", "b1". shape [rank]. */
iso_status iso_npz_array(iso_npz *z, const char *name, const char *type, int rank, const int64_t *shape,
                         const void *values, iso_error *err);
iso_status iso_npz_texts(iso_npz *z, const char *name, int64_t n, char *const *texts, iso_error *err);
iso_status iso_npz_column(iso_npz *z, const iso_column *c, int64_t n, iso_error *err);
/* Pixels as what holds them exactly: uint8, uint16 or float32. */
iso_status iso_npz_pixels(iso_npz *z, const char *name, iso_pixel_kind kind, int rank, const int64_t *shape,
                          const float *pixels, iso_error *err);
iso_status iso_npz_commit(iso_npz *z, iso_error *err);
void iso_npz_free(iso_npz *z); /* not committed: nothing is left of it */

#endif
