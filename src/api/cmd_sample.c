/* cmd_sample.c: `sample RUN`: new cells, z from the aggregated posterior or the prior, counts from the decoder's law, into
 * an h5ad. */
#include "cells_in.h"
#include "commands.h"
#include "generate.h"
#include "picture_out.h"
#include "realism.h"
#include "run_counts.h"
#include "text_out.h"

#include <string.h>
#include <sys/stat.h>

/* obs of generated cells: library size and the categories that they were given. Names and categories are lent. */
static int describe(const iso_model *m, iso_generated *g, iso_column *columns)
{
    int n = 0;
    if (g->library)
        columns[n++] = (iso_column){.name = (char *)"library_size", .kind = ISO_COL_REAL, .reals = g->library};
    for (int k = 0; k <= m->n_covariates && k < ISO_MAX_COVARIATES; k++) {
        const iso_covariate *c = k < m->n_covariates ? &m->covariates[k] : &m->label;
        if (!c->key) continue;
        columns[n++] = (iso_column){.name = c->key,
                                    .kind = ISO_COL_CATEGORY,
                                    .codes = g->codes[k],
                                    .categories = c->categories,
                                    .n_categories = c->n_categories};
    }
    return n;
}

static iso_status name_cells(iso_frame *obs, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(obs->index, n, sizeof *obs->index);
    obs->n_rows = n;
    FAIL_IF(!(obs->index_name = iso_strdup("_index")), ISO_EMEMORY, "out of memory");
    for (int64_t i = 0; i < n; i++)
        FAIL_IF(!(obs->index[i] = iso_sprintf("sample-%lld", (long long)i)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

/* --around: the cells of a group of --key, or one cell; not given: all. In *cells, the caller's, *n of them. */
static iso_status choose_source(const iso_run_cells *r, const iso_options *o, int64_t **cells, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *around = iso_opt_text(o, "around");
    iso_groups g = {0};
    int32_t group = -1;
    *n = 0;
    ALLOC(*cells, r->obs.n_rows, sizeof **cells);
    if (around) TRY(iso_run_groups(r, iso_opt_text(o, "key"), &g, err));
    for (int32_t k = 0; k < g.n; k++)
        if (strcmp(g.names[k], around) == 0) group = k;
    for (int64_t i = 0; i < r->obs.n_rows; i++) {
        bool in = !around ? r->is_train[i] : group >= 0 ? g.codes[i] == group && r->is_train[i] : strcmp(r->obs.index[i], around) == 0;
        if (in) (*cells)[(*n)++] = i;
    }
    FAIL_IF(*n == 0 && around, ISO_EUSAGE, "--around \"%s\" is neither a group of training cells of \"%s\" nor a cell of %s/latent.h5ad", around,
            iso_opt_text(o, "key"), r->folder);
    FAIL_IF(*n == 0, ISO_EDATA, "%s/latent.h5ad names no training cells", r->folder);
done:
    iso_groups_clear(&g);
    return st;
}

/* How real cells of this run and such samples are alike: the figures of the report, anew for this seed. */
static iso_status tell_realism(iso_env *env, const iso_run_cells *r, const iso_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr x = {0};
    iso_realism m = {0};
    if (!r->model->v.c.likelihood->counts) goto done;
    TRY(iso_run_counts(env, r, o, "no test of realism", &x, err));
    if (x.n_cols == 0) goto done;
    TRY(iso_realism_of_run(env, r, &x, (uint64_t)iso_opt_int(o, "seed"), &m, err));
    if (m.n == 0) goto done;
    const struct { const char *what; iso_against value; } rows[] = {
        {"a classifier tells them apart (AUC)", m.auc}, {"difference in genes' means", m.mean}, {"in their standard deviations", m.deviation},
        {"in their shares of zeros", m.zeros}, {"correlation of co-expression", m.coexpression}};
    iso_info(env, "%lld such cells against held-out ones, and real training cells against them:", (long long)m.n);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        iso_info(env, "  %-38s %.3f, real %.3f", rows[i].what, rows[i].value.generated, rows[i].value.floor);
done:
    iso_realism_clear(&m);
    iso_csr_clear(&x);
    return st;
}

/* z from where the training cells are. */
static iso_status draw_from_run(iso_env *env, const iso_options *o, int64_t n, float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    int64_t *cells = NULL, n_cells;
    TRY(iso_run_open(env, o, &r, err));
    TRY(choose_source(&r, o, &cells, &n_cells, err));
    iso_draw_posterior(r.mu, r.variance, cells, n_cells, n, r.model->v.c.n_latent, (uint64_t)iso_opt_int(o, "seed"), z);
    if (!iso_opt_text(o, "around")) TRY(tell_realism(env, &r, o, err));
done:
    iso_free(cells);
    iso_run_close(&r);
    return st;
}

/* --source; a model file alone knows no cells, so that the prior is all there is. */
static iso_status draw(iso_env *env, const iso_options *o, const char *given, int64_t n, int L, float *z, iso_error *err)
{
    struct stat s;
    bool run = stat(given, &s) == 0 && S_ISDIR(s.st_mode), prior = strcmp(iso_opt_text(o, "source"), "prior") == 0;
    if (prior && iso_opt_text(o, "around")) return iso_fail(err, ISO_EUSAGE, "--around goes with --source posterior");
    if (!prior && run) return draw_from_run(env, o, n, z, err);
    if (iso_opt_text(o, "around")) return iso_fail(err, ISO_EUSAGE, "--around needs the run folder, for its latent.h5ad; %s is a model alone", given);
    if (!prior && iso_options_given(o, "source"))
        return iso_fail(err, ISO_EUSAGE, "--source posterior needs the run folder, for its latent.h5ad; %s is a model alone", given);
    if (!prior) iso_info(env, "a model alone knows no cells: latent positions are drawn from the prior");
    iso_draw_prior(n, L, (uint64_t)iso_opt_int(o, "seed"), z);
    return ISO_OK;
}

iso_status iso_cmd_sample(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = NULL;
    iso_generated g = {0};
    iso_frame obs = {0};
    iso_column columns[ISO_MAX_COVARIATES + 1];
    float *z = NULL;
    int64_t n = iso_opt_int(o, "n_cells");
    char *given = NULL;
    const char *path;
    FAIL_IF(!(given = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    TRY(iso_input_model(env, o, 0, &m, err));
    TRY(iso_output_path(o, m->images.channels ? "samples.npz" : "samples.h5ad", &path, err));
    FAIL_IF(m->v.c.autoencoder, ISO_EUSAGE,
            "the model is a plain autoencoder: it has no prior to sample from; fit without --autoencoder");
    int L = m->v.c.n_latent;
    ALLOC(z, n * L, sizeof *z);
    TRY(draw(env, o, given, n, L, z, err));
    TRY(name_cells(&obs, n, err));
    if (m->images.channels) {
        TRY(iso_decoded_write(env, m, z, n, (const char *const *)obs.index, true, 0, o, "samples.npz", err));
        goto done;
    }
    TRY(iso_generate(env, m, z, n, NULL, (uint64_t)iso_opt_int(o, "seed"), &g, err));
    int n_columns = describe(m, &g, columns);
    iso_frame var = {.n_rows = m->n_genes, .index_name = (char *)"_index", .index = m->genes};
    const iso_h5ad_array obsm[] = {{"X_isolario", L, z}};
    const iso_h5ad_uns uns[] = {{.path = "isolario/command", .text = command_line ? command_line : ""},
                                {.path = "isolario/model", .text = given},
                                {.path = "isolario/version", .text = ISO_VERSION}};
    iso_h5ad_out out = {.obs = &obs,
                        .var = &var,
                        .x = &g.x,
                        .extra_obs = columns,
                        .n_extra_obs = n_columns,
                        .obsm = obsm,
                        .n_obsm = 1,
                        .uns = uns,
                        .n_uns = 3};
    TRY(iso_h5ad_write(env, path, &out, err));
    iso_info(env, "wrote %s: %lld generated cells x %lld genes", path, (long long)n, (long long)m->n_genes);
done:
    iso_free(given);
    iso_free(z);
    iso_generated_clear(&g);
    iso_frame_clear(&obs);
    iso_model_free(m);
    return st;
}
