/* neighbor_graph.c: UMAP's fuzzy simplicial set of a kNN graph; see map.h.
 *
 * Cell i is joined to its neighbour j with strength
 *   a_ij = exp(-max(0, d_ij - rho_i) / sigma_i),
 * where rho_i is the distance to the nearest cell that is not a copy of i, and sigma_i makes sum_j a_ij = log2(k + 1);
 * the two directions of an edge are joined by a + b - a b. k + 1 as scanpy counts the cell itself; the means that bound
 * sigma from below count it too, at distance 0.
 * Source: McInnes, Healy & Melville 2018, arXiv:1802.03426, algorithms 2 and 3; constants as umap-learn's. */
#include "map.h"

#include <float.h>
#include <math.h>

enum { STEPS = 64, BLOCK = 256 };            /* of the bisection; rows a block */
static const double TOLERANCE = 1e-5;        /* of the sum */
static const double MIN_SIGMA = 1e-3;        /* as a part of the mean distance */

typedef struct strength_job {
    const iso_knn *knn;
    double mean_distance;                    /* over all cells and neighbours, the cell itself counted */
    int32_t *index;                          /* [n, k] neighbours by rising index */
    float *strength;                         /* [n, k] a_ij, in the order of `index` */
    float *distance;                         /* [n, k] likewise */
} strength_job;

static double mean_with_self(const float *distance, int64_t n, int64_t cells)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += (double)distance[j];
    return sum / (double)(n + cells);
}

static double strength(double distance, double rho, double sigma)
{
    return distance > rho && sigma > 0 ? exp(-(distance - rho) / sigma) : 1;
}

/* sigma such that the strengths sum to log2(k + 1); where none does (many copies), what 64 steps come to. */
static double find_sigma(const float *distance, int k, double rho)
{
    double low = 0, high = DBL_MAX, sigma = 1, target = log2(k + 1.0);
    for (int step = 0; step < STEPS; step++) {
        double sum = 0;
        for (int j = 0; j < k; j++) sum += strength((double)distance[j], rho, sigma);
        if (fabs(sum - target) < TOLERANCE) break;
        if (sum > target) high = sigma;
        else low = sigma;
        sigma = high < DBL_MAX ? (low + high) / 2 : 2 * sigma;
    }
    return sigma;
}

/* Insertion sort: k is small. */
static void sort_row(int32_t *index, float *a, float *b, int k)
{
    for (int j = 1; j < k; j++) {
        int32_t at = index[j];
        float va = a[j], vb = b[j];
        int to = j;
        for (; to > 0 && index[to - 1] > at; to--) index[to] = index[to - 1], a[to] = a[to - 1], b[to] = b[to - 1];
        index[to] = at, a[to] = va, b[to] = vb;
    }
}

static void strength_block(void *arg, int64_t block)
{
    const strength_job *job = arg;
    const int k = job->knn->k;
    int64_t i0 = block * BLOCK, i1 = i0 + BLOCK < job->knn->n ? i0 + BLOCK : job->knn->n;
    for (int64_t i = i0; i < i1; i++) {
        const float *distance = job->knn->distance + i * k;
        double rho = 0;
        for (int j = k - 1; j >= 0; j--)
            if (distance[j] > 0) rho = (double)distance[j];
        double sigma = find_sigma(distance, k, rho);
        sigma = fmax(sigma, MIN_SIGMA * (rho > 0 ? mean_with_self(distance, k, 1) : job->mean_distance));
        for (int j = 0; j < k; j++) {
            job->index[i * k + j] = job->knn->index[i * k + j];
            job->distance[i * k + j] = distance[j];
            job->strength[i * k + j] = (float)strength((double)distance[j], rho, sigma);
        }
        sort_row(job->index + i * k, job->strength + i * k, job->distance + i * k, k);
    }
}

static iso_status check_knn(const iso_knn *knn, iso_error *err)
{
    for (int64_t i = 0; i < knn->n; i++)
        for (int64_t e = i * knn->k; e < (i + 1) * knn->k; e++) {
            if (knn->index[e] < 0 || knn->index[e] >= knn->n || knn->index[e] == i)
                return iso_fail(err, ISO_EDATA, "neighbour graph: cell %lld of %lld has neighbour %d", (long long)i,
                                (long long)knn->n, knn->index[e]);
            if (!(knn->distance[e] >= 0) || isinf(knn->distance[e]))
                return iso_fail(err, ISO_EDATA, "neighbour graph: cell %lld is %g away from cell %d", (long long)i,
                                (double)knn->distance[e], knn->index[e]);
        }
    return ISO_OK;
}

static iso_status new_csr(iso_csr *m, int64_t n, int64_t nnz, iso_error *err)
{
    iso_status st = ISO_OK;
    *m = (iso_csr){.n_rows = n, .n_cols = n, .nnz = nnz};
    ALLOC(m->indptr, n + 1, sizeof *m->indptr);
    ALLOC(m->indices, nnz, sizeof *m->indices);
    ALLOC(m->values, nnz, sizeof *m->values);
done:
    return st;
}

/* t = a transposed, by counting; its indices ascend. */
static iso_status transpose(const iso_csr *a, iso_csr *t, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *next = NULL;                    /* [n] where the next value of a row of t goes */
    TRY(new_csr(t, a->n_rows, a->nnz, err));
    ALLOC(next, a->n_rows, sizeof *next);
    for (int64_t e = 0; e < a->nnz; e++) t->indptr[a->indices[e] + 1]++;
    for (int64_t i = 0; i < a->n_rows; i++) {
        next[i] = t->indptr[i];
        t->indptr[i + 1] += t->indptr[i];
    }
    for (int64_t i = 0; i < a->n_rows; i++)
        for (int64_t e = a->indptr[i]; e < a->indptr[i + 1]; e++) {
            int64_t to = next[a->indices[e]]++;
            t->indices[to] = (int32_t)i;
            t->values[to] = a->values[e];
        }
done:
    iso_free(next);
    return st;
}

/* out = a + t - a t, value by value; out has room for the values of both. Strengths that are 0 are left out. */
static void fuzzy_union(const iso_csr *a, const iso_csr *t, iso_csr *out)
{
    int64_t to = 0;
    for (int64_t i = 0; i < a->n_rows; i++) {
        int64_t p = a->indptr[i], q = t->indptr[i];
        while (p < a->indptr[i + 1] || q < t->indptr[i + 1]) {
            int32_t ja = p < a->indptr[i + 1] ? a->indices[p] : INT32_MAX;
            int32_t jt = q < t->indptr[i + 1] ? t->indices[q] : INT32_MAX;
            float va = ja <= jt ? a->values[p++] : 0, vt = jt <= ja ? t->values[q++] : 0;
            float more = fmaxf(va, vt), less = fminf(va, vt);
            float v = more + less * (1 - more);     /* the same for (i, j) and (j, i) to the bit, and never above 1 */
            if (v <= 0) continue;
            out->indices[to] = ja < jt ? ja : jt;
            out->values[to++] = v;
        }
        out->indptr[i + 1] = to;
    }
    out->nnz = to;
}

iso_status iso_neighbor_graph(iso_env *env, const iso_knn *knn, iso_csr *connectivities, iso_csr *distances,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    const int64_t n = knn->n, nnz = knn->n * knn->k;
    float *strengths = NULL;
    iso_csr directed = {0}, transposed = {0};
    *connectivities = *distances = (iso_csr){0};
    TRY(check_knn(knn, err));
    TRY(new_csr(distances, n, nnz, err));
    TRY(new_csr(connectivities, n, 2 * nnz, err));
    ALLOC(strengths, nnz, sizeof *strengths);
    for (int64_t i = 0; i <= n; i++) distances->indptr[i] = i * knn->k;
    strength_job job = {.knn = knn, .index = distances->indices, .distance = distances->values, .strength = strengths,
                        .mean_distance = n > 0 ? mean_with_self(knn->distance, nnz, n) : 0};
    iso_parallel(env, (n + BLOCK - 1) / BLOCK, strength_block, &job);
    directed = *distances;                   /* the same places, other values */
    directed.values = strengths;
    TRY(transpose(&directed, &transposed, err));
    fuzzy_union(&directed, &transposed, connectivities);
done:
    iso_csr_clear(&transposed);
    iso_free(strengths);
    if (st != ISO_OK) {
        iso_csr_clear(connectivities);
        iso_csr_clear(distances);
    }
    return st;
}
