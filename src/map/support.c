/* support.c: see support.h. */
#include "support.h"

#include "gmm.h"

#include <string.h>

enum { LEAST_HELD_OUT = 50, MOST_REFERENCES = 5000, LEAST_OF_BATCH = 20, SEED = 0 };      /* every command fits the same mixture */

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

/* Deals the references' log densities to their batches, and sorts. */
static iso_status deal(iso_support *s, const double *log_q, const int32_t *batch, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = s->n_references;
    ALLOC(s->n, s->n_batches + 1, sizeof *s->n);
    ALLOC(s->log_q, s->n_batches + 1, sizeof *s->log_q);
    for (int32_t b = 0; b <= s->n_batches; b++) {
        ALLOC(s->log_q[b], n, sizeof **s->log_q);
        for (int64_t i = 0; i < n; i++)
            if (b == s->n_batches || batch[s->reference[i]] == b) s->log_q[b][s->n[b]++] = log_q[i];
        iso_sort(s->log_q[b], s->n[b]);
    }
done:
    return st;
}

/* Of the training cells; z [n_z, d]: cells that it is not made of, on which its width or its number of components is chosen. */
static iso_status make_density(iso_env *env, const iso_support_cells *c, const int64_t *train, int64_t n_train, const float *z, int64_t n_z,
                               iso_support *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = n_train < ISO_EXACT_CELLS ? n_train : ISO_EXACT_CELLS, *some = NULL;
    float *mu = NULL, *variance = NULL;
    double h;
    ALLOC(some, n, sizeof *some);
    ALLOC(s->component, c->n, sizeof *s->component);
    s->n_cells = c->n;
    for (int64_t i = 0; i < c->n; i++) s->component[i] = -1;
    for (int64_t i = 0; i < n; i++) {
        some[i] = train[i * n_train / n];
        if (!s->fitted) s->component[some[i]] = i;
    }
    TRY(rows_of(c->mu, some, n, c->d, &mu, err));
    TRY(rows_of(c->variance, some, n, c->d, &variance, err));
    if (s->fitted) {
        TRY(iso_gmm_choose(env, &(iso_gmm_cells){mu, variance, n, c->d}, z, n_z, SEED, &s->density, err));
        goto done;
    }
    TRY(iso_density_bandwidth(env, mu, variance, n, c->d, z, n_z, &h, err));
    TRY(iso_density_new(mu, variance, n, c->d, h, &s->density, err));
done:
    iso_free(some);
    iso_free(mu);
    iso_free(variance);
    return st;
}

/* Takes n of the training cells, evenly spaced, out of their list. */
static void leave_out(int64_t *train, int64_t *n_train, int64_t n)
{
    int64_t kept = 0, taken = 0;
    for (int64_t i = 0; i < *n_train; i++)
        if (taken < n && i == taken * *n_train / n) taken++;
        else train[kept++] = train[i];
    *n_train = kept;
}

iso_status iso_support_new(iso_env *env, const iso_support_cells *c, iso_support *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n_train = 0, n_held = 0, *train = NULL, *held = NULL, *own = NULL;
    float *z = NULL;
    double *log_q = NULL;
    *s = (iso_support){.n_batches = c->batch ? c->n_batches : 0};
    ALLOC(train, c->n, sizeof *train);
    ALLOC(held, c->n, sizeof *held);
    for (int64_t i = 0; i < c->n; i++)
        if (c->is_train[i]) train[n_train++] = i;
        else held[n_held++] = i;
    FAIL_IF(n_train < 2, ISO_EDATA, "a density needs at least 2 training cells, and there are %lld", (long long)n_train);
    s->held_out = n_held >= LEAST_HELD_OUT;
    s->fitted = n_train > ISO_EXACT_CELLS && c->d <= ISO_GMM_DIMENSIONS;
    const int64_t *from = s->held_out ? held : train;
    int64_t of = s->held_out ? n_held : s->fitted || n_train < ISO_EXACT_CELLS ? n_train : ISO_EXACT_CELLS;
    bool components = !s->held_out && !s->fitted;             /* the references are components of the density */
    s->n_references = of < MOST_REFERENCES ? of : MOST_REFERENCES;
    ALLOC(s->reference, s->n_references, sizeof *s->reference);
    ALLOC(own, s->n_references, sizeof *own);
    ALLOC(log_q, s->n_references, sizeof *log_q);
    for (int64_t i = 0; i < s->n_references; i++) {
        own[i] = i * of / s->n_references;                    /* the component, if it is one: see make_density */
        s->reference[i] = components ? from[own[i] * n_train / of] : from[own[i]];
    }
    if (s->fitted && !s->held_out) leave_out(train, &n_train, s->n_references);
    TRY(rows_of(c->mu, s->reference, s->n_references, c->d, &z, err));
    TRY(make_density(env, c, train, n_train, z, components ? 0 : s->n_references, s, err));
    TRY(iso_density_log(env, &s->density, z, s->n_references, components ? own : NULL, log_q, err));
    TRY(deal(s, log_q, c->batch, err));
done:
    iso_free(train);
    iso_free(held);
    iso_free(own);
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
    iso_free(s->reference);
    iso_free(s->component);
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
