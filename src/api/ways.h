/* ways.h: what a way through the latent space of a run crosses: voids, and genes that change. */
#ifndef ISO_WAYS_H
#define ISO_WAYS_H

#include "run_place.h"

enum { ISO_WAY_STEPS = 41, ISO_WAY_GENES = 4 };
/* A way may be called a trajectory if cells support at least this share of it. */
#define ISO_WAY_SUPPORTED 0.95

/* A way from cell to cell along the data, and the genes that change most on it, by the range of their values at evenly spaced
 * steps: log1p of counts per 10,000, or Gaussian means. */
typedef struct iso_way {
    int64_t from, to;
    double in_voids, straight_in_voids;   /* shares of its length, and of the straight line's */
    uint8_t is_void[ISO_WAY_STEPS];
    int n_genes;
    int32_t gene[ISO_WAY_GENES];          /* by falling range */
    float value[ISO_WAY_GENES][ISO_WAY_STEPS];
    float low[ISO_WAY_GENES][ISO_WAY_STEPS], high[ISO_WAY_GENES][ISO_WAY_STEPS]; /* two spreads of the decoders to each side */
} iso_way;

/* Share of the length of a way, by what its points z [n, n_latent] decode to, that lies between points in voids. */
iso_status iso_share_in_voids(iso_env *env, const iso_run_cells *r, const iso_support *s, const float *z, int64_t n, double *share,
                              iso_error *err);
/* Fills the way between its cells, which are set. */
iso_status iso_way_follow(iso_env *env, const iso_run_cells *r, const iso_support *s, const iso_route_graph *g, iso_way *way,
                          iso_error *err);

#endif
