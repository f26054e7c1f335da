/* positions.h: where cells are along a path. */
#ifndef ISO_POSITIONS_H
#define ISO_POSITIONS_H

#include "run_folder.h"

/* Writes a table of the run's cells to path: cell, position (0 .. 1, of the point of the path z [n, n_latent] that decodes to what
 * is nearest to what the cell decodes to), and distance (that far; Fisher-Rao for counts). */
iso_status iso_write_positions(iso_env *env, const iso_run_cells *r, const float *z, int64_t n, const char *path, iso_error *err);

#endif
