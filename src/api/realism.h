/* realism.h: are generated cells like real ones? Every figure stands beside its floor, which real cells that were held out reach
 * against real training cells. */
#ifndef ISO_REALISM_H
#define ISO_REALISM_H

#include "map/map.h"
#include "run_folder.h"

/* A figure of generated cells, and its floor. */
typedef struct iso_against { double generated, floor; } iso_against;

typedef struct iso_realism {
    int64_t n;                            /* real and generated cells each */
    iso_against auc;                      /* of a classifier that tells them apart (50 principal components, logistic): 0.5 cannot */
    /* Root mean square difference over genes of: mean and standard deviation of log1p counts per 10,000, share of zeros. */
    iso_against mean, deviation, zeros;
    int64_t n_genes;
    double *gene_mean, *gene_zeros;       /* [3, n_genes] what these are of: held-out, generated, and training cells */
    iso_against coexpression;             /* correlation of the correlations of pairs of the 100 most variable genes; 1: the same */
} iso_realism;

/* Generates as many cells as were held out (at most 1,000), from the aggregated posterior, with library sizes of training cells'
 * law, and holds them against x [cells, genes], the run's counts. n 0: too few cells were held out. */
iso_status iso_realism_of_run(iso_env *env, const iso_run_cells *r, const iso_csr *x, uint64_t seed, iso_realism *out, iso_error *err);

void iso_realism_clear(iso_realism *m);

/* Principal components for telling real cells from others, and what the real ones are there. */
typedef struct iso_real {
    iso_pca_model pca;
    int64_t n;
    int k;
    float *scores;                        /* [n, k] */
} iso_real;
/* Cells rows [n] of x are the real ones; components are fitted on x (at most 20,000 of its cells), at most 50. log1p: see iso_pca_fit. */
iso_status iso_real_new(iso_env *env, const iso_csr *x, bool log1p, const int64_t *rows, int64_t n, uint64_t seed, iso_real *out,
                        iso_error *err);
void iso_real_clear(iso_real *r);
/* AUC of rows [n] (NULL: the first n) of y against the real cells. */
iso_status iso_real_auc(iso_env *env, const iso_real *r, const iso_csr *y, const int64_t *rows, int64_t n, uint64_t seed, double *auc,
                        iso_error *err);

#endif
