/* h5ad_write.c: AnnData on disk, as anndata 0.8 and later write it: every group and array says by the attributes `encoding-type` and
 * `encoding-version` what it is. Source: https://anndata.readthedocs.io, "On-disk format". No time stamps: the same content
 * gives the same bytes. After the first failure nothing more is written; the file then never gets its name. */
#include "dataset.h"
#include "h5.h"
#include "tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GZIP_LEVEL = 4, CHUNK = 1 << 17 };

typedef struct writer {
    hid_t file, text, boolean, group_plist;
    bool failed;
    char what[256];              /* place of the first failure */
    h5_reason why;
} writer;

/* Keeps the first failure; passes the id or status through. */
static hid_t check(writer *w, hid_t id, const char *place)
{
    if (id < 0 && !w->failed) {
        w->failed = true;
        snprintf(w->what, sizeof w->what, "%s", place);
        h5_why(&w->why);
    }
    return id;
}

/* ---------------------------------------------------------------------------------- attributes */

static void put_attribute(writer *w, hid_t object, const char *name, hid_t type, hid_t space, const void *value)
{
    if (w->failed) return;
    hid_t a = check(w, H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), name);
    if (a >= 0) check(w, H5Awrite(a, type, value), name);
    h5_drop(a);
}

static void put_text_attribute(writer *w, hid_t object, const char *name, const char *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    put_attribute(w, object, name, w->text, space, &value);
    h5_drop(space);
}

static void put_encoding(writer *w, hid_t object, const char *type, const char *version)
{
    put_text_attribute(w, object, "encoding-type", type);
    put_text_attribute(w, object, "encoding-version", version);
}

static void put_list_attribute(writer *w, hid_t object, const char *name, hid_t type, hsize_t n, const void *values)
{
    hid_t space = H5Screate_simple(1, &n, NULL);
    put_attribute(w, object, name, type, space, values);
    h5_drop(space);
}

/* ---------------------------------------------------------------------------- groups and arrays */

/* A new group, to be dropped; encoding NULL: none. */
static hid_t put_group(writer *w, const char *place, const char *encoding, const char *version)
{
    if (w->failed) return -1;
    hid_t g = check(w, H5Gcreate2(w->file, place, H5P_DEFAULT, w->group_plist, H5P_DEFAULT), place);
    if (g >= 0 && encoding) put_encoding(w, g, encoding, version);
    return g;
}

typedef struct array {
    const char *encoding, *version;
    hid_t type, memory;          /* in the file, in memory */
    int rank;
    hsize_t dims[2];
    bool gzip;
} array;

static void put_array(writer *w, const char *place, array a, const void *values)
{
    if (w->failed) return;
    hid_t space = a.rank ? H5Screate_simple(a.rank, a.dims, NULL) : H5Screate(H5S_SCALAR), plist = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk = a.dims[0] < CHUNK ? a.dims[0] : CHUNK;
    H5Pset_obj_track_times(plist, false);
    if (a.gzip && a.rank == 1 && chunk > 0 && H5Pset_chunk(plist, 1, &chunk) >= 0) H5Pset_deflate(plist, GZIP_LEVEL);
    hid_t d = check(w, H5Dcreate2(w->file, place, a.type, space, H5P_DEFAULT, plist, H5P_DEFAULT), place);
    bool empty = a.rank && (a.dims[0] == 0 || (a.rank == 2 && a.dims[1] == 0));
    if (d >= 0 && !empty) check(w, H5Dwrite(d, a.memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), place);
    if (d >= 0) put_encoding(w, d, a.encoding, a.version);
    h5_drop(d);
    h5_drop(plist);
    h5_drop(space);
}

#define VECTOR(n, t, m) (array){"array", "0.2.0", t, m, 1, {(hsize_t)(n)}, false}

static void put_texts(writer *w, const char *place, char *const *texts, int64_t n)
{
    put_array(w, place, (array){"string-array", "0.2.0", w->text, w->text, 1, {(hsize_t)n}, false}, texts);
}

static void put_text(writer *w, const char *place, const char *text)
{
    put_array(w, place, (array){"string", "0.2.0", w->text, w->text, 0, {0}, false}, &text);
}

/* --------------------------------------------------------------------------------- data frames */

static void put_categories(writer *w, const char *place, const iso_column *c, int64_t n)
{
    char at[512];
    hid_t g = put_group(w, place, "categorical", "0.2.0"), space = H5Screate(H5S_SCALAR);
    hid_t type = c->n_categories <= 127 ? H5T_STD_I8LE : c->n_categories <= 32767 ? H5T_STD_I16LE : H5T_STD_I32LE;
    int8_t ordered = c->ordered;
    if (g >= 0) put_attribute(w, g, "ordered", w->boolean, space, &ordered);
    snprintf(at, sizeof at, "%s/categories", place);
    put_texts(w, at, c->categories, c->n_categories);
    snprintf(at, sizeof at, "%s/codes", place);
    put_array(w, at, VECTOR(n, type, H5T_NATIVE_INT32), c->codes);
    h5_drop(space);
    h5_drop(g);
}

/* values and mask in one group. */
static void put_nullable(writer *w, const char *place, const char *encoding, array a, const void *values, const uint8_t *mask, int64_t n)
{
    char at[512];
    hid_t g = put_group(w, place, encoding, "0.1.0");
    snprintf(at, sizeof at, "%s/values", place);
    put_array(w, at, a, values);
    snprintf(at, sizeof at, "%s/mask", place);
    put_array(w, at, VECTOR(n, w->boolean, w->boolean), mask);
    h5_drop(g);
}

/* Missing texts are told by a mask. */
static void put_text_column(writer *w, const char *place, char *const *texts, int64_t n)
{
    int64_t missing = 0;
    for (int64_t i = 0; i < n; i++) missing += texts[i] == NULL;
    if (!missing) {
        put_texts(w, place, texts, n);
        return;
    }
    const char **whole = iso_calloc(n, sizeof *whole);
    uint8_t *mask = iso_calloc(n, 1);
    for (int64_t i = 0; whole && mask && i < n; i++) whole[i] = texts[i] ? texts[i] : "", mask[i] = texts[i] == NULL;
    if (whole && mask)
        put_nullable(w, place, "nullable-string-array", (array){"string-array", "0.2.0", w->text, w->text, 1, {(hsize_t)n}, false}, whole, mask, n);
    else
        check(w, -1, place);
    iso_free(whole);
    iso_free(mask);
}

static void put_column(writer *w, const char *place, const iso_column *c, int64_t n)
{
    array ints = VECTOR(n, H5T_STD_I64LE, H5T_NATIVE_INT64), bools = VECTOR(n, w->boolean, w->boolean);
    switch (c->kind) {
    case ISO_COL_CATEGORY: put_categories(w, place, c, n); break;
    case ISO_COL_STRING: put_text_column(w, place, c->strings, n); break;
    case ISO_COL_REAL: put_array(w, place, VECTOR(n, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE), c->reals); break;
    case ISO_COL_INT:
        if (c->mask) put_nullable(w, place, "nullable-integer", ints, c->ints, c->mask, n);
        else put_array(w, place, ints, c->ints);
        break;
    case ISO_COL_BOOL:
        if (c->mask) put_nullable(w, place, "nullable-boolean", bools, c->bools, c->mask, n);
        else put_array(w, place, bools, c->bools);
        break;
    }
}

/* A column of the frame that an extra one replaces is left out. */
static bool replaced(const iso_column *extra, int n_extra, const char *name)
{
    for (int k = 0; k < n_extra; k++)
        if (strcmp(extra[k].name, name) == 0) return true;
    return false;
}

/* frame NULL: no rows, no columns. */
static void put_frame(writer *w, const char *place, const iso_frame *frame, const iso_column *extra, int n_extra)
{
    static const iso_frame none = {.index_name = (char *)"_index"};
    const iso_frame *f = frame ? frame : &none;
    char at[512];
    const char *index = f->index_name ? f->index_name : "_index";
    const char **names = iso_calloc(f->n_columns + n_extra, sizeof *names);
    hsize_t n = 0;
    hid_t g = put_group(w, place, "dataframe", "0.2.0");
    if (!names) check(w, -1, place);
    for (int k = 0; names && k < f->n_columns + n_extra; k++) {
        const iso_column *c = k < f->n_columns ? &f->columns[k] : &extra[k - f->n_columns];
        if (k < f->n_columns && replaced(extra, n_extra, c->name)) continue;
        if (strcmp(c->name, index) == 0) index = "_index";
        if (strchr(c->name, '/')) continue;              /* cannot be a name in HDF5 */
        names[n++] = c->name;
        snprintf(at, sizeof at, "%s/%s", place, c->name);
        put_column(w, at, c, f->n_rows);
    }
    if (g >= 0 && names) put_list_attribute(w, g, "column-order", w->text, n, names);
    if (g >= 0) put_text_attribute(w, g, "_index", index);
    snprintf(at, sizeof at, "%s/%s", place, index);
    put_texts(w, at, f->index, f->n_rows);
    h5_drop(g);
    iso_free(names);
}

/* ------------------------------------------------------------------------------------- matrices */

static void put_sparse(writer *w, const char *place, const iso_csr *m)
{
    char at[512];
    hid_t g = put_group(w, place, "csr_matrix", "0.1.0");
    int64_t shape[2] = {m->n_rows, m->n_cols};
    hid_t index = m->nnz < INT32_MAX ? H5T_STD_I32LE : H5T_STD_I64LE;       /* scipy wants both of one size */
    array data = VECTOR(m->nnz, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT), indices = VECTOR(m->nnz, index, H5T_NATIVE_INT32);
    data.gzip = indices.gzip = true;
    if (g >= 0) put_list_attribute(w, g, "shape", H5T_NATIVE_INT64, 2, shape);
    snprintf(at, sizeof at, "%s/data", place);
    put_array(w, at, data, m->values);
    snprintf(at, sizeof at, "%s/indices", place);
    put_array(w, at, indices, m->indices);
    snprintf(at, sizeof at, "%s/indptr", place);
    put_array(w, at, VECTOR(m->n_rows + 1, index, H5T_NATIVE_INT64), m->indptr);
    h5_drop(g);
}

static void put_dict(writer *w, const char *place) { h5_drop(put_group(w, place, "dict", "0.1.0")); }

static void put_obsm(writer *w, const iso_h5ad_out *o)
{
    char at[512];
    put_dict(w, "/obsm");
    for (int k = 0; k < o->n_obsm; k++) {
        array a = {"array", "0.2.0", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, {(hsize_t)o->obs->n_rows, (hsize_t)o->obsm[k].cols}, false};
        snprintf(at, sizeof at, "/obsm/%s", o->obsm[k].name);
        put_array(w, at, a, o->obsm[k].values);
    }
}

static void put_matrices(writer *w, const char *group, const iso_h5ad_sparse *list, int n)
{
    char at[512];
    put_dict(w, group);
    for (int k = 0; k < n; k++) {
        snprintf(at, sizeof at, "%s/%s", group, list[k].name);
        put_sparse(w, at, list[k].m);
    }
}

/* -------------------------------------------------------------------------------------------- uns */

/* The groups on the way to /uns/a/b. */
static void make_way(writer *w, const char *place)
{
    char at[512];
    snprintf(at, sizeof at, "%s", place);
    for (char *c = at + strlen("/uns/"); (c = strchr(c, '/')); c++) {
        *c = '\0';
        if (!w->failed && H5Lexists(w->file, at, H5P_DEFAULT) <= 0) put_dict(w, at);
        *c = '/';
    }
}

/* Whole numbers are written as such: scanpy takes n_neighbors for one. */
static void put_number(writer *w, const char *place, double x)
{
    bool whole = x == floor(x) && fabs(x) < 1e15;
    int64_t i = whole ? (int64_t)x : 0;
    hid_t type = whole ? H5T_STD_I64LE : H5T_IEEE_F64LE, memory = whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE;
    put_array(w, place, (array){"numeric-scalar", "0.2.0", type, memory, 0, {0}, false}, whole ? (void *)&i : (void *)&x);
}

static void put_uns(writer *w, const iso_h5ad_out *o)
{
    char at[512];
    put_dict(w, "/uns");
    for (int k = 0; k < o->n_uns; k++) {
        const iso_h5ad_uns *u = &o->uns[k];
        snprintf(at, sizeof at, "/uns/%s", u->path);
        make_way(w, at);
        if (u->text) put_text(w, at, u->text);
        else if (u->reals && u->n_reals < 0) put_number(w, at, u->reals[0]);
        else if (u->reals) put_array(w, at, VECTOR(u->n_reals, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE), u->reals);
        else put_texts(w, at, (char *const *)u->strings, u->n_strings);
    }
}

/* --------------------------------------------------------------------------------------- the file */

static void put_everything(writer *w, const iso_h5ad_out *o)
{
    hid_t root = check(w, H5Gopen2(w->file, "/", H5P_DEFAULT), "/");
    if (root >= 0) put_encoding(w, root, "anndata", "0.1.0");
    h5_drop(root);
    if (o->x) put_sparse(w, "/X", o->x);
    put_frame(w, "/obs", o->obs, o->extra_obs, o->n_extra_obs);
    put_frame(w, "/var", o->var, NULL, 0);
    put_obsm(w, o);
    put_matrices(w, "/obsp", o->obsp, o->n_obsp);
    put_matrices(w, "/layers", o->layers, o->n_layers);
    put_dict(w, "/varm");
    put_dict(w, "/varp");
    put_uns(w, o);
}

/* h5py's bool: an enumeration of int8. */
static hid_t bool_type(void)
{
    hid_t t = H5Tenum_create(H5T_NATIVE_INT8);
    int8_t no = 0, yes = 1;
    H5Tenum_insert(t, "FALSE", &no);
    H5Tenum_insert(t, "TRUE", &yes);
    return t;
}

static void open_writer(writer *w, const char *path)
{
    hid_t plist = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(plist, false);
    w->text = H5Tcopy(H5T_C_S1);
    H5Tset_size(w->text, H5T_VARIABLE);
    H5Tset_cset(w->text, H5T_CSET_UTF8);
    w->boolean = bool_type();
    w->group_plist = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(w->group_plist, false);
    w->file = check(w, H5Fcreate(path, H5F_ACC_TRUNC, plist, H5P_DEFAULT), "the file");
    h5_drop(plist);
}

static void close_writer(writer *w)
{
    h5_drop(w->text);
    h5_drop(w->boolean);
    h5_drop(w->group_plist);
    if (w->file >= 0) check(w, H5Fclose(w->file), "the file");
}

iso_status iso_h5ad_write(iso_env *env, const char *path, const iso_h5ad_out *o, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out out = {0};
    h5_file quiet = {0};
    writer w = {.file = -1};
    (void)env;
    TRY(iso_out_open(path, &out, err));         /* HDF5 writes into the file made here; it gets its name when whole */
    h5_silence(&quiet);
    open_writer(&w, out.temp);
    if (!w.failed) put_everything(&w, o);
    close_writer(&w);
    h5_unsilence(&quiet);
    FAIL_IF(w.failed, ISO_EIO, "%s could not be written (%s): %s", path, w.what, w.why.text);
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    return st;
}
