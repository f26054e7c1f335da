/* public.c: the calls of isolario.h on data and models that are not elsewhere. */
#include "cells_in.h"
#include "generate.h"

#include <string.h>

iso_status iso_dataset_read(iso_env *env, const char *path, const iso_options *o, iso_dataset **out, iso_error *err)
{
    if (iso_image_sniff(path)) return iso_images_dataset(env, path, o ? iso_opt_text(o, "labels") : NULL, out, err);
    return iso_dataset_open(env, path, o ? iso_opt_text(o, "layer") : NULL, out, err);
}

/* Images are checked as they are read. With drop_empty false, the check changes nothing. */
static iso_status check(iso_env *env, const iso_dataset *d, const iso_likelihood *law, bool allow_noninteger, iso_error *err)
{
    if (d->images) return ISO_OK;
    return iso_check_counts(env, (iso_dataset *)d, law->counts || law->log1p_data, allow_noninteger, false, err);
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
    TRY(check(env, d, law, iso_opt_flag(o, "allow_noninteger"), err));
    TRY(iso_fit(env, d, o, NULL, NULL, &f, err));
    *out = f.model, f.model = NULL;
done:
    iso_fitted_clear(&f);
    return st;
}

enum { PLACE = 0, PLACE_ALL_WAYS = -1 };        /* in place of draws */

/* Checks and binds; places the cells (out's mu and variance; or mu over all ways to turn an image), or scores them. */
static iso_status score(iso_env *env, iso_model *m, const iso_dataset *d, int draws, int samples, uint64_t seed,
                        const iso_cell_scores *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_bound b = {0};
    iso_evaluator *e = NULL;
    TRY(check(env, d, m->v.c.likelihood, true, err));
    TRY(iso_bind(env, m, d, &b, err));
    TRY(iso_evaluator_new(env, &m->v, &b.cells, &e, err));
    if (draws == PLACE) TRY(iso_embed(e, NULL, d->x.n_rows, out->mu, out->variance, err));
    else if (draws == PLACE_ALL_WAYS) TRY(iso_embed_invariant(e, d->x.n_rows, out->mu, err));
    else TRY(iso_evaluate(e, NULL, d->x.n_rows, draws, samples, seed, out, err));
done:
    iso_evaluator_free(e);
    iso_bound_clear(&b);
    return st;
}

iso_status iso_model_embed(iso_env *env, iso_model *m, const iso_dataset *d, float *mean, float *variance,
                           iso_error *err)
{
    return score(env, m, d, PLACE, 0, 0, &(iso_cell_scores){.mu = mean, .variance = variance}, err);
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
    if (m->images.channels) return iso_fail(err, ISO_EUSAGE, "a model of images decodes with iso_model_decode_images");
    return iso_decode(env, &m->v, z, n, NULL, expression, NULL, NULL, err);
}

/* -------------------------------------------------------------------------------------------- images */

static iso_status check_images(const iso_model *m, int64_t n, iso_error *err)
{
    if (n < 0) return iso_fail(err, ISO_EUSAGE, "a negative number of images");
    if (!m->images.channels) return iso_fail(err, ISO_EUSAGE, "the model is of counts, and not of images");
    return ISO_OK;
}

iso_status iso_model_decode_images(iso_env *env, iso_model *m, int64_t n, const float *z, float *pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    float *decoded = NULL;
    TRY(check_images(m, n, err));
    ALLOC(decoded, n * m->n_genes, sizeof *decoded);
    TRY(iso_decode(env, &m->v, z, n, NULL, decoded, NULL, NULL, err));
    iso_many_pixels(m, decoded, n, pixels);
done:
    iso_free(decoded);
    return st;
}

iso_status iso_model_embed_invariant(iso_env *env, iso_model *m, const iso_dataset *d, float *mean, iso_error *err)
{
    iso_status st = check_images(m, d->x.n_rows, err);
    return st ? st : score(env, m, d, PLACE_ALL_WAYS, 0, 0, &(iso_cell_scores){.mu = mean}, err);
}

iso_status iso_model_reconstruct(iso_env *env, iso_model *m, const iso_dataset *d, float *pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_bound b = {0};
    iso_evaluator *e = NULL;
    float *decoded = NULL;
    int64_t n = d->x.n_rows;
    TRY(check_images(m, n, err));
    TRY(iso_bind(env, m, d, &b, err));
    TRY(iso_evaluator_new(env, &m->v, &b.cells, &e, err));
    ALLOC(decoded, n * m->n_genes, sizeof *decoded);
    TRY(iso_evaluate_reconstructed(e, NULL, n, decoded, err));
    iso_many_pixels(m, decoded, n, pixels);
done:
    iso_free(decoded);
    iso_evaluator_free(e);
    iso_bound_clear(&b);
    return st;
}

/* ------------------------------------------------------------------------------------------- samples */

static iso_status sample_images(iso_env *env, iso_model *m, int64_t n, const float *z, uint64_t seed, float *pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    float *decoded = NULL;
    ALLOC(decoded, n * m->n_genes, sizeof *decoded);
    TRY(iso_decode_sharp(env, &m->v, z, n, NULL, seed, decoded, err));
    iso_many_pixels(m, decoded, n, pixels);
done:
    iso_free(decoded);
    return st;
}

static iso_status sample_counts(iso_env *env, iso_model *m, int64_t n, const float *z, uint64_t seed, float *counts, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_generated g = {0};
    TRY(iso_generate(env, m, z, n, NULL, seed, &g, err));
    memset(counts, 0, (size_t)(n * m->n_genes) * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = g.x.indptr[i]; e < g.x.indptr[i + 1]; e++) counts[i * m->n_genes + g.x.indices[e]] = g.x.values[e];
done:
    iso_generated_clear(&g);
    return st;
}

iso_status iso_model_sample(iso_env *env, iso_model *m, int64_t n, uint64_t seed, float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    float *z = NULL;
    FAIL_IF(n < 0, ISO_EUSAGE, "a negative number of cells");
    FAIL_IF(m->v.c.autoencoder, ISO_EUSAGE, "the model is a plain autoencoder: it has no prior to sample from; fit without autoencoder");
    ALLOC(z, n * m->v.c.n_latent, sizeof *z);
    iso_draw_prior(n, m->v.c.n_latent, seed, z);
    TRY((m->images.channels ? sample_images : sample_counts)(env, m, n, z, seed, out, err));
done:
    iso_free(z);
    return st;
}
