/* ops_common.h: runs an op's example in a small graph: leaves -> op -> weighted sum. Shared by the gradient check
 * (double) and the precision check (float). */
#ifndef OPS_COMMON_H
#define OPS_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "likelihood/likelihood.h"
#include "op/op.h"

#include <math.h>
#include <string.h>

/* weigh: the test's loss, out [1, 1] = sum_i w_i x_i with w_i of both signs, known from i alone. */
static double weight(int64_t i) { return sin(1.7 * (double)i + 0.4) + 0.2; }
static const char *weigh_shape(const iso_graph *g, iso_node *n)
{
    (void)g;
    n->rows = n->cols = 1;
    return NULL;
}
static void weigh_forward(const iso_args *a)
{
    double sum = 0;
    for (int64_t i = 0; i < a->in_rows[0] * a->in_cols[0]; i++) sum += weight(i) * (double)a->in[0][i];
    a->out[0] = (real)sum;
}
static void weigh_backward(const iso_args *a)
{
    for (int64_t i = 0; i < a->in_rows[0] * a->in_cols[0]; i++) {
        real d = (real)(weight(i) * (double)a->d_out[0]);
        a->d_in[0][i] = a->add[0] ? a->d_in[0][i] + d : d;
    }
}
static const iso_op op_weigh = {
    .name = "weigh", .shape = weigh_shape, .forward = weigh_forward, .backward = weigh_backward};

/* twice: 2 x, a node between a parameter and the op under test, so that its value and gradient are planned memory. */
static void twice_forward(const iso_args *a)
{
    for (int64_t i = 0; i < a->rows * a->cols; i++) a->out[i] = 2 * a->in[0][i];
}
static void twice_backward(const iso_args *a)
{
    iso_pass_gradient(a->d_in[0], a->add[0], 2, a->d_out, a->rows * a->cols);
}
static const iso_op op_twice = {
    .name = "twice", .shape = iso_same_shape, .forward = twice_forward, .backward = twice_backward};

enum { MAX_CELLS = 32, MAX_GENES = 320 };
typedef struct setting {
    const iso_example *e;
    iso_graph *g;
    iso_plan *plan;
    iso_batch batch;
    iso_settings settings;
    int out, loss, leaf[ISO_MAX_IN];
    int64_t indptr[MAX_CELLS + 1], cells[MAX_CELLS];
    int32_t indices[MAX_CELLS * MAX_GENES], codes[MAX_CELLS];
    float values[MAX_CELLS * MAX_GENES];
    real input_values[MAX_CELLS * MAX_GENES];
} setting;

/* Counts: about 40 % non-zero, 1 to 40; one empty cell. */
static void make_batch(setting *s)
{
    const iso_example *e = s->e;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 11, .stream = ISO_STREAM_TEST}, 0);
    int64_t nnz = 0;
    for (int64_t b = 0; b < e->cells; b++) {
        s->cells[b] = 100 + 3 * b;
        s->codes[b] = e->n_categories ? (int32_t)(b % e->n_categories) : 0;
        for (int64_t g = 0; g < e->genes; g++) {
            double u = iso_rng_uniform(&r), v = iso_rng_uniform(&r);
            if (u > 0.4 || (b == 1 && e->cells > 2)) continue;
            s->indices[nnz] = (int32_t)g;
            s->values[nnz] = (float)floor(1 + pow(40, v) - 1);
            s->input_values[nnz] = (real)log1p((double)s->values[nnz]);
            nnz++;
        }
        s->indptr[b + 1] = nnz;
    }
    s->batch = (iso_batch){.n = e->cells,
                           .x = {e->cells, e->genes, s->indptr, s->indices, s->values},
                           .input_values = s->input_values,
                           .cells = s->cells,
                           .codes = {s->codes}};
}

/* Graph of an example. fan_out >= 0: that input is also read by the loss itself. via: inputs pass through `twice`. */
static void make_setting(setting *s, const iso_op *op, const iso_example *e, int fan_out, bool via)
{
    memset(s, 0, sizeof *s);
    s->e = e;
    make_batch(s);
    s->settings = (iso_settings){.training = e->training, .seed = 5, .draw = 2, .kl_weight = (real)e->kl_weight, .grid_kl_weight = (real)(1.3 * e->kl_weight),
                                 .free_bits = (real)e->free_bits, .free_bits_groups = e->free_bits_groups};
    s->g = iso_graph_new();
    int in[ISO_MAX_IN];
    for (int j = 0; j < e->n_in; j++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", j);
        int64_t rows = e->in[j].per_cell ? e->cells : e->in[j].rows;
        s->leaf[j] = in[j] = -1;
        if (!e->in[j].cols) continue;
        s->leaf[j] = in[j] = e->in[j].is_state ? iso_graph_state(s->g, name, rows, e->in[j].cols, 0)
                                               : iso_graph_param(s->g, name, rows, e->in[j].cols, 0);
        s->g->nodes[in[j]].per_cell = e->in[j].per_cell;
        if (via && !e->in[j].is_state) in[j] = iso_graph_op(s->g, &op_twice, NULL, 1, &in[j]);
    }
    iso_node how = {.pointer = e->pointer};
    memcpy(how.i, e->i, sizeof how.i);
    memcpy(how.r, e->r, sizeof e->r);
    s->out = iso_graph_op(s->g, op, &how, e->n_in, in);
    s->loss = iso_graph_op(s->g, &op_weigh, NULL, 1, &s->out);
    if (fan_out >= 0 && in[fan_out] >= 0) {
        int more = iso_graph_op(s->g, &op_weigh, NULL, 1, &in[fan_out]);
        s->loss = iso_graph_op(s->g, &iso_op_add, NULL, 2, (int[]){s->loss, more});
    }
    iso_error err;
    if (iso_graph_finish(s->g, 1, &err) != ISO_OK) fail_msg("%s, %s: %s", op->name, e->what, err.msg);
    for (int j = 0; j < e->n_in; j++) {
        if (s->leaf[j] < 0) continue;
        const iso_node *n = &s->g->nodes[s->leaf[j]];
        real *x = n->leaf == ISO_PARAM ? s->g->param + s->g->params[n->slot].offset
                                       : s->g->state + s->g->states[n->slot].offset;
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 21, .stream = ISO_STREAM_TEST, .epoch = (uint32_t)j}, 0);
        for (int64_t i = 0; i < n->rows * n->cols; i++) {
            double v = e->in[j].lo + (e->in[j].hi - e->in[j].lo) * iso_rng_uniform(&r);
            x[i] = (real)(via && !e->in[j].is_state ? v / 2 : v);
        }
    }
    iso_plan_request want = {
        .outputs = &s->out, .n_outputs = 1, .loss = s->loss, .max_cells = e->cells + 3, .poison = true};
    if (iso_plan_new(s->g, &want, &s->plan, &err) != ISO_OK) fail_msg("%s", err.msg);
}

static void clear_setting(setting *s)
{
    iso_plan_free(s->plan);
    iso_graph_free(s->g);
}

/* State is put back after a run, so that running twice gives the same. */
static double run_setting(setting *s, iso_env *env)
{
    static real kept[1 << 16];
    memcpy(kept, s->g->state, (size_t)s->g->state_size * sizeof(real));
    iso_plan_run(s->plan, env, iso_kernels_best(), &s->batch, &s->settings);
    memcpy(s->g->state, kept, (size_t)s->g->state_size * sizeof(real));
    return (double)iso_plan_value(s->plan, s->loss)[0];
}

#endif
