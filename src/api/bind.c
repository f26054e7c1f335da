/* bind.c: from a data set to a model's terms: its genes, its categories, what its encoder sees. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- names */

typedef struct name_at { const char *name; int64_t at; } name_at;
static int by_name(const void *a, const void *b)
{
    int c = strcmp(((const name_at *)a)->name, ((const name_at *)b)->name);
    return c ? c : ((const name_at *)a)->at < ((const name_at *)b)->at ? -1 : 1;
}

/* where[j] = position in the model of the data's gene j, -1 = not a gene of the model. A name that occurs several
 * times is matched first to first, second to second. */
static iso_status match_genes(const iso_model *m, const iso_frame *var, int64_t *where, int64_t *found, iso_error *err)
{
    iso_status st = ISO_OK;
    name_at *ours = NULL, *theirs = NULL;
    *found = 0;
    ALLOC(ours, m->n_genes, sizeof *ours);
    ALLOC(theirs, var->n_rows, sizeof *theirs);
    for (int64_t i = 0; i < m->n_genes; i++) ours[i] = (name_at){m->genes[i], i};
    for (int64_t j = 0; j < var->n_rows; j++) theirs[j] = (name_at){var->index[j], j}, where[j] = -1;
    qsort(ours, (size_t)m->n_genes, sizeof *ours, by_name);
    qsort(theirs, (size_t)var->n_rows, sizeof *theirs, by_name);
    for (int64_t i = 0, j = 0; i < m->n_genes && j < var->n_rows;) {
        int c = strcmp(ours[i].name, theirs[j].name);
        if (c == 0) where[theirs[j++].at] = ours[i++].at, ++*found;
        else if (c < 0) i++;
        else j++;
    }
done:
    iso_free(ours);
    iso_free(theirs);
    return st;
}

static bool same_genes(const iso_model *m, const iso_frame *var)
{
    if (var->n_rows != m->n_genes) return false;
    for (int64_t i = 0; i < m->n_genes; i++)
        if (strcmp(m->genes[i], var->index[i]) != 0) return false;
    return true;
}

typedef struct entry { int32_t at; float value; } entry;
static int by_position(const void *a, const void *b) { return ((const entry *)a)->at - ((const entry *)b)->at; }

static iso_status align(const iso_csr *x, const int64_t *where, int64_t n_genes, iso_csr *out, iso_error *err)
{
    iso_status st = ISO_OK;
    entry *row = NULL;
    *out = (iso_csr){.n_rows = x->n_rows, .n_cols = n_genes};
    ALLOC(out->indptr, x->n_rows + 1, sizeof *out->indptr);
    ALLOC(out->indices, x->nnz, sizeof *out->indices);
    ALLOC(out->values, x->nnz, sizeof *out->values);
    ALLOC(row, x->n_cols, sizeof *row);
    for (int64_t r = 0; r < x->n_rows; r++) {
        int64_t n = 0;
        for (int64_t e = x->indptr[r]; e < x->indptr[r + 1]; e++)
            if (where[x->indices[e]] >= 0) row[n++] = (entry){(int32_t)where[x->indices[e]], x->values[e]};
        qsort(row, (size_t)n, sizeof *row, by_position);
        for (int64_t k = 0; k < n; k++) out->indices[out->nnz] = row[k].at, out->values[out->nnz++] = row[k].value;
        out->indptr[r + 1] = out->nnz;
    }
done:
    iso_free(row);
    return st;
}

/* -------------------------------------------------------------------------------- covariates */

typedef struct key_list { const iso_frame *f; } key_list;
static const char *next_key(const void *arg, int i)
{
    const iso_frame *f = ((const key_list *)arg)->f;
    return i < f->n_columns ? f->columns[i].name : NULL;
}

static iso_status find_column(const iso_dataset *d, const char *option, const char *key, const iso_column **c,
                              iso_error *err)
{
    *c = iso_frame_column(&d->obs, key);
    if (*c) return ISO_OK;
    char known[512] = "";
    for (int i = 0; i < d->obs.n_columns && strlen(known) < 400; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", d->obs.columns[i].name);
    const char *near = iso_nearest(key, next_key, &(key_list){&d->obs});
    return iso_fail(err, ISO_EUSAGE, "%s: no column \"%s\" in obs (%s)%s%s%s; it has: %s", d->path, key, option,
                    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                    d->obs.n_columns ? known : "no columns");
}

static void covariate_clear(iso_covariate *c)
{
    iso_free_texts(c->categories, c->n_categories);
    iso_free(c->key);
    *c = (iso_covariate){0};
}

/* The categories that occur in column `key`, in their order. */
static iso_status covariate_from(const iso_dataset *d, const char *option, const char *key, iso_covariate *out,
                                 iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *c;
    int32_t *codes = NULL, n = 0;
    char **categories = NULL;
    bool *used = NULL;
    TRY(find_column(d, option, key, &c, err));
    TRY(iso_column_factor(&d->obs, c, &codes, &categories, &n, err));
    ALLOC(used, n, sizeof *used);
    for (int64_t i = 0; i < d->obs.n_rows; i++) {
        FAIL_IF(codes[i] < 0, ISO_EDATA,
                "%s: cell %lld (\"%s\") has no value in obs column \"%s\" (%s); fill it in or leave that cell out",
                d->path, (long long)i + 1, d->obs.index[i], key, option);
        used[codes[i]] = true;
    }
    FAIL_IF(!(out->key = iso_strdup(key)), ISO_EMEMORY, "out of memory");
    ALLOC(out->categories, n, sizeof *out->categories);
    for (int32_t k = 0; k < n; k++)
        if (used[k]) out->categories[out->n_categories++] = categories[k], categories[k] = NULL;
done:
    iso_free_texts(categories, n);
    iso_free(codes);
    iso_free(used);
    return st;
}

/* A data set's codes in the model's categories. */
static iso_status covariate_codes(const iso_dataset *d, const iso_covariate *c, int32_t **out, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *column;
    int32_t *codes = NULL, n = 0, *map = NULL;
    char **categories = NULL;
    TRY(find_column(d, "a covariate of the model", c->key, &column, err));
    TRY(iso_column_factor(&d->obs, column, &codes, &categories, &n, err));
    ALLOC(map, n, sizeof *map);
    for (int32_t k = 0; k < n; k++) {
        map[k] = -1;
        for (int32_t j = 0; j < c->n_categories; j++)
            if (strcmp(categories[k], c->categories[j]) == 0) map[k] = j;
    }
    for (int64_t i = 0; i < d->obs.n_rows; i++) {
        int32_t code = codes[i] >= 0 ? map[codes[i]] : -1;
        FAIL_IF(
            code < 0, ISO_EDATA,
            "%s: cell %lld (\"%s\") has %s \"%s\", which the model has not seen; it knows \"%s\"%s%s%s and %d in all",
            d->path, (long long)i + 1, d->obs.index[i], c->key, codes[i] >= 0 ? categories[codes[i]] : "(missing)",
            c->categories[0], c->n_categories > 1 ? ", \"" : "", c->n_categories > 1 ? c->categories[1] : "",
            c->n_categories > 1 ? "\"" : "", c->n_categories);
        codes[i] = code;
    }
    *out = codes, codes = NULL;
done:
    iso_free_texts(categories, n);
    iso_free(codes);
    iso_free(map);
    return st;
}

/* Value i of a numeric column; NaN when it is missing or not a number. */
static double number_at(const iso_column *c, int64_t i)
{
    if (c->mask && c->mask[i]) return (double)NAN;
    return c->kind == ISO_COL_REAL   ? c->reals[i]
           : c->kind == ISO_COL_INT  ? (double)c->ints[i]
           : c->kind == ISO_COL_BOOL ? c->bools[i]
                                     : (double)NAN;
}

static iso_status numbers(const iso_dataset *d, const char *option, const char *key, real *out, int64_t stride,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *c;
    TRY(find_column(d, option, key, &c, err));
    for (int64_t i = 0; i < d->obs.n_rows; i++) {
        out[i * stride] = (real)number_at(c, i);
        FAIL_IF(!isfinite((double)out[i * stride]), ISO_EDATA,
                "%s: cell %lld (\"%s\") has no number in obs column \"%s\" (%s)", d->path, (long long)i + 1,
                d->obs.index[i], key, option);
    }
done:
    return st;
}

/* -------------------------------------------------------------------------------- a new model */

static iso_dispersion dispersion_named(const char *s)
{
    static const char *const names[] = {"gene", "gene-batch", "gene-label", "gene-cell"};
    for (int i = 0; i < 4; i++)
        if (strcmp(s, names[i]) == 0) return (iso_dispersion)i;
    return ISO_DISPERSION_GENE;             /* the options table has refused all else */
}

static iso_status take_covariates(iso_model *m, const iso_dataset *d, const iso_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    char *key = NULL;
    const char *batch = iso_opt_text(o, "batch_key"), *label = iso_opt_text(o, "labels_key"),
               *size = iso_opt_text(o, "size_factor_key");
    if (batch) {
        TRY(covariate_from(d, "--batch-key", batch, &m->covariates[0], err));
        m->has_batch = true, m->n_covariates = 1;
    }
    int n = iso_opt_list_n(o, "categorical_covariate_keys");
    FAIL_IF(n + m->n_covariates >= ISO_MAX_COVARIATES, ISO_EUSAGE, "at most %d categorical covariates",
            ISO_MAX_COVARIATES - 1);
    for (int i = 0; i < n; i++) {
        FAIL_IF(!(key = iso_opt_list_item(o, "categorical_covariate_keys", i)), ISO_EMEMORY, "out of memory");
        TRY(covariate_from(d, "--categorical-covariate-keys", key, &m->covariates[m->n_covariates], err));
        m->n_covariates++;
        iso_free(key), key = NULL;
    }
    n = iso_opt_list_n(o, "continuous_covariate_keys");
    FAIL_IF(n > ISO_MAX_COVARIATES, ISO_EUSAGE, "at most %d continuous covariates", ISO_MAX_COVARIATES);
    for (int i = 0; i < n; i++, m->n_continuous++)
        FAIL_IF(!(m->continuous[i] = iso_opt_list_item(o, "continuous_covariate_keys", i)), ISO_EMEMORY,
                "out of memory");
    if (label && strcmp(iso_opt_text(o, "dispersion"), "gene-label") == 0)
        TRY(covariate_from(d, "--labels-key", label, &m->label, err));
    FAIL_IF(size && !(m->size_factor_key = iso_strdup(size)), ISO_EMEMORY, "out of memory");
done:
    iso_free(key);
    return st;
}

static double total_of(const iso_csr *x, int64_t r)
{
    double t = 0;
    for (int64_t e = x->indptr[r]; e < x->indptr[r + 1]; e++) t += (double)x->values[e];
    return t;
}

/* Mean and population variance of log totals by batch (scvi-tools' library prior), and over all cells. */
static iso_status library_prior(iso_model *m, const iso_dataset *d, const int32_t *batch, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t n = m->has_batch ? m->covariates[0].n_categories : 1;
    double *count = NULL;
    ALLOC(count, n, sizeof *count);
    ALLOC(m->prior_mean, n, sizeof *m->prior_mean);
    ALLOC(m->prior_variance, n, sizeof *m->prior_variance);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < d->x.n_rows; i++) {
            double l = log(fmax(total_of(&d->x, i), 1e-12));
            int32_t k = batch ? batch[i] : 0;
            if (pass == 0) m->prior_mean[k] += l, count[k]++, m->library_mean[0] += l / (double)d->x.n_rows;
            else
                m->prior_variance[k] += pow(l - m->prior_mean[k] / count[k], 2) / count[k],
                    m->library_variance[0] += pow(l - m->library_mean[0], 2) / (double)d->x.n_rows;
        }
    for (int32_t k = 0; k < n; k++) {
        m->prior_mean[k] /= count[k];
        m->prior_variance[k] = fmax(m->prior_variance[k], 1e-4);
    }
done:
    iso_free(count);
    return st;
}

static iso_status configuration(const iso_model *m, const iso_options *o, iso_vae_config *c, iso_error *err)
{
    iso_status st = ISO_OK;
    *c = (iso_vae_config){.n_genes = m->n_genes,
                          .n_latent = (int)iso_opt_int(o, "n_latent"),
                          .n_hidden = (int)iso_opt_int(o, "n_hidden"),
                          .n_layers = (int)iso_opt_int(o, "n_layers"),
                          .dropout = iso_opt_real(o, "dropout"),
                          .dispersion = dispersion_named(iso_opt_text(o, "dispersion")),
                          .learned_library = strcmp(iso_opt_text(o, "library"), "learned") == 0,
                          .linear_decoder = iso_opt_flag(o, "linear_decoder"),
                          .autoencoder = iso_opt_flag(o, "autoencoder"),
                          .encode_covariates = iso_opt_flag(o, "encode_covariates"),
                          .batch_norm = true,
                          .bf16 = strcmp(iso_opt_text(o, "precision"), "bf16") == 0,
                          .n_categorical = m->n_covariates,
                          .n_labels = m->label.n_categories,
                          .n_continuous = m->n_continuous,
                          .library_mean = m->prior_mean,
                          .library_variance = m->prior_variance};
    for (int k = 0; k < m->n_covariates; k++) c->n_categories[k] = m->covariates[k].n_categories;
    TRY(iso_likelihood_find(iso_opt_text(o, "likelihood"), &c->likelihood, err));
    FAIL_IF(!c->likelihood->rows && m->n_genes, ISO_EUSAGE, "--likelihood %s is for images; for cells x genes see isolario fit --help", c->likelihood->name);
    FAIL_IF(c->dispersion == ISO_DISPERSION_BATCH && !m->has_batch, ISO_EUSAGE,
            "--dispersion gene-batch needs --batch-key");
    FAIL_IF(c->dispersion == ISO_DISPERSION_LABEL && !m->label.key, ISO_EUSAGE,
            "--dispersion gene-label needs --labels-key");
    FAIL_IF(c->autoencoder && c->learned_library, ISO_EUSAGE,
            "--autoencoder has no posterior: it goes with --library observed");
    FAIL_IF(c->learned_library && !c->likelihood->counts, ISO_EUSAGE, "--library learned is for count likelihoods");
done:
    return st;
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static iso_status median_total(const iso_csr *x, double *median, iso_error *err)
{
    iso_status st = ISO_OK;
    double *totals = NULL;
    ALLOC(totals, x->n_rows, sizeof *totals);
    for (int64_t i = 0; i < x->n_rows; i++) totals[i] = total_of(x, i);
    qsort(totals, (size_t)x->n_rows, sizeof *totals, by_size);
    *median = totals[x->n_rows / 2] > 0 ? totals[x->n_rows / 2] : 1;
done:
    iso_free(totals);
    return st;
}

/* A model of images. */
static iso_status new_of_images(iso_env *env, const iso_dataset *d, const iso_options *o, iso_model *m, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_vae_config c;
    TRY(take_covariates(m, d, o, err));
    FAIL_IF(m->n_continuous || m->size_factor_key, ISO_EUSAGE, "images have neither continuous covariates nor size factors");
    TRY(configuration(m, o, &c, err));
    FAIL_IF(!c.likelihood->image, ISO_EUSAGE, "--likelihood %s is for counts; for images: gaussian, wavelet, photon, feature, mse", c.likelihood->name);
    TRY(iso_image_terms_of(env, d, o, &m->images, &c.image, err));
    TRY(iso_image_value_names(m, &c.image, err));
    c.n_genes = m->n_genes, c.dispersion = ISO_DISPERSION_GENE, c.batch_norm = false;
    if (c.bf16 && !iso_tiles_usable()) {
        iso_warn(env, "this CPU has no AMX: images train in float32, also with --precision bf16");
        c.bf16 = false;
    }
    TRY(iso_vae_build(&c, (uint64_t)iso_opt_int(o, "seed"), &m->v, err));
    iso_image_set_photons(m);
done:
    return st;
}

iso_status iso_model_new(iso_env *env, const iso_dataset *d, const iso_options *o, iso_model **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = NULL;
    int32_t *batch = NULL;
    iso_vae_config c;
    *out = NULL;
    ALLOC(m, 1, sizeof *m);
    if (d->images) {
        TRY(new_of_images(env, d, o, m, err));
        *out = m, m = NULL;
        goto done;
    }
    ALLOC(m->genes, d->var.n_rows, sizeof *m->genes);
    m->n_genes = d->var.n_rows;
    for (int64_t g = 0; g < m->n_genes; g++)
        FAIL_IF(!(m->genes[g] = iso_strdup(d->var.index[g])), ISO_EMEMORY, "out of memory");
    TRY(take_covariates(m, d, o, err));
    if (m->has_batch) TRY(covariate_codes(d, &m->covariates[0], &batch, err));
    TRY(library_prior(m, d, batch, err));
    TRY(median_total(&d->x, &m->median_library, err));
    m->normalized_input = strcmp(iso_opt_text(o, "encoder_input"), "log1p_normalized") == 0;
    TRY(configuration(m, o, &c, err));
    if (c.bf16 && !iso_bf16_is_fast())
        iso_warn(env, "this CPU has no instructions for bfloat16: --precision bf16 gives what it gives elsewhere, but slowly; leave it out for speed");
    TRY(iso_vae_build(&c, (uint64_t)iso_opt_int(o, "seed"), &m->v, err));
    *out = m, m = NULL;
done:
    iso_free(batch);
    iso_model_free(m);
    return st;
}

void iso_model_free(iso_model *m)
{
    if (!m) return;
    iso_vae_clear(&m->v);
    iso_free_texts(m->genes, m->n_genes);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) covariate_clear(&m->covariates[k]), iso_free(m->continuous[k]);
    covariate_clear(&m->label);
    iso_free(m->size_factor_key);
    iso_image_terms_clear(&m->images);
    iso_free(m->prior_mean);
    iso_free(m->prior_variance);
    iso_free(m);
}

int iso_model_n_latent(const iso_model *m) { return m->v.c.n_latent; }
int64_t iso_model_n_genes(const iso_model *m) { return m->n_genes; }

/* ------------------------------------------------------------------------------------ binding */

static iso_status bind_genes(iso_env *env, const iso_model *m, const iso_dataset *d, iso_bound *b, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *where = NULL, found;
    b->x = &d->x;
    if (same_genes(m, &d->var)) return ISO_OK;
    ALLOC(where, d->var.n_rows, sizeof *where);
    TRY(match_genes(m, &d->var, where, &found, err));
    FAIL_IF(found * 2 < m->n_genes, ISO_EDATA,
            "%s: only %lld of the model's %lld genes are in it (the model has \"%s\", the data \"%s\"); are the names "
            "of one kind, and the species the same?",
            d->path, (long long)found, (long long)m->n_genes, m->genes[0],
            d->var.n_rows ? d->var.index[0] : "no genes");
    if (found < m->n_genes)
        iso_warn(env, "%s: %lld of the model's %lld genes are missing and count as 0", d->path,
                 (long long)(m->n_genes - found), (long long)m->n_genes);
    TRY(align(&d->x, where, m->n_genes, &b->aligned, err));
    b->x = &b->aligned;
done:
    iso_free(where);
    return st;
}

/* Library size and the encoder's scaling of each cell. */
static iso_status bind_sizes(const iso_model *m, const iso_dataset *d, iso_bound *b, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_likelihood *law = m->v.c.likelihood;
    int64_t n = d->x.n_rows;
    ALLOC(b->log_library, n, sizeof *b->log_library);
    ALLOC(b->input_scale, n, sizeof *b->input_scale);
    if (m->size_factor_key) TRY(numbers(d, "--size-factor-key", m->size_factor_key, b->log_library, 1, err));
    for (int64_t i = 0; i < n; i++) {
        double total = total_of(b->x, i), library = m->size_factor_key ? (double)b->log_library[i] : total;
        FAIL_IF(law->counts && !(library > 0), ISO_EDATA,
                "%s: cell %lld (\"%s\") has %s in the model's genes; leave it out", d->path, (long long)i + 1,
                d->obs.index[i], m->size_factor_key ? "no positive size factor" : "no counts");
        b->log_library[i] = (real)log(fmax(library, 1e-12));
        b->input_scale[i] = m->normalized_input && total > 0 ? (float)(m->median_library / total) : 1;
    }
done:
    return st;
}

iso_status iso_bind(iso_env *env, const iso_model *m, const iso_dataset *d, iso_bound *b, iso_error *err)
{
    iso_status st = ISO_OK;
    *b = (iso_bound){0};
    FAIL_IF(!d->images != !m->images.channels, ISO_EDATA, "%s: holds %s, but the model is of %s", d->path, d->images ? "images" : "counts",
            m->images.channels ? "images" : "counts");
    if (d->images) TRY(iso_image_bind(m, d, b, err));
    else {
        TRY(bind_genes(env, m, d, b, err));
        TRY(bind_sizes(m, d, b, err));
    }
    for (int k = 0; k < m->n_covariates; k++) TRY(covariate_codes(d, &m->covariates[k], &b->codes[k], err));
    if (m->label.key) TRY(covariate_codes(d, &m->label, &b->codes[m->n_covariates], err));
    ALLOC(b->continuous, d->x.n_rows * m->n_continuous, sizeof *b->continuous);
    for (int k = 0; k < m->n_continuous; k++)
        TRY(numbers(d, "--continuous-covariate-keys", m->continuous[k], b->continuous + k, m->n_continuous, err));
    b->cells = (iso_cells){.x = b->x,
                           .pictures = d->images ? &b->pictures : NULL,
                           .log_library = b->log_library,
                           .input_scale = b->input_scale,
                           .raw_input = !m->v.c.likelihood->counts && !m->v.c.likelihood->log1p_data,
                           .n_codes = m->n_covariates + (m->label.key != NULL),
                           .n_continuous = m->n_continuous,
                           .continuous = b->continuous};
    for (int k = 0; k < b->cells.n_codes; k++) b->cells.codes[k] = b->codes[k];
done:
    if (st) iso_bound_clear(b);
    return st;
}

void iso_bound_clear(iso_bound *b)
{
    iso_csr_clear(&b->aligned);
    iso_free(b->log_library);
    iso_free(b->input_scale);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) iso_free(b->codes[k]);
    iso_free(b->continuous);
    *b = (iso_bound){0};
}
