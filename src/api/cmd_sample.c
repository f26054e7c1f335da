/* cmd_sample.c: `sample RUN`: new cells, z from the aggregated posterior or the prior, counts from the decoder's law, into
 * an h5ad. */
#include "cells_in.h"
#include "commands.h"
#include "generate.h"
#include "run_folder.h"
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

/* z from where the training cells are. */
static iso_status draw_from_run(iso_env *env, const iso_options *o, int64_t n, float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    int64_t *train = NULL, n_train = 0;
    TRY(iso_run_open(env, o, &r, err));
    ALLOC(train, r.obs.n_rows, sizeof *train);
    for (int64_t i = 0; i < r.obs.n_rows; i++)
        if (r.is_train[i]) train[n_train++] = i;
    FAIL_IF(n_train == 0, ISO_EDATA, "%s/latent.h5ad names no training cells", r.folder);
    iso_draw_posterior(r.mu, r.variance, train, n_train, n, r.model->v.c.n_latent, (uint64_t)iso_opt_int(o, "seed"), z);
done:
    iso_free(train);
    iso_run_close(&r);
    return st;
}

/* --source; a model file alone knows no cells, so that the prior is all there is. */
static iso_status draw(iso_env *env, const iso_options *o, const char *given, int64_t n, int L, float *z, iso_error *err)
{
    struct stat s;
    bool run = stat(given, &s) == 0 && S_ISDIR(s.st_mode), prior = strcmp(iso_opt_text(o, "source"), "prior") == 0;
    if (!prior && run) return draw_from_run(env, o, n, z, err);
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
    TRY(iso_output_path(o, "samples.h5ad", &path, err));
    TRY(iso_input_model(env, o, 0, &m, err));
    FAIL_IF(m->v.c.autoencoder, ISO_EUSAGE,
            "the model is a plain autoencoder: it has no prior to sample from; fit without --autoencoder");
    int L = m->v.c.n_latent;
    ALLOC(z, n * L, sizeof *z);
    TRY(draw(env, o, given, n, L, z, err));
    TRY(iso_generate(env, m, z, n, NULL, (uint64_t)iso_opt_int(o, "seed"), &g, err));
    TRY(name_cells(&obs, n, err));
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
