/* atlas.c: see atlas.h. */
#include "atlas.h"

#include <math.h>
#include <string.h>

enum { MAX_SCORED = 20000 };

/* Connectivities of the n rows of x with k neighbours, the cell itself counted; distances may be NULL. */
static iso_status neighbors(iso_env *env, const float *x, int64_t n, int64_t d, const iso_options *o,
                            iso_csr *connectivities, iso_csr *distances, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_knn knn = {0};
    iso_csr own = {0};
    int64_t k = iso_opt_int(o, "n_neighbors");
    if (k > n) k = n;
    TRY(iso_knn_build(env, x, n, d, k > 1 ? (int)k - 1 : 0, (uint64_t)iso_opt_int(o, "seed"), &knn, err));
    TRY(iso_neighbor_graph(env, &knn, connectivities, distances ? distances : &own, err));
done:
    iso_csr_clear(&own);
    iso_knn_clear(&knn);
    return st;
}

iso_status iso_atlas_make(iso_env *env, const float *x, int64_t n, int64_t d, const iso_options *o, bool layout,
                          iso_atlas *a, iso_error *err)
{
    iso_status st = ISO_OK;
    uint64_t seed = (uint64_t)iso_opt_int(o, "seed");
    *a = (iso_atlas){.n = n, .d = d, .x = x};
    ALLOC(a->clusters, n, sizeof *a->clusters);
    double start = iso_now_s();
    TRY(neighbors(env, x, n, d, o, &a->connectivities, &a->distances, err));
    a->neighbors_s = iso_now_s() - start;
    start += a->neighbors_s;
    TRY(iso_leiden(env, &a->connectivities, iso_opt_real(o, "resolution"), seed, a->clusters, &a->n_clusters, err));
    a->clusters_s = iso_now_s() - start;
    start += a->clusters_s;
    if (layout) {
        ALLOC(a->xy, 2 * n, sizeof *a->xy);
        TRY(iso_umap(env, &a->connectivities, x, d, iso_opt_real(o, "min_dist"), seed, a->xy, err));
        a->layout_s = iso_now_s() - start;
    }
done:
    if (st) iso_atlas_clear(a);
    return st;
}

void iso_atlas_clear(iso_atlas *a)
{
    iso_csr_clear(&a->connectivities);
    iso_csr_clear(&a->distances);
    iso_free(a->clusters);
    iso_free(a->xy);
    *a = (iso_atlas){0};
}

iso_status iso_score_labels(iso_env *env, const iso_atlas *a, const int32_t *labels, const iso_options *o,
                            iso_label_scores *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = a->n < MAX_SCORED ? a->n : MAX_SCORED, d = a->d;
    float *x = NULL;
    int32_t *some = NULL;
    iso_csr graph = {0};
    *out = (iso_label_scores){.ari = iso_ari(a->clusters, labels, a->n), .nmi = iso_nmi(a->clusters, labels, a->n)};
    ALLOC(x, n * d, sizeof *x);
    ALLOC(some, n, sizeof *some);
    for (int64_t i = 0; i < n; i++) {
        int64_t from = i * a->n / n;
        memcpy(x + i * d, a->x + from * d, (size_t)d * sizeof *x);
        some[i] = labels[from];
    }
    TRY(iso_knn_accuracy(env, x, some, n, d, ISO_LABEL_NEIGHBORS, ISO_LABEL_FOLDS, &out->knn_accuracy, err));
    TRY(iso_linear_probe(x, some, n, d, ISO_LABEL_FOLDS, &out->linear_probe, err));
    if (n < a->n) TRY(neighbors(env, x, n, d, o, &graph, NULL, err));
    TRY(iso_best_clusters(env, n < a->n ? &graph : &a->connectivities, some, (uint64_t)iso_opt_int(o, "seed"),
                          &out->best, err));
done:
    iso_csr_clear(&graph);
    iso_free(x);
    iso_free(some);
    return st;
}

/* -------------------------------------------------------------------------------------- top genes */

/* sum [clusters, genes] and square [genes] of log1p(1e4 x / total), and cells a cluster; cells of no cluster are left out. */
static void add_up(const iso_csr *x, const int32_t *clusters, double *sum, double *square, int64_t *size)
{
    for (int64_t i = 0; i < x->n_rows; i++) {
        double total = 0;
        if (clusters[i] < 0) continue;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) total += (double)x->values[e];
        size[clusters[i]]++;
        for (int64_t e = x->indptr[i]; total > 0 && e < x->indptr[i + 1]; e++) {
            double y = log1p(fmax(0, 1e4 * (double)x->values[e] / total));
            sum[clusters[i] * x->n_cols + x->indices[e]] += y;
            square[x->indices[e]] += y * y;
        }
    }
}

/* (mean in the cluster - mean in the rest) / sd over all cells. */
static double contrast(double in, double all, double square, int64_t n_in, int64_t n)
{
    double mean = all / (double)n, variance = square / (double)n - mean * mean;
    if (n_in == 0 || n_in == n || variance <= 1e-12) return 0;
    return (in / (double)n_in - (all - in) / (double)(n - n_in)) / sqrt(variance);
}

iso_status iso_gene_contrasts(const iso_csr *x, const int32_t *clusters, int32_t n_clusters, double *effect, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = x->n_cols, *size = NULL, n = 0;
    double *square = NULL, *all = NULL;
    ALLOC(square, G, sizeof *square);
    ALLOC(all, G, sizeof *all);
    ALLOC(size, n_clusters, sizeof *size);
    memset(effect, 0, (size_t)(n_clusters * G) * sizeof *effect);
    add_up(x, clusters, effect, square, size);
    for (int32_t c = 0; c < n_clusters; c++) {
        n += size[c];
        for (int64_t g = 0; g < G; g++) all[g] += effect[c * G + g];
    }
    for (int32_t c = 0; c < n_clusters; c++)
        for (int64_t g = 0; g < G; g++) effect[c * G + g] = contrast(effect[c * G + g], all[g], square[g], size[c], n);
done:
    iso_free(square);
    iso_free(all);
    iso_free(size);
    return st;
}

iso_status iso_top_genes(const iso_csr *x, const int32_t *clusters, int32_t n_clusters, int wanted, int32_t *genes,
                         int *found, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = x->n_cols;
    double *effect = NULL;
    uint8_t *taken = NULL;
    *found = 0;
    ALLOC(effect, n_clusters * G, sizeof *effect);
    ALLOC(taken, G, 1);
    TRY(iso_gene_contrasts(x, clusters, n_clusters, effect, err));
    bool more = true;
    while (more && *found < wanted) {
        more = false;
        for (int32_t c = 0; c < n_clusters && *found < wanted; c++) {
            int64_t best = -1;
            double most = 0;
            for (int64_t g = 0; g < G; g++)
                if (!taken[g] && effect[c * G + g] > most) most = effect[c * G + g], best = g;
            if (best < 0) continue;
            taken[best] = 1, more = true;
            genes[(*found)++] = (int32_t)best;
        }
    }
done:
    iso_free(effect);
    iso_free(taken);
    return st;
}
