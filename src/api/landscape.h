/* landscape.h: a latent space as a landscape: how dense every cell's place is, the hills of that density (continents), and what
 * the prior and its centre are worth. */
#ifndef ISO_LANDSCAPE_H
#define ISO_LANDSCAPE_H

#include "map/peaks.h"
#include "run_place.h"

enum { ISO_PLACE_CLASSES = ISO_PLACE_UNSEEN + 1 };

typedef struct iso_landscape {
    int64_t n;                            /* cells */
    double *log_density, *p_value;        /* [n] of each cell's posterior mean; a training cell does not vouch for itself */
    int32_t *continent, n_continents;     /* [n] the hill that the cell is on: of the density by neighbours (map/peaks.h) */
    iso_peak *peaks;                      /* [n_continents] by falling height; cell: of the run */
    double chance;                        /* the persistence of a second hill that one normal cloud shows */
    double prior[ISO_PLACE_CLASSES], prior_deep;          /* shares of samples of N(0, I) by class; of those with p <= 1 % */
    iso_place origin;                     /* z = 0 */
    int64_t n_references;
    bool held_out;                        /* the references are held-out cells */
} iso_landscape;

/* distances: the neighbours of the run's cells as iso_neighbor_graph gives them; NULL: found here. */
iso_status iso_landscape_make(iso_env *env, const iso_run_cells *r, const iso_judge *j, const iso_csr *distances, uint64_t seed,
                              iso_landscape *out, iso_error *err);
void iso_landscape_clear(iso_landscape *l);
/* Shares by class of samples of the prior N(0, I), and of those with p <= 1 %. */
iso_status iso_look_at_prior(iso_env *env, const iso_run_cells *r, const iso_judge *j, uint64_t seed, double *share, double *deep,
                             iso_error *err);

#endif
