/* graph.h: a static graph of coarse ops, and the parameters it uses.
 *
 * A model is a function that adds nodes to a graph (see model/vae.c). A node is one value, a matrix [rows, cols];
 * rows is either fixed or the number of cells in the batch. Leaves are parameters, state (saved but not trained, such
 * as batch norm's running mean), and inputs. core/ knows no op by name: an op is a row of function pointers.
 * Building has a sticky error: after the first failure every call returns -1 and iso_graph_status tells why. */
#ifndef ISO_GRAPH_H
#define ISO_GRAPH_H

#include "base/base.h"
#include "base/rng.h"
#include "kernel/kernel.h"

enum { ISO_MAX_IN = 6, ISO_MAX_SAVED = 3, ISO_MAX_COVARIATES = 16, ISO_MAX_INPUTS = 4 };

typedef struct iso_op iso_op;
typedef struct iso_graph iso_graph;

/* -------------------------------------------------------------------------------------- running */

/* The cells of one step. Everything is lent. */
typedef struct iso_batch {
    int64_t n;                                    /* cells */
    iso_batch_csr x;                              /* counts [n, G] */
    const real *input_values;                     /* [nnz] what the encoder sees of each entry of x, e.g. log1p */
    const int64_t *cells;                         /* [n] the cell's index in its data set: keys its random numbers */
    const int32_t *codes[ISO_MAX_COVARIATES];     /* [n] each: category of a categorical covariate */
    const real *inputs[ISO_MAX_INPUTS];           /* [n, cols] each: dense inputs by slot */
    const real *noise;                            /* [n, cols] instead of random numbers, for tests; else NULL */
    real *cell_loss; /* [n] out: -log p(x|z) of each cell, from the likelihood; may be NULL */
} iso_batch;

/* What changes from step to step without a new plan. */
typedef struct iso_settings {
    bool training;                                /* dropout on, batch statistics */
    uint64_t seed;
    uint32_t draw;                                /* which noise: the epoch in training, the sample number elsewhere */
    real kl_weight;
    real grid_kl_weight;                          /* of a grid of latent variables */
    real free_bits;                               /* nats in total; 0 = off */
    int free_bits_groups;                         /* latent dimensions are cut into this many groups */
    /* Not NULL: ops that can (iso_op.steps) step their parameters at once, if no other op uses them; the others' gradients are left in g->grad. */
    const iso_stepper *stepper;
    double *squares;                              /* with a stepper: [n_params] out: sum of squares of each gradient; -1: not stepped */
} iso_settings;

/* What an op's functions get. Sizes are those of this call: per-cell matrices have batch->n rows. */
typedef struct iso_args {
    iso_env *env;
    const iso_kernels *kernels;
    const struct iso_node *node;                  /* attributes */
    int node_id;                                  /* its number: its stream of random numbers is 256 + node_id */
    const iso_batch *batch;
    const iso_settings *settings;
    int64_t rows, cols;                           /* of the output */
    int64_t in_rows[ISO_MAX_IN], in_cols[ISO_MAX_IN];
    real *in[ISO_MAX_IN]; /* values; NULL where an optional input is missing. Only state may be written */
    real *out;                                    /* backward: valid only if the op reads_out */
    real *saved[ISO_MAX_SAVED];                   /* left by forward for backward; NULL when no backward will come */
    real *work;                                   /* scratch for this call */
    const real *d_out;                            /* backward: gradient of the loss by the output */
    real *d_in[ISO_MAX_IN];                       /* backward: where to put the gradients; NULL = not wanted */
    bool add[ISO_MAX_IN]; /* backward: add to d_in instead of overwriting it; fill d_in in order */
    /* backward: not NULL = step input j, a parameter, by settings->stepper from step_from[j] on, and put its gradient's sum of squares here; d_in[j] may
     * be used as scratch. Only for the inputs that the op's row says it steps. */
    double *squares[ISO_MAX_IN];
    int64_t step_from[ISO_MAX_IN];
} iso_args;

/* ------------------------------------------------------------------------------------------ ops */

/* One input of an example: `cols` wide; rows of the batch if per_cell; values drawn from lo..hi. */
typedef struct iso_example_in { bool per_cell, is_state; int64_t rows, cols; double lo, hi; } iso_example_in;
/* Example shapes live with the op: its gradient, liveness and precision checks and its benchmark run on them. */
typedef struct iso_example {
    const char *what;
    int64_t cells, genes;                         /* of the batch; genes 0: the op reads no counts */
    int n_categories;                             /* of covariate slot 0 */
    int i[5];
    double r[4];
    const void *pointer;
    bool training;
    double kl_weight, free_bits;
    int free_bits_groups;
    int n_in;
    iso_example_in in[ISO_MAX_IN];                /* cols 0: this optional input is missing */
} iso_example;

struct iso_op {
    const char *name;
    /* Sets cols, per_cell, rows of the node from its inputs and attributes; returns what is wrong, or NULL. */
    const char *(*shape)(const iso_graph *g, struct iso_node *n);
    void (*forward)(const iso_args *a);
    void (*backward)(const iso_args *a);
    unsigned reads_in;                            /* bit i: backward reads the value of input i */
    bool reads_out;                               /* backward reads the output */
    int n_saved;
    /* Elements of saved[j] / of work, for batches of up to `cells` cells; NULL = none. */
    int64_t (*saved_size)(const iso_graph *g, const struct iso_node *n, int j, int64_t cells);
    int64_t (*work_size)(const iso_graph *g, const struct iso_node *n, int64_t cells, bool backward);
    /* Bit i: forward may write saved[i] over the value of input i, and backward the gradient of input i over saved[i],
     * when nobody else needs them. The likelihood turns the logits into their gradient in place this way. */
    unsigned in_place;
    unsigned steps;                               /* bit i: backward can step parameter i itself */
    bool lingers;                                 /* backward may leave work (iso_later) that uses its inputs, gradients and scratch until the run ends */
    const iso_example *examples;                  /* ends with what = NULL */
};

typedef enum iso_leaf { ISO_NOT_LEAF, ISO_PARAM, ISO_STATE, ISO_INPUT } iso_leaf;

typedef struct iso_node {
    const iso_op *op;                             /* NULL for leaves */
    iso_leaf leaf;
    int slot; /* ISO_INPUT: which of batch->inputs; ISO_PARAM, ISO_STATE: which tensor */
    bool per_cell;
    int64_t rows, cols;                           /* rows is used when not per_cell */
    int n_in;
    int in[ISO_MAX_IN];                           /* node numbers; -1 = optional input missing */
    int i[5];                                     /* attributes, meaning set by the op */
    double r[4];
    const void *pointer;
} iso_node;

/* A trained or saved tensor; its values are a slice of the graph's flat arrays. */
typedef struct iso_named {
    char *name;
    int64_t rows, cols;
    int64_t offset;                               /* in the flat array of its kind, in elements; 16-element aligned */
    double init; /* params: values start uniform in +-init, or normal(0, -init) if negative;
                                                     state: all values */
} iso_named;

struct iso_graph {
    int n_nodes, cap_nodes;
    iso_node *nodes;
    int n_params, n_states;
    iso_named *params, *states;
    int64_t param_size, state_size;               /* elements of the flat arrays, padding included */
    real *param, *grad, *state;                   /* allocated by iso_graph_finish */
    iso_status status;
    iso_error error;
};

iso_graph *iso_graph_new(void);                   /* NULL: no memory */
void iso_graph_free(iso_graph *g);
/* Parameters and state are found again by name: using a name twice shares the tensor (sizes must agree). */
int iso_graph_param(iso_graph *g, const char *name, int64_t rows, int64_t cols, double init);
int iso_graph_state(iso_graph *g, const char *name, int64_t rows, int64_t cols, double value);
int iso_graph_input(iso_graph *g, int slot, int64_t cols);
/* attributes: a node of which only i, r, pointer are read; NULL = none. */
int iso_graph_op(iso_graph *g, const iso_op *op, const iso_node *attributes, int n_in, const int *in);
iso_status iso_graph_status(const iso_graph *g, iso_error *err);
/* Allocates the flat arrays and gives every tensor its first values, from (seed, name's position). */
iso_status iso_graph_finish(iso_graph *g, uint64_t seed, iso_error *err);
const iso_named *iso_graph_find(const iso_graph *g, const char *name, bool state);

/* ---------------------------------------------------------------------------------------- plans */

typedef struct iso_plan iso_plan;

typedef struct iso_plan_request {
    const int *outputs;                           /* nodes whose values are wanted after a run */
    int n_outputs;
    int loss;                                     /* a [1, 1] node to differentiate, or -1 for no backward */
    int64_t max_cells;                            /* the largest batch; smaller ones run on the same plan */
    bool poison; /* fill every buffer with NaN when it dies (always so in debug builds) */
} iso_plan_request;

/* Lays out all memory; the graph must outlive the plan. */
iso_status iso_plan_new(const iso_graph *g, const iso_plan_request *r, iso_plan **out, iso_error *err);
void iso_plan_free(iso_plan *p);
/* Forward and, if the plan has a loss, backward into g->grad (overwritten). Allocates nothing. */
void iso_plan_run(iso_plan *p, iso_env *env, const iso_kernels *k, const iso_batch *b, const iso_settings *s);
/* Value of an output of the last run. */
const real *iso_plan_value(const iso_plan *p, int node);
size_t iso_plan_bytes(const iso_plan *p);
/* One line a step: op, shape, memory; for people. */
void iso_plan_print(const iso_plan *p, FILE *f);
/* Seconds spent in node i forward [2 i] and backward [2 i + 1] since the plan was made, if timed; for the profile. */
void iso_plan_time(iso_plan *p, double *seconds);

#endif
