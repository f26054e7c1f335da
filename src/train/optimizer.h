/* optimizer.h: Adam over a graph's flat parameters. */
#ifndef ISO_OPTIMIZER_H
#define ISO_OPTIMIZER_H

#include "train.h"

typedef struct iso_optimizer {
    iso_graph *g;
    real *m, *v;                  /* first and second moments, as g->param */
    int64_t t;                    /* steps taken */
} iso_optimizer;

iso_status iso_optimizer_new(iso_graph *g, iso_optimizer *o, iso_error *err);
void iso_optimizer_clear(iso_optimizer *o);
/* Moments and step number back to 0. */
void iso_optimizer_restart(iso_optimizer *o);
/* One step with g->grad * scale at the given rate. */
void iso_optimizer_step(iso_optimizer *o, iso_env *env, const iso_kernels *k, const iso_adam *a, double rate,
                        double scale);
/* Norm of g->grad; the same bits for any thread count. */
double iso_gradient_norm(const iso_graph *g, iso_env *env, const iso_kernels *k);

#endif
