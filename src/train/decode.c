/* decode.c: from points of the latent space to expression. */
#include "train.h"

#include <string.h>

enum { BATCH = 256, MAX_COMBINATIONS = 64 };

typedef struct decoder {
    iso_env *env;
    iso_vae *v;
    iso_plan *plan;
    int32_t *codes[ISO_MAX_COVARIATES];
    real *z, *continuous;
    int64_t cells[BATCH];
} decoder;

static iso_status decoder_open(decoder *d, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_vae *v = d->v;
    int nodes[3], n = 0;
    nodes[n++] = v->decoded;
    if (v->given_dropout >= 0) nodes[n++] = v->given_dropout;
    if (v->given_dispersion >= 0) nodes[n++] = v->given_dispersion;
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = nodes, .n_outputs = n, .loss = -1, .max_cells = BATCH},
                     &d->plan, err));
    ALLOC(d->z, BATCH * v->c.n_latent, sizeof *d->z);
    ALLOC(d->continuous, BATCH * v->c.n_continuous, sizeof *d->continuous);     /* at 0 */
    for (int k = 0; k <= v->c.n_categorical && k < ISO_MAX_COVARIATES; k++)
        ALLOC(d->codes[k], BATCH, sizeof **d->codes);
done:
    return st;
}

static void decoder_close(decoder *d)
{
    iso_plan_free(d->plan);
    iso_free(d->z);
    iso_free(d->continuous);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) iso_free(d->codes[k]);
}

static void add_to(float *to, const real *from, int64_t n, double weight)
{
    for (int64_t i = 0; to && i < n; i++) to[i] += (float)(weight * (double)from[i]);
}

/* Combination `which` of the covariates' categories, counted like digits. */
static void set_combination(decoder *d, int64_t n, int64_t which)
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

iso_status iso_decode(iso_env *env, iso_vae *v, const float *z, int64_t n, const int32_t *const *codes,
                      float *expression, float *dropout, float *log_dispersion, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = v->c.n_genes, L = v->c.n_latent, rounds = codes ? 1 : combinations(&v->c);
    decoder d = {.env = env, .v = v};
    const iso_kernels *kernels = iso_kernels_best();
    TRY(decoder_open(&d, err));
    for (int64_t at = 0; at < n; at += BATCH) {
        int64_t m = n - at < BATCH ? n - at : BATCH;
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        for (int64_t i = 0; i < m * L; i++) d.z[i] = (real)z[at * L + i];
        memset(expression + at * G, 0, (size_t)(m * G) * sizeof *expression);
        if (dropout) memset(dropout + at * G, 0, (size_t)(m * G) * sizeof *dropout);
        if (log_dispersion) memset(log_dispersion + at * G, 0, (size_t)(m * G) * sizeof *log_dispersion);
        iso_batch b = {.n = m, .cells = d.cells, .inputs = {[ISO_SLOT_CONTINUOUS] = d.continuous, [ISO_SLOT_Z] = d.z}};
        for (int k = 0; k < ISO_MAX_COVARIATES; k++) b.codes[k] = d.codes[k];
        for (int64_t c = 0; c < rounds; c++) {
            if (codes)
                for (int k = 0; k < v->c.n_categorical; k++)
                    memcpy(d.codes[k], codes[k] + at, (size_t)m * sizeof **codes);
            else set_combination(&d, m, c);
            iso_plan_run(d.plan, env, kernels, &b, &(iso_settings){.kl_weight = 1});
            double weight = 1 / (double)rounds;
            add_to(expression + at * G, iso_plan_value(d.plan, v->decoded), m * G, weight);
            if (dropout && v->given_dropout >= 0)
                add_to(dropout + at * G, iso_plan_value(d.plan, v->given_dropout), m * G, weight);
            if (log_dispersion && v->given_dispersion >= 0)
                add_to(log_dispersion + at * G, iso_plan_value(d.plan, v->given_dispersion), m * G, weight);
        }
    }
done:
    decoder_close(&d);
    return st;
}
