/* gene_table.h: decoded points of the latent space as text, one line a gene. */
#ifndef ISO_GENE_TABLE_H
#define ISO_GENE_TABLE_H

#include "model.h"

/* z [n, n_latent], one column each under headings[n], to --output. Shares of a cell's counts, or Gaussian means;
 * covariates averaged over their categories. */
iso_status iso_gene_table(iso_env *env, iso_model *m, const float *z, int64_t n, const char *const *headings,
                          const iso_options *o, iso_error *err);

#endif
