/* optimizer.h: Adam over a graph's flat parameters. */
#ifndef ISO_OPTIMIZER_H
#define ISO_OPTIMIZER_H

#include "train.h"

struct iso_chunk;

/* A step is begun; then what knows a gradient may step it (`stepper`, in iso_settings with `squares`); then it is ended, which steps
 * the rest by g->grad. */
typedef struct iso_optimizer {
    iso_stepper stepper;          /* first: step() finds the rest by it */
    iso_graph *g;
    const iso_kernels *k;
    iso_moments moments;          /* as g->param */
    int64_t t;                    /* steps begun */
    iso_adam_step now;
    double *squares;              /* [n_params] of gradients that were stepped in the step at hand; -1: not yet */
    struct iso_chunk *chunks;     /* [n_chunks] of the flat arrays, in the order in which threads share them out */
    double *chunk_squares;        /* [n_chunks] */
    int64_t *left;                /* [n_chunks]: those of tensors that no layer stepped */
    int64_t n_chunks;
} iso_optimizer;

/* half: moments in bfloat16. */
iso_status iso_optimizer_new(iso_graph *g, bool half, iso_optimizer *o, iso_error *err);
void iso_optimizer_clear(iso_optimizer *o);
/* Moments and step number back to 0. */
void iso_optimizer_restart(iso_optimizer *o);
/* A step at the given rate, with gradients times scale. */
void iso_optimizer_begin(iso_optimizer *o, const iso_kernels *k, const iso_adam *a, double rate, double scale);
/* Returns the gradient's norm (not scaled); the same bits for any thread count. */
double iso_optimizer_end(iso_optimizer *o, iso_env *env);
/* Norm of g->grad, before a step. */
double iso_gradient_norm(const iso_optimizer *o, iso_env *env, const iso_kernels *k);

#endif
