/* h5ad_read.c: AnnData files of any version. The matrix may be dense, CSR or CSC; which one is read, see candidates[]. */
#include "h5_matrix.h"
#include "h5ad_frame.h"
#include "readers.h"

#include <string.h>

typedef struct source {
    const char *name;            /* as in iso_dataset.source */
    const char *places[2];       /* now, and before anndata 0.7 */
    const char *var[2];          /* its genes */
} source;

/* Where counts may be, in the order of preference. */
static const source candidates[] = {
    {"X", {"/X", NULL}, {"/var", NULL}},
    {"layers/counts", {"/layers/counts", NULL}, {"/var", NULL}},
    {"raw/X", {"/raw/X", "/raw.X"}, {"/raw/var", "/raw.var"}},
};
enum { N_CANDIDATES = sizeof candidates / sizeof *candidates };

static const struct { const char *attribute, *encoding, *shape; bool by_gene; } sparse_encodings[] = {
    {"encoding-type", "csr_matrix", "shape", false},
    {"encoding-type", "csc_matrix", "shape", true},
    {"h5sparse_format", "csr", "h5sparse_shape", false},
    {"h5sparse_format", "csc", "h5sparse_shape", true},
};
enum { N_SPARSE = sizeof sparse_encodings / sizeof *sparse_encodings };

bool h5ad_sniff(const char *path)
{
    if (!h5_signature(path)) return false;
    h5_file f;
    h5_what obs, var, x, modalities;
    /* a file that HDF5 cannot open is ours too: reading it then says what is wrong */
    bool ours = h5_open(NULL, path, &f, NULL) != ISO_OK || h5_look(&f, "/obs", &obs, NULL) != ISO_OK ||
                h5_look(&f, "/var", &var, NULL) != ISO_OK || h5_look(&f, "/X", &x, NULL) != ISO_OK ||
                h5_look(&f, "/mod", &modalities, NULL) != ISO_OK || x != H5_NOTHING ||
                (obs != H5_NOTHING && var != H5_NOTHING && modalities == H5_NOTHING);
    h5_close(&f);
    return ours;
}

static iso_status check_shape(const h5_file *f, const char *place, const char *attribute, csr_axis cells, csr_axis genes,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a = {0};
    bool found;
    int64_t shape[2] = {0, 0};
    TRY(h5_attribute_open(f, place, attribute, &a, &found, err));
    FAIL_IF(!found || a.n != 2, ISO_EDATA, "%s: %s has no attribute %s of two numbers; the file is damaged", f->path, place,
            attribute);
    TRY(h5_read_i64(&a, 0, a.rows, shape, err));
    FAIL_IF(shape[0] != cells.n || shape[1] != genes.n, ISO_EDATA,
            "%s: %s has shape %lld x %lld but there are %lld cells and %lld genes; the file is damaged or was subset in part",
            f->path, place, (long long)shape[0], (long long)shape[1], (long long)cells.n, (long long)genes.n);
done:
    h5_array_close(&a);
    return st;
}

static iso_status read_group(const h5_file *f, const char *place, csr_axis cells, csr_axis genes, iso_csr *m, iso_error *err)
{
    iso_status st = ISO_OK;
    char *encoding = NULL;
    for (int i = 0; i < N_SPARSE; i++) {
        iso_free(encoding);
        TRY(h5_attribute_text(f, place, sparse_encodings[i].attribute, &encoding, err));
        if (!encoding || strcmp(encoding, sparse_encodings[i].encoding) != 0) continue;
        TRY(check_shape(f, place, sparse_encodings[i].shape, cells, genes, err));
        TRY(h5_read_sparse(f, place, sparse_encodings[i].by_gene, cells, genes, m, err));
        goto done;
    }
    st = iso_fail(err, ISO_EDATA, "%s: %s is a group without the encoding of a sparse matrix (csr_matrix or csc_matrix)",
                  f->path, place);
done:
    iso_free(encoding);
    return st;
}

/* H5_NOTHING also for a dataset that says there is no matrix (AnnData with X = None). */
static iso_status look_for_matrix(const h5_file *f, const char *place, h5_what *what, iso_error *err)
{
    iso_status st = ISO_OK;
    char *encoding = NULL;
    TRY(h5_look(f, place, what, err));
    if (*what != H5_ARRAY) goto done;
    TRY(h5_attribute_text(f, place, "encoding-type", &encoding, err));
    if (encoding && !strcmp(encoding, "null")) *what = H5_NOTHING;
done:
    iso_free(encoding);
    return st;
}

/* Reads matrix and genes of one source into d; *found = false if the file has none. d->obs must be there. */
static iso_status read_source(const h5_file *f, const source *s, iso_dataset *d, bool *found, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_what what = H5_NOTHING;
    int era = 0;
    TRY(look_for_matrix(f, s->places[0], &what, err));
    if (what == H5_NOTHING && s->places[1]) era = 1, st = look_for_matrix(f, s->places[1], &what, err);
    *found = st == ISO_OK && what != H5_NOTHING;
    if (!*found) goto done;
    iso_csr_clear(&d->x);
    iso_frame_clear(&d->var);
    TRY(h5ad_read_frame(f, s->var[era], &d->var, err));
    csr_axis cells = {"cell", d->obs.n_rows, d->obs.index}, genes = {"gene", d->var.n_rows, d->var.index};
    TRY((what == H5_GROUP ? read_group : h5_read_dense)(f, s->places[era], cells, genes, &d->x, err));
    iso_free(d->source);
    FAIL_IF(!(d->source = iso_strdup(s->name)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

/* "a, b, c" of the layers; "none" if there are none. */
static iso_status list_layers(const h5_file *f, char **out, iso_error *err)
{
    iso_status st = ISO_OK;
    char **names = NULL;
    int64_t n = 0;
    h5_what what;
    TRY(h5_look(f, "/layers", &what, err));
    if (what == H5_GROUP) TRY(h5_list(f, "/layers", &names, &n, err));
    FAIL_IF(!(*out = iso_join((const char *const *)names, n, "none")), ISO_EMEMORY, "out of memory");
done:
    iso_free_texts(names, n);
    return st;
}

static iso_status read_named(const h5_file *f, const char *layer, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    bool found = false;
    char *name = NULL, *place = NULL, *layers = NULL;
    bool raw = !strcmp(layer, "raw") || !strcmp(layer, "raw/X"), x = !strcmp(layer, "X");
    if (!strncmp(layer, "layers/", 7)) layer += 7;
    name = iso_sprintf("layers/%s", layer);
    place = iso_sprintf("/layers/%s", layer);
    FAIL_IF(!name || !place, ISO_EMEMORY, "out of memory");
    const source in_layers = {name, {place, NULL}, {"/var", NULL}};
    if (*layer) TRY(read_source(f, raw ? &candidates[2] : x ? &candidates[0] : &in_layers, d, &found, err));
    if (found) goto done;
    TRY(list_layers(f, &layers, err));
    st = iso_fail(err, ISO_EUSAGE, "%s: has no layer \"%s\"; its layers are: %s (and \"X\" and \"raw\" where they exist)", f->path,
                  layer, layers);
done:
    iso_free(layers);
    iso_free(place);
    iso_free(name);
    return st;
}

static iso_status find_counts(const h5_file *f, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    char *layers = NULL;
    int first = -1, last = -1;
    for (int i = 0; i < N_CANDIDATES; i++) {
        bool found;
        TRY(read_source(f, &candidates[i], d, &found, err));
        if (!found) continue;
        if (csr_is_counts(&d->x)) {
            if (i > 0) iso_info(f->env, "%s: counts are taken from %s%s", f->path, candidates[i].name,
                                first < 0 ? "" : "; X does not hold non-negative integers");
            goto done;
        }
        if (first < 0) first = i;
        last = i;
    }
    if (first < 0) {
        TRY(list_layers(f, &layers, err));
        FAIL_IF(true, ISO_EDATA, "%s: has neither X nor layers/counts nor raw/X; its layers are: %s (name one)", f->path, layers);
    }
    bool found;
    if (last != first) TRY(read_source(f, &candidates[first], d, &found, err));
done:
    iso_free(layers);
    return st;
}

iso_status h5ad_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_file f;
    char *where = NULL;
    TRY(h5_open(env, path, &f, err));
    TRY(h5ad_read_frame(&f, "/obs", &d->obs, err));
    TRY(layer ? read_named(&f, layer, d, err) : find_counts(&f, d, err));
    FAIL_IF(!(where = iso_sprintf("%s: %s", path, d->source)), ISO_EMEMORY, "out of memory");
    TRY(csr_check_exact(&d->x, where, (csr_axis){"cell", d->obs.n_rows, d->obs.index},
                        (csr_axis){"gene", d->var.n_rows, d->var.index}, err));
done:
    iso_free(where);
    h5_close(&f);
    return st;
}
