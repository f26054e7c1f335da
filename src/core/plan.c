/* plan.c: from a graph to a list of steps with all memory laid out.
 *
 * Steps: the ops that the outputs and the loss need, in the order they were added; then, if there is a loss, the
 * backward of those on the way to a parameter, in reverse. A buffer lives from the step that first writes it to the
 * last that reads it; what backward reads is declared in the op's row. Gradients: the first step to reach a node
 * overwrites, the later ones add. */
#include "plan.h"

#include <limits.h>

#ifdef ISO_DEBUG
static const bool DEBUG_BUILD = true;
#else
static const bool DEBUG_BUILD = false;
#endif

static int64_t round_up(int64_t n) { return (n + 15) / 16 * 16; }

static int new_buffer(iso_plan *p, int64_t elements, int step)
{
    p->buffers[p->n_buffers] = (iso_buffer){round_up(elements > 0 ? elements : 1), 0, step, step, -1};
    return p->n_buffers++;
}

static void keep_until(iso_plan *p, int buffer, int step)
{
    for (; buffer >= 0; buffer = p->buffers[buffer].same_as)
        if (p->buffers[buffer].last < step) p->buffers[buffer].last = step;
}

static int64_t elements_of(const iso_plan *p, const iso_node *n)
{
    return (n->per_cell ? p->max_cells : n->rows) * n->cols;
}

/* Which nodes must run, and which need a gradient. */
static void mark(iso_plan *p, const iso_plan_request *r)
{
    const iso_graph *g = p->g;
    for (int i = 0; i < r->n_outputs; i++) p->needed[r->outputs[i]] = true;
    if (r->loss >= 0) p->needed[r->loss] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int j = 0; p->needed[i] && j < g->nodes[i].n_in; j++)
            if (g->nodes[i].in[j] >= 0) p->needed[g->nodes[i].in[j]] = true;
    if (r->loss < 0) return;
    for (int i = 0; i < g->n_nodes; i++) {
        const iso_node *n = &g->nodes[i];
        p->wants_grad[i] = n->leaf == ISO_PARAM;
        for (int j = 0; !n->leaf && j < n->n_in; j++)
            if (n->in[j] >= 0 && p->wants_grad[n->in[j]]) p->wants_grad[i] = true;
    }
    /* Only what the loss depends on. */
    bool *reached = p->wants_grad;
    for (int i = r->loss + 1; i < g->n_nodes; i++) reached[i] = false;
    for (int i = r->loss - 1; i >= 0; i--) {
        bool used = false;
        for (int k = i + 1; k <= r->loss && !used; k++)
            for (int j = 0; reached[k] && !g->nodes[k].leaf && j < g->nodes[k].n_in; j++)
                if (g->nodes[k].in[j] == i) used = true;
        reached[i] = reached[i] && used;
    }
}

static void list_steps(iso_plan *p)
{
    for (int i = 0; i < p->g->n_nodes; i++)
        if (p->needed[i] && p->g->nodes[i].op) p->steps[p->n_steps++] = (iso_step){i, false};
    for (int i = p->g->n_nodes - 1; i >= 0; i--)
        if (p->wants_grad[i] && p->g->nodes[i].op) p->steps[p->n_steps++] = (iso_step){i, true};
}

static void forward_buffers(iso_plan *p, int s)
{
    const iso_node *n = &p->g->nodes[p->steps[s].node];
    iso_node_buffers *of = &p->of[p->steps[s].node];
    bool differentiated = p->wants_grad[p->steps[s].node];
    for (int j = 0; j < n->n_in; j++)
        if (n->in[j] >= 0) keep_until(p, p->of[n->in[j]].value, s);
    of->value = new_buffer(p, elements_of(p, n), s);
    for (int j = 0; differentiated && j < n->op->n_saved; j++) {
        int64_t size = n->op->saved_size ? n->op->saved_size(p->g, n, j, p->max_cells) : 0;
        if (size > 0) of->saved[j] = new_buffer(p, size, s);
    }
    int64_t work = n->op->work_size ? n->op->work_size(p->g, n, p->max_cells, false) : 0;
    if (work > 0) of->work_forward = new_buffer(p, work, s);
}

static void backward_buffers(iso_plan *p, int s)
{
    int i = p->steps[s].node;
    const iso_node *n = &p->g->nodes[i];
    iso_node_buffers *of = &p->of[i];
    for (int j = 0; j < n->op->n_saved; j++) keep_until(p, of->saved[j], s);
    if (n->op->reads_out) keep_until(p, of->value, s);
    if (i == p->loss) of->grad = new_buffer(p, 1, 0);
    keep_until(p, of->grad, s);
    for (int j = 0; j < n->n_in; j++) {
        int in = n->in[j];
        if (in < 0) continue;
        if (n->op->reads_in >> j & 1) keep_until(p, p->of[in].value, s);
        if (!p->wants_grad[in]) continue;
        if (p->first_grad[in] < 0) p->first_grad[in] = s;
        if (p->g->nodes[in].leaf) continue;                 /* parameters' gradients lie in g->grad */
        if (p->of[in].grad < 0) p->of[in].grad = new_buffer(p, elements_of(p, &p->g->nodes[in]), s);
        else keep_until(p, p->of[in].grad, s);
    }
    int64_t work = n->op->work_size ? n->op->work_size(p->g, n, p->max_cells, true) : 0;
    if (work > 0) of->work_backward = new_buffer(p, work, s);
    if (!n->op->lingers) return;
    keep_until(p, of->work_backward, INT_MAX), keep_until(p, of->grad, INT_MAX);
    for (int j = 0; j < n->n_in; j++)
        if (n->in[j] >= 0 && n->op->reads_in >> j & 1) keep_until(p, p->of[n->in[j]].value, INT_MAX);
}

static void count_readers(iso_plan *p)
{
    for (int i = 0; i < p->g->n_nodes; i++)
        for (int j = 0; p->needed[i] && !p->g->nodes[i].leaf && j < p->g->nodes[i].n_in; j++)
            if (p->g->nodes[i].in[j] >= 0) p->readers[p->g->nodes[i].in[j]]++;
}

/* Let `later` use the memory of `earlier`, whose life then covers both. */
static void overlay(iso_plan *p, int later, int earlier)
{
    p->buffers[later].same_as = earlier;
    keep_until(p, earlier, p->buffers[later].last);
    for (int b = earlier; b >= 0; b = p->buffers[b].same_as)
        if (p->buffers[later].elements > p->buffers[b].elements) p->buffers[b].elements = p->buffers[later].elements;
}

/* Value of input j -> saved j -> gradient of input j in one place, where the op allows it and nobody else reads
 * them. */
static void overlay_in_place(iso_plan *p, int s)
{
    int i = p->steps[s].node;
    const iso_node *n = &p->g->nodes[i];
    for (int j = 0; j < n->n_in && j < ISO_MAX_SAVED; j++) {
        int in = n->in[j];
        if (!(n->op->in_place >> j & 1) || in < 0 || !p->g->nodes[in].op || p->of[i].saved[j] < 0) continue;
        if (p->readers[in] != 1 || p->buffers[p->of[in].value].last != s) continue;
        overlay(p, p->of[i].saved[j], p->of[in].value);
        if (p->of[in].grad >= 0 && p->buffers[p->of[in].grad].first == p->buffers[p->of[i].saved[j]].last)
            overlay(p, p->of[in].grad, p->of[i].saved[j]);
    }
}

static void lay_out(iso_plan *p, const iso_plan_request *r)
{
    int forward = 0;
    for (; forward < p->n_steps && !p->steps[forward].backward; forward++) forward_buffers(p, forward);
    for (int s = forward; s < p->n_steps; s++) backward_buffers(p, s);
    for (int i = 0; i < r->n_outputs; i++) keep_until(p, p->of[r->outputs[i]].value, INT_MAX);
    if (r->loss >= 0) keep_until(p, p->of[r->loss].value, INT_MAX);
    for (int s = 0; s < forward; s++) overlay_in_place(p, s);
}

iso_status iso_plan_new(const iso_graph *g, const iso_plan_request *r, iso_plan **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_plan *p = NULL;
    int *order = NULL;
    *out = NULL;
    ALLOC(p, 1, sizeof *p);
    *p = (iso_plan){.g = g, .max_cells = r->max_cells, .loss = r->loss, .poison = r->poison || DEBUG_BUILD};
    int max_buffers = g->n_nodes * (4 + ISO_MAX_SAVED) + 1;
    ALLOC(p->steps, 2 * g->n_nodes, sizeof *p->steps);
    ALLOC(p->needed, g->n_nodes, sizeof *p->needed);
    ALLOC(p->wants_grad, g->n_nodes, sizeof *p->wants_grad);
    ALLOC(p->first_grad, g->n_nodes, sizeof *p->first_grad);
    ALLOC(p->readers, g->n_nodes, sizeof *p->readers);
    ALLOC(p->of, g->n_nodes, sizeof *p->of);
    ALLOC(p->buffers, max_buffers, sizeof *p->buffers);
    ALLOC(p->seconds, 2 * g->n_nodes, sizeof *p->seconds);
    ALLOC(order, max_buffers, sizeof *order);
    for (int i = 0; i < g->n_nodes; i++) {
        p->first_grad[i] = -1;
        p->of[i] = (iso_node_buffers){-1, -1, {-1, -1, -1}, -1, -1};
    }
    mark(p, r);
    count_readers(p);
    list_steps(p);
    lay_out(p, r);
    p->arena_size = iso_place_buffers(p->buffers, p->n_buffers, order);
    p->arena = iso_calloc(p->arena_size, sizeof(real));
    FAIL_IF(!p->arena, ISO_EMEMORY, "out of memory: a batch of %lld cells needs %.0f MB; use a smaller batch_size",
            (long long)r->max_cells, (double)p->arena_size * sizeof(real) / 1e6);
    *out = p, p = NULL;
done:
    iso_free(order);
    iso_plan_free(p);
    return st;
}

void iso_plan_free(iso_plan *p)
{
    if (!p) return;
    iso_free(p->steps);
    iso_free(p->needed);
    iso_free(p->wants_grad);
    iso_free(p->first_grad);
    iso_free(p->readers);
    iso_free(p->of);
    iso_free(p->buffers);
    iso_free(p->seconds);
    iso_free(p->arena);
    iso_free(p);
}

size_t iso_plan_bytes(const iso_plan *p) { return (size_t)p->arena_size * sizeof(real); }
