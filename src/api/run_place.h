/* run_place.h: what a run's places are judged by, and ways between them, from the run's cells. */
#ifndef ISO_RUN_PLACE_H
#define ISO_RUN_PLACE_H

#include "map/place.h"
#include "map/route.h"
#include "run_folder.h"

/* Mean decoded profiles [K, genes] of groups codes [n] of 0 .. K-1 (-1: none) of cells with posterior means mu [n, n_latent];
 * at most 100 cells of a group are decoded, evenly spaced. Groups without cells stay 0. */
iso_status iso_group_profiles(iso_env *env, iso_model *m, const float *mu, const int32_t *codes, int64_t n, int32_t K, float *profiles,
                              iso_error *err);
iso_status iso_run_support(iso_env *env, const iso_run_cells *r, iso_support *s, iso_error *err);
/* Support, and for counts the mixture of the run's groups (obs column mixture_group) and the rules of its rules.tsv and of
 * --rules, calibrated on at most 1,000 held-out cells. names [K]: the groups'; free with iso_free_texts. */
iso_status iso_run_judge(iso_env *env, const iso_run_cells *r, const iso_options *o, iso_judge *j, char ***names, int32_t *n_names,
                         iso_error *err);
/* Judges places z [n, n_latent]; decodes them first, a thousand at a time. */
iso_status iso_run_judge_places(iso_env *env, const iso_run_cells *r, const iso_judge *j, const float *z, int64_t n, iso_place *out,
                                iso_error *err);
/* The prototype of each group: the peak of a smooth density (Silverman's width) of its own training cells (all of its cells, if it has none; at most
 * 2,000, evenly spaced), z [g->n, n_latent]; and the cell nearest to it, nearest [g->n]. Groups without cells: 0 and -1. */
iso_status iso_run_prototypes(iso_env *env, const iso_run_cells *r, const iso_groups *g, float *z, int64_t *nearest, iso_error *err);
/* Over at most 2,000 training cells, evenly spaced. */
iso_status iso_run_route_graph(iso_env *env, const iso_run_cells *r, const iso_support *s, iso_route_graph *g, iso_error *err);

#endif
