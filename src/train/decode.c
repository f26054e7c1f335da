/* decode.c: from points of the latent space to expression. */
#include "decoder.h"

#include <string.h>

enum { BATCH = ISO_DECODER_BATCH, IMAGES = 32, PIXELS = IMAGES * 64 * 64, MAX_COMBINATIONS = 64 };

struct iso_decoder {
    iso_env *env;
    iso_vae *v;
    bool heads;
    int64_t batch;
    uint64_t seed;                /* of what is drawn in decoding */
    iso_plan *plan;
    int32_t *codes[ISO_MAX_COVARIATES];
    real *z, *continuous;
    int64_t cells[BATCH];
};

/* Places at a time. The layers of images before the last have up to hundreds of values a pixel: large images are few. */
static int64_t batch_of(const iso_image_config *im)
{
    if (im->channels == 0) return BATCH;
    int64_t fit = PIXELS / ((int64_t)im->height * im->width);
    return fit > IMAGES ? IMAGES : fit < 1 ? 1 : fit;
}

iso_status iso_decoder_open(iso_env *env, iso_vae *v, const int *nodes, int n_nodes, iso_decoder **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_decoder *d = NULL;
    *out = NULL;
    ALLOC(d, 1, sizeof *d);
    d->env = env, d->v = v, d->batch = batch_of(&v->c.image);
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = nodes, .n_outputs = n_nodes, .loss = -1, .max_cells = d->batch},
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

/* Combination `which` of the covariates' categories, counted like digits. */
static void set_combination(iso_decoder *d, int64_t n, int64_t which)
{
    for (int k = 0; k < d->v->c.n_categorical; k++) {
        int categories = d->v->c.n_categories[k];
        for (int64_t r = 0; r < n; r++) d->codes[k][r] = (int32_t)(which % categories);
        which /= categories;
    }
}

int64_t iso_decode_combinations(const iso_vae_config *c)
{
    int64_t n = 1;
    for (int k = 0; k < c->n_categorical && n <= MAX_COMBINATIONS; k++) n *= c->n_categories[k];
    return n < MAX_COMBINATIONS ? n : MAX_COMBINATIONS;
}

iso_status iso_decoder_each(iso_decoder *d, const float *z, int64_t n, const int32_t *const *codes, iso_decoded_fn *fn, void *arg,
                            iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = d->v->c.n_latent, combinations = codes ? 1 : iso_decode_combinations(&d->v->c);
    iso_batch b = {.cells = d->cells, .inputs = {[ISO_SLOT_CONTINUOUS] = d->continuous, [ISO_SLOT_Z] = d->z}};
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) b.codes[k] = d->codes[k];
    for (int64_t at = 0; at < n; at += d->batch) {
        b.n = n - at < d->batch ? n - at : d->batch;
        FAIL_IF(iso_env_interrupted(d->env), ISO_EINTERRUPT, "interrupted");
        for (int64_t r = 0; r < b.n; r++) d->cells[r] = at + r;
        for (int64_t i = 0; i < b.n * L; i++) d->z[i] = (real)z[at * L + i];
        for (int64_t c = 0; c < combinations; c++) {
            if (!codes) set_combination(d, b.n, c);
            for (int k = 0; codes && k < d->v->c.n_categorical; k++)
                memcpy(d->codes[k], codes[k] + at, (size_t)b.n * sizeof **codes);
            iso_plan_run(d->plan, d->env, iso_kernels_best(), &b, &(iso_settings){.seed = d->seed, .kl_weight = 1});
            fn(arg, d->plan, at, b.n, c, combinations);
        }
    }
done:
    return st;
}

/* ------------------------------------------------------------------------------ the mean and the law's heads */

iso_status iso_decoder_new(iso_env *env, iso_vae *v, bool heads, iso_decoder **out, iso_error *err)
{
    int nodes[3], n = 0;
    nodes[n++] = v->decoded;
    if (heads && v->given_dropout >= 0) nodes[n++] = v->given_dropout;
    if (heads && v->given_dispersion >= 0) nodes[n++] = v->given_dispersion;
    iso_status st = iso_decoder_open(env, v, nodes, n, out, err);
    if (!st) (*out)->heads = heads;
    return st;
}

typedef struct outputs { const iso_vae *v; float *expression, *dropout, *log_dispersion; } outputs;

static void add_to(float *to, const iso_plan *p, int node, int64_t n, double weight)
{
    if (!to || node < 0) return;
    const real *from = iso_plan_value(p, node);
    for (int64_t i = 0; i < n; i++) to[i] += (float)(weight * (double)from[i]);
}

static void average(void *arg, const iso_plan *p, int64_t at, int64_t n, int64_t which, int64_t combinations)
{
    const outputs *o = arg;
    int64_t G = o->v->c.n_genes;
    double weight = 1 / (double)combinations;
    (void)which;
    add_to(o->expression + at * G, p, o->v->decoded, n * G, weight);
    add_to(o->dropout ? o->dropout + at * G : NULL, p, o->v->given_dropout, n * G, weight);
    add_to(o->log_dispersion ? o->log_dispersion + at * G : NULL, p, o->v->given_dispersion, n * G, weight);
}

iso_status iso_decoder_run(iso_decoder *d, const float *z, int64_t n, const int32_t *const *codes, float *expression,
                           float *dropout, float *log_dispersion, iso_error *err)
{
    iso_status st = ISO_OK;
    size_t bytes = (size_t)(n * d->v->c.n_genes) * sizeof *expression;
    FAIL_IF((dropout || log_dispersion) && !d->heads, ISO_EUSAGE, "this decoder was made for the mean alone");
    memset(expression, 0, bytes);
    if (dropout) memset(dropout, 0, bytes);
    if (log_dispersion) memset(log_dispersion, 0, bytes);
    TRY(iso_decoder_each(d, z, n, codes, average, &(outputs){d->v, expression, dropout, log_dispersion}, err));
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

static void take_sharp(void *arg, const iso_plan *p, int64_t at, int64_t n, int64_t which, int64_t combinations)
{
    const outputs *o = arg;
    int64_t G = o->v->c.n_genes;
    (void)which;
    add_to(o->expression + at * G, p, o->v->sharp, n * G, 1 / (double)combinations);
}

iso_status iso_decode_sharp(iso_env *env, iso_vae *v, const float *z, int64_t n, const int32_t *const *codes, uint64_t seed, float *out,
                            iso_error *err)
{
    iso_status st = ISO_OK;
    iso_decoder *d = NULL;
    FAIL_IF(v->sharp < 0, ISO_EUSAGE, "only images have a grid of details");
    TRY(iso_decoder_open(env, v, &v->sharp, 1, &d, err));
    d->seed = seed;
    memset(out, 0, (size_t)(n * v->c.n_genes) * sizeof *out);
    TRY(iso_decoder_each(d, z, n, codes, take_sharp, &(outputs){.v = v, .expression = out}, err));
done:
    iso_decoder_free(d);
    return st;
}
