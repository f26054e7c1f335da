/* env.h: what an iso_env holds; for base/ alone. */
#ifndef ISO_ENV_H
#define ISO_ENV_H

#include "base.h"

#include <signal.h>

typedef struct iso_pool iso_pool;
struct iso_env {
    int threads;
    iso_pool *pool;               /* NULL with one thread */
    iso_log_fn *log;
    void *log_arg;
    double progress_start_s;      /* when the running progress was at 0 */
    volatile sig_atomic_t interrupted;
};

iso_pool *iso_pool_new(int threads);    /* NULL: no memory or no threads to be had */
void iso_pool_free(iso_pool *p);
void iso_pool_run(iso_pool *p, int64_t n_blocks, iso_block_fn *fn, void *arg);
void iso_pool_aside(iso_pool *p, iso_block_fn *fn, void *arg);
void iso_pool_aside_wait(iso_pool *p);
void iso_pool_later(iso_pool *p, int64_t n_blocks, iso_block_fn *fn, iso_last_fn *last, void *arg);
void iso_pool_later_wait(iso_pool *p);

#endif
