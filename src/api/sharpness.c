/* sharpness.c: see sharpness.h. */
#include "sharpness.h"

#include "generate.h"
#include "map/map.h"
#include "picture_out.h"

#include <math.h>
#include <string.h>

enum { MOST_LOOKED_AT = 512, LEAST_FOR_FRECHET = 30 };

static int64_t size_of(const iso_image_terms *t) { return t->channels * t->height * t->width; }
static iso_area area_of(const iso_image_terms *t) { return (iso_area){t->height, t->width}; }

/* -------------------------------------------------------------------------------------- which images */

static iso_status spread(const int64_t *from, int64_t all, int64_t n, int64_t **out, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*out, n, sizeof **out);
    for (int64_t i = 0; i < n; i++) (*out)[i] = from[i * all / n];
done:
    return st;
}

iso_status iso_looked_of(const iso_split *p, iso_looked *out, iso_error *err)
{
    iso_status st = ISO_OK;
    const int64_t *held_out = p->n_test ? p->test : p->n_validation ? p->validation : p->train;
    int64_t all = p->n_test ? p->n_test : p->n_validation ? p->n_validation : p->n_train;
    *out = (iso_looked){.n = all < MOST_LOOKED_AT ? all : MOST_LOOKED_AT};
    if (out->n > p->n_train) out->n = p->n_train;
    TRY(spread(held_out, all, out->n, &out->held_out, err));
    TRY(spread(p->train, p->n_train, out->n, &out->training, err));
done:
    if (st) iso_looked_clear(out);
    return st;
}

void iso_looked_clear(iso_looked *l)
{
    iso_free(l->held_out);
    iso_free(l->training);
    *l = (iso_looked){0};
}

iso_status iso_take_images(const iso_images *im, const int64_t *index, int64_t n, float **pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t size = im->channels * im->height * im->width;
    ALLOC(*pixels, n * size, sizeof **pixels);
    for (int64_t i = 0; i < n; i++) memcpy(*pixels + i * size, im->pixels + index[i] * size, (size_t)size * sizeof **pixels);
done:
    return st;
}

/* -------------------------------------------------------------------------------------- the measures */

static iso_status band_ratios(iso_env *env, const iso_image_terms *t, const float *images, int64_t n, const double *held_out, double *ratio, iso_error *err)
{
    iso_status st = ISO_OK;
    double *power = NULL;
    for (int b = 0; b < ISO_BANDS; b++) ratio[b] = images ? 0 : (double)NAN;
    if (!images) return ISO_OK;
    ALLOC(power, t->channels * ISO_BANDS, sizeof *power);
    TRY(iso_band_power(env, images, n, t->channels, area_of(t), power, err));
    for (int64_t k = 0; k < t->channels * ISO_BANDS; k++)
        ratio[k % ISO_BANDS] += (held_out[k] > 0 ? power[k] / held_out[k] : (double)NAN) / (double)t->channels;
done:
    iso_free(power);
    return st;
}

static iso_status measure_bands(iso_env *env, const iso_image_terms *t, const iso_sides *s, iso_sharpness *out, iso_error *err)
{
    iso_status st = ISO_OK;
    double *held_out = NULL;
    ALLOC(held_out, t->channels * ISO_BANDS, sizeof *held_out);
    TRY(iso_band_power(env, s->held_out, s->n, t->channels, area_of(t), held_out, err));
    TRY(band_ratios(env, t, s->reconstructed, s->n, held_out, out->reconstructed, err));
    TRY(band_ratios(env, t, s->generated, s->n, held_out, out->generated, err));
    TRY(band_ratios(env, t, s->training, s->n, held_out, out->training, err));
done:
    iso_free(held_out);
    return st;
}

static iso_status measure_pixels(const iso_image_terms *t, const iso_sides *s, iso_sharpness *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t plane = t->height * t->width, planes = s->n * t->channels;
    double square = 0, alike = 0, one;
    for (int64_t i = 0; i < planes; i++) {
        const float *a = s->held_out + i * plane, *b = s->reconstructed + i * plane;
        double scale = (double)t->scale[i % t->channels];
        for (int64_t k = 0; k < plane; k++) square += pow(((double)a[k] - (double)b[k]) * scale, 2) / (double)(planes * plane);
        TRY(iso_ssim(a, b, area_of(t), 1 / scale, &one, err));
        alike += one / (double)planes;
    }
    out->psnr = -10 * log10(fmax(square, 1e-30)), out->ssim = alike;
done:
    return st;
}

/* Of images scaled as the model sees them. */
static iso_status look(iso_env *env, const iso_image_terms *t, const float *images, int64_t n, float *features, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t size = size_of(t), plane = t->height * t->width;
    float *scaled = NULL;
    ALLOC(scaled, n * size, sizeof *scaled);
    for (int64_t i = 0; i < n * size; i++) {
        int64_t c = i / plane % t->channels;
        scaled[i] = (images[i] - t->low[c]) * t->scale[c];
    }
    TRY(iso_random_features(env, scaled, n, t->channels, area_of(t), features, err));
done:
    iso_free(scaled);
    return st;
}

/* Each feature in units of its standard deviation over the held-out images. */
static void divide_by_spread(const float *held_out, int64_t n, float *features)
{
    for (int64_t k = 0; k < ISO_RANDOM_FEATURES; k++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < n; i++) mean += (double)held_out[i * ISO_RANDOM_FEATURES + k] / (double)n;
        for (int64_t i = 0; i < n; i++) square += pow((double)held_out[i * ISO_RANDOM_FEATURES + k] - mean, 2) / (double)n;
        float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
        for (int64_t i = 0; i < n; i++) features[i * ISO_RANDOM_FEATURES + k] *= scale;
    }
}

static iso_status measure_features(iso_env *env, const iso_image_terms *t, const iso_sides *s, iso_sharpness *out, iso_error *err)
{
    iso_status st = ISO_OK;
    const float *const others[] = {s->generated, s->reconstructed, s->training};
    double *const distances[] = {&out->frechet, &out->frechet_reconstructed, &out->frechet_floor};
    float *held_out = NULL, *features = NULL, *scaled = NULL;
    ALLOC(held_out, s->n * ISO_RANDOM_FEATURES, sizeof *held_out);
    ALLOC(scaled, s->n * ISO_RANDOM_FEATURES, sizeof *scaled);
    ALLOC(features, s->n * ISO_RANDOM_FEATURES, sizeof *features);
    TRY(look(env, t, s->held_out, s->n, held_out, err));
    memcpy(scaled, held_out, (size_t)(s->n * ISO_RANDOM_FEATURES) * sizeof *scaled);
    divide_by_spread(held_out, s->n, scaled);
    for (int k = 0; k < 3; k++) {
        if (!others[k]) continue;
        TRY(look(env, t, others[k], s->n, features, err));
        divide_by_spread(held_out, s->n, features);
        TRY(iso_frechet(scaled, s->n, features, s->n, ISO_RANDOM_FEATURES, distances[k], err));
    }
done:
    iso_free(held_out);
    iso_free(scaled);
    iso_free(features);
    return st;
}

iso_status iso_sharpness_of(iso_env *env, const iso_image_terms *t, const iso_sides *s, iso_sharpness *out, iso_error *err)
{
    iso_status st = ISO_OK;
    const double none = (double)NAN;
    *out = (iso_sharpness){.n = s->n, .psnr = none, .ssim = none, .frechet = none, .frechet_reconstructed = none, .frechet_floor = none};
    if (s->n == 0) return ISO_OK;
    TRY(measure_bands(env, t, s, out, err));
    if (s->reconstructed) TRY(measure_pixels(t, s, out, err));
    if (s->n >= LEAST_FOR_FRECHET) TRY(measure_features(env, t, s, out, err));
done:
    return st;
}

/* ---------------------------------------------------------------------------------- of a fitted model */

static iso_status generate(iso_env *env, iso_fitted *f, const float *mu, const float *variance, int64_t n, uint64_t seed, float **pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = f->model;
    float *z = NULL, *decoded = NULL;
    ALLOC(z, n * m->v.c.n_latent, sizeof *z);
    ALLOC(decoded, n * m->n_genes, sizeof *decoded);
    iso_draw_posterior(mu, variance, f->split.train, f->split.n_train, n, m->v.c.n_latent, seed, z);
    TRY(iso_decode_sharp(env, &m->v, z, n, NULL, seed, decoded, err));
    TRY(iso_made_pixels(m, decoded, n, pixels, err));
done:
    iso_free(z);
    iso_free(decoded);
    return st;
}

iso_status iso_looked_made(iso_env *env, iso_fitted *f, iso_evaluator *e, const iso_looked *l, const float *mu, const float *variance, uint64_t seed,
                           float **reconstructed, float **generated, iso_error *err)
{
    iso_status st = ISO_OK;
    float *decoded = NULL;
    ALLOC(decoded, l->n * f->model->n_genes, sizeof *decoded);
    TRY(iso_evaluate_reconstructed(e, l->held_out, l->n, decoded, err));
    TRY(iso_made_pixels(f->model, decoded, l->n, reconstructed, err));
    if (!f->model->v.c.autoencoder) TRY(generate(env, f, mu, variance, l->n, seed, generated, err));
done:
    iso_free(decoded);
    return st;
}

iso_status iso_sharpness_of_model(iso_env *env, const iso_images *im, iso_fitted *f, iso_evaluator *e, const float *mu, const float *variance,
                                  uint64_t seed, iso_sharpness *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_looked l = {0};
    float *held_out = NULL, *training = NULL, *reconstructed = NULL, *generated = NULL;
    *out = (iso_sharpness){0};
    TRY(iso_looked_of(&f->split, &l, err));
    TRY(iso_take_images(im, l.held_out, l.n, &held_out, err));
    TRY(iso_take_images(im, l.training, l.n, &training, err));
    TRY(iso_looked_made(env, f, e, &l, mu, variance, seed, &reconstructed, &generated, err));
    TRY(iso_sharpness_of(env, &f->model->images, &(iso_sides){l.n, held_out, reconstructed, generated, training}, out, err));
done:
    iso_looked_clear(&l);
    iso_free(held_out);
    iso_free(training);
    iso_free(reconstructed);
    iso_free(generated);
    return st;
}

double iso_bits_per_dim(const iso_model *m)
{
    const iso_summary *s = &m->summary;
    const iso_image_terms *t = &m->images;
    double elbo = s->n_test ? s->test_elbo : s->n_validation ? s->validation_elbo : s->train_elbo, change = 0;
    for (int64_t c = 0; c < t->channels; c++) change += log((double)t->scale[c]) / (double)t->channels;     /* densities of what the model sees */
    return m->v.c.autoencoder ? (double)NAN : -(elbo / (double)m->n_genes + change) / log(2);
}
