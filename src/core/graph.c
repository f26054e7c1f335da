/* graph.c: building a graph: leaves, ops, shapes, and the flat arrays that hold parameters and state. */
#include "graph.h"

#include <string.h>

enum { ALIGN = 16 };      /* elements; keeps every tensor on a 64-byte line */

iso_graph *iso_graph_new(void) { return iso_calloc(1, sizeof(iso_graph)); }

static void free_named(iso_named *t, int n)
{
    for (int i = 0; i < n; i++) iso_free(t[i].name);
    iso_free(t);
}

void iso_graph_free(iso_graph *g)
{
    if (!g) return;
    free_named(g->params, g->n_params);
    free_named(g->states, g->n_states);
    iso_free(g->nodes);
    iso_free(g->param);
    iso_free(g->grad);
    iso_free(g->state);
    iso_free(g);
}

/* Remember the first failure of a build. */
static int fail_build(iso_graph *g, iso_status status, const char *what, const char *why)
{
    if (g->status == ISO_OK) g->status = iso_fail(&g->error, status, "graph node %d (%s): %s", g->n_nodes, what, why);
    return -1;
}

static int add_node(iso_graph *g, const iso_node *n)
{
    if (g->n_nodes == g->cap_nodes) {
        int cap = g->cap_nodes ? 2 * g->cap_nodes : 32;
        iso_node *grown = iso_realloc(g->nodes, g->cap_nodes, cap, sizeof *grown);
        if (!grown) return fail_build(g, ISO_EMEMORY, "node", "out of memory");
        g->nodes = grown;
        g->cap_nodes = cap;
    }
    g->nodes[g->n_nodes] = *n;
    return g->n_nodes++;
}

/* Index of the tensor of that name, added if it is new; -1 on failure. */
static int named(iso_graph *g, iso_named **list, int *n, int64_t *size, const char *name, int64_t rows, int64_t cols,
                 double init)
{
    for (int i = 0; i < *n; i++)
        if (strcmp((*list)[i].name, name) == 0)
            return (*list)[i].rows == rows && (*list)[i].cols == cols
                       ? i : fail_build(g, ISO_EUSAGE, name, "shared under two different shapes");
    int64_t elements;
    if (rows < 1 || cols < 1 || !iso_mul(rows, cols, &elements))
        return fail_build(g, ISO_EUSAGE, name, "impossible size");
    iso_named *grown = iso_realloc(*list, *n, *n + 1, sizeof *grown);
    if (!grown) return fail_build(g, ISO_EMEMORY, name, "out of memory");
    *list = grown;
    char *copy = iso_strdup(name);
    if (!copy) return fail_build(g, ISO_EMEMORY, name, "out of memory");
    grown[*n] = (iso_named){.name = copy, .rows = rows, .cols = cols, .offset = *size, .init = init};
    *size += (elements + ALIGN - 1) / ALIGN * ALIGN;
    return (*n)++;
}

/* The node of a tensor: one node a tensor, so that its gradient is gathered in one place. */
static int tensor_node(iso_graph *g, iso_leaf leaf, int slot, int64_t rows, int64_t cols)
{
    if (slot < 0) return -1;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].leaf == leaf && g->nodes[i].slot == slot) return i;
    return add_node(g, &(iso_node){.leaf = leaf, .slot = slot, .rows = rows, .cols = cols});
}

int iso_graph_param(iso_graph *g, const char *name, int64_t rows, int64_t cols, double init)
{
    if (g->status) return -1;
    int slot = named(g, &g->params, &g->n_params, &g->param_size, name, rows, cols, init);
    return tensor_node(g, ISO_PARAM, slot, rows, cols);
}

int iso_graph_state(iso_graph *g, const char *name, int64_t rows, int64_t cols, double value)
{
    if (g->status) return -1;
    int slot = named(g, &g->states, &g->n_states, &g->state_size, name, rows, cols, value);
    return tensor_node(g, ISO_STATE, slot, rows, cols);
}

int iso_graph_input(iso_graph *g, int slot, int64_t cols)
{
    if (g->status) return -1;
    if (slot < 0 || slot >= ISO_MAX_INPUTS || cols < 1)
        return fail_build(g, ISO_EUSAGE, "input", "no such slot, or no columns");
    return add_node(g, &(iso_node){.leaf = ISO_INPUT, .slot = slot, .cols = cols, .per_cell = true});
}

int iso_graph_op(iso_graph *g, const iso_op *op, const iso_node *attributes, int n_in, const int *in)
{
    if (g->status) return -1;
    iso_node n = attributes ? *attributes : (iso_node){0};
    n.op = op, n.leaf = ISO_NOT_LEAF, n.n_in = n_in;
    if (n_in > ISO_MAX_IN) return fail_build(g, ISO_EUSAGE, op->name, "too many inputs");
    for (int i = 0; i < n_in; i++) {
        if (in[i] < -1 || in[i] >= g->n_nodes) return fail_build(g, ISO_EUSAGE, op->name, "an input is not a node");
        n.in[i] = in[i];
    }
    const char *wrong = op->shape(g, &n);
    return wrong ? fail_build(g, ISO_EUSAGE, op->name, wrong) : add_node(g, &n);
}

iso_status iso_graph_status(const iso_graph *g, iso_error *err)
{
    if (g->status && err) *err = g->error;
    return g->status;
}

/* Uniform in +-init (torch's default for a linear layer, with init = 1/sqrt(fan_in)), or normal with deviation
 * -init. */
static void first_values(const iso_named *t, uint64_t seed, int position, real *values)
{
    iso_rng_key key = {.seed = seed, .stream = ISO_STREAM_INIT, .epoch = (uint32_t)position};
    int64_t n = t->rows * t->cols;
    if (t->init < 0) {
        iso_normal(key, 0, n, values);
        for (int64_t i = 0; i < n; i++) values[i] *= (real)-t->init;
    } else {
        iso_uniform(key, 0, n, values);
        for (int64_t i = 0; i < n; i++) values[i] = (real)((2 * (double)values[i] - 1) * t->init);
    }
}

iso_status iso_graph_finish(iso_graph *g, uint64_t seed, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(iso_graph_status(g, err));
    ALLOC(g->param, g->param_size, sizeof(real));
    ALLOC(g->grad, g->param_size, sizeof(real));
    ALLOC(g->state, g->state_size, sizeof(real));
    for (int i = 0; i < g->n_params; i++) first_values(&g->params[i], seed, i, g->param + g->params[i].offset);
    for (int i = 0; i < g->n_states; i++) {
        const iso_named *t = &g->states[i];
        for (int64_t j = 0; j < t->rows * t->cols; j++) g->state[t->offset + j] = (real)t->init;
    }
done:
    return st;
}

const iso_named *iso_graph_find(const iso_graph *g, const char *name, bool state)
{
    const iso_named *list = state ? g->states : g->params;
    for (int i = 0; i < (state ? g->n_states : g->n_params); i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}
