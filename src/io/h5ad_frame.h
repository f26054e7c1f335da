/* h5ad_frame.h: obs and var of an h5ad, as every version of anndata wrote them. */
#ifndef ISO_H5AD_FRAME_H
#define ISO_H5AD_FRAME_H

#include "dataset.h"
#include "h5.h"

/* place: "/obs", "/var", "/raw/var" or "/raw.var". Columns of unknown encoding are left out with a warning. */
iso_status h5ad_read_frame(const h5_file *f, const char *place, iso_frame *out, iso_error *err);
/* One array as a column: numbers, bool or text; *known = false (and no column) for anything else. */
iso_status h5_read_column(const h5_array *a, const char *name, iso_column *c, bool *known, iso_error *err);

#endif
