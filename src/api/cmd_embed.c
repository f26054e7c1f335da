/* cmd_embed.c: `embed RUN CELLS`: posterior means and variances of new cells, into an h5ad. */
#include "cells_in.h"
#include "commands.h"
#include "text_out.h"

iso_status iso_cmd_embed(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_scored s = {0};
    float *mu = NULL, *variance = NULL, *invariant = NULL;
    char *given = NULL;
    const char *path;
    FAIL_IF(!(given = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    TRY(iso_output_path(o, "embedded.h5ad", &path, err));
    TRY(iso_scored_open(env, o, &s, err));
    int64_t n = s.data->x.n_rows, L = s.model->v.c.n_latent;
    ALLOC(mu, n * L, sizeof *mu);
    ALLOC(variance, n * L, sizeof *variance);
    TRY(iso_embed(s.evaluator, NULL, n, mu, variance, err));
    TRY(iso_new_invariant(s.evaluator, n, &invariant, err));
    iso_h5ad_array obsm[3] = {{"X_isolario", L, mu}};
    int n_obsm = 1;
    if (!s.model->v.c.autoencoder) obsm[n_obsm++] = (iso_h5ad_array){"X_isolario_var", L, variance};
    if (invariant) obsm[n_obsm++] = (iso_h5ad_array){"X_isolario_invariant", L, invariant};
    const iso_h5ad_uns uns[] = {{.path = "isolario/command", .text = command_line ? command_line : ""},
                                {.path = "isolario/model", .text = given},
                                {.path = "isolario/version", .text = ISO_VERSION}};
    iso_h5ad_out out = {
        .obs = &s.data->obs, .obsm = obsm, .n_obsm = n_obsm, .uns = uns, .n_uns = 3};
    TRY(iso_h5ad_write(env, path, &out, err));
    iso_info(env, "wrote %s: %lld cells, obsm X_isolario", path, (long long)n);
done:
    iso_free(given);
    iso_scored_close(&s);
    iso_free(mu);
    iso_free(variance);
    iso_free(invariant);
    return st;
}
