/* run.c: running a plan: two short loops that know no op by name. */
#include "plan.h"

#include <math.h>

static real *buffer(const iso_plan *p, int b) { return b < 0 ? NULL : p->arena + p->buffers[b].offset; }

static real *value_of(const iso_plan *p, int node, const iso_batch *b)
{
    const iso_node *n = &p->g->nodes[node];
    switch (n->leaf) {
    case ISO_PARAM: return p->g->param + p->g->params[n->slot].offset;
    case ISO_STATE: return p->g->state + p->g->states[n->slot].offset;
    case ISO_INPUT: return (real *)b->inputs[n->slot];          /* ops only write to state */
    case ISO_NOT_LEAF: break;
    }
    return buffer(p, p->of[node].value);
}

static real *grad_of(const iso_plan *p, int node)
{
    const iso_node *n = &p->g->nodes[node];
    return n->leaf == ISO_PARAM ? p->g->grad + p->g->params[n->slot].offset : buffer(p, p->of[node].grad);
}

static iso_args arguments(const iso_plan *p, int s, iso_env *env, const iso_kernels *k, const iso_batch *b,
                          const iso_settings *settings)
{
    int i = p->steps[s].node;
    const iso_node *n = &p->g->nodes[i];
    const iso_node_buffers *of = &p->of[i];
    bool backward = p->steps[s].backward;
    iso_args a = {.env = env, .kernels = k, .node = n, .node_id = i, .batch = b, .settings = settings,
                  .rows = n->per_cell ? b->n : n->rows, .cols = n->cols,
                  .out = buffer(p, of->value), .work = buffer(p, backward ? of->work_backward : of->work_forward),
                  .d_out = backward ? grad_of(p, i) : NULL};
    for (int j = 0; j < ISO_MAX_SAVED; j++) a.saved[j] = buffer(p, of->saved[j]);
    for (int j = 0; j < n->n_in; j++) {
        int in = n->in[j];
        if (in < 0) continue;
        const iso_node *m = &p->g->nodes[in];
        a.in_rows[j] = m->per_cell ? b->n : m->rows;
        a.in_cols[j] = m->cols;
        a.in[j] = value_of(p, in, b);
        if (!backward || !p->wants_grad[in]) continue;
        a.d_in[j] = grad_of(p, in);
        a.add[j] = p->first_grad[in] < s;
        for (int e = 0; e < j; e++) a.add[j] = a.add[j] || n->in[e] == in;      /* the same node twice in one op */
        if (!settings->stepper || !(n->op->steps >> j & 1) || p->readers[in] != 1) continue;
        a.squares[j] = settings->squares + m->slot;
        a.step_from[j] = p->g->params[m->slot].offset;
    }
    return a;
}

/* Fill what died in step s with NaN, so that reading it shows. */
static void poison_dead(const iso_plan *p, int s)
{
    for (int i = 0; i < p->n_buffers; i++) {
        const iso_buffer *b = &p->buffers[i];
        if (b->last != s || b->same_as >= 0) continue;
        for (int64_t e = 0; e < b->elements; e++) p->arena[b->offset + e] = (real)NAN;
    }
}

void iso_plan_run(iso_plan *p, iso_env *env, const iso_kernels *k, const iso_batch *b, const iso_settings *settings)
{
    if (p->loss >= 0) {
        *grad_of(p, p->loss) = 1;
        for (int i = 0; i < p->g->n_nodes; i++) {       /* parameters that the loss does not reach */
            const iso_node *n = &p->g->nodes[i];
            if (n->leaf != ISO_PARAM || p->first_grad[i] >= 0) continue;
            for (int64_t e = 0; e < n->rows * n->cols; e++) p->g->grad[p->g->params[n->slot].offset + e] = 0;
        }
    }
    for (int i = 0; settings->stepper && i < p->g->n_params; i++) settings->squares[i] = -1;
    double start = iso_now_s();
    for (int s = 0; s < p->n_steps; s++) {
        iso_args a = arguments(p, s, env, k, b, settings);
        if (p->steps[s].backward) a.node->op->backward(&a);
        else a.node->op->forward(&a);
        if (s == p->n_steps - 1) iso_later_wait(env);
        double now = iso_now_s();
        p->seconds[2 * p->steps[s].node + p->steps[s].backward] += now - start;
        start = now;
        if (p->poison) poison_dead(p, s);
    }
}

const real *iso_plan_value(const iso_plan *p, int node)
{
    return p->g->nodes[node].leaf ? value_of(p, node, &(iso_batch){0}) : buffer(p, p->of[node].value);
}

void iso_plan_time(iso_plan *p, double *seconds)
{
    for (int i = 0; i < 2 * p->g->n_nodes; i++) seconds[i] = p->seconds[i];
}

void iso_plan_print(const iso_plan *p, FILE *f)
{
    for (int s = 0; s < p->n_steps; s++) {
        const iso_node *n = &p->g->nodes[p->steps[s].node];
        char cells[24] = "n";
        if (!n->per_cell) snprintf(cells, sizeof cells, "%lld", (long long)n->rows);
        fprintf(f, "%3d %-8s %-14s [%s, %lld]\n", s, p->steps[s].backward ? "backward" : "forward", n->op->name, cells,
                (long long)n->cols);
    }
    fprintf(f, "%d buffers in %.2f MB\n", p->n_buffers, (double)iso_plan_bytes(p) / 1e6);
}
