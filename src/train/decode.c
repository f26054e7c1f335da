/* decode.c: from points of the latent space to expression. */
#include "train.h"

#include <string.h>

enum { BATCH = 256, MAX_COMBINATIONS = 64 };

struct iso_decoder {
    iso_env *env;
    iso_vae *v;
    bool heads;
    iso_plan *plan;
    int32_t *codes[ISO_MAX_COVARIATES];
    real *z, *continuous;
    int64_t cells[BATCH];
};

iso_status iso_decoder_new(iso_env *env, iso_vae *v, bool heads, iso_decoder **out, iso_error *err)
{
    iso_status st = ISO_OK;
    int nodes[3], n = 0;
    iso_decoder *d = NULL;
    *out = NULL;
    ALLOC(d, 1, sizeof *d);
    d->env = env, d->v = v, d->heads = heads;
    nodes[n++] = v->decoded;
    if (heads && v->given_dropout >= 0) nodes[n++] = v->given_dropout;
    if (heads && v->given_dispersion >= 0) nodes[n++] = v->given_dispersion;
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = nodes, .n_outputs = n, .loss = -1, .max_cells = BATCH},
                     &d->plan, err));
    ALLOC(d->z, BATCH * v->c.n_latent, sizeof *d->z);
    ALLOC(d->continuous, BATCH * v->c.n_continuous, sizeof *d->continuous);     /* at 0 */
    for (int k = 0; k <= v->c.n_categorical && k < ISO_MAX_COVARIATES; k++)
        ALLOC(d->codes[k], BATCH, sizeof **d->codes);
    *out = d, d = NULL;
done:
    iso_decoder_free(d);
    return st;
}

void iso_decoder_free(iso_decoder *d)
{
    if (!d) return;
    iso_plan_free(d->plan);
    iso_free(d->z);
    iso_free(d->continuous);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) iso_free(d->codes[k]);
    iso_free(d);
}

static void add_to(float *to, const real *from, int64_t n, double weight)
{
    for (int64_t i = 0; to && i < n; i++) to[i] += (float)(weight * (double)from[i]);
}

/* Combination `which` of the covariates' categories, counted like digits. */
static void set_combination(iso_decoder *d, int64_t n, int64_t which)
{
    for (int k = 0; k < d->v->c.n_categorical; k++) {
        int categories = d->v->c.n_categories[k];
        for (int64_t r = 0; r < n; r++) d->codes[k][r] = (int32_t)(which % categories);
        which /= categories;
    }
}

static int64_t combinations(const iso_vae_config *c)
{
    int64_t n = 1;
    for (int k = 0; k < c->n_categorical && n <= MAX_COMBINATIONS; k++) n *= c->n_categories[k];
    return n < MAX_COMBINATIONS ? n : MAX_COMBINATIONS;
}

/* m points from z, averaged into the outputs. */
static void run_batch(iso_decoder *d, int64_t m, const int32_t *const *codes, int64_t at, float *expression,
                      float *dropout, float *log_dispersion)
{
    const iso_vae *v = d->v;
    int64_t n = m * v->c.n_genes, rounds = codes ? 1 : combinations(&v->c);
    iso_batch b = {.n = m, .cells = d->cells, .inputs = {[ISO_SLOT_CONTINUOUS] = d->continuous, [ISO_SLOT_Z] = d->z}};
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) b.codes[k] = d->codes[k];
    for (int64_t c = 0; c < rounds; c++) {
        if (codes)
            for (int k = 0; k < v->c.n_categorical; k++)
                memcpy(d->codes[k], codes[k] + at, (size_t)m * sizeof **codes);
        else set_combination(d, m, c);
        iso_plan_run(d->plan, d->env, iso_kernels_best(), &b, &(iso_settings){.kl_weight = 1});
        double weight = 1 / (double)rounds;
        add_to(expression, iso_plan_value(d->plan, v->decoded), n, weight);
        if (dropout && v->given_dropout >= 0) add_to(dropout, iso_plan_value(d->plan, v->given_dropout), n, weight);
        if (log_dispersion && v->given_dispersion >= 0)
            add_to(log_dispersion, iso_plan_value(d->plan, v->given_dispersion), n, weight);
    }
}

iso_status iso_decoder_run(iso_decoder *d, const float *z, int64_t n, const int32_t *const *codes, float *expression,
                           float *dropout, float *log_dispersion, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = d->v->c.n_genes, L = d->v->c.n_latent;
    FAIL_IF((dropout || log_dispersion) && !d->heads, ISO_EUSAGE, "this decoder was made for the mean alone");
    for (int64_t at = 0; at < n; at += BATCH) {
        int64_t m = n - at < BATCH ? n - at : BATCH;
        float *const outputs[] = {expression, dropout, log_dispersion};
        FAIL_IF(iso_env_interrupted(d->env), ISO_EINTERRUPT, "interrupted");
        for (int64_t i = 0; i < m * L; i++) d->z[i] = (real)z[at * L + i];
        for (int k = 0; k < 3; k++)
            if (outputs[k]) memset(outputs[k] + at * G, 0, (size_t)(m * G) * sizeof **outputs);
        run_batch(d, m, codes, at, expression + at * G, dropout ? dropout + at * G : NULL,
                  log_dispersion ? log_dispersion + at * G : NULL);
    }
done:
    return st;
}

iso_status iso_decode(iso_env *env, iso_vae *v, const float *z, int64_t n, const int32_t *const *codes,
                      float *expression, float *dropout, float *log_dispersion, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_decoder *d = NULL;
    TRY(iso_decoder_new(env, v, dropout || log_dispersion, &d, err));
    TRY(iso_decoder_run(d, z, n, codes, expression, dropout, log_dispersion, err));
done:
    iso_decoder_free(d);
    return st;
}
