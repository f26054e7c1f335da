/* contrast.c: see contrast.h. */
#include "contrast.h"

#include "generate.h"
#include "io/csr.h"

#include <math.h>
#include <string.h>

void iso_contrast_clear(iso_contrast *c)
{
    iso_free(c->z);
    iso_free(c->held_out);
    iso_free(c->halfway);
    iso_csr_clear(&c->generated);
}

static double total_of(const iso_csr *x, int64_t row)
{
    double total = 0;
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) total += (double)x->values[e];
    return total;
}

void iso_profile(const iso_csr *x, int64_t row, bool counts, float *y)
{
    double scale = counts ? 1e4 / fmax(total_of(x, row), 1e-12) : 1;
    memset(y, 0, (size_t)x->n_cols * sizeof *y);
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
        double v = (double)x->values[e] * scale;
        y[x->indices[e]] = (float)(counts ? log1p(fmax(v, 0)) : v);
    }
}

/* Midpoint of the two groups' mean z. */
static void find_halfway(const iso_contrast_stage *s, const float *z, int d, float *mid)
{
    int64_t n[2] = {0, 0};
    for (int64_t i = 0; i < s->data->x.n_rows; i++) n[0] += s->groups[i] == s->a, n[1] += s->groups[i] == s->b;
    memset(mid, 0, (size_t)d * sizeof *mid);
    for (int64_t i = 0; i < s->data->x.n_rows; i++) {
        int side = s->groups[i] == s->a ? 0 : s->groups[i] == s->b ? 1 : -1;
        for (int k = 0; side >= 0 && k < d; k++) mid[k] += 0.5f * z[i * d + k] / (float)n[side];
    }
}

static iso_status room(const iso_contrast_stage *s, int d, iso_contrast *out, iso_error *err)
{
    iso_status st = ISO_OK;
    out->d = d;
    out->elbo = out->log_p = out->reconstruction = (double)NAN;
    ALLOC(out->z, s->data->x.n_rows * d, sizeof *out->z);
    ALLOC(out->held_out, s->n_held_out * s->data->x.n_cols, sizeof *out->held_out);
    ALLOC(out->halfway, s->data->x.n_cols, sizeof *out->halfway);
done:
    return st;
}

/* ----------------------------------------------------------------------------------------------- vae, ae */

static void mean_of(const double *x, int64_t n, double *mean)
{
    *mean = 0;
    for (int64_t i = 0; i < n; i++) *mean += x[i] / (double)n;
}

static iso_status score(const iso_contrast_stage *s, iso_evaluator *e, bool ae, iso_contrast *out, iso_error *err)
{
    iso_status st = ISO_OK;
    double *elbo = NULL, *rec = NULL, *log_p = NULL;
    int64_t n = s->n_held_out;
    int samples = ae ? 0 : (int)iso_opt_int(s->options, "n_samples");
    ALLOC(elbo, n, sizeof *elbo);
    ALLOC(rec, n, sizeof *rec);
    ALLOC(log_p, n, sizeof *log_p);
    iso_cell_scores scores = {.elbo = elbo, .reconstruction = rec, .log_p = samples ? log_p : NULL};
    TRY(iso_evaluate(e, s->held_out, n, (int)iso_opt_int(s->options, "n_draws"), samples,
                     (uint64_t)iso_opt_int(s->options, "seed"), &scores, err));
    mean_of(rec, n, &out->reconstruction);
    if (!ae) mean_of(elbo, n, &out->elbo);
    if (samples) mean_of(log_p, n, &out->log_p);
done:
    iso_free(elbo);
    iso_free(rec);
    iso_free(log_p);
    return st;
}

/* From the decoder's mean to y. */
static void to_profile(const iso_likelihood *law, float *y, int64_t n)
{
    for (int64_t i = 0; law->counts && i < n; i++) y[i] = log1pf(1e4f * y[i]);
}

/* Held-out cells with their own covariates. */
static iso_status decode_held_out(iso_env *env, const iso_contrast_stage *s, iso_fitted *f, iso_contrast *out,
                                  iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = f->model;
    int64_t n = s->n_held_out, L = out->d;
    float *z = NULL;
    int32_t *codes[ISO_MAX_COVARIATES] = {0};
    ALLOC(z, n * L, sizeof *z);
    for (int k = 0; k < m->n_covariates; k++) ALLOC(codes[k], n, sizeof *codes[k]);
    for (int64_t i = 0; i < n; i++) {
        memcpy(z + i * L, out->z + s->held_out[i] * L, (size_t)L * sizeof *z);
        for (int k = 0; k < m->n_covariates; k++) codes[k][i] = f->bound.codes[k][s->held_out[i]];
    }
    TRY(iso_decode(env, &m->v, z, n, (const int32_t *const *)codes, out->held_out, NULL, NULL, err));
    to_profile(m->v.c.likelihood, out->held_out, n * s->data->x.n_cols);
done:
    iso_free(z);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) iso_free(codes[k]);
    return st;
}

/* One draw z = mean + C e of the normal law with the mean and covariance of the training cells' codes; chol [d, d]. */
static iso_status fit_normal(const iso_contrast_stage *s, const float *z, int d, double *mean, double *chol)
{
    for (int a = 0; a < d; a++) {
        mean[a] = 0;
        for (int64_t i = 0; i < s->n_train; i++) mean[a] += (double)z[s->train[i] * d + a] / (double)s->n_train;
    }
    for (int a = 0; a < d; a++)
        for (int b = 0; b <= a; b++) {
            double x = 0;
            for (int64_t i = 0; i < s->n_train; i++)
                x += ((double)z[s->train[i] * d + a] - mean[a]) * ((double)z[s->train[i] * d + b] - mean[b]) /
                     (double)s->n_train;
            for (int k = 0; k < b; k++) x -= chol[a * d + k] * chol[b * d + k];
            chol[a * d + b] = a == b ? sqrt(fmax(x, 1e-12)) : x / chol[b * d + b];
        }
    return ISO_OK;
}

static iso_status generate(iso_env *env, const iso_contrast_stage *s, iso_fitted *f, iso_contrast *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = s->n_held_out;
    int d = out->d;
    uint64_t seed = (uint64_t)iso_opt_int(s->options, "seed");
    iso_generated g = {0};
    float *z = NULL;
    double *log_library = NULL, *mean = NULL, *chol = NULL;
    ALLOC(z, n * d, sizeof *z);
    ALLOC(log_library, n, sizeof *log_library);
    iso_draw_prior(n, d, seed, z);
    for (int64_t i = 0; i < n; i++) log_library[i] = (double)f->bound.log_library[s->held_out[i]];
    if (f->model->v.c.autoencoder) {
        ALLOC(mean, d, sizeof *mean);
        ALLOC(chol, d * d, sizeof *chol);
        fit_normal(s, out->z, d, mean, chol);
        for (int64_t i = 0; i < n; i++)
            for (int a = d - 1; a >= 0; a--) {          /* row a of C reads e[0..a] alone */
                double x = mean[a];
                for (int b = 0; b <= a; b++) x += chol[a * d + b] * (double)z[i * d + b];
                z[i * d + a] = (float)x;
            }
    }
    TRY(iso_generate(env, f->model, z, n, log_library, seed, &g, err));
    out->generated = g.x, g.x = (iso_csr){0};
done:
    iso_generated_clear(&g);
    iso_free(z);
    iso_free(log_library);
    iso_free(mean);
    iso_free(chol);
    return st;
}

iso_status iso_contrast_vae(iso_env *env, const iso_contrast_stage *s, iso_fitted *f, iso_contrast *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_evaluator *e = NULL;
    float *mid = NULL;
    const iso_vae_config *c = &f->model->v.c;
    out->seconds = f->history.seconds;
    TRY(room(s, c->n_latent, out, err));
    TRY(iso_evaluator_new(env, &f->model->v, &f->bound.cells, &e, err));
    TRY(iso_embed(e, NULL, s->data->x.n_rows, out->z, NULL, err));
    TRY(score(s, e, c->autoencoder, out, err));
    TRY(decode_held_out(env, s, f, out, err));
    ALLOC(mid, out->d, sizeof *mid);
    find_halfway(s, out->z, out->d, mid);
    TRY(iso_decode(env, &f->model->v, mid, 1, NULL, out->halfway, NULL, NULL, err));
    to_profile(c->likelihood, out->halfway, s->data->x.n_cols);
    TRY(generate(env, s, f, out, err));
done:
    iso_evaluator_free(e);
    iso_free(mid);
    return st;
}

/* --------------------------------------------------------------------------------------------------- pca */

/* y = mean + W z + noise, then counts by a Poisson law with what y says; y: [genes] of work. */
static iso_status generate_pca(const iso_contrast_stage *s, const iso_pca_model *p, float *y, iso_contrast *out,
                               iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = s->n_held_out, G = p->n_genes;
    uint64_t seed = (uint64_t)iso_opt_int(s->options, "seed");
    float *z = NULL;
    iso_csr *x = &out->generated;
    *x = (iso_csr){.n_rows = n, .n_cols = G};
    ALLOC(z, p->k, sizeof *z);
    ALLOC(x->indptr, n + 1, sizeof *x->indptr);
    ALLOC(x->indices, n * G, sizeof *x->indices);
    ALLOC(x->values, n * G, sizeof *x->values);
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_SAMPLE, 3}, (uint64_t)i);
        double library = s->counts ? total_of(&s->data->x, s->held_out[i]) : 1;
        for (int k = 0; k < p->k; k++) z[k] = (float)(sqrt(p->variance[k]) * iso_rng_normal(&r));
        iso_pca_inverse(p, z, y);
        for (int64_t g = 0; g < G; g++) {
            double v = (double)y[g] + sqrt(fmax(p->noise, 0)) * iso_rng_normal(&r);
            if (s->counts) v = iso_rng_poisson(&r, fmax(expm1(v), 0) * library / 1e4);
            if (v == 0) continue;
            x->indices[x->nnz] = (int32_t)g, x->values[x->nnz++] = (float)v;
        }
        x->indptr[i + 1] = x->nnz;
    }
done:
    iso_free(z);
    return st;
}

iso_status iso_contrast_pca(iso_env *env, const iso_contrast_stage *s, iso_contrast *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr train = {0};
    iso_pca_model p = {0};
    float *mid = NULL, *y = NULL;
    int64_t G = s->data->x.n_cols;
    int d = (int)iso_opt_int(s->options, "n_latent");
    double start = iso_now_s();
    if (d > G) d = (int)G;
    TRY(room(s, d, out, err));
    TRY(csr_take_rows(&s->data->x, s->train, s->n_train, &train, err));
    TRY(iso_pca_fit(env, &train, s->counts, d, (uint64_t)iso_opt_int(s->options, "seed"), &p, err));
    out->seconds = iso_now_s() - start;
    TRY(iso_pca_transform(env, &p, &s->data->x, out->z, err));
    for (int64_t i = 0; i < s->n_held_out; i++) iso_pca_inverse(&p, out->z + s->held_out[i] * d, out->held_out + i * G);
    ALLOC(mid, d, sizeof *mid);
    ALLOC(y, G, sizeof *y);
    find_halfway(s, out->z, d, mid);
    iso_pca_inverse(&p, mid, out->halfway);
    TRY(generate_pca(s, &p, y, out, err));
done:
    iso_csr_clear(&train);
    iso_pca_clear(&p);
    iso_free(mid);
    iso_free(y);
    return st;
}
