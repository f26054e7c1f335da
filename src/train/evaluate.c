/* evaluate.c: scores of cells in evaluation mode (running statistics, no dropout): ELBO, reconstruction,
 * importance-sampled log p(x), posterior mean and variance; and decoding. */
#include "train.h"

#include "op/posterior.h"

#include <math.h>
#include <string.h>

enum { BATCH = 256, IMAGES = 32 };           /* cells, images at once */

struct iso_evaluator {
    iso_env *env;
    const iso_kernels *k;
    iso_vae *v;
    const iso_cells *c;
    iso_plan *encode, *sample, *given;      /* mu, raw; + z, kl, reconstruction; reconstruction from a given z */
    iso_plan *again;                        /* images from their posterior means; made when first asked for */
    iso_batcher *batcher;
    int64_t batch, index[BATCH];
    real *z;                                /* [BATCH, L] */
    double *log_weight;                     /* [BATCH, samples], grown on demand */
    int64_t cap_samples;
};

iso_status iso_evaluator_new(iso_env *env, iso_vae *v, const iso_cells *c, iso_evaluator **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_evaluator *e = NULL;
    *out = NULL;
    ALLOC(e, 1, sizeof *e);
    *e = (iso_evaluator){.env = env, .k = iso_kernels_best(), .v = v, .c = c, .batch = c->pictures ? IMAGES : BATCH};
    int nodes[12], n = 0;
    nodes[n++] = v->mu;
    if (v->raw >= 0) nodes[n++] = v->raw;
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = nodes, .n_outputs = n, .loss = -1, .max_cells = e->batch},
                     &e->encode, err));
    nodes[n++] = v->reconstruction;
    if (v->kl >= 0) nodes[n++] = v->z, nodes[n++] = v->kl;
    if (v->grid_kl >= 0) nodes[n++] = v->grid_kl;
    if (v->library_kl >= 0)
        nodes[n++] = v->library_kl, nodes[n++] = v->library, nodes[n++] = v->library_mu, nodes[n++] = v->library_raw;
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = nodes, .n_outputs = n, .loss = -1, .max_cells = e->batch},
                     &e->sample, err));
    nodes[0] = v->given;
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = nodes, .n_outputs = 1, .loss = -1, .max_cells = e->batch},
                     &e->given, err));
    TRY(iso_batcher_new(c, e->batch, &e->batcher, err));
    ALLOC(e->z, BATCH * v->c.n_latent, sizeof *e->z);
    *out = e, e = NULL;
done:
    iso_evaluator_free(e);
    return st;
}

void iso_evaluator_free(iso_evaluator *e)
{
    if (!e) return;
    iso_plan_free(e->encode);
    iso_plan_free(e->sample);
    iso_plan_free(e->given);
    iso_plan_free(e->again);
    iso_batcher_free(e->batcher);
    iso_free(e->z);
    iso_free(e->log_weight);
    iso_free(e);
}

const iso_vae *iso_evaluator_model(const iso_evaluator *e) { return e->v; }
iso_env *iso_evaluator_env(const iso_evaluator *e) { return e->env; }

static void put_posterior(const iso_evaluator *e, const iso_plan *p, int64_t at, int64_t n, const iso_cell_scores *out)
{
    int64_t L = e->v->c.n_latent;
    const real *mu = iso_plan_value(p, e->v->mu), *raw = e->v->raw >= 0 ? iso_plan_value(p, e->v->raw) : NULL;
    for (int64_t i = 0; out->mu && i < n * L; i++) out->mu[at * L + i] = (float)mu[i];
    for (int64_t i = 0; out->variance && i < n * L; i++)
        out->variance[at * L + i] = raw ? (float)iso_posterior_variance(raw[i]) : 0;
}

static double row_sum(const real *x, int64_t row, int64_t cols)
{
    double sum = 0;
    for (int64_t c = 0; x && c < cols; c++) sum += (double)x[row * cols + c];
    return sum;
}

static void add_draw(const iso_evaluator *e, const iso_batch *b, int64_t at, int draws, const iso_cell_scores *out)
{
    const iso_vae *v = e->v;
    const real *kl = v->kl >= 0 ? iso_plan_value(e->sample, v->kl) : NULL;
    const real *library = v->library_kl >= 0 ? iso_plan_value(e->sample, v->library_kl) : NULL;
    const real *grid = v->grid_kl >= 0 ? iso_plan_value(e->sample, v->grid_kl) : NULL;
    int64_t grid_cols = grid ? v->g->nodes[v->grid_kl].cols : 0;
    for (int64_t r = 0; r < b->n; r++) {
        double cost = row_sum(kl, r, v->c.n_latent) + row_sum(grid, r, grid_cols) + (library ? (double)library[r] : 0),
               loss = (double)b->cell_loss[r];
        if (out->reconstruction) out->reconstruction[at + r] -= loss / draws;
        if (out->elbo) out->elbo[at + r] -= (loss + cost) / draws;
        if (out->kl) out->kl[at + r] += cost / draws;
    }
}

/* log N(x; m0, v0) - log N(x; mu, v) */
static double log_prior_over_posterior(real x, double m0, double v0, real mu, real raw)
{
    double v = iso_posterior_variance(raw), d = (double)x - (double)mu, d0 = (double)x - m0;
    return 0.5 * (d * d / v + log(v) - d0 * d0 / v0 - log(v0));
}

/* log p(x|z) + log p(z) - log q(z|x) of the draw just made; the library size, if learned, is part of z. */
static double log_importance_weight(const iso_evaluator *e, const iso_batch *b, int64_t r)
{
    const iso_vae *v = e->v;
    const iso_plan *p = e->sample;
    int64_t L = v->c.n_latent;
    const real *z = iso_plan_value(p, v->z), *mu = iso_plan_value(p, v->mu), *raw = iso_plan_value(p, v->raw);
    double sum = -(double)b->cell_loss[r];
    for (int64_t i = r * L; i < (r + 1) * L; i++) sum += log_prior_over_posterior(z[i], 0, 1, mu[i], raw[i]);
    if (v->library_kl < 0) return sum;
    int64_t row = v->c.n_categorical && v->c.n_categories[0] > 1 ? b->codes[0][r] : 0;
    return sum + log_prior_over_posterior(iso_plan_value(p, v->library)[r],
                                          (double)iso_plan_value(p, v->library_prior_mean)[row],
                                          (double)iso_plan_value(p, v->library_prior_variance)[row],
                                          iso_plan_value(p, v->library_mu)[r], iso_plan_value(p, v->library_raw)[r]);
}

static double log_mean_exp(const double *x, int64_t n)
{
    double top = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - top);
    return top + log(sum / (double)n);
}

static iso_status evaluate_batch(iso_evaluator *e, int64_t at, int64_t n, int draws, int samples, uint64_t seed,
                                 const iso_cell_scores *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_batch *b;
    bool weights = samples > 0 && e->v->raw >= 0 && e->v->grid_kl < 0;    /* of a thousand grid variables no sample of weights is large enough */
    TRY(iso_batcher_fill(e->batcher, e->env, e->k, e->index, n, &b, err));
    iso_settings s = {.seed = seed, .kl_weight = 1};
    if (draws == 0 && !weights) {
        iso_plan_run(e->encode, e->env, e->k, b, &s);
        put_posterior(e, e->encode, at, n, out);
    }
    for (int d = 0; d < draws || (weights && d < samples); d++) {
        s.draw = (uint32_t)d;
        iso_plan_run(e->sample, e->env, e->k, b, &s);
        if (d == 0) put_posterior(e, e->sample, at, n, out);
        if (d < draws) add_draw(e, b, at, draws, out);
        for (int64_t r = 0; weights && d < samples && r < n; r++)
            e->log_weight[r * samples + d] = log_importance_weight(e, b, r);
    }
    for (int64_t r = 0; out->log_p && r < n; r++)
        out->log_p[at + r] = weights ? log_mean_exp(e->log_weight + r * samples, samples) : (double)NAN;
done:
    return st;
}

static int64_t next_batch(iso_evaluator *e, const int64_t *index, int64_t at, int64_t n)
{
    int64_t m = n - at < e->batch ? n - at : e->batch;
    for (int64_t r = 0; r < m; r++) e->index[r] = index ? index[at + r] : at + r;
    return m;
}

static void zero(double *x, int64_t n) { if (x) memset(x, 0, (size_t)n * sizeof *x); }

iso_status iso_evaluate(iso_evaluator *e, const int64_t *index, int64_t n, int draws, int samples, uint64_t seed,
                        const iso_cell_scores *out, iso_error *err)
{
    iso_status st = ISO_OK;
    zero(out->elbo, n), zero(out->reconstruction, n), zero(out->kl, n);
    if (samples > e->cap_samples) {
        iso_free(e->log_weight);
        e->cap_samples = 0;
        ALLOC(e->log_weight, BATCH * (int64_t)samples, sizeof *e->log_weight);
        e->cap_samples = samples;
    }
    for (int64_t at = 0, m; at < n; at += m) {
        FAIL_IF(iso_env_interrupted(e->env), ISO_EINTERRUPT, "interrupted");
        m = next_batch(e, index, at, n);
        TRY(evaluate_batch(e, at, m, draws, samples, seed, out, err));
    }
done:
    return st;
}

iso_status iso_embed(iso_evaluator *e, const int64_t *index, int64_t n, float *mu, float *variance, iso_error *err)
{
    iso_batcher_turn(e->batcher, ISO_STANDARD);
    iso_status st = iso_evaluate(e, index, n, 0, 0, 0, &(iso_cell_scores){.mu = mu, .variance = variance}, err);
    iso_batcher_turn(e->batcher, ISO_AS_IT_LIES);
    return st;
}

static bool turns(const iso_evaluator *e) { return e->c->pictures && e->c->pictures->augment; }

iso_status iso_embed_invariant(iso_evaluator *e, int64_t n, float *mean, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t size = n * e->v->c.n_latent;
    float *mu = NULL;
    if (!turns(e)) return iso_embed(e, NULL, n, mean, NULL, err);
    int ways = iso_picture_ways(e->c->pictures);
    ALLOC(mu, size, sizeof *mu);
    for (int64_t i = 0; i < size; i++) mean[i] = 0;
    for (int way = 0; way < ways; way++) {
        iso_batcher_turn(e->batcher, way);
        TRY(iso_evaluate(e, NULL, n, 0, 0, 0, &(iso_cell_scores){.mu = mu}, err));
        for (int64_t i = 0; i < size; i++) mean[i] += mu[i] / (float)ways;
    }
done:
    iso_batcher_turn(e->batcher, ISO_AS_IT_LIES);
    iso_free(mu);
    return st;
}

iso_status iso_new_invariant(iso_evaluator *e, int64_t n, float **mean, iso_error *err)
{
    iso_status st = ISO_OK;
    if (!turns(e)) return ISO_OK;
    ALLOC(*mean, n * e->v->c.n_latent, sizeof **mean);
    TRY(iso_embed_invariant(e, n, *mean, err));
done:
    return st;
}

iso_status iso_evaluate_given(iso_evaluator *e, const int64_t *index, int64_t n, const float *z, double *loss,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = e->v->c.n_latent;
    for (int64_t at = 0, m; at < n; at += m) {
        iso_batch *b;
        m = next_batch(e, index, at, n);
        TRY(iso_batcher_fill(e->batcher, e->env, e->k, e->index, m, &b, err));
        for (int64_t i = 0; i < m * L; i++) e->z[i] = (real)z[at * L + i];
        b->inputs[ISO_SLOT_Z] = e->z;
        iso_plan_run(e->given, e->env, e->k, b, &(iso_settings){.kl_weight = 1});
        for (int64_t r = 0; r < m; r++) loss[at + r] = (double)b->cell_loss[r];
    }
done:
    return st;
}

iso_status iso_evaluate_reconstructed(iso_evaluator *e, const int64_t *index, int64_t n, float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t P = e->v->c.n_genes;
    FAIL_IF(e->v->reconstructed < 0, ISO_EUSAGE, "only images are decoded again");
    if (!e->again)
        TRY(iso_plan_new(e->v->g, &(iso_plan_request){.outputs = &e->v->reconstructed, .n_outputs = 1, .loss = -1, .max_cells = e->batch},
                         &e->again, err));
    for (int64_t at = 0, m; at < n; at += m) {
        iso_batch *b;
        FAIL_IF(iso_env_interrupted(e->env), ISO_EINTERRUPT, "interrupted");
        m = next_batch(e, index, at, n);
        TRY(iso_batcher_fill(e->batcher, e->env, e->k, e->index, m, &b, err));
        iso_plan_run(e->again, e->env, e->k, b, &(iso_settings){.kl_weight = 1});
        const real *x = iso_plan_value(e->again, e->v->reconstructed);
        for (int64_t i = 0; i < m * P; i++) out[at * P + i] = (float)x[i];
    }
done:
    return st;
}
