/* head.c: another decoder for the same latent space: where several of them differ, what they decode is not known. */
#include "base/rng.h"
#include "optimizer.h"
#include "train.h"

#include <math.h>

enum { DRAW_CELLS = 1, DRAW_Z = 2, MIN_BATCH = 3, MOST_CELLS = 25600 };

typedef struct head {
    iso_env *env;
    const iso_kernels *k;
    iso_vae *v;
    const iso_train_options *o;
    const float *mu, *variance;
    int64_t n, batch;
    int64_t *bag, *order, *index; /* [n] the cells, [n] this epoch's order, [batch] */
    real *z;                      /* [batch, L] */
    iso_plan *plan;
    iso_batcher *batcher;
    iso_optimizer adam;
} head;

static iso_status head_open(head *h, const iso_cells *c, const int64_t *train, int64_t n_train, iso_error *err)
{
    iso_status st = ISO_OK;
    h->k = iso_kernels_best();
    h->batch = h->o->batch_size < h->n ? h->o->batch_size : h->n;
    ALLOC(h->bag, h->n, sizeof *h->bag);
    ALLOC(h->order, h->n, sizeof *h->order);
    ALLOC(h->index, h->batch, sizeof *h->index);
    ALLOC(h->z, h->batch * h->v->c.n_latent, sizeof *h->z);
    for (int64_t i = 0; i < h->n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){h->o->seed, ISO_STREAM_HEAD, DRAW_CELLS}, (uint64_t)i);
        h->bag[i] = train[(int64_t)(iso_rng_uniform(&r) * (double)n_train)];
    }
    TRY(iso_plan_new(h->v->g, &(iso_plan_request){.outputs = &h->v->given, .n_outputs = 1, .loss = h->v->given, .max_cells = h->batch}, &h->plan, err));
    TRY(iso_batcher_new(c, h->batch, &h->batcher, err));
    TRY(iso_optimizer_new(h->v->g, false, &h->adam, err));
done:
    return st;
}

static void head_close(head *h)
{
    iso_free(h->bag);
    iso_free(h->order);
    iso_free(h->index);
    iso_free(h->z);
    iso_plan_free(h->plan);
    iso_batcher_free(h->batcher);
    iso_optimizer_clear(&h->adam);
}

/* z = mu + sigma eps of the batch's cells. */
static void draw_places(head *h, int64_t n, int epoch, int64_t first)
{
    int64_t L = h->v->c.n_latent;
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){h->o->seed, ISO_STREAM_HEAD, (uint32_t)(DRAW_Z + epoch)}, (uint64_t)(first + i));
        int64_t at = h->index[i] * L;
        for (int64_t d = 0; d < L; d++)
            h->z[i * L + d] = (real)((double)h->mu[at + d] + (h->variance ? sqrt((double)h->variance[at + d]) * iso_rng_normal(&r) : 0));
    }
}

/* A step that gives something not finite is left out. */
static iso_status one_step(head *h, int epoch, int64_t first, double rate, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_batch *b;
    int64_t n = h->n - first < h->batch ? h->n - first : h->batch;
    for (int64_t i = 0; i < n; i++) h->index[i] = h->bag[h->order[first + i]];
    TRY(iso_batcher_fill(h->batcher, h->env, h->k, h->index, n, &b, err));
    draw_places(h, n, epoch, first);
    b->inputs[ISO_SLOT_Z] = h->z;
    iso_plan_run(h->plan, h->env, h->k, b, &(iso_settings){.training = true, .seed = h->o->seed, .draw = (uint32_t)epoch, .kl_weight = 1});
    double norm = iso_gradient_norm(&h->adam, h->env, h->k) / (double)n, most = h->o->gradient_clip > 0 ? h->o->gradient_clip : HUGE_VAL;
    if (!isfinite(norm)) goto done;
    iso_optimizer_begin(&h->adam, h->k, &h->o->adam, rate, (norm > most ? most / norm : 1) / (double)n);
    iso_optimizer_end(&h->adam, h->env);
done:
    return st;
}

iso_status iso_train_decoder(iso_env *env, iso_vae *v, const iso_cells *c, const int64_t *train, int64_t n_train, const float *mu,
                             const float *variance, const iso_train_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    head h = {.env = env, .v = v, .o = o, .mu = mu, .variance = variance, .n = n_train < MOST_CELLS ? n_train : MOST_CELLS};
    TRY(head_open(&h, c, train, n_train, err));
    int64_t steps = h.n / h.batch + (h.n % h.batch >= MIN_BATCH), step = 0;
    for (int epoch = 0; epoch < o->max_epochs; epoch++) {
        iso_permutation((iso_rng_key){o->seed, ISO_STREAM_SHUFFLE, (uint32_t)epoch}, h.n, h.order);
        for (int64_t i = 0; i < steps; i++, step++) {
            FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
            TRY(one_step(&h, epoch, i * h.batch, iso_learning_rate_at(o, step, steps * o->max_epochs), err));
        }
    }
done:
    head_close(&h);
    return st;
}
