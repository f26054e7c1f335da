/* mixture.c: see mixture.h. Non-negative least squares by coordinate descent on its normal equations (Franc, Hlavac &
 * Navara 2005): the matrix of groups is small, and the problem convex. */
#include "mixture.h"

#include <math.h>
#include <string.h>

enum { SWEEPS = 500, ROWS = 4096, GENES = 512 };
static const double PER = 1e4, CLOSE = 1e-6;

iso_status iso_mixture_set(const float *profile, const float *against, int64_t K, int64_t G, iso_mixture *out, iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_mixture){.K = K, .G = G};
    FAIL_IF(K < 1 || G < 1, ISO_EUSAGE, "a mixture needs groups and genes");
    ALLOC(out->profile, G * K, sizeof *out->profile);
    ALLOC(out->against, G * K, sizeof *out->against);
    ALLOC(out->gram, K * K, sizeof *out->gram);
    memcpy(out->profile, profile, (size_t)(G * K) * sizeof *profile);
    memcpy(out->against, against, (size_t)(G * K) * sizeof *against);
    for (int64_t g = 0; g < G; g++)
        for (int64_t a = 0; a < K; a++)
            for (int64_t b = 0; b < K; b++) out->gram[a * K + b] += (double)profile[g * K + a] * (double)against[g * K + b];
done:
    if (st) iso_mixture_clear(out);
    return st;
}

void iso_mixture_clear(iso_mixture *m)
{
    iso_free(m->profile);
    iso_free(m->against);
    iso_free(m->gram);
    *m = (iso_mixture){0};
}

/* ------------------------------------------------------------------------------------ one state */

/* What there is to explain, and room for it. */
typedef struct explainer {
    const iso_mixture *m;
    float *by_group;              /* [K, G] the profiles, group by group */
    const iso_csr *x;             /* or dense: */
    const float *dense;           /* [*, G] */
    iso_mixed *out;
    int64_t first;                /* row of the chunk at hand */
    double *room;                 /* [ROWS, 2 K] */
    int64_t *group;               /* [ROWS, K] */
} explainer;

/* The state of one row, sparse or dense: its entries, and the factor that makes them counts per 10,000. */
typedef struct state {
    const int32_t *gene;          /* [n]; NULL: entry e is gene e */
    const float *value;           /* [n] */
    int64_t n;
    double total, per_value;
} state;

static state state_of(const int32_t *gene, const float *value, int64_t n)
{
    state s = {.gene = gene, .value = value, .n = n};
    for (int64_t e = 0; e < n; e++) s.total += (double)value[e];
    s.per_value = s.total > 0 ? PER / s.total : 0;
    return s;
}

/* share >= 0 that minimises share' gram share / 2 - right' share; right becomes the slope, right - gram share. Most shares stay 0 and
 * cost nothing. */
static void solve(const iso_mixture *m, double *right, double *share)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double moved = 0, size = 0;
        for (int64_t k = 0; k < m->K; k++) {
            if (share[k] == 0 && right[k] <= 0) continue;
            double own = m->gram[k * m->K + k], step = own > 0 ? right[k] / own : 0;
            if (step < -share[k]) step = -share[k];
            size += share[k];
            if (step == 0) continue;
            share[k] += step, moved += fabs(step);
            for (int64_t j = 0; j < m->K; j++) right[j] -= m->gram[k * m->K + j] * step;
        }
        if (moved <= CLOSE * size) return;
    }
}

static void two_largest(const double *share, int64_t K, iso_mixed *out)
{
    double sum = 0;
    out->group[0] = out->group[1] = -1;
    out->share[0] = out->share[1] = 0;
    for (int64_t k = 0; k < K; k++) {
        sum += share[k];
        int at = share[k] > out->share[0] ? 0 : share[k] > out->share[1] ? 1 : 2;
        if (at == 0) out->group[1] = out->group[0], out->share[1] = out->share[0];
        if (at < 2) out->group[at] = (int32_t)k, out->share[at] = share[k];
    }
    for (int i = 0; i < 2 && sum > 0; i++) out->share[i] /= sum;
}

/* a [n] = the mixture's counts per 10,000 of genes `from` and on: the sum of share times profile over the groups that take part. */
static void mix(const explainer *j, int64_t from, int64_t n, const int64_t *group, const double *share, int64_t n_groups, double *restrict a)
{
    memset(a, 0, (size_t)n * sizeof *a);
    for (int64_t k = 0; k < n_groups; k++) {
        const float *restrict profile = j->by_group + group[k] * j->m->G + from;
        double s = share[k];
        for (int64_t g = 0; g < n; g++) a[g] += s * (double)profile[g];
    }
}

/* Correlation of log1p of the mixture with log1p of the state, over all genes; of the n groups that take part: group, share. */
static double fit_of(const explainer *j, const state *s, const int64_t *group, const double *share, int64_t n)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0, mixed[GENES];
    int64_t e = 0, G = j->m->G;
    for (int64_t from = 0; from < G; from += GENES) {
        int64_t some = G - from < GENES ? G - from : GENES;
        mix(j, from, some, group, share, n, mixed);
        for (int64_t g = from; g < from + some; g++) {
            double a = log1p(mixed[g - from]), b = 0;
            if (e < s->n && (!s->gene || s->gene[e] == g)) b = log1p((double)s->value[e++] * s->per_value);
            sa += a, sb += b, saa += a * a, sbb += b * b, sab += a * b;
        }
    }
    double N = (double)G, va = saa - sa * sa / N, vb = sbb - sb * sb / N;
    return va > 0 && vb > 0 ? (sab - sa * sb / N) / sqrt(va * vb) : 0;
}

/* room: [2 K], the right side and the shares; group: [K]. */
static void explain_state(const explainer *j, const state *s, double *room, int64_t *group, iso_mixed *out)
{
    const iso_mixture *m = j->m;
    double *right = room, *share = room + m->K;
    int64_t n = 0;
    memset(room, 0, (size_t)(2 * m->K) * sizeof *room);
    for (int64_t e = 0; e < s->n; e++) {
        int64_t g = s->gene ? s->gene[e] : e;
        double r = (double)s->value[e] * s->per_value;
        for (int64_t k = 0; k < m->K; k++) right[k] += r * (double)m->against[g * m->K + k];
    }
    solve(m, right, share);
    two_largest(share, m->K, out);
    out->depth = s->total;
    for (int64_t k = 0; k < m->K; k++)
        if (share[k] > 0) group[n] = k, share[n++] = share[k];
    out->fit = fit_of(j, s, group, share, n);
}

/* ------------------------------------------------------------------------------------ many states */

static void explain_row(void *arg, int64_t i)
{
    const explainer *j = arg;
    int64_t row = j->first + i;
    state s = j->x ? state_of(j->x->indices + j->x->indptr[row], j->x->values + j->x->indptr[row], j->x->indptr[row + 1] - j->x->indptr[row])
                   : state_of(NULL, j->dense + row * j->m->G, j->m->G);
    explain_state(j, &s, j->room + i * 2 * j->m->K, j->group + i * j->m->K, j->out + row);
}

static iso_status explain_all(iso_env *env, explainer *j, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_mixture *m = j->m;
    ALLOC(j->by_group, m->K * m->G, sizeof *j->by_group);
    for (int64_t g = 0; g < m->G; g++)
        for (int64_t k = 0; k < m->K; k++) j->by_group[k * m->G + g] = m->profile[g * m->K + k];
    ALLOC(j->room, ROWS * 2 * m->K, sizeof *j->room);
    ALLOC(j->group, ROWS * m->K, sizeof *j->group);
    for (; j->first < n; j->first += ROWS) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        iso_parallel(env, n - j->first < ROWS ? n - j->first : ROWS, explain_row, j);
    }
done:
    iso_free(j->by_group);
    iso_free(j->room);
    iso_free(j->group);
    return st;
}

iso_status iso_mixture_explain(iso_env *env, const iso_mixture *m, const iso_csr *x, iso_mixed *out, iso_error *err)
{
    if (x->n_cols != m->G)
        return iso_fail(err, ISO_EUSAGE, "the cells have %lld genes, the mixture %lld", (long long)x->n_cols, (long long)m->G);
    return explain_all(env, &(explainer){.m = m, .x = x, .out = out}, x->n_rows, err);
}

iso_status iso_mixture_explain_dense(iso_env *env, const iso_mixture *m, const float *dense, int64_t n, iso_mixed *out, iso_error *err)
{
    return explain_all(env, &(explainer){.m = m, .dense = dense, .out = out}, n, err);
}
