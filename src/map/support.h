/* support.h: how well the cells of a run support a place in its latent space: its density against that of cells that the
 * density was not made of. */
#ifndef ISO_SUPPORT_H
#define ISO_SUPPORT_H

#include "density.h"

/* The cells: posterior means mu and variances (NULL: none) [n, d], which were trained on, and their batches 0 ..
 * n_batches - 1 (-1 or NULL: none). */
typedef struct iso_support_cells {
    const float *mu, *variance;
    int64_t n, d;
    const bool *is_train;
    const int32_t *batch;
    int32_t n_batches;
} iso_support_cells;

typedef struct iso_support {
    iso_density density;                  /* of each training cell, or fitted to some of them */
    int64_t n_cells;
    int64_t *component;                   /* [n_cells] each cell's component of the density, or -1; all -1 where it was fitted */
    bool fitted;                          /* the density is a mixture that was fitted */
    bool held_out;                        /* the references are held-out cells; else training cells, left out of what they are held against */
    int64_t n_references, *reference;     /* [n_references] which cells */
    int32_t n_batches;
    int64_t *n;                           /* [n_batches + 1] references of each batch; the last is all of them */
    double **log_q;                       /* [n_batches + 1] their log density, ascending */
} iso_support;

/* The density of the training cells, and the references that a place is judged by: the cells that were not trained on, or with fewer
 * than 50 of them training cells, at most 5,000. To ISO_EXACT_CELLS training cells the density is that of each of them, its width
 * chosen on held-out ones; beyond (and with at most ISO_GMM_DIMENSIONS dimensions) a mixture is fitted to ISO_EXACT_CELLS of them, evenly
 * spaced, which is as good and does not slow down with their number. ISO_EDATA with fewer than 2 training cells. */
enum { ISO_EXACT_CELLS = 20000 };
iso_status iso_support_new(iso_env *env, const iso_support_cells *c, iso_support *s, iso_error *err);
void iso_support_clear(iso_support *s);
/* Chance that a cell of the batch (-1, or a batch of fewer than 20 references: any) lies as low as log_q or lower:
 * (1 + references as low) / (1 + references). Small: a void, or an anomaly. */
double iso_support_p(const iso_support *s, int32_t batch, double log_q);
/* A place is called a void when its p-value is at most this. */
#define ISO_VOID_P 0.05

#endif
