/* h5ad_write.h: the parts of an h5ad as it is written; see the end of dataset.h. */
#ifndef ISO_H5AD_WRITE_H
#define ISO_H5AD_WRITE_H

#include "dataset.h"
#include "h5_write.h"

/* What is written as obs or var. */
typedef struct h5ad_frame {
    int64_t n_rows;
    const char *index_name;
    const char *const *index;            /* [n_rows] */
    const iso_column **columns;          /* [n_columns], all of which can be written, names unique */
    int n_columns;
} h5ad_frame;

/* The columns of f (NULL: none, and no rows), those of `extra` in the place of ones of the same name or at the end.
 * Columns whose name no file can hold are left out with a warning. Free with h5ad_frame_free; lends all else. */
iso_status h5ad_frame_of(iso_env *env, const iso_frame *f, const iso_column *extra, int n_extra, h5ad_frame *out,
                         iso_error *err);
void h5ad_frame_free(h5ad_frame *f);
/* place: "/obs" or "/var". */
iso_status h5ad_write_frame(const h5_file *f, const char *place, const h5ad_frame *frame, iso_error *err);
/* One entry of it [n]; its name is not added to column-order. */
iso_status h5ad_write_column(const h5_file *f, const char *frame, const iso_column *c, int64_t n, iso_error *err);
/* Why a column cannot have this name, or NULL. A name may hold '/': it then names groups in groups. */
const char *h5ad_refused_name(const char *name);

/* m with encoding csr_matrix. */
iso_status h5ad_write_csr(const h5_file *f, const char *place, const iso_csr *m, iso_error *err);
/* One entry of /uns and the dicts that lead to it. */
iso_status h5ad_write_uns(const h5_file *f, const iso_h5ad_uns *u, iso_error *err);

extern const h5_encoding h5ad_dict;

#endif
