/* profile.c: where the time of a training step goes. The same parts as trainer.c, each under a clock. */
#include "optimizer.h"
#include "profile.h"

#include <math.h>
#include <string.h>

enum { WARM_UP = 5 };

static void add_row(iso_profile *p, const char *name, double seconds, double backward_seconds)
{
    iso_profile_row *r = &p->rows[p->n_rows++];
    snprintf(r->name, sizeof r->name, "%s", name);
    r->forward_s = seconds, r->backward_s = backward_seconds;
}

/* Nodes of one op stay apart: "linear 10 -> 128". */
static void node_name(const iso_graph *g, int i, char *name, size_t size)
{
    const iso_node *n = &g->nodes[i], *in = n->n_in && n->in[0] >= 0 ? &g->nodes[n->in[0]] : NULL;
    if (in && in->cols != n->cols)
        snprintf(name, size, "%s %lld -> %lld", n->op->name, (long long)(in->per_cell ? in->cols : in->rows), (long long)n->cols);
    else snprintf(name, size, "%s %lld", n->op->name, (long long)n->cols);
}

static void add_nodes(const iso_graph *g, const double *seconds, int64_t steps, iso_profile *p)
{
    char name[sizeof p->rows[0].name];
    for (int i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i].op || seconds[2 * i] + seconds[2 * i + 1] <= 0) continue;
        node_name(g, i, name, sizeof name);
        add_row(p, name, seconds[2 * i] / (double)steps, seconds[2 * i + 1] / (double)steps);
    }
}

iso_status iso_profile_steps(iso_env *env, iso_vae *v, const iso_cells *c, int64_t n_cells, int64_t batch, int64_t steps,
                             iso_profile *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_plan *plan = NULL;
    iso_feeder *feeder = NULL;
    iso_optimizer adam = {0};
    int64_t *index = NULL;
    double *seconds = NULL, *before = NULL, fill = 0, step = 0;
    const iso_kernels *k = iso_kernels_best();
    *out = (iso_profile){0};
    if (batch > n_cells) batch = n_cells;
    int outputs[2] = {v->reconstruction, v->kl};
    TRY(iso_plan_new(v->g, &(iso_plan_request){.outputs = outputs, .n_outputs = v->kl >= 0 ? 2 : 1, .loss = v->loss, .max_cells = batch},
                     &plan, err));
    TRY(iso_feeder_new(c, batch, &feeder, err));
    iso_feeder_augment(feeder, 0, 0);
    TRY(iso_optimizer_new(v->g, v->c.bf16, &adam, err));
    ALLOC(index, 2 * batch, sizeof *index);
    ALLOC(seconds, 2 * v->g->n_nodes, sizeof *seconds);
    ALLOC(before, 2 * v->g->n_nodes, sizeof *before);
    ALLOC(out->rows, v->g->n_nodes + 3, sizeof *out->rows);
    for (int64_t i = -WARM_UP; i < steps; i++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        if (i == 0) {
            iso_plan_time(plan, before);
            fill = step = 0;
        }
        for (int64_t r = 0; r < 2 * batch; r++) index[r] = ((i + WARM_UP) * batch + r) % n_cells;
        iso_batch *b;
        double t0 = iso_now_s();
        TRY(iso_feeder_next(feeder, env, k, index, batch, index + batch, batch, &b, err));
        double t1 = iso_now_s();
        iso_optimizer_begin(&adam, k, &(iso_adam){1e-4, 0.9, 0.999, 0.01, 1e-6, 30}, 1e-4, 1 / (double)batch);
        iso_plan_run(plan, env, k, b, &(iso_settings){.training = true, .kl_weight = 1, .stepper = &adam.stepper, .squares = adam.squares});
        double t2 = iso_now_s(), size = iso_optimizer_end(&adam, env), t3 = iso_now_s();
        FAIL_IF(!isfinite(size), ISO_ENUMERIC, "a gradient is not finite");
        fill += t1 - t0, step += t3 - t2;
        out->step_s += i < 0 ? 0 : (t3 - t0) / (double)steps;
    }
    iso_plan_time(plan, seconds);
    for (int i = 0; i < 2 * v->g->n_nodes; i++) seconds[i] -= before[i];
    add_row(out, "wait for the batch", fill / (double)steps, 0);
    add_nodes(v->g, seconds, steps, out);
    add_row(out, "adam, of what no op stepped", step / (double)steps, 0);
done:
    iso_free(index);
    iso_free(seconds);
    iso_free(before);
    iso_plan_free(plan);
    iso_feeder_free(feeder, env);
    iso_optimizer_clear(&adam);
    if (st) iso_profile_clear(out);
    return st;
}

void iso_profile_clear(iso_profile *p)
{
    iso_free(p->rows);
    *p = (iso_profile){0};
}
