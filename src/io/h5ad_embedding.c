/* h5ad_embedding.c: what a run left of each cell: obs, and its place in the latent space. */
#include "h5ad_frame.h"

#include <math.h>

iso_status iso_h5ad_read_embedding(iso_env *env, const char *path, const char *name, iso_frame *obs, float **values,
                                   int64_t *cols, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_file f = {0};
    h5_array a = {0};
    h5_what what;
    char place[256];
    *obs = (iso_frame){0};
    *values = NULL;
    snprintf(place, sizeof place, "/obsm/%s", name);
    TRY(h5_open(env, path, &f, err));
    TRY(h5ad_read_frame(&f, "/obs", obs, err));
    TRY(h5_look(&f, place, &what, err));
    FAIL_IF(what != H5_ARRAY, ISO_EDATA, "%s: no array %s; is it the latent.h5ad of a run?", path, place);
    TRY(h5_array_open(&f, place, &a, err));
    FAIL_IF((a.kind != H5_KIND_REAL && a.kind != H5_KIND_INT) || a.rank != 2 || a.rows != obs->n_rows, ISO_EDATA,
            "%s: %s is not a table of numbers with one row a cell", path, place);
    ALLOC(*values, a.n, sizeof **values);
    TRY(h5_read_f32(&a, 0, a.rows, *values, err));
    for (int64_t i = 0; i < a.n; i++)
        FAIL_IF(!isfinite((*values)[i]), ISO_EDATA, "%s: %s of cell \"%s\" is not a number", path, place, obs->index[i / a.cols]);
    *cols = a.cols;
done:
    h5_array_close(&a);
    h5_close(&f);
    if (st) {
        iso_frame_clear(obs);
        iso_free(*values);
        *values = NULL;
    }
    return st;
}
