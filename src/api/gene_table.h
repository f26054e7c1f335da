/* gene_table.h: decoded points of the latent space as text, one line a gene. */
#ifndef ISO_GENE_TABLE_H
#define ISO_GENE_TABLE_H

#include "run_folder.h"

/* z [n, n_latent], one column each under headings[n], to --output. Shares of a cell's counts, or Gaussian means;
 * covariates averaged over their categories. */
iso_status iso_gene_table(iso_env *env, iso_model *m, const float *z, int64_t n, const char *const *headings,
                          const iso_options *o, iso_error *err);
/* Beside it, to the file `path`: the standard deviation over the model's decoder and its heads of the natural log of each of those shares
 * (of Gaussian means themselves): shares between x exp(-2 s) and x exp(2 s) are what the decoders allow. ISO_EUSAGE without heads. */
iso_status iso_spread_table(iso_env *env, const iso_run_cells *r, const float *z, int64_t n, const char *const *headings, const char *path,
                            iso_error *err);

#endif
