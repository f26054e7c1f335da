/* trainer.c: the training loop.
 *
 * An epoch visits the training cells in an order that depends on (seed, epoch) alone. Whatever a step does is undone
 * if it gives something that is not finite: parameters go back to the start of the epoch and the rate is halved. */
#include "optimizer.h"

#include <math.h>
#include <string.h>

enum { MAX_ROLL_BACKS = 10, MIN_BATCH = 3 };
/* A gradient that is this many times its usual size counts as that: one odd cell must not hold up a weight for a thousand steps. */
static const double GUARD = 30;

/* Parameters and state at one time. */
typedef struct snapshot { real *param, *state; } snapshot;

typedef struct trainer {
    iso_env *env;
    const iso_kernels *k;
    iso_vae *v;
    const iso_cells *c;
    const iso_train_options *o;
    iso_train_names names;
    const int64_t *train, *validation;
    int64_t n_train, n_validation, batch, steps_per_epoch, total_steps, step;
    int64_t *order, *index[2];              /* of an epoch; cells of this step and the next */
    iso_plan *plan;
    iso_feeder *feeder;
    iso_evaluator *evaluator;
    iso_optimizer adam;
    snapshot epoch_start, best;
    double rate_factor, best_elbo;
    int roll_backs, since_best;
    double *elbo, *reconstruction;          /* [n_validation] */
} trainer;

static iso_status snapshot_new(const iso_graph *g, snapshot *s, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(s->param, g->param_size, sizeof *s->param);
    ALLOC(s->state, g->state_size, sizeof *s->state);
done:
    return st;
}

static void snapshot_clear(snapshot *s)
{
    iso_free(s->param);
    iso_free(s->state);
}

static void snapshot_take(snapshot *s, const iso_graph *g)
{
    memcpy(s->param, g->param, (size_t)g->param_size * sizeof(real));
    memcpy(s->state, g->state, (size_t)g->state_size * sizeof(real));
}

static void snapshot_restore(const snapshot *s, iso_graph *g)
{
    memcpy(g->param, s->param, (size_t)g->param_size * sizeof(real));
    memcpy(g->state, s->state, (size_t)g->state_size * sizeof(real));
}

static iso_status trainer_open(trainer *t, iso_error *err)
{
    iso_status st = ISO_OK;
    t->batch = t->o->batch_size < t->n_train ? t->o->batch_size : t->n_train;
    int64_t rest = t->n_train % t->batch;
    t->steps_per_epoch = t->n_train / t->batch + (rest >= MIN_BATCH); /* a rest of 1 or 2 cells sits an epoch out */
    t->total_steps = t->steps_per_epoch * t->o->max_epochs;
    t->rate_factor = 1, t->best_elbo = -HUGE_VAL;
    t->k = iso_kernels_best();
    ALLOC(t->order, t->n_train, sizeof *t->order);
    for (int i = 0; i < 2; i++) ALLOC(t->index[i], t->batch, sizeof *t->index[i]);
    ALLOC(t->elbo, t->n_validation, sizeof *t->elbo);
    ALLOC(t->reconstruction, t->n_validation, sizeof *t->reconstruction);
    int outputs[3] = {t->v->reconstruction}, n_outputs = 1;
    if (t->v->kl >= 0) outputs[n_outputs++] = t->v->kl;
    if (t->v->grid_kl >= 0) outputs[n_outputs++] = t->v->grid_kl;
    iso_plan_request want = {
        .outputs = outputs, .n_outputs = n_outputs, .loss = t->v->loss, .max_cells = t->batch};
    TRY(iso_plan_new(t->v->g, &want, &t->plan, err));
    TRY(iso_feeder_new(t->c, t->batch, &t->feeder, err));
    TRY(iso_evaluator_new(t->env, t->v, t->c, &t->evaluator, err));
    TRY(iso_optimizer_new(t->v->g, t->v->c.bf16, &t->adam, err));
    TRY(snapshot_new(t->v->g, &t->epoch_start, err));
    if (t->o->keep_best) TRY(snapshot_new(t->v->g, &t->best, err));
done:
    return st;
}

static void trainer_close(trainer *t)
{
    iso_free(t->order);
    for (int i = 0; i < 2; i++) iso_free(t->index[i]);
    iso_free(t->elbo);
    iso_free(t->reconstruction);
    iso_plan_free(t->plan);
    iso_feeder_free(t->feeder, t->env);
    iso_evaluator_free(t->evaluator);
    iso_optimizer_clear(&t->adam);
    snapshot_clear(&t->epoch_start);
    snapshot_clear(&t->best);
}

/* Of the entries of cell r one that is not finite, else that with the largest count; -1: it has none. */
static int64_t oddest_entry(const iso_batch *b, int64_t r)
{
    int64_t most = -1;
    for (int64_t e = b->x.indptr[r]; e < b->x.indptr[r + 1]; e++) {
        if (!isfinite(b->x.values[e])) return e;
        if (most < 0 || b->x.values[e] > b->x.values[most]) most = e;
    }
    return most;
}

/* Which cell, and which of its genes, made a step go wrong: the first cell with a count or a loss that is not finite, else the one with the largest loss. */
static void name_culprit(const trainer *t, const iso_batch *b, char *text, size_t size)
{
    int64_t cell = 0;
    bool counts = !t->c->pictures;
    for (int64_t r = 0; r < b->n; r++) {
        const int64_t e = counts ? oddest_entry(b, r) : -1;
        if (!isfinite((double)b->cell_loss[r]) || (e >= 0 && !isfinite(b->x.values[e]))) { cell = r; break; }
        if (b->cell_loss[r] > b->cell_loss[cell]) cell = r;
    }
    const int64_t best = counts ? oddest_entry(b, cell) : -1;
    if (!counts) {
        snprintf(text, size, "image %lld (\"%s\")", (long long)b->cells[cell] + 1, t->names.cells ? t->names.cells[b->cells[cell]] : "?");
        return;
    }
    int32_t gene = best >= 0 ? b->x.indices[best] : 0;
    snprintf(text, size, "cell %lld (\"%s\"), gene \"%s\" = %g", (long long)b->cells[cell] + 1,
             t->names.cells ? t->names.cells[b->cells[cell]] : "?", t->names.genes ? t->names.genes[gene] : "?",
             best >= 0 ? (double)b->x.values[best] : 0.0);
}

typedef struct sums { double loss, reconstruction, kl, norm; int64_t cells; } sums;

/* The cells of the step that begins at `first` in the epoch's order; returns how many. */
static int64_t list_cells(const trainer *t, int64_t first, int64_t *cells)
{
    int64_t n = t->n_train - first < t->batch ? t->n_train - first : t->batch;
    for (int64_t i = 0; i < n; i++) cells[i] = t->train[t->order[first + i]];
    return n;
}

/* Forward, backward and the optimiser's step; returns the gradient's norm. Large weights are stepped as soon as their gradients are
 * known, unless a clip wants to see all of them first. */
static double run_and_step(trainer *t, const iso_batch *b, iso_settings *s)
{
    iso_adam how = t->o->adam;
    double rate = iso_learning_rate_at(t->o, t->step, t->total_steps) * t->rate_factor, n = (double)b->n, scale = 1, norm;
    how.guard = GUARD;
    if (t->o->gradient_clip <= 0) {
        iso_optimizer_begin(&t->adam, t->k, &how, rate, 1 / n);
        s->stepper = &t->adam.stepper, s->squares = t->adam.squares;
        iso_plan_run(t->plan, t->env, t->k, b, s);
        return iso_optimizer_end(&t->adam, t->env) / n;
    }
    iso_plan_run(t->plan, t->env, t->k, b, s);
    norm = iso_gradient_norm(&t->adam, t->env, t->k) / n;
    if (norm > t->o->gradient_clip) scale = t->o->gradient_clip / norm;
    iso_optimizer_begin(&t->adam, t->k, &how, rate, scale / n);
    iso_optimizer_end(&t->adam, t->env);
    return norm;
}

/* One step; *bad says that it gave something not finite: parameters and moments may then be so, too. */
static iso_status one_step(trainer *t, uint32_t epoch, int64_t first, sums *s, bool *bad, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_batch *b;
    bool last = first / t->batch + 1 == t->steps_per_epoch;
    int64_t n = list_cells(t, first, t->index[0]), n_then = last ? 0 : list_cells(t, first + t->batch, t->index[1]);
    double total = 0;
    TRY(iso_feeder_next(t->feeder, t->env, t->k, t->index[0], n, t->index[1], n_then, &b, err));
    iso_settings settings = {.training = true, .seed = t->o->seed, .draw = epoch, .free_bits = (real)t->o->free_bits,
                             .free_bits_groups = t->o->free_bits_groups,
                             .kl_weight = (real)iso_kl_weight_at(t->o, t->step, t->total_steps),
                             .grid_kl_weight = (real)t->o->kl_weight};   /* from the start: what z can tell is cheaper there */
    double norm = run_and_step(t, b, &settings);
    double loss = (double)iso_plan_value(t->plan, t->v->loss)[0];
    *bad = !isfinite(loss) || !isfinite(norm);
    if (*bad) {
        char culprit[256];
        name_culprit(t, b, culprit, sizeof culprit);
        t->roll_backs++;
        FAIL_IF(t->roll_backs > MAX_ROLL_BACKS, ISO_ENUMERIC,
                "training diverged at step %lld, first at %s, although the step was made %d times smaller; look at "
                "that cell, or lower --learning-rate",
                (long long)t->step + 1, culprit, 1 << MAX_ROLL_BACKS);
        iso_warn(t->env,
                 "step %lld gave a value that is not finite at %s: back to the start of the epoch with half the "
                 "learning rate",
                 (long long)t->step + 1, culprit);
        goto done;
    }
    const int costs[] = {t->v->kl, t->v->grid_kl};
    for (int k = 0; k < 2; k++) {
        if (costs[k] < 0) continue;
        const real *kl = iso_plan_value(t->plan, costs[k]);
        for (int64_t i = 0; i < n * t->v->g->nodes[costs[k]].cols; i++) total += (double)kl[i];
    }
    s->reconstruction -= (double)iso_plan_value(t->plan, t->v->reconstruction)[0];
    s->kl += total, s->norm += norm * (double)n, s->cells += n;
    t->step++;
done:
    return st;
}

static iso_status one_epoch(trainer *t, int epoch, iso_epoch *e, iso_error *err)
{
    iso_status st = ISO_OK;
    double start = iso_now_s();
    int64_t first_step = t->step;
    sums s;
    bool bad;
    snapshot_take(&t->epoch_start, t->v->g);
    iso_permutation((iso_rng_key){t->o->seed, ISO_STREAM_SHUFFLE, (uint32_t)epoch}, t->n_train, t->order);
    iso_feeder_augment(t->feeder, t->o->seed, (uint32_t)epoch);
    do {
        s = (sums){0}, bad = false;
        for (int64_t i = 0; i < t->steps_per_epoch && !bad; i++) {
            FAIL_IF(iso_env_interrupted(t->env), ISO_EINTERRUPT, "interrupted in epoch %d", epoch + 1);
            TRY(one_step(t, (uint32_t)epoch, i * t->batch, &s, &bad, err));
            double done = (double)(epoch * t->steps_per_epoch + i + 1) / (double)t->total_steps;
            if (t->step % 16 == 0) iso_progress(t->env, done, "epoch %d of %d", epoch + 1, t->o->max_epochs);
        }
        if (bad) {
            snapshot_restore(&t->epoch_start, t->v->g);
            iso_optimizer_restart(&t->adam);                /* its moments led there */
            t->step = first_step, t->rate_factor *= 0.5;
        }
    } while (bad);
    double n = (double)s.cells;
    *e = (iso_epoch){.epoch = epoch + 1,
                     .train_elbo = (s.reconstruction - s.kl) / n,
                     .train_reconstruction = s.reconstruction / n,
                     .train_kl = s.kl / n,
                     .gradient_norm = s.norm / n,
                     .kl_weight = iso_kl_weight_at(t->o, t->step - 1, t->total_steps),
                     .learning_rate = iso_learning_rate_at(t->o, t->step - 1, t->total_steps) * t->rate_factor,
                     .validation_elbo = (double)NAN,
                     .validation_reconstruction = (double)NAN,
                     .validation_kl = (double)NAN,
                     .seconds = iso_now_s() - start};
done:
    return st;
}

static iso_status validate(trainer *t, iso_epoch *e, iso_error *err)
{
    if (t->n_validation == 0) return ISO_OK;
    iso_cell_scores out = {.elbo = t->elbo, .reconstruction = t->reconstruction};
    iso_status st = iso_evaluate(t->evaluator, t->validation, t->n_validation, 1, 0, t->o->seed, &out, err);
    if (st) return st;
    double elbo = 0, reconstruction = 0;
    for (int64_t i = 0; i < t->n_validation; i++) elbo += t->elbo[i], reconstruction += t->reconstruction[i];
    e->validation_elbo = elbo / (double)t->n_validation;
    e->validation_reconstruction = reconstruction / (double)t->n_validation;
    e->validation_kl = e->validation_reconstruction - e->validation_elbo;
    return ISO_OK;
}

/* Whether the KL weight has reached its target for good. */
static bool warmed_up(const trainer *t)
{
    double part = t->o->kl_cycles > 0 ? 1 - 0.5 / t->o->kl_cycles : t->o->kl_warmup;
    return (double)t->step >= part * (double)t->total_steps;
}

/* Remembers the best; true when it is time to stop. */
static bool judge(trainer *t, const iso_epoch *e, iso_history *h)
{
    if (isnan(e->validation_elbo) || !warmed_up(t)) {
        h->best = h->n - 1;
        return false;
    }
    if (e->validation_elbo > t->best_elbo) {
        t->best_elbo = e->validation_elbo, t->since_best = 0, h->best = h->n - 1;
        if (t->o->keep_best) snapshot_take(&t->best, t->v->g);
        return false;
    }
    return ++t->since_best >= t->o->patience && t->o->early_stopping;
}

iso_status iso_train(iso_env *env, iso_vae *v, const iso_cells *c, const int64_t *train, int64_t n_train,
                     const int64_t *validation, int64_t n_validation, const iso_train_options *o, iso_train_names names,
                     iso_epoch_fn *each_epoch, void *arg, iso_history *h, iso_error *err)
{
    iso_status st = ISO_OK;
    double start = iso_now_s();
    trainer t = {.env = env, .v = v, .c = c, .o = o, .names = names, .train = train, .n_train = n_train,
                 .validation = validation, .n_validation = n_validation};
    *h = (iso_history){0};
    FAIL_IF(n_train < MIN_BATCH, ISO_EDATA, "only %lld cells to train on; at least %d are needed", (long long)n_train,
            MIN_BATCH);
    TRY(trainer_open(&t, err));
    ALLOC(h->epochs, o->max_epochs, sizeof *h->epochs);
    iso_progress(env, 0, "training");
    for (int epoch = 0; epoch < o->max_epochs; epoch++) {
        iso_epoch *e = &h->epochs[epoch];
        st = one_epoch(&t, epoch, e, err);
        if (st == ISO_OK) st = validate(&t, e, err);
        h->interrupted = st == ISO_EINTERRUPT && h->n > 0;
        if (h->interrupted) {
            snapshot_restore(&t.epoch_start, v->g);
            iso_env_heeded(env);
            st = ISO_OK;
            break;
        }
        TRY(st);
        h->n++;
        h->stopped_early = judge(&t, e, h);
        if (each_epoch) each_epoch(arg, e);
        if (h->stopped_early) break;
    }
    if (o->keep_best && t.best_elbo > -HUGE_VAL) snapshot_restore(&t.best, v->g);
    h->final_kl_weight = h->n ? h->epochs[h->best].kl_weight : 0;
    h->roll_backs = t.roll_backs;
done:
    h->seconds = iso_now_s() - start;
    trainer_close(&t);
    return st;
}

void iso_history_clear(iso_history *h)
{
    iso_free(h->epochs);
    *h = (iso_history){0};
}
