/* support.h: how well the cells of a run support a place in its latent space. */
#ifndef ISO_SUPPORT_H
#define ISO_SUPPORT_H

#include "map/density.h"
#include "run_folder.h"

typedef struct iso_support {
    iso_density density;                  /* of the training cells */
    bool held_out;                        /* the reference is held-out cells; else training cells, each left out */
    int32_t n_batches;
    int64_t *n;                           /* [n_batches + 1] references of each batch; the last is all of them */
    double **log_q;                       /* [n_batches + 1] their log density, ascending */
} iso_support;

/* The density of the run's training cells, its width chosen on held-out ones, and the references that a place is judged
 * by: validation and test cells, or with fewer than 50 of them training cells, at most 5,000. */
iso_status iso_support_new(iso_env *env, const iso_run_cells *r, iso_support *s, iso_error *err);
void iso_support_clear(iso_support *s);
/* Chance that a cell of the batch (category of covariate 0; -1, or a batch of fewer than 20 references: any) lies as low as
 * log_q or lower: (1 + references as low) / (1 + references). Small: a void, or an anomaly. */
double iso_support_p(const iso_support *s, int32_t batch, double log_q);

#endif
