/* run_place.h: what a run's places are judged by, and ways between them, from the run's cells. */
#ifndef ISO_RUN_PLACE_H
#define ISO_RUN_PLACE_H

#include "map/place.h"
#include "map/route.h"
#include "run_folder.h"

/* RUN/groups.safetensors: the mixture of the run's groups, which are the categories of obs column mixture_group. K = 0 when the run
 * has none: fitted without a map, or not to counts. */
iso_status iso_run_mixture(const iso_run_cells *r, iso_mixture *m, iso_error *err);
iso_status iso_mixture_write(const char *path, const iso_mixture *m, iso_error *err);
iso_status iso_run_support(iso_env *env, const iso_run_cells *r, iso_support *s, iso_error *err);
/* Log density and p-value [cells] of the run's own cells, each held against its batch; a cell does not vouch for itself. */
iso_status iso_run_cells_p(iso_env *env, const iso_run_cells *r, const iso_support *s, double *log_density, double *p_value, iso_error *err);
/* Support, and for counts the mixture of the run's groups and the rules of its rules.tsv and of
 * --rules, calibrated on at most 1,000 held-out cells. */
iso_status iso_run_judge(iso_env *env, const iso_run_cells *r, const iso_options *o, iso_judge *j, iso_error *err);
/* The same of a mixture and rules that are there already; they become the judge's. */
iso_status iso_run_judge_of(iso_env *env, const iso_run_cells *r, iso_mixture *m, iso_rules *rules, iso_judge *j, iso_error *err);
char *const *iso_run_mixture_names(const iso_run_cells *r);       /* [mixture.K], lent */
/* Judges places z [n, n_latent]; decodes them first, a thousand at a time. */
iso_status iso_run_judge_places(iso_env *env, const iso_run_cells *r, const iso_judge *j, const float *z, int64_t n, iso_place *out,
                                iso_error *err);
/* The prototype of each group: the peak of a smooth density (Silverman's width) of its own training cells (all of its cells, if it has none; at most
 * 2,000, evenly spaced), z [g->n, n_latent]; and the cell nearest to it, nearest [g->n]. Groups without cells: 0 and -1. */
iso_status iso_run_prototypes(iso_env *env, const iso_run_cells *r, const iso_groups *g, float *z, int64_t *nearest, iso_error *err);
/* Over at most `most` training cells, evenly spaced; more than ISO_ROUTE_NODES are not worth it. */
iso_status iso_run_route_graph(iso_env *env, const iso_run_cells *r, const iso_support *s, int64_t most, iso_route_graph *g, iso_error *err);

#endif
