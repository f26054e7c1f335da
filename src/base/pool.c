/* pool.c: a fixed set of threads that share out numbered blocks.
 *
 * The caller is one of the workers. Blocks are taken from one atomic counter, so who runs a block is left to chance,
 * and so must not matter: blocks write to places of their own. Workers look for new work for a few microseconds
 * before they sleep: a training step is a row of short loops, and waking a sleeping thread costs more than many of
 * them. The caller waits only for workers that are at work on the job, so that on a busy machine it goes on without
 * those that the system has put aside. */
#include "env.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { SPINS = 4000 };

struct iso_pool {
    int n_workers;                  /* threads beside the caller */
    pthread_t *workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_uint generation;         /* odd sizes of meaning: a new value = a new job (or the end) */
    atomic_bool quit;
    iso_block_fn *fn;
    void *arg;
    int64_t n_blocks;
    _Atomic int64_t next;           /* block to hand out */
    atomic_bool open;               /* workers may join the job */
    atomic_int active;              /* workers that joined, or are about to look whether they may */
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void work(iso_pool *p)
{
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->n_blocks) return;
        p->fn(p->arg, i);
    }
}

static void *worker(void *arg)
{
    iso_pool *p = arg;
    unsigned seen = 0;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen && spins < SPINS) {
            pause_briefly();
            spins++;
        }
        if (atomic_load_explicit(&p->generation, memory_order_acquire) == seen) {
            pthread_mutex_lock(&p->lock);
            while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen)
                pthread_cond_wait(&p->wake, &p->lock);
            pthread_mutex_unlock(&p->lock);
        }
        seen = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (atomic_load(&p->quit)) return NULL;
        atomic_fetch_add(&p->active, 1);                    /* before the look at `open`: either the caller sees it, */
        if (atomic_load(&p->open)) work(p);                 /* or this sees that the job is closed */
        atomic_fetch_sub(&p->active, 1);
    }
}

static void announce(iso_pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void iso_pool_run(iso_pool *p, int64_t n_blocks, iso_block_fn *fn, void *arg)
{
    p->fn = fn, p->arg = arg, p->n_blocks = n_blocks;
    atomic_store(&p->next, 0);
    atomic_store(&p->open, true);
    announce(p);
    work(p);
    atomic_store(&p->open, false);
    for (int spins = 0; atomic_load(&p->active) > 0; spins++) {
        if (spins < SPINS) pause_briefly();
        else {
            struct timespec nap = {.tv_nsec = 20000};       /* a worker was put aside in a block: give it the core */
            nanosleep(&nap, NULL);
        }
    }
}

iso_pool *iso_pool_new(int threads)
{
    iso_pool *p = iso_calloc(1, sizeof *p);
    if (!p) return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->workers = iso_calloc(threads - 1, sizeof *p->workers);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);        /* signals are for the threads of the caller */
    for (int i = 0; p->workers && i < threads - 1; i++) {
        if (pthread_create(&p->workers[i], NULL, worker, p) != 0) break;
        p->n_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (p->n_workers == threads - 1) return p;
    iso_pool_free(p);
    return NULL;
}

void iso_pool_free(iso_pool *p)
{
    if (!p) return;
    atomic_store(&p->quit, true);
    announce(p);
    for (int i = 0; i < p->n_workers; i++) pthread_join(p->workers[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    iso_free(p->workers);
    iso_free(p);
}
