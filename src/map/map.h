/* map.h: what is done with a latent space: neighbours, clusters, layout, PCA, and scores against labels.
 * Everything is a pure function of its input and seed, the same bits for any thread count. */
#ifndef ISO_MAP_H
#define ISO_MAP_H

#include "base/base.h"
#include "io/dataset.h"

/* k nearest neighbours, self excluded, nearest first; ties by index. Exact to 200,000 rows, then hnswlib. At most n - 1
 * neighbours: out->k says how many there are. ISO_EDATA for values that are not finite or above 1e17. */
typedef struct iso_knn { int64_t n; int k; int32_t *index; float *distance; /* [n, k], Euclidean */ } iso_knn;
iso_status iso_knn_build(iso_env *env, const float *x, int64_t n, int64_t d, int k, uint64_t seed, iso_knn *out,
                         iso_error *err);
/* Neighbours in x of the m rows of q (exact; self not excluded): index, distance [m, k]. k <= n, else ISO_EUSAGE. */
iso_status iso_knn_query(iso_env *env, const float *x, int64_t n, const float *q, int64_t m, int64_t d, int k,
                         int32_t *index, float *distance, iso_error *err);
void iso_knn_clear(iso_knn *k);

/* UMAP's fuzzy simplicial set of a kNN graph, symmetric, as scanpy's obsp["connectivities"]; and the distances as
 * scanpy's obsp["distances"]. n_neighbors counts the cell itself, as in scanpy: k = n_neighbors - 1. `distances` has k values a row:
 * copies of a cell are explicit zeros, as in scanpy. Clear both. */
iso_status iso_neighbor_graph(iso_env *env, const iso_knn *knn, iso_csr *connectivities, iso_csr *distances,
                              iso_error *err);

/* Leiden communities of the weighted graph, modularity with resolution (igraph); labels by falling size. */
iso_status iso_leiden(iso_env *env, const iso_csr *connectivities, double resolution, uint64_t seed, int32_t *labels,
                      int32_t *n_clusters, iso_error *err);

/* Two-dimensional UMAP layout of the graph. x [n, d] gives the start (first two principal components). */
iso_status iso_umap(iso_env *env, const iso_csr *connectivities, const float *x, int64_t d, double min_dist,
                    uint64_t seed, float *xy, iso_error *err);

/* PCA of sparse data: log1p(x / total * 1e4) when log1p, else x; centred implicitly, never dense. Signs fixed so that
 * each component's largest loading is positive. */
typedef struct iso_pca_model {
    int64_t n_genes;
    int k;
    float *mean;          /* [n_genes] */
    float *loadings;      /* [k, n_genes] */
    double *variance;     /* [k] */
    double total_variance;
    bool log1p;
    double noise;         /* mean of the left-out eigenvalues: sigma^2 of probabilistic PCA (Tipping & Bishop 1999) */
} iso_pca_model;
iso_status iso_pca_fit(iso_env *env, const iso_csr *x, bool log1p, int k, uint64_t seed, iso_pca_model *out,
                       iso_error *err);
iso_status iso_pca_transform(iso_env *env, const iso_pca_model *p, const iso_csr *x, float *scores /* [n, k] */,
                             iso_error *err);
/* y [n_genes], as iso_pca_fit saw rows: what scores z [k] stand for. */
void iso_pca_inverse(const iso_pca_model *p, const float *z, float *y);
void iso_pca_clear(iso_pca_model *p);

/* ------------------------------------------------------------------------------ scores against labels */

/* Each is NaN where it is not defined (no labels, one class, too few cells), as where scikit-learn refuses. */

/* Agreement of two labelings (Hubert & Arabie 1985; arithmetic-mean NMI, as scikit-learn). Labels < 0 are left out. */
double iso_ari(const int32_t *a, const int32_t *b, int64_t n);
double iso_nmi(const int32_t *a, const int32_t *b, int64_t n);
/* Accuracy of the k-neighbour majority vote in stratified folds made as scikit-learn's StratifiedKFold without shuffle;
 * ties to the smallest label, as KNeighborsClassifier. Labels < 0 are left out. */
iso_status iso_knn_accuracy(iso_env *env, const float *x, const int32_t *labels, int64_t n, int64_t d, int k, int folds,
                            double *accuracy, iso_error *err);
/* Cross-validated accuracy of a linear rule on the same folds (linear_probe.c). NaN if no class has a cell for each fold. */
iso_status iso_linear_probe(const float *x, const int32_t *labels, int64_t n, int64_t d, int folds, double *accuracy, iso_error *err);
/* Frechet distance of the normal laws with the means and covariances of a [na, d] and b [nb, d] (Dowson & Landau 1982):
 * |mean - mean|^2 + trace(A + B - 2 (A B)^1/2). NaN for fewer than two points. */
iso_status iso_frechet(const float *a, int64_t na, const float *b, int64_t nb, int64_t d, double *distance, iso_error *err);
/* Leiden at the resolutions .1 .2 .3 .5 .7 1 1.3 1.6 2; the one with the best ARI. */
typedef struct iso_cluster_score { double ari, nmi, resolution; int32_t n_clusters; } iso_cluster_score;
iso_status iso_best_clusters(iso_env *env, const iso_csr *connectivities, const int32_t *labels, uint64_t seed,
                             iso_cluster_score *out, iso_error *err);
/* Mean silhouette width (Rousseeuw 1987). Labels < 0 are left out. Cost: n^2 d. */
double iso_silhouette(iso_env *env, const float *x, const int32_t *labels, int64_t n, int64_t d);
/* Area under the ROC curve of scores against 0/1 labels, ties counted half. */
double iso_auc(const double *scores, const uint8_t *positive, int64_t n);
/* Two-sample classifier test: cross-validated (5 folds) AUC of an L2-regularised logistic regression on [real; generated]
 * features, both [*, d] dense; 0.5 = cannot be told apart. */
iso_status iso_two_sample_auc(iso_env *env, const float *a, int64_t na, const float *b, int64_t nb, int64_t d,
                              uint64_t seed, double *auc, iso_error *err);

#endif
