/* cells_common.h: synthetic cells for tests of training: counts of a few groups, or dense Gaussian data. */
#ifndef CELLS_COMMON_H
#define CELLS_COMMON_H

#include "base/rng.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

typedef struct test_cells {
    iso_csr x;
    real *log_library;
    int32_t *group;              /* [n] */
    iso_cells cells;
    int64_t *index;              /* 0..n-1, shuffled */
} test_cells;

static inline void test_cells_finish(test_cells *t, int64_t n)
{
    t->log_library = calloc((size_t)n, sizeof *t->log_library);
    t->index = calloc((size_t)n, sizeof *t->index);
    for (int64_t i = 0; i < n; i++) {
        double total = 0;
        for (int64_t e = t->x.indptr[i]; e < t->x.indptr[i + 1]; e++) total += (double)t->x.values[e];
        t->log_library[i] = (real)log(fmax(total, 1e-12));
    }
    iso_permutation((iso_rng_key){1, ISO_STREAM_TEST, 99}, n, t->index);
    t->cells = (iso_cells){.x = &t->x, .log_library = t->log_library};
}

/* n cells of `groups` kinds, G genes: each kind has a tenth of the genes raised eightfold. Negative binomial, theta
 * 5. */
static inline void test_cells_counts(test_cells *t, int64_t n, int64_t G, int groups, double depth)
{
    *t = (test_cells){.x = {.n_rows = n, .n_cols = G}};
    t->x.indptr = calloc((size_t)n + 1, sizeof *t->x.indptr);
    t->x.indices = calloc((size_t)(n * G), sizeof *t->x.indices);
    t->x.values = calloc((size_t)(n * G), sizeof *t->x.values);
    t->group = calloc((size_t)n, sizeof *t->group);
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){7, ISO_STREAM_TEST, 0}, (uint64_t)i);
        t->group[i] = (int32_t)(iso_rng_uniform(&r) * groups);
        double size = depth * exp(0.3 * iso_rng_normal(&r));
        for (int64_t g = 0; g < G; g++) {
            double mean = size * (1 + (double)(g % 7)) * (g % 10 == t->group[i] ? 8 : 1) / (4.0 * (double)G);
            double x = iso_rng_poisson(&r, mean * iso_rng_gamma(&r, 5) / 5);
            if (x > 0) t->x.indices[t->x.nnz] = (int32_t)g, t->x.values[t->x.nnz++] = (float)x;
        }
        t->x.indptr[i + 1] = t->x.nnz;
    }
    test_cells_finish(t, n);
}

/* n cells of d values whose sample covariance is exactly diag(eigenvalue), mean 0. */
static inline void test_cells_gaussian(test_cells *t, int64_t n, int64_t d, const double *eigenvalue)
{
    double *q = calloc((size_t)(n * d), sizeof *q);
    for (int64_t a = 0; a < d; a++) {                       /* Gram-Schmidt, with the constant taken out first */
        iso_rng r = iso_rng_start((iso_rng_key){11, ISO_STREAM_TEST, 1}, (uint64_t)a);
        double mean = 0, norm = 0;
        for (int64_t i = 0; i < n; i++) mean += (q[i * d + a] = iso_rng_normal(&r)) / (double)n;
        for (int64_t i = 0; i < n; i++) q[i * d + a] -= mean;
        for (int64_t b = 0; b < a; b++) {
            double dot = 0;
            for (int64_t i = 0; i < n; i++) dot += q[i * d + a] * q[i * d + b];
            for (int64_t i = 0; i < n; i++) q[i * d + a] -= dot * q[i * d + b];
        }
        for (int64_t i = 0; i < n; i++) norm += q[i * d + a] * q[i * d + a];
        for (int64_t i = 0; i < n; i++) q[i * d + a] /= sqrt(norm);
    }
    *t = (test_cells){.x = {.n_rows = n, .n_cols = d, .nnz = n * d}};
    t->x.indptr = calloc((size_t)n + 1, sizeof *t->x.indptr);
    t->x.indices = calloc((size_t)(n * d), sizeof *t->x.indices);
    t->x.values = calloc((size_t)(n * d), sizeof *t->x.values);
    for (int64_t i = 0; i < n; i++) {
        t->x.indptr[i + 1] = (i + 1) * d;
        for (int64_t a = 0; a < d; a++) {
            t->x.indices[i * d + a] = (int32_t)a;
            t->x.values[i * d + a] = (float)(q[i * d + a] * sqrt((double)n * eigenvalue[a]));
        }
    }
    free(q);
    test_cells_finish(t, n);
    t->cells.raw_input = true;
}

static inline void test_cells_free(test_cells *t)
{
    free(t->x.indptr);
    free(t->x.indices);
    free(t->x.values);
    free(t->log_library);
    free(t->group);
    free(t->index);
}

/* Count data with the usual architecture, small. */
static inline iso_vae_config test_config(int64_t G, const char *likelihood, int n_latent, int n_hidden)
{
    iso_vae_config c = {
        .n_genes = G, .n_latent = n_latent, .n_hidden = n_hidden, .n_layers = 1, .dropout = 0.1, .batch_norm = true};
    if (iso_likelihood_find(likelihood, &c.likelihood, NULL)) abort();
    return c;
}

static inline iso_train_options test_training(int epochs, int64_t batch)
{
    return (iso_train_options){.max_epochs = epochs,
                               .batch_size = batch,
                               .adam = {4e-3, 0.9, 0.999, 0.01, 1e-6, 0},
                               .cosine = true,
                               .kl_weight = 1,
                               .kl_warmup = 0.25,
                               .free_bits_groups = 1,
                               .seed = 3};
}

#endif
