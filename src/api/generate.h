/* generate.h: cells that a model imagines. */
#ifndef ISO_GENERATE_H
#define ISO_GENERATE_H

#include "model.h"

typedef struct iso_generated {
    iso_csr x;                                    /* [n, genes] drawn from the decoder's law */
    int32_t *codes[ISO_MAX_COVARIATES]; /* [n] covariates' categories, then the label's, each equally likely */
    double *library;                    /* [n] library size the cell was given; NULL for plain Gaussian data */
} iso_generated;

/* One cell for each row of z [n, n_latent]. log_library [n]; NULL: drawn from a normal law with the mean and variance
 * of the training cells' log totals (of the cell's batch, if the model learned library sizes). */
iso_status iso_generate(iso_env *env, iso_model *m, const float *z, int64_t n, const double *log_library, uint64_t seed,
                        iso_generated *out, iso_error *err);
void iso_generated_clear(iso_generated *g);
/* z [n, n_latent] from the prior N(0, I). */
void iso_draw_prior(int64_t n, int n_latent, uint64_t seed, float *z);
/* z [n, n_latent] from the aggregated posterior of the cells [n_cells], rows of mu and variance [*, n_latent]: a cell at
 * random, then a point of its cloud. */
void iso_draw_posterior(const float *mu, const float *variance, const int64_t *cells, int64_t n_cells, int64_t n, int n_latent,
                        uint64_t seed, float *z);

#endif
