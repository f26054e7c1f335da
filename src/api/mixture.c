/* mixture.c: see mixture.h. Non-negative least squares by coordinate descent on its normal equations (Franc, Hlavac &
 * Navara 2005): the matrix of groups is small, and the problem convex. */
#include "mixture.h"

#include <math.h>
#include <string.h>

enum { MOST_OF_GROUP = 100, SWEEPS = 500, ROWS = 4096 };
static const double PER = 1e4, CLOSE = 1e-9;

static iso_status mean_profiles(iso_env *env, iso_model *m, const float *mu, const int32_t *codes, int64_t n, iso_mixture *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = m->v.c.n_latent, G = out->G, K = out->K, *sizes = NULL, *seen = NULL;
    float *z = NULL, *decoded = NULL;
    ALLOC(sizes, K, sizeof *sizes);
    ALLOC(seen, K, sizeof *seen);
    ALLOC(z, MOST_OF_GROUP * L, sizeof *z);
    ALLOC(decoded, MOST_OF_GROUP * G, sizeof *decoded);
    for (int64_t i = 0; i < n; i++)
        if (codes[i] >= 0 && codes[i] < K) sizes[codes[i]]++;
    for (int32_t k = 0; k < K; k++) {
        int64_t some = sizes[k] < MOST_OF_GROUP ? sizes[k] : MOST_OF_GROUP, at = 0;
        for (int64_t i = 0; i < n && at < some; i++)             /* evenly spaced */
            if (codes[i] == k && seen[k]++ * some / sizes[k] >= at) memcpy(z + at++ * L, mu + i * L, (size_t)L * sizeof *z);
        if (at == 0) continue;
        TRY(iso_decode(env, &m->v, z, at, NULL, decoded, NULL, NULL, err));
        for (int64_t i = 0; i < at; i++)
            for (int64_t g = 0; g < G; g++) out->profile[g * K + k] += decoded[i * G + g] * (float)(PER / (double)at);
    }
done:
    iso_free(sizes);
    iso_free(seen);
    iso_free(z);
    iso_free(decoded);
    return st;
}

iso_status iso_mixture_new(iso_env *env, iso_model *m, const float *mu, const int32_t *codes, int64_t n, int32_t K, iso_mixture *out,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_mixture){.K = K, .G = m->n_genes};
    FAIL_IF(K < 1 || !m->v.c.likelihood->counts, ISO_EUSAGE, "mixtures are of groups of counted cells");
    ALLOC(out->profile, out->G * K, sizeof *out->profile);
    ALLOC(out->weight, out->G, sizeof *out->weight);
    ALLOC(out->gram, (int64_t)K * K, sizeof *out->gram);
    TRY(mean_profiles(env, m, mu, codes, n, out, err));
    for (int64_t g = 0; g < out->G; g++) {
        const float *p = out->profile + g * K;
        double mean = 0;
        for (int32_t k = 0; k < K; k++) mean += (double)p[k] / K;
        out->weight[g] = (float)(1 / (mean + 0.05));
        for (int32_t a = 0; a < K; a++)
            for (int32_t b = 0; b < K; b++) out->gram[a * K + b] += (double)(p[a] * p[b]) * (double)out->weight[g];
    }
done:
    if (st) iso_mixture_clear(out);
    return st;
}

void iso_mixture_clear(iso_mixture *m)
{
    iso_free(m->profile);
    iso_free(m->weight);
    iso_free(m->gram);
    *m = (iso_mixture){0};
}

/* ------------------------------------------------------------------------------------- one cell */

typedef struct job {
    const iso_mixture *m;
    const iso_csr *x;
    double *second, *fit, *depth;
    int64_t first;                /* row of the chunk at hand */
    double *room;                 /* [ROWS, 2 K]: each row's right side and shares */
} job;

/* share >= 0 that minimises share' gram share / 2 - right' share. */
static void solve(const iso_mixture *m, const double *right, double *share)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double moved = 0, size = 0;
        for (int64_t k = 0; k < m->K; k++) {
            double own = m->gram[k * m->K + k], slope = right[k];
            if (own <= 0) continue;
            for (int64_t j = 0; j < m->K; j++) slope -= m->gram[k * m->K + j] * share[j];
            double next = fmax(0, share[k] + slope / own);
            moved += fabs(next - share[k]), size += next;
            share[k] = next;
        }
        if (moved <= CLOSE * size) return;
    }
}

static double second_largest(const double *share, int64_t K)
{
    double first = 0, second = 0, sum = 0;
    for (int64_t k = 0; k < K; k++) {
        sum += share[k];
        if (share[k] > first) second = first, first = share[k];
        else if (share[k] > second) second = share[k];
    }
    return sum > 0 ? second / sum : 0;
}

/* Correlation of log1p of the mixture with log1p of the cell, over all genes. */
static double fit_of(const iso_mixture *m, const iso_csr *x, int64_t row, double per_count, const double *share)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    int64_t e = x->indptr[row], end = x->indptr[row + 1];
    for (int64_t g = 0; g < m->G; g++) {
        double a = 0, b = 0;
        for (int64_t k = 0; k < m->K; k++) a += share[k] * (double)m->profile[g * m->K + k];
        a = log1p(a);
        if (e < end && x->indices[e] == g) b = log1p((double)x->values[e++] * per_count);
        sa += a, sb += b, saa += a * a, sbb += b * b, sab += a * b;
    }
    double n = (double)m->G, va = saa - sa * sa / n, vb = sbb - sb * sb / n;
    return va > 0 && vb > 0 ? (sab - sa * sb / n) / sqrt(va * vb) : 0;
}

static void explain_row(void *arg, int64_t i)
{
    const job *j = arg;
    const iso_mixture *m = j->m;
    int64_t row = j->first + i;
    double total = 0, *right = j->room + i * 2 * m->K, *share = right + m->K;
    memset(right, 0, (size_t)(2 * m->K) * sizeof *right);
    for (int64_t e = j->x->indptr[row]; e < j->x->indptr[row + 1]; e++) total += (double)j->x->values[e];
    double per_count = total > 0 ? PER / total : 0;
    for (int64_t e = j->x->indptr[row]; e < j->x->indptr[row + 1]; e++) {
        int64_t g = j->x->indices[e];
        double r = (double)j->x->values[e] * per_count * (double)m->weight[g];
        for (int64_t k = 0; k < m->K; k++) right[k] += r * (double)m->profile[g * m->K + k];
    }
    solve(m, right, share);
    j->second[row] = second_largest(share, m->K);
    j->depth[row] = total;
    j->fit[row] = fit_of(m, j->x, row, per_count, share);
}

iso_status iso_mixture_explain(iso_env *env, const iso_mixture *m, const iso_csr *x, double *second, double *fit, double *depth,
                               iso_error *err)
{
    iso_status st = ISO_OK;
    job j = {.m = m, .x = x, .second = second, .fit = fit, .depth = depth};
    FAIL_IF(x->n_cols != m->G, ISO_EUSAGE, "the cells have %lld genes, the mixture %lld", (long long)x->n_cols, (long long)m->G);
    ALLOC(j.room, ROWS * 2 * m->K, sizeof *j.room);
    for (; j.first < x->n_rows; j.first += ROWS) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        iso_parallel(env, x->n_rows - j.first < ROWS ? x->n_rows - j.first : ROWS, explain_row, &j);
    }
done:
    iso_free(j.room);
    return st;
}
