/* run_counts.h: the counts of a run's cells, which the run folder itself does not hold. */
#ifndef ISO_RUN_COUNTS_H
#define ISO_RUN_COUNTS_H

#include "run_input.h"

/* out [cells, genes] in the model's order of genes, from the second input if there is one (then errors are errors), else from the file
 * that the run was made of; n_cols 0 and a warning, which ends in `without`, if that is gone. Layer: --layer, or the run's. */
iso_status iso_run_counts(iso_env *env, const iso_run_cells *r, const iso_options *o, const char *without, iso_csr *out, iso_error *err);

#endif
