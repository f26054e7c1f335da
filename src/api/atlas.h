/* atlas.h: what is made of a representation of cells: neighbours, clusters, a picture, agreement with labels. */
#ifndef ISO_ATLAS_H
#define ISO_ATLAS_H

#include "map/map.h"

/* Every cell's place x [n, d] is lent; the rest is the atlas's. */
typedef struct iso_atlas {
    int64_t n, d;
    const float *x;
    iso_csr connectivities, distances;
    int32_t *clusters, n_clusters;        /* Leiden, by falling size */
    float *xy;                            /* [n, 2] UMAP; NULL if not asked for */
    double neighbors_s, clusters_s, layout_s;
} iso_atlas;

/* Options used: n_neighbors, resolution, min_dist, seed. */
iso_status iso_atlas_make(iso_env *env, const float *x, int64_t n, int64_t d, const iso_options *o, bool layout,
                          iso_atlas *a, iso_error *err);
void iso_atlas_clear(iso_atlas *a);

enum { ISO_LABEL_NEIGHBORS = 15, ISO_LABEL_FOLDS = 5 };
/* Agreement with labels (< 0: unknown): of the clusters as made, of those at the best of several resolutions, and of
 * each cell's neighbours' majority and a linear rule. At most 20,000 cells, evenly spaced, take part. */
typedef struct iso_label_scores {
    double knn_accuracy, linear_probe, ari, nmi;
    iso_cluster_score best;
} iso_label_scores;
iso_status iso_score_labels(iso_env *env, const iso_atlas *a, const int32_t *labels, const iso_options *o,
                            iso_label_scores *out, iso_error *err);

/* How far the mean of each gene in each cluster lies from that in the rest, in standard deviations over all cells, of log1p of
 * counts per 10,000: effect [n_clusters, genes]. Cells with a cluster below 0 are left out. */
iso_status iso_gene_contrasts(const iso_csr *x, const int32_t *clusters, int32_t n_clusters, double *effect, iso_error *err);

/* Genes that tell clusters apart: the gene with the largest standardised difference (cluster against the rest, log1p
 * of counts per 10,000) of each cluster in turn, at most `wanted`; *found of them in genes [wanted]. */
iso_status iso_top_genes(const iso_csr *x, const int32_t *clusters, int32_t n_clusters, int wanted, int32_t *genes,
                         int *found, iso_error *err);

#endif
