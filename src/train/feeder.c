/* feeder.c: minibatches, of which the next is gathered by an idle thread while this one is trained on. */
#include "cells.h"

#include <string.h>

struct iso_feeder {
    iso_env *alone;                  /* what gathers ahead, has no threads */
    const iso_kernels *k;
    iso_batcher *batchers[2];        /* [now]: lent; the other: what is gathered ahead */
    int now;
    int64_t *ahead, n_ahead;         /* cells that are gathered ahead; 0: none */
    iso_batch *batch;                /* what became of them */
    iso_status status;
    iso_error error;
};

iso_status iso_feeder_new(const iso_cells *c, int64_t max_cells, iso_feeder **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_feeder *f = NULL;
    *out = NULL;
    ALLOC(f, 1, sizeof *f);
    ALLOC(f->ahead, max_cells, sizeof *f->ahead);
    FAIL_IF(!(f->alone = iso_env_new(1)), ISO_EMEMORY, "out of memory");
    for (int i = 0; i < 2; i++) TRY(iso_batcher_new(c, max_cells, &f->batchers[i], err));
    *out = f, f = NULL;
done:
    iso_feeder_free(f, NULL);
    return st;
}

void iso_feeder_free(iso_feeder *f, iso_env *env)
{
    if (!f) return;
    if (f->n_ahead && env) iso_aside_wait(env);
    for (int i = 0; i < 2; i++) iso_batcher_free(f->batchers[i]);
    iso_env_free(f->alone);
    iso_free(f->ahead);
    iso_free(f);
}

void iso_feeder_augment(iso_feeder *f, uint64_t seed, uint32_t epoch)
{
    for (int i = 0; i < 2; i++) iso_batcher_augment(f->batchers[i], seed, epoch);
}

static void gather(void *arg, int64_t block)
{
    iso_feeder *f = arg;
    (void)block;
    f->status = iso_batcher_fill(f->batchers[!f->now], f->alone, f->k, f->ahead, f->n_ahead, &f->batch, &f->error);
}

iso_status iso_feeder_next(iso_feeder *f, iso_env *env, const iso_kernels *k, const int64_t *index, int64_t n, const int64_t *then, int64_t n_then,
                           iso_batch **batch, iso_error *err)
{
    iso_status st = ISO_OK;
    bool ready = f->n_ahead == n && memcmp(f->ahead, index, (size_t)n * sizeof *index) == 0;
    if (f->n_ahead) iso_aside_wait(env);
    f->n_ahead = 0;
    if (ready) {
        if (f->status) *err = f->error;
        TRY(f->status);
        f->now = !f->now;
        *batch = f->batch;
    } else {
        TRY(iso_batcher_fill(f->batchers[f->now], env, k, index, n, batch, err));
    }
    if (n_then == 0) goto done;
    memcpy(f->ahead, then, (size_t)n_then * sizeof *then);
    f->n_ahead = n_then, f->k = k;
    iso_aside(env, gather, f);
done:
    return st;
}
