/* plan.h: inside of a plan; for core/ alone. */
#ifndef ISO_PLAN_H
#define ISO_PLAN_H

#include "graph.h"

/* A stretch of the work arena, alive from step `first` to step `last` inclusive. */
typedef struct iso_buffer {
    int64_t elements, offset;
    int first, last;              /* last = INT_MAX: an output, alive to the end */
    int same_as;                  /* shares the memory of this buffer; -1: its own */
} iso_buffer;

/* A step is one op's forward or backward. */
typedef struct iso_step { int node; bool backward; } iso_step;

/* Buffer numbers of a node; -1 = none. */
typedef struct iso_node_buffers {
    int value, grad, saved[ISO_MAX_SAVED], work_forward, work_backward;
} iso_node_buffers;

struct iso_plan {
    const iso_graph *g;
    int64_t max_cells;
    int loss;
    bool poison;
    int n_steps;
    iso_step *steps;
    bool *needed, *wants_grad;    /* [n_nodes] */
    int *first_grad;              /* [n_nodes] step that first writes the node's gradient; -1 = none */
    int *readers;                 /* [n_nodes] inputs of needed ops that are this node */
    iso_node_buffers *of;         /* [n_nodes] */
    int n_buffers;
    iso_buffer *buffers;
    int64_t arena_size;           /* elements */
    real *arena;
    double *seconds;              /* [2 n_nodes] */
};

/* memory.c: gives every buffer its offset; returns the size of the arena in elements. */
int64_t iso_place_buffers(iso_buffer *b, int n, int *order);

#endif
