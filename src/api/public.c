/* public.c: the calls of isolario.h on data and models that are not elsewhere. */
#include "cells_in.h"

#include <string.h>

iso_status iso_dataset_read(iso_env *env, const char *path, const iso_options *o, iso_dataset **out, iso_error *err)
{
    return iso_dataset_open(env, path, o ? iso_opt_text(o, "layer") : NULL, out, err);
}

iso_status iso_model_fit(iso_env *env, const iso_dataset *d, const iso_options *o, iso_model **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_fitted f = {0};
    const iso_likelihood *law;
    *out = NULL;
    FAIL_IF(iso_opt_flag(o, "drop_empty"), ISO_EUSAGE,
            "drop_empty changes the data set; the program's fit does that, this call cannot");
    TRY(iso_likelihood_find(iso_opt_text(o, "likelihood"), &law, err));
    /* with drop_empty false, the check changes nothing */
    TRY(iso_check_counts(env, (iso_dataset *)d, law->counts || law->log1p_data, iso_opt_flag(o, "allow_noninteger"),
                         false, err));
    TRY(iso_fit(env, d, o, NULL, NULL, &f, err));
    *out = f.model, f.model = NULL;
done:
    iso_fitted_clear(&f);
    return st;
}

/* Checks, binds and scores. */
static iso_status score(iso_env *env, iso_model *m, const iso_dataset *d, int draws, int samples, uint64_t seed,
                        const iso_cell_scores *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_bound b = {0};
    iso_evaluator *e = NULL;
    const iso_likelihood *law = m->v.c.likelihood;
    TRY(iso_check_counts(env, (iso_dataset *)d, law->counts || law->log1p_data, true, false, err));
    TRY(iso_bind(env, m, d, &b, err));
    TRY(iso_evaluator_new(env, &m->v, &b.cells, &e, err));
    TRY(iso_evaluate(e, NULL, d->x.n_rows, draws, samples, seed, out, err));
done:
    iso_evaluator_free(e);
    iso_bound_clear(&b);
    return st;
}

iso_status iso_model_embed(iso_env *env, iso_model *m, const iso_dataset *d, float *mean, float *variance,
                           iso_error *err)
{
    return score(env, m, d, 0, 0, 0, &(iso_cell_scores){.mu = mean, .variance = variance}, err);
}

iso_status iso_model_score(iso_env *env, iso_model *m, const iso_dataset *d, int n_draws, int n_samples, uint64_t seed,
                           double *elbo, double *log_p, double *reconstruction, iso_error *err)
{
    if (n_draws < 1 || n_samples < 0)
        return iso_fail(err, ISO_EUSAGE, "n_draws must be at least 1, n_samples at least 0");
    iso_cell_scores out = {.elbo = elbo, .reconstruction = reconstruction, .log_p = n_samples ? log_p : NULL};
    return score(env, m, d, n_draws, n_samples, seed, &out, err);
}

iso_status iso_model_decode(iso_env *env, iso_model *m, int64_t n, const float *z, float *expression, iso_error *err)
{
    if (n < 0) return iso_fail(err, ISO_EUSAGE, "a negative number of points");
    return iso_decode(env, &m->v, z, n, NULL, expression, NULL, NULL, err);
}
