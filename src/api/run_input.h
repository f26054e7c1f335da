/* run_input.h: the cells that a run was made of, which its folder does not hold: where they are, and which is which. */
#ifndef ISO_RUN_INPUT_H
#define ISO_RUN_INPUT_H

#include "run_folder.h"

#include <jansson.h>

/* run.json, or NULL; the caller's. */
json_t *iso_run_record(const iso_run_cells *r);

/* Reads the cells from `path`. sha256: what the file had when the run was made, or NULL for one that the user names now. */
typedef iso_status iso_run_reader(void *arg, const char *path, const char *sha256, iso_error *err);
/* Has `read` read the second input if there is one (then errors are errors), else the file that the run was made of. If that is gone or
 * cannot be read: a warning that `what` ("the cells' counts") are not at hand, which ends in `without`. */
iso_status iso_run_read_input(iso_env *env, const iso_run_cells *r, const iso_options *o, const char *what, const char *without,
                              iso_run_reader *read, void *arg, iso_error *err);

/* The row of d of each of the run's cells, found by name: rows [r->obs.n_rows]. ISO_EDATA if one is missing. */
iso_status iso_run_find_rows(const iso_run_cells *r, const iso_dataset *d, int64_t *rows, iso_error *err);

#endif
