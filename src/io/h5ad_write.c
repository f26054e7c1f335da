/* h5ad_write.c: AnnData files as anndata 0.10 to 0.12 write them; see the end of dataset.h.
 * Source: anndata's documentation, "On-disk format". */
#include "h5ad_write.h"

#include "tensors.h"

#include <string.h>

/* An attribute in an HDF5 1.6 file takes at most 64 KiB: 16 bytes a text, and some are left for other things. */
enum { MAX_NOTED_NAMES = 4000 };

const h5_encoding h5ad_dict = {"dict", "0.1.0"};
static const h5_encoding anndata = {"anndata", "0.1.0"}, csr_matrix = {"csr_matrix", "0.1.0"},
                         array = {"array", "0.2.0"}, scalar = {"numeric-scalar", "0.2.0"}, bare = {NULL, NULL};

/* -------------------------------------------------------------------------------- matrices */

/* One of the three arrays of a sparse matrix. */
static iso_status put_part(const h5_file *f, const char *place, const char *name, h5_values v, iso_error *err)
{
    char *part = iso_sprintf("%s/%s", place, name);
    v.encoding = bare, v.rank = 1, v.cols = 1, v.packed = true;
    iso_status st = part ? h5_put_values(f, part, &v, err) : iso_fail(err, ISO_EMEMORY, "out of memory");
    iso_free(part);
    return st;
}

/* SciPy keeps both index arrays in 32 bits where that is enough. */
iso_status h5ad_write_csr(const h5_file *f, const char *place, const iso_csr *m, iso_error *err)
{
    iso_status st = ISO_OK;
    const int64_t shape[2] = {m->n_rows, m->n_cols};
    const h5_values v = {.type = H5_INT64, .rank = 1, .rows = 2, .cols = 1, .data = shape};
    h5_type stored = m->nnz <= INT32_MAX ? H5_INT32 : H5_INT64;
    TRY(h5_put_group(f, place, csr_matrix, err));
    TRY(h5_note_values(f, place, "shape", &v, err));
    TRY(put_part(f, place, "data",
                 (h5_values){.type = H5_FLOAT32, .stored = H5_FLOAT32, .rows = m->nnz, .data = m->values}, err));
    TRY(put_part(f, place, "indices",
                 (h5_values){.type = H5_INT32, .stored = H5_INT32, .rows = m->nnz, .data = m->indices}, err));
    TRY(put_part(f, place, "indptr",
                 (h5_values){.type = H5_INT64, .stored = stored, .rows = m->n_rows + 1, .data = m->indptr}, err));
done:
    return st;
}

/* A dict of sparse matrices [rows, cols]. */
static iso_status put_matrices(const h5_file *f, const char *place, const iso_h5ad_sparse *list, int n, int64_t rows,
                               int64_t cols, iso_error *err)
{
    iso_status st = ISO_OK;
    char *entry = NULL;
    TRY(h5_put_group(f, place, h5ad_dict, err));
    for (int i = 0; i < n; i++) {
        iso_free(entry);
        FAIL_IF(!(entry = iso_sprintf("%s/%s", place, list[i].name)), ISO_EMEMORY, "out of memory");
        FAIL_IF(list[i].m->n_rows != rows || list[i].m->n_cols != cols, ISO_EDATA,
                "%s: %s is %lld x %lld, not %lld x %lld", f->path, entry, (long long)list[i].m->n_rows,
                (long long)list[i].m->n_cols, (long long)rows, (long long)cols);
        TRY(h5ad_write_csr(f, entry, list[i].m, err));
    }
done:
    iso_free(entry);
    return st;
}

static iso_status put_arrays(const h5_file *f, const iso_h5ad_array *list, int n, int64_t rows, iso_error *err)
{
    iso_status st = ISO_OK;
    char *entry = NULL;
    TRY(h5_put_group(f, "/obsm", h5ad_dict, err));
    for (int i = 0; i < n; i++) {
        const h5_values v = {.encoding = array, .type = H5_FLOAT32, .stored = H5_FLOAT32, .rank = 2, .rows = rows,
                             .cols = list[i].cols, .data = list[i].values};
        iso_free(entry);
        FAIL_IF(!(entry = iso_sprintf("/obsm/%s", list[i].name)), ISO_EMEMORY, "out of memory");
        TRY(h5_put_values(f, entry, &v, err));
    }
done:
    iso_free(entry);
    return st;
}

/* ------------------------------------------------------------------------------------- uns */

static iso_status put_numbers(const h5_file *f, const char *place, h5_type type, const void *data, int64_t n,
                              iso_error *err)
{
    const bool one = n < 0;
    const h5_values v = {.encoding = one ? scalar : array, .type = type, .stored = type, .rank = one ? 0 : 1,
                         .rows = one ? 1 : n, .cols = 1, .data = data};
    return h5_put_values(f, place, &v, err);
}

/* The groups on the way to `place` that are not there yet; it begins with "/uns/". */
static iso_status make_dicts(const h5_file *f, char *place, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_what what;
    for (char *slash = strchr(place + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        st = h5_look(f, place, &what, err);
        if (st == ISO_OK && what == H5_NOTHING) st = h5_put_group(f, place, h5ad_dict, err);
        *slash = '/';
        if (st != ISO_OK) break;
    }
    return st;
}

iso_status h5ad_write_uns(const h5_file *f, const iso_h5ad_uns *u, iso_error *err)
{
    iso_status st = ISO_OK;
    char *place = iso_sprintf("/uns/%s", u->path);
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(make_dicts(f, place, err));
    if (u->text) TRY(h5_put_text(f, place, u->text, err));
    else if (u->reals) TRY(put_numbers(f, place, H5_FLOAT64, u->reals, u->n_reals, err));
    else if (u->ints) TRY(put_numbers(f, place, H5_INT64, u->ints, u->n_ints, err));
    else TRY(h5_put_texts(f, place, u->strings, u->n_strings, err));
done:
    iso_free(place);
    return st;
}

/* ----------------------------------------------------------------------------------- whole */

static iso_status put_all(const h5_file *f, const iso_h5ad_out *out, const h5ad_frame *obs, const h5ad_frame *var,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(out->x && (out->x->n_rows != obs->n_rows || out->x->n_cols != var->n_rows), ISO_EDATA,
            "%s: X is %lld x %lld, but there are %lld cells and %lld genes", f->path, (long long)out->x->n_rows,
            (long long)out->x->n_cols, (long long)obs->n_rows, (long long)var->n_rows);
    TRY(h5_note_encoding(f, "/", anndata, err));
    TRY(h5ad_write_frame(f, "/obs", obs, err));
    TRY(h5ad_write_frame(f, "/var", var, err));
    if (out->x) TRY(h5ad_write_csr(f, "/X", out->x, err));
    TRY(put_matrices(f, "/layers", out->layers, out->n_layers, obs->n_rows, var->n_rows, err));
    TRY(put_matrices(f, "/obsp", out->obsp, out->n_obsp, obs->n_rows, obs->n_rows, err));
    TRY(put_arrays(f, out->obsm, out->n_obsm, obs->n_rows, err));
    TRY(h5_put_group(f, "/varm", h5ad_dict, err));
    TRY(h5_put_group(f, "/varp", h5ad_dict, err));
    TRY(h5_put_group(f, "/uns", h5ad_dict, err));
    for (int i = 0; i < out->n_uns; i++) TRY(h5ad_write_uns(f, &out->uns[i], err));
done:
    return st;
}

iso_status iso_h5ad_write(iso_env *env, const char *path, const iso_h5ad_out *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out o = {0};
    h5ad_frame obs = {0}, var = {0};
    h5_file f = {.id = -1, .lapl = -1, .fd = -1};
    h5_sink sink = {0};
    TRY(h5ad_frame_of(env, out->obs, out->extra_obs, out->n_extra_obs, &obs, err));
    TRY(h5ad_frame_of(env, out->var, NULL, 0, &var, err));
    TRY(iso_out_open(path, &o, err));
    sink.fd = fileno(o.file);
    TRY(h5_create(env, path, &sink, obs.n_columns > MAX_NOTED_NAMES || var.n_columns > MAX_NOTED_NAMES, &f, err));
    TRY(put_all(&f, out, &obs, &var, err));
    TRY(h5_finish(&f, err));
    TRY(iso_out_commit(&o, err));
done:
    h5_close(&f);
    iso_out_discard(&o);
    h5ad_frame_free(&var);
    h5ad_frame_free(&obs);
    return st;
}
