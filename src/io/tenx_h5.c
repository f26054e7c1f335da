/* tenx_h5.c: 10x Genomics HDF5. Cell Ranger 3 and later: group /matrix with features/; 1 and 2: a group per genome with
 * genes and gene_names. Both store genes x cells by column, that is, cells x genes by row. Names and columns of var are
 * as scanpy.read_10x_h5 gives them. */
#include "h5_matrix.h"
#include "h5ad_frame.h"
#include "readers.h"

#include <string.h>

/* ------------------------------------------------------------------------------------- sniff */

/* "/GROUP/NAME" exists; false also when it cannot be told. */
static bool has(const h5_file *f, const char *group, const char *name)
{
    char place[1024];
    h5_what what;
    return snprintf(place, sizeof place, "/%s/%s", group, name) < (int)sizeof place && h5_look(f, place, &what, NULL) == ISO_OK &&
           what != H5_NOTHING;
}

static bool is_matrix(const h5_file *f, const char *group)
{
    return has(f, group, "indptr") && has(f, group, "indices") && has(f, group, "data") && has(f, group, "shape");
}

static bool has_genome(const h5_file *f)
{
    char name[1024];
    for (int64_t i = 0; h5_name_at(f, "/", i, name, sizeof name); i++)
        if (is_matrix(f, name)) return true;
    return false;
}

bool tenx_h5_sniff(const char *path)
{
    h5_file f;
    h5_what obs;
    if (!h5_signature(path)) return false;
    bool ours = h5_open(NULL, path, &f, NULL) == ISO_OK && h5_look(&f, "/obs", &obs, NULL) == ISO_OK && obs == H5_NOTHING &&
                (is_matrix(&f, "matrix") || has_genome(&f));
    h5_close(&f);
    return ours;
}

/* -------------------------------------------------------------------------------------- names */

/* Names of a vector in a group as text. */
static iso_status read_names(const h5_file *f, const char *group, const char *name, char ***out, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a = {0};
    char *place = iso_sprintf("%s/%s", group, name);
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(h5_array_open(f, place, &a, err));
    FAIL_IF(a.rank != 1, ISO_EDATA, "%s: %s should be a vector", f->path, place);
    TRY(h5_read_text(&a, out, err));
    *n = a.n;
done:
    h5_array_close(&a);
    iso_free(place);
    return st;
}

/* The index of a frame; `room` columns can be added. */
static iso_status start_frame(const h5_file *f, const char *group, const char *name, int64_t room, iso_frame *out, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(read_names(f, group, name, &out->index, &out->n_rows, err));
    FAIL_IF(!(out->index_name = iso_strdup("_index")), ISO_EMEMORY, "out of memory");
    ALLOC(out->columns, room, sizeof *out->columns);
done:
    return st;
}

/* Adds array group/source as column `name`; a missing one, or one that is neither text nor bool, is skipped. */
static iso_status add_array(const h5_file *f, const char *group, const char *source, const char *name, iso_frame *out,
                            iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a = {0};
    h5_what what;
    bool known = false;
    char *place = iso_sprintf("%s/%s", group, source);
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(h5_look(f, place, &what, err));
    if (what != H5_ARRAY) goto done;
    TRY(h5_array_open(f, place, &a, err));
    if (a.rank != 1 || (a.kind != H5_KIND_TEXT && a.kind != H5_KIND_BOOL)) goto done;
    FAIL_IF(a.n != out->n_rows, ISO_EDATA, "%s: %s has %lld values for %lld rows; the file is damaged", f->path, place,
            (long long)a.n, (long long)out->n_rows);
    TRY(h5_read_column(&a, name, &out->columns[out->n_columns], &known, err));
    out->n_columns += known;
done:
    h5_array_close(&a);
    iso_free(place);
    return st;
}

/* --------------------------------------------------------------------------------- version 3 */

/* Order as in scanpy: gene_ids, probe_ids, feature_types, then whatever else is there. */
static iso_status read_features(const h5_file *f, iso_frame *var, iso_error *err)
{
    static const char group[] = "/matrix/features";
    static const char *const done_already[] = {"name", "feature_type", "id", "gene_id", "_all_tag_keys"};
    iso_status st = ISO_OK;
    char **names = NULL;
    int64_t n = 0;
    h5_what what;
    TRY(h5_list(f, group, &names, &n, err));
    TRY(start_frame(f, group, "name", n + 3, var, err));
    TRY(h5_look(f, "/matrix/features/gene_id", &what, err));
    bool probes = what == H5_ARRAY;
    TRY(add_array(f, group, probes ? "gene_id" : "id", "gene_ids", var, err));
    if (probes) TRY(add_array(f, group, "id", "probe_ids", var, err));
    TRY(add_array(f, group, "feature_type", "feature_types", var, err));
    for (int64_t i = 0; i < n; i++) {
        bool skip = false;
        for (size_t k = 0; k < sizeof done_already / sizeof *done_already; k++) skip = skip || !strcmp(names[i], done_already[k]);
        if (!skip) TRY(add_array(f, group, names[i], names[i], var, err));
    }
done:
    iso_free_texts(names, n);
    return st;
}

/* --------------------------------------------------------------------------------- version 2 */

/* The groups that hold a matrix. */
static iso_status list_genomes(const h5_file *f, char ***genomes, int64_t *n, iso_error *err)
{
    char **names = NULL;
    int64_t n_names = 0, kept = 0;
    iso_status st = h5_list(f, "/", &names, &n_names, err);
    for (int64_t i = 0; i < n_names; i++) {
        if (is_matrix(f, names[i])) names[kept++] = names[i];
        else iso_free(names[i]);
    }
    *genomes = names, *n = kept;
    return st;
}

/* "/GENOME" of the one genome, or of the one the user named. */
static iso_status choose_genome(const h5_file *f, const char *layer, char **group, iso_error *err)
{
    iso_status st = ISO_OK;
    char **genomes = NULL, *list = NULL;
    int64_t n = 0, chosen = -1;
    TRY(list_genomes(f, &genomes, &n, err));
    for (int64_t i = 0; i < n; i++)
        if (layer ? !strcmp(layer, genomes[i]) : n == 1) chosen = i;
    FAIL_IF(!(list = iso_join((const char *const *)genomes, n, "none")), ISO_EMEMORY, "out of memory");
    FAIL_IF(chosen < 0, layer ? ISO_EUSAGE : ISO_EDATA, "%s: %s%s%s; its genomes are: %s (name one as the layer)", f->path,
            layer ? "has no genome \"" : "holds more than one genome", layer ? layer : "", layer ? "\"" : "", list);
    FAIL_IF(!(*group = iso_sprintf("/%s", genomes[chosen])), ISO_EMEMORY, "out of memory");
done:
    iso_free(list);
    iso_free_texts(genomes, n);
    return st;
}

/* ------------------------------------------------------------------------------------- both */

static iso_status check_shape(const h5_file *f, const char *group, const iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a = {0};
    int64_t shape[2];
    char *place = iso_sprintf("%s/shape", group);
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(h5_array_open(f, place, &a, err));
    FAIL_IF(a.rank != 1 || a.n != 2, ISO_EDATA, "%s: %s should be two numbers", f->path, place);
    TRY(h5_read_i64(&a, 0, 2, shape, err));
    FAIL_IF(shape[0] != d->var.n_rows || shape[1] != d->obs.n_rows, ISO_EDATA,
            "%s: %s is %lld features x %lld barcodes but there are names for %lld and %lld; the file is damaged", f->path, place,
            (long long)shape[0], (long long)shape[1], (long long)d->var.n_rows, (long long)d->obs.n_rows);
done:
    h5_array_close(&a);
    iso_free(place);
    return st;
}

iso_status tenx_h5_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_file f;
    char *group = NULL, *where = NULL;
    TRY(h5_open(env, path, &f, err));
    bool v3 = is_matrix(&f, "matrix");
    if (layer && (!strcmp(layer, "X") || !strcmp(layer, "matrix"))) layer = NULL;
    FAIL_IF(v3 && layer, ISO_EUSAGE, "%s: a 10x file has one matrix and no layer \"%s\"", path, layer);
    if (v3) FAIL_IF(!(group = iso_strdup("/matrix")), ISO_EMEMORY, "out of memory");
    if (!v3) TRY(choose_genome(&f, layer, &group, err));
    TRY(start_frame(&f, group, "barcodes", 1, &d->obs, err));
    if (v3) {
        TRY(add_array(&f, group, "filtered_barcodes", "filtered_barcodes", &d->obs, err));
        TRY(read_features(&f, &d->var, err));
    } else {
        TRY(start_frame(&f, group, "gene_names", 1, &d->var, err));
        TRY(add_array(&f, group, "genes", "gene_ids", &d->var, err));
    }
    TRY(check_shape(&f, group, d, err));
    csr_axis cells = {"cell", d->obs.n_rows, d->obs.index}, genes = {"gene", d->var.n_rows, d->var.index};
    TRY(h5_read_sparse(&f, group, false, cells, genes, &d->x, err));
    FAIL_IF(!(where = iso_sprintf("%s: %s", path, group)), ISO_EMEMORY, "out of memory");
    TRY(csr_check_exact(&d->x, where, cells, genes, err));
    TRY(tenx_keep_genes(env, d, err));
    FAIL_IF(!(d->source = iso_strdup("matrix")), ISO_EMEMORY, "out of memory");
done:
    iso_free(where);
    iso_free(group);
    h5_close(&f);
    return st;
}
