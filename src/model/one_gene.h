/* one_gene.h: the decoder of one gene, made ready for a million places: affine maps with a relu between, batch norm folded in. */
#ifndef ISO_ONE_GENE_H
#define ISO_ONE_GENE_H

#include "vae.h"

/* y = W x + b. b differs with the combination of categories (iso_decode_combinations). */
typedef struct iso_affine {
    int64_t n_in, n_out;
    real *w;                      /* [n_out, n_in] */
    real *b;                      /* [combinations, n_out] */
} iso_affine;

typedef struct iso_one_gene {
    int n_layers;
    int64_t combinations, width;  /* width: most that a layer takes or makes */
    iso_affine *layer;            /* [n_layers]: of z first; the last has one output, the gene's logit or mean */
} iso_one_gene;

/* Of v, a model of counts or Gaussian data, with continuous covariates at 0. The categories of combination c are counted like digits. */
iso_status iso_one_gene_new(const iso_vae *v, int64_t gene, int64_t combinations, iso_one_gene *out, iso_error *err);
void iso_one_gene_clear(iso_one_gene *g);

#endif
