/* cmd_compare.c: `compare CELLS`: VAE, autoencoder and principal components side by side on held-out cells. */
#include "cells_in.h"
#include "commands.h"
#include "compare_images.h"
#include "contrast.h"
#include "realism.h"
#include "text_out.h"

#include <math.h>
#include <string.h>

enum { N_MODELS = 3, NEIGHBORS = 15 };
static const char *const model_names[N_MODELS] = {"vae", "ae", "pca"};

typedef struct yardsticks {
    double deviance_explained, mse, knn_accuracy, auc, to_mean, to_nearest;
    iso_cluster_score clusters;
    const char *nearest;
} yardsticks;

typedef struct comparison {
    iso_env *env;
    iso_contrast_stage stage;
    iso_fitted fitted[2];
    iso_contrast model[N_MODELS];
    yardsticks result[N_MODELS];
    int32_t *labels, *groups,
        n_groups; /* labels NULL without --labels-key; groups: the labels, or the VAE's clusters */
    char **names;                         /* [n_groups]; NULL for clusters */
    float *group_mean;                    /* [n_groups, genes] mean y */
    int64_t *group_size;
    double realism_floor;
} comparison;

/* --------------------------------------------------------------------------------------- reconstruction */

/* Shares of a cell's counts from y, mixed with 1 % of the average profile so that no share is 0; the same for all
 * models. */
static void shares(const float *y, const double *average, int64_t G, double *share)
{
    double sum = 0;
    for (int64_t g = 0; g < G; g++) sum += share[g] = fmax(expm1((double)y[g]), 0);
    for (int64_t g = 0; g < G; g++) share[g] = 0.99 * (sum > 0 ? share[g] / sum : average[g]) + 0.01 * average[g];
}

/* 2 sum [x log(x / m) - (x - m)], m = share * total: only entries with x > 0 are needed, as both sum to the total. */
static double poisson_deviance(const iso_csr *x, int64_t row, const double *share, double total)
{
    double sum = 0;
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
        double v = (double)x->values[e];
        if (v > 0) sum += 2 * v * log(v / fmax(share[x->indices[e]] * total, 1e-300));
    }
    return sum;
}

static iso_status measure_reconstruction(comparison *c, int which, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_contrast_stage *s = &c->stage;
    const iso_csr *x = &s->data->x;
    int64_t G = x->n_cols;
    double *average = NULL, *share = NULL, deviance = 0, null = 0, square = 0, all = 0;
    float *y = NULL;
    ALLOC(average, G, sizeof *average);
    ALLOC(share, G, sizeof *share);
    ALLOC(y, G, sizeof *y);
    for (int64_t i = 0; i < s->n_train; i++)
        for (int64_t e = x->indptr[s->train[i]]; e < x->indptr[s->train[i] + 1]; e++)
            average[x->indices[e]] += (double)x->values[e], all += (double)x->values[e];
    for (int64_t g = 0; g < G; g++)
        average[g] = all > 0 ? (average[g] + 1e-6 * all / (double)G) / (all * (1 + 1e-6)) : 0;
    for (int64_t i = 0; i < s->n_held_out; i++) {
        int64_t row = s->held_out[i];
        const float *decoded = c->model[which].held_out + i * G;
        double total = 0;
        for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) total += (double)x->values[e];
        iso_profile(x, row, s->counts, y);
        for (int64_t g = 0; g < G; g++)
            square += ((double)y[g] - (double)decoded[g]) * ((double)y[g] - (double)decoded[g]);
        if (!s->counts) continue;
        shares(decoded, average, G, share);
        deviance += poisson_deviance(x, row, share, total);
        null += poisson_deviance(x, row, average, total);
    }
    c->result[which].mse = square / ((double)s->n_held_out * (double)G);
    c->result[which].deviance_explained = s->counts ? 1 - deviance / null : (double)NAN;
done:
    iso_free(average);
    iso_free(share);
    iso_free(y);
    return st;
}

/* ---------------------------------------------------------------------------------------------- labels */

static iso_status measure_labels(comparison *c, int which, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_contrast_stage *s = &c->stage;
    const iso_contrast *m = &c->model[which];
    int64_t d = m->d, n = s->n_held_out, known = 0, right = 0, k = s->n_train < NEIGHBORS ? s->n_train : NEIGHBORS;
    float *from = NULL, *at = NULL, *distance = NULL;
    int32_t *index = NULL, *votes = NULL, *masked = NULL;
    iso_atlas atlas = {0};
    ALLOC(from, s->n_train * d, sizeof *from);
    ALLOC(at, n * d, sizeof *at);
    ALLOC(index, n * k, sizeof *index);
    ALLOC(distance, n * k, sizeof *distance);
    ALLOC(votes, c->n_groups, sizeof *votes);
    ALLOC(masked, s->data->x.n_rows, sizeof *masked);
    for (int64_t i = 0; i < s->n_train; i++) memcpy(from + i * d, m->z + s->train[i] * d, (size_t)d * sizeof *from);
    for (int64_t i = 0; i < n; i++) memcpy(at + i * d, m->z + s->held_out[i] * d, (size_t)d * sizeof *at);
    TRY(iso_knn_query(c->env, from, s->n_train, at, n, d, (int)k, index, distance, err));
    for (int64_t i = 0; i < s->data->x.n_rows; i++) masked[i] = -1;
    for (int64_t i = 0; i < n; i++) {
        int32_t truth = masked[s->held_out[i]] = c->labels[s->held_out[i]], best = 0;
        memset(votes, 0, (size_t)c->n_groups * sizeof *votes);
        for (int64_t j = 0; j < k; j++) {
            int32_t label = c->labels[s->train[index[i * k + j]]];
            if (label >= 0) votes[label]++;
        }
        for (int32_t g = 1; g < c->n_groups; g++)
            if (votes[g] > votes[best]) best = g;
        known += truth >= 0, right += truth == best;
    }
    c->result[which].knn_accuracy = known ? (double)right / (double)known : (double)NAN;
    TRY(iso_atlas_make(c->env, m->z, s->data->x.n_rows, d, s->options, false, &atlas, err));
    TRY(iso_best_clusters(c->env, &atlas.connectivities, masked, (uint64_t)iso_opt_int(s->options, "seed"),
                          &c->result[which].clusters, err));
done:
    iso_atlas_clear(&atlas);
    iso_free(from);
    iso_free(at);
    iso_free(index);
    iso_free(distance);
    iso_free(votes);
    iso_free(masked);
    return st;
}

/* --------------------------------------------------------------------------------------------- realism */

/* AUC of a classifier on principal components of the real cells: generated against held-out, and training against
 * held-out. */
static iso_status measure_realism(comparison *c, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_contrast_stage *s = &c->stage;
    uint64_t seed = (uint64_t)iso_opt_int(s->options, "seed");
    int64_t n = s->n_held_out, n_train = s->n_train < n ? s->n_train : n;
    iso_real real_cells = {0};
    TRY(iso_real_new(c->env, &s->data->x, s->counts, s->held_out, n, seed, &real_cells, err));
    TRY(iso_real_auc(c->env, &real_cells, &s->data->x, s->train, n_train, seed, &c->realism_floor, err));
    for (int i = 0; i < N_MODELS; i++)
        TRY(iso_real_auc(c->env, &real_cells, &c->model[i].generated, NULL, n, seed, &c->result[i].auc, err));
done:
    iso_real_clear(&real_cells);
    return st;
}

/* --------------------------------------------------------------------------------------------- halfway */

static iso_status group_means(comparison *c, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_csr *x = &c->stage.data->x;
    int64_t G = x->n_cols;
    float *y = NULL;
    ALLOC(y, G, sizeof *y);
    ALLOC(c->group_mean, c->n_groups * G, sizeof *c->group_mean);
    for (int64_t i = 0; i < x->n_rows; i++) {
        int32_t k = c->groups[i];
        if (k < 0) continue;
        iso_profile(x, i, c->stage.counts, y);
        for (int64_t g = 0; g < G; g++) c->group_mean[k * G + g] += y[g] / (float)c->group_size[k];
    }
done:
    iso_free(y);
    return st;
}

static double correlation(const float *a, const float *b, int64_t n)
{
    double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    for (int64_t i = 0; i < n; i++) sa += (double)a[i] / (double)n, sb += (double)b[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)a[i] - sa, y = (double)b[i] - sb;
        aa += x * x, bb += y * y, ab += x * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static iso_status measure_halfway(comparison *c, int which, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = c->stage.data->x.n_cols;
    const float *at = c->model[which].halfway, *a = c->group_mean + c->stage.a * G, *b = c->group_mean + c->stage.b * G;
    float *mean = NULL;
    yardsticks *r = &c->result[which];
    ALLOC(mean, G, sizeof *mean);
    for (int64_t g = 0; g < G; g++) mean[g] = 0.5f * (a[g] + b[g]);
    r->to_mean = correlation(at, mean, G);
    r->to_nearest = -2;
    for (int32_t k = 0; k < c->n_groups; k++) {
        double likeness = c->group_size[k] ? correlation(at, c->group_mean + k * G, G) : -2;
        if (likeness > r->to_nearest) r->to_nearest = likeness, r->nearest = c->names ? c->names[k] : NULL;
    }
done:
    iso_free(mean);
    return st;
}

/* ------------------------------------------------------------------------------------------------ flow */

/* Groups are the labels, or else the clusters of the VAE's latent space; a and b the two largest. */
static iso_status choose_groups(comparison *c, const float *mu, int d, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = c->stage.data->x.n_rows;
    iso_atlas atlas = {0};
    if (!c->labels) {
        TRY(iso_atlas_make(c->env, mu, n, d, c->stage.options, false, &atlas, err));
        c->groups = atlas.clusters, c->n_groups = atlas.n_clusters, atlas.clusters = NULL;
    } else {
        ALLOC(c->groups, n, sizeof *c->groups);
        memcpy(c->groups, c->labels, (size_t)n * sizeof *c->groups);
    }
    ALLOC(c->group_size, c->n_groups, sizeof *c->group_size);
    for (int64_t i = 0; i < n; i++)
        if (c->groups[i] >= 0) c->group_size[c->groups[i]]++;
    int32_t a = 0, b = c->n_groups > 1 ? 1 : 0;
    for (int32_t k = 0; k < c->n_groups; k++)
        if (c->group_size[k] > c->group_size[a]) a = k;
    if (a == b) b = 0;
    for (int32_t k = 0; k < c->n_groups; k++)
        if (k != a && c->group_size[k] > c->group_size[b]) b = k;
    c->stage.groups = c->groups, c->stage.a = a, c->stage.b = b;
done:
    iso_atlas_clear(&atlas);
    return st;
}

static iso_status fit_both(comparison *c, const iso_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_evaluator *e = NULL;
    float *mu = NULL;
    iso_options *plain = iso_resolve_options(o, false);
    FAIL_IF(!plain, ISO_EMEMORY, "out of memory");
    TRY(iso_options_set(plain, "autoencoder", "true", err));
    TRY(iso_options_set(plain, "library", "observed", err));
    iso_info(c->env, "training the variational autoencoder");
    TRY(iso_fit(c->env, c->stage.data, o, NULL, NULL, &c->fitted[0], err));
    iso_info(c->env, "training the plain autoencoder");
    TRY(iso_fit(c->env, c->stage.data, plain, NULL, NULL, &c->fitted[1], err));
    const iso_split *p = &c->fitted[0].split;
    FAIL_IF(p->n_test == 0 && p->n_validation == 0, ISO_EUSAGE,
            "compare needs held-out cells: give --split-key, or a --validation-fraction above 0");
    c->stage.train = p->train, c->stage.n_train = p->n_train;
    c->stage.held_out = p->n_test ? p->test : p->validation,
    c->stage.n_held_out = p->n_test ? p->n_test : p->n_validation;
    int64_t n = c->stage.data->x.n_rows, L = c->fitted[0].model->v.c.n_latent;
    ALLOC(mu, n * L, sizeof *mu);
    TRY(iso_evaluator_new(c->env, &c->fitted[0].model->v, &c->fitted[0].bound.cells, &e, err));
    TRY(iso_embed(e, NULL, n, mu, NULL, err));
    TRY(choose_groups(c, mu, (int)L, err));
done:
    iso_evaluator_free(e);
    iso_free(mu);
    iso_options_free(plain);
    return st;
}

static iso_status measure(comparison *c, iso_error *err)
{
    iso_status st = ISO_OK;
    for (int i = 0; i < 2; i++) TRY(iso_contrast_vae(c->env, &c->stage, &c->fitted[i], &c->model[i], err));
    TRY(iso_contrast_pca(c->env, &c->stage, &c->model[2], err));
    TRY(group_means(c, err));
    for (int i = 0; i < N_MODELS; i++) {
        TRY(measure_reconstruction(c, i, err));
        if (c->labels) TRY(measure_labels(c, i, err));
        TRY(measure_halfway(c, i, err));
    }
    TRY(measure_realism(c, err));
done:
    return st;
}

/* ----------------------------------------------------------------------------------------------- table */

/* Empty when there is nothing to say. */
static void put(FILE *f, double x, const char *format)
{
    putc('\t', f);
    if (!isnan(x)) fprintf(f, format, x);
}

static void print(const comparison *c, FILE *f)
{
    fputs("model\telbo\tlog_p\treconstruction\tpoisson_deviance_explained\tmse_log1p\tknn_accuracy\tari\tnmi\trealism_"
          "auc\trealism_floor\t"
          "halfway_to_mean\thalfway_to_nearest\thalfway_nearest\tseconds\n",
          f);
    for (int i = 0; i < N_MODELS; i++) {
        const iso_contrast *m = &c->model[i];
        const yardsticks *r = &c->result[i];
        double none = c->labels ? 0 : (double)NAN;
        fputs(model_names[i], f);
        put(f, m->elbo, "%.2f"), put(f, m->log_p, "%.2f"), put(f, m->reconstruction, "%.2f");
        put(f, r->deviance_explained, "%.4f"), put(f, r->mse, "%.5f");
        put(f, r->knn_accuracy + none, "%.4f"), put(f, r->clusters.ari + none, "%.4f"),
            put(f, r->clusters.nmi + none, "%.4f");
        put(f, r->auc, "%.4f"), put(f, c->realism_floor, "%.4f"), put(f, r->to_mean, "%.4f"),
            put(f, r->to_nearest, "%.4f");
        putc('\t', f);
        if (r->nearest) iso_put_name(f, r->nearest);
        put(f, m->seconds, "%.2f");
        putc('\n', f);
    }
}

static void comparison_clear(comparison *c)
{
    for (int i = 0; i < N_MODELS; i++) iso_contrast_clear(&c->model[i]);
    for (int i = 0; i < 2; i++) iso_fitted_clear(&c->fitted[i]);
    iso_free_texts(c->names, c->n_groups);
    iso_free(c->labels);
    iso_free(c->groups);
    iso_free(c->group_size);
    iso_free(c->group_mean);
}

iso_status iso_cmd_compare(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    iso_options *resolved = iso_resolve_options(o, false);
    iso_text_out t = {0};
    const iso_likelihood *law;
    char *path = NULL;
    comparison c = {.env = env};
    FAIL_IF(!resolved || !(path = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    FAIL_IF(iso_opt_flag(o, "autoencoder"), ISO_EUSAGE,
            "compare trains a plain autoencoder beside the variational one anyhow: leave --autoencoder out");
    if (iso_image_sniff(path)) {
        st = iso_compare_images(env, o, path, command_line, err);
        goto done;
    }
    TRY(iso_likelihood_find(iso_opt_text(resolved, "likelihood"), &law, err));
    TRY(iso_text_open(o, &t, err));
    TRY(iso_read_cells(env, path, law, o, &d, err));
    c.stage = (iso_contrast_stage){.data = d, .options = resolved, .counts = law->counts || law->log1p_data};
    TRY(iso_read_labels(d, resolved, &c.labels, &c.names, &c.n_groups, err));
    TRY(fit_both(&c, o, err));
    TRY(measure(&c, err));
    print(&c, t.file);
    if (c.names)
        iso_info(env, "halfway: between \"%s\" and \"%s\"", c.names[c.stage.a], c.names[c.stage.b]);
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    comparison_clear(&c);
    iso_dataset_free(d);
    iso_options_free(resolved);
    iso_free(path);
    return st;
}
