/* support.c: see support.h. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_HELD_OUT = 50, MOST_REFERENCES = 5000, LEAST_OF_BATCH = 20 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Rows `which` [n] of x [*, L], or NULL. */
static iso_status rows_of(const float *x, const int64_t *which, int64_t n, int64_t L, float **out, iso_error *err)
{
    iso_status st = ISO_OK;
    *out = NULL;
    if (!x) return ISO_OK;
    ALLOC(*out, n * L, sizeof **out);
    for (int64_t i = 0; i < n; i++) memcpy(*out + i * L, x + which[i] * L, (size_t)L * sizeof *x);
done:
    return st;
}

/* The category of the model's batch of each cell of the run; -1 where there is none. */
static iso_status batch_codes(const iso_run_cells *r, int32_t *codes, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_model *m = r->model;
    const iso_column *column = m->has_batch ? iso_frame_column(&r->obs, m->covariates[0].key) : NULL;
    int32_t *own = NULL, n = 0;
    char **names = NULL;
    for (int64_t i = 0; i < r->obs.n_rows; i++) codes[i] = -1;
    if (!column) return ISO_OK;
    TRY(iso_column_factor(&r->obs, column, &own, &names, &n, err));
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        for (int32_t k = 0; own[i] >= 0 && k < m->covariates[0].n_categories; k++)
            if (strcmp(names[own[i]], m->covariates[0].categories[k]) == 0) codes[i] = k;
done:
    iso_free_texts(names, n);
    iso_free(own);
    return st;
}

/* Deals the references' log densities to their batches, and sorts. */
static iso_status deal(iso_support *s, const double *log_q, const int64_t *cells, int64_t n, const int32_t *batch, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(s->n, s->n_batches + 1, sizeof *s->n);
    ALLOC(s->log_q, s->n_batches + 1, sizeof *s->log_q);
    for (int32_t b = 0; b <= s->n_batches; b++) {
        ALLOC(s->log_q[b], n, sizeof **s->log_q);
        for (int64_t i = 0; i < n; i++)
            if (b == s->n_batches || batch[cells[i]] == b) s->log_q[b][s->n[b]++] = log_q[i];
        qsort(s->log_q[b], (size_t)s->n[b], sizeof(double), ascending);
    }
done:
    return st;
}

iso_status iso_support_new(iso_env *env, const iso_run_cells *r, iso_support *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = r->obs.n_rows, L = r->model->v.c.n_latent, n_train = 0, n_held = 0, n_reference;
    int64_t *train = NULL, *held = NULL, *own = NULL;
    int32_t *batch = NULL;
    float *mu = NULL, *variance = NULL, *z = NULL;
    double *log_q = NULL, h;
    *s = (iso_support){.n_batches = r->model->has_batch ? r->model->covariates[0].n_categories : 0};
    ALLOC(train, n, sizeof *train);
    ALLOC(held, n, sizeof *held);
    ALLOC(batch, n, sizeof *batch);
    for (int64_t i = 0; i < n; i++)
        if (r->is_train[i]) train[n_train++] = i;
        else held[n_held++] = i;
    FAIL_IF(n_train < 2, ISO_EDATA, "%s/latent.h5ad: obs column \"isolario_split\" names fewer than 2 training cells", r->folder);
    TRY(batch_codes(r, batch, err));
    TRY(rows_of(r->mu, train, n_train, L, &mu, err));
    TRY(rows_of(r->variance, train, n_train, L, &variance, err));
    s->held_out = n_held >= LEAST_HELD_OUT;
    const int64_t *from = s->held_out ? held : train;
    int64_t of = s->held_out ? n_held : n_train;
    n_reference = of < MOST_REFERENCES ? of : MOST_REFERENCES;
    ALLOC(own, n_reference, sizeof *own);
    ALLOC(log_q, n_reference, sizeof *log_q);
    for (int64_t i = 0; i < n_reference; i++) {
        own[i] = s->held_out ? -1 : i * of / n_reference;
        held[i] = from[i * of / n_reference];                /* i never passes what is still to be read */
    }
    TRY(rows_of(r->mu, held, n_reference, L, &z, err));
    TRY(iso_density_bandwidth(env, mu, variance, n_train, L, z, s->held_out ? n_reference : 0, &h, err));
    TRY(iso_density_new(mu, variance, n_train, L, h, &s->density, err));
    TRY(iso_density_log(env, &s->density, z, n_reference, s->held_out ? NULL : own, log_q, err));
    TRY(deal(s, log_q, held, n_reference, batch, err));
done:
    iso_free(train);
    iso_free(held);
    iso_free(own);
    iso_free(batch);
    iso_free(mu);
    iso_free(variance);
    iso_free(z);
    iso_free(log_q);
    if (st) iso_support_clear(s);
    return st;
}

void iso_support_clear(iso_support *s)
{
    for (int32_t b = 0; s->log_q && b <= s->n_batches; b++) iso_free(s->log_q[b]);
    iso_free(s->log_q);
    iso_free(s->n);
    iso_density_clear(&s->density);
    *s = (iso_support){0};
}

double iso_support_p(const iso_support *s, int32_t batch, double log_q)
{
    int32_t b = batch >= 0 && batch < s->n_batches && s->n[batch] >= LEAST_OF_BATCH ? batch : s->n_batches;
    int64_t low = 0, high = s->n[b];                         /* how many are <= log_q */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (s->log_q[b][middle] <= log_q) low = middle + 1;
        else high = middle;
    }
    return (1 + (double)low) / (1 + (double)s->n[b]);
}
