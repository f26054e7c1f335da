/* compare_images.c: the models of compare_images.h, trained and measured on the same held-out images. */
#include "compare_images.h"

#include "atlas.h"
#include "generate.h"
#include "io/csr.h"
#include "map/map.h"
#include "picture_out.h"

#include <math.h>
#include <string.h>

static int64_t image_size(const iso_rivals *r) { return r->data->images->channels * r->data->images->height * r->data->images->width; }

static iso_status keep_some(const iso_rivals *r, const float *pixels, float **out, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*out, r->shown * image_size(r), sizeof **out);
    memcpy(*out, pixels, (size_t)(r->shown * image_size(r)) * sizeof **out);
done:
    return st;
}

/* What can be said of any of them: pixels of the held-out images decoded, and of as many generated; z [images, d] of all images. */
static iso_status measure(iso_env *env, const iso_rivals *r, const float *reconstructed, const float *generated, const float *z, int64_t d, iso_rival *out,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    iso_sides sides = {r->looked.n, r->held_out, reconstructed, generated, r->training};
    int64_t n = r->data->x.n_rows;
    out->knn_accuracy = out->linear_probe = (double)NAN;
    TRY(iso_sharpness_of(env, &r->first.model->images, &sides, &out->sharpness, err));
    TRY(keep_some(r, reconstructed, &out->reconstructed, err));
    if (generated) TRY(keep_some(r, generated, &out->generated, err));
    if (!r->labels) goto done;
    TRY(iso_knn_accuracy(env, z, r->labels, n, d, ISO_LABEL_NEIGHBORS, ISO_LABEL_FOLDS, &out->knn_accuracy, err));
    TRY(iso_linear_probe(z, r->labels, n, d, ISO_LABEL_FOLDS, &out->linear_probe, err));
done:
    return st;
}

/* ------------------------------------------------------------------------------------------- models */

static iso_status measure_model(iso_env *env, iso_rivals *r, iso_fitted *f, iso_rival *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = f->model;
    iso_evaluator *e = NULL;
    int64_t n = r->data->x.n_rows, L = m->v.c.n_latent;
    float *mu = NULL, *variance = NULL, *invariant = NULL, *reconstructed = NULL, *generated = NULL;
    ALLOC(mu, n * L, sizeof *mu);
    ALLOC(variance, n * L, sizeof *variance);
    TRY(iso_evaluator_new(env, &m->v, &f->bound.cells, &e, err));
    TRY(iso_embed(e, NULL, n, mu, variance, err));
    TRY(iso_new_invariant(e, n, &invariant, err));
    TRY(iso_looked_made(env, f, e, &r->looked, mu, variance, (uint64_t)iso_opt_int(r->options, "seed"), &reconstructed, &generated, err));
    TRY(measure(env, r, reconstructed, generated, invariant ? invariant : mu, L, out, err));
    out->bits_per_dim = iso_bits_per_dim(m), out->seconds = f->history.seconds, out->active_units = m->summary.active_units;
    snprintf(out->verdict, sizeof out->verdict, "%s", m->summary.verdict);
done:
    iso_evaluator_free(e);
    iso_free(mu);
    iso_free(variance);
    iso_free(invariant);
    iso_free(reconstructed);
    iso_free(generated);
    return st;
}

static iso_status look_at_split(iso_rivals *r, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(iso_looked_of(&r->first.split, &r->looked, err));
    r->shown = r->looked.n < ISO_RIVAL_SHOWN ? r->looked.n : ISO_RIVAL_SHOWN;
    TRY(iso_take_images(r->data->images, r->looked.held_out, r->looked.n, &r->held_out, err));
    TRY(iso_take_images(r->data->images, r->looked.training, r->looked.n, &r->training, err));
done:
    return st;
}

/* A model of one dialect; the first is kept. One that the images cannot speak is left out. */
static iso_status train(iso_env *env, iso_rivals *r, const char *name, const char *law, bool autoencoder, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_fitted own = {0}, *f = r->n ? &own : &r->first;
    iso_error why = {0};
    iso_options *o = iso_resolve_options(r->options, true);
    FAIL_IF(!o, ISO_EMEMORY, "out of memory");
    TRY(iso_options_set(o, "likelihood", law, err));
    TRY(iso_options_set(o, "autoencoder", autoencoder ? "true" : "false", err));
    iso_info(env, "training %s", name);
    st = iso_fit(env, r->data, o, NULL, NULL, f, &why);
    if (st == ISO_EDATA && r->n > 0) {
        iso_warn(env, "%s is left out: %s", name, why.msg);
        st = ISO_OK;
        goto done;
    }
    if (st) *err = why;
    TRY(st);
    if (f == &r->first) TRY(look_at_split(r, err));
    iso_rival *rival = &r->rival[r->n++];
    rival->name = name;
    TRY(measure_model(env, r, f, rival, err));
done:
    iso_fitted_clear(&own);
    iso_options_free(o);
    return st;
}

/* ---------------------------------------------------------------------------------- principal components */

/* z [n, k] as pixels. */
static iso_status from_scores(const iso_rivals *r, const iso_pca_model *p, const float *z, int64_t n, float **pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    float *y = NULL;
    ALLOC(y, n * p->n_genes, sizeof *y);
    for (int64_t i = 0; i < n; i++) iso_pca_inverse(p, z + i * p->k, y + i * p->n_genes);
    TRY(iso_made_pixels(r->first.model, y, n, pixels, err));
done:
    iso_free(y);
    return st;
}

static iso_status measure_components(iso_env *env, iso_rivals *r, const iso_csr *x, const iso_pca_model *p, iso_rival *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = x->n_rows, looked = r->looked.n, k = p->k;
    float *z = NULL, *some = NULL, *reconstructed = NULL, *generated = NULL;
    ALLOC(z, n * k, sizeof *z);
    ALLOC(some, looked * k, sizeof *some);
    TRY(iso_pca_transform(env, p, x, z, err));
    for (int64_t i = 0; i < looked; i++) memcpy(some + i * k, z + r->looked.held_out[i] * k, (size_t)k * sizeof *z);
    TRY(from_scores(r, p, some, looked, &reconstructed, err));
    iso_draw_prior(looked, (int)k, (uint64_t)iso_opt_int(r->options, "seed"), some);
    for (int64_t i = 0; i < looked * k; i++) some[i] *= (float)sqrt(p->variance[i % k]);
    TRY(from_scores(r, p, some, looked, &generated, err));
    TRY(measure(env, r, reconstructed, generated, z, k, out, err));
    out->bits_per_dim = (double)NAN, out->active_units = (int)k;
done:
    iso_free(z);
    iso_free(some);
    iso_free(reconstructed);
    iso_free(generated);
    return st;
}

/* Of the training images; as many as z has dimensions. */
static iso_status components(iso_env *env, iso_rivals *r, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr x = {0}, some = {0};
    iso_pca_model p = {0};
    const iso_split *split = &r->first.split;
    int k = r->first.model->v.c.n_latent;
    double start = iso_now_s();
    iso_info(env, "fitting principal components");
    TRY(iso_image_matrix(env, &r->first.bound, &x, err));
    TRY(csr_take_rows(&x, split->train, split->n_train, &some, err));
    TRY(iso_pca_fit(env, &some, false, k < split->n_train ? k : (int)split->n_train - 1, (uint64_t)iso_opt_int(r->options, "seed"), &p, err));
    double seconds = iso_now_s() - start;
    iso_rival *rival = &r->rival[r->n++];
    rival->name = "pca", rival->seconds = seconds;
    TRY(measure_components(env, r, &x, &p, rival, err));
done:
    iso_csr_clear(&x);
    iso_csr_clear(&some);
    iso_pca_clear(&p);
    return st;
}

/* ---------------------------------------------------------------------------------------------- all */

static iso_status check_dialects(const iso_options *o, int n, iso_error *err)
{
    iso_status st = ISO_OK;
    char *name = NULL;
    FAIL_IF(n < 1 || n > ISO_MOST_RIVALS - 2, ISO_EUSAGE, "--dialects: between 1 and %d likelihoods of images", ISO_MOST_RIVALS - 2);
    for (int i = 0; i < n; i++) {
        const iso_likelihood *law = NULL;
        iso_free(name);
        FAIL_IF(!(name = iso_opt_list_item(o, "dialects", i)), ISO_EMEMORY, "out of memory");
        TRY(iso_likelihood_find(name, &law, err));
        FAIL_IF(!law->image, ISO_EUSAGE, "--dialects: \"%s\" is not a likelihood of images; these are: gaussian, wavelet, photon, feature, mse", name);
    }
done:
    iso_free(name);
    return st;
}

iso_status iso_rivals_meet(iso_env *env, const iso_dataset *d, const iso_options *resolved, const int32_t *labels, iso_rivals *r, iso_error *err)
{
    iso_status st = ISO_OK;
    int n = iso_opt_list_n(resolved, "dialects");
    *r = (iso_rivals){.data = d, .options = resolved, .labels = labels};
    TRY(check_dialects(resolved, n, err));
    for (int i = 0; i < n; i++) {
        char *name = iso_opt_list_item(resolved, "dialects", i);
        const iso_likelihood *law = NULL;
        FAIL_IF(!name, ISO_EMEMORY, "out of memory");
        st = iso_likelihood_find(name, &law, err);
        iso_free(name);
        TRY(st);
        TRY(train(env, r, law->name, law->name, false, err));
    }
    TRY(train(env, r, "autoencoder", "gaussian", true, err));
    TRY(components(env, r, err));
done:
    return st;
}

void iso_rivals_clear(iso_rivals *r)
{
    for (int i = 0; i < r->n; i++) iso_free(r->rival[i].reconstructed), iso_free(r->rival[i].generated);
    iso_looked_clear(&r->looked);
    iso_free(r->held_out);
    iso_free(r->training);
    iso_fitted_clear(&r->first);
    *r = (iso_rivals){0};
}
