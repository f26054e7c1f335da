/* pool.c: a fixed set of threads that share out numbered blocks.
 *
 * The caller is one of the workers. Each has a share of the blocks, the same one in every job of as many blocks, so that data stay in
 * the caches of the core that last had them; who is done helps the others. So who runs a block is left to chance, and must not
 * matter: blocks write to places of their own. Workers look for new work for a few microseconds
 * before they sleep: a training step is a row of short loops, and waking a sleeping thread costs more than many of
 * them. The caller waits only for workers that are at work on the job, so that on a busy machine it goes on without
 * those that the system has put aside.
 *
 * Beside the jobs there may be a task, for one worker that finds no job (aside), and a job without hurry, whose blocks are done by whoever waits (later). */
#include "env.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { SPINS = 4000 };              /* rounds of looking for a job before sleep */
enum { HOPE = 200 };                /* rounds of looking for blocks of a job without hurry */
enum { JOBS = 3, PATIENCE = 10 };   /* jobs, and then rounds, before a worker turns to the task beside them: the first jobs of a step want all threads */

enum { LINE = 64 };                 /* bytes of a line of cache */

/* Blocks that are handed out from `next` on; on a cache line of its own. */
typedef struct share { _Alignas(LINE) _Atomic int64_t next; int64_t end; } share;

typedef struct worker_of { iso_pool *pool; int number; pthread_t thread; } worker_of;

/* A job without hurry. */
typedef struct later_job {
    iso_block_fn *fn;
    iso_last_fn *last;
    void *arg;
    share *shares;                  /* [n_workers + 1] */
    _Atomic int64_t left;           /* blocks that nobody has taken */
    atomic_bool open;
    atomic_int active;              /* as of a job */
} later_job;

struct iso_pool {
    int n_workers;                  /* threads beside the caller, numbered from 1; the caller is 0 */
    worker_of *workers;
    share *shares;                  /* [n_workers + 1] */
    _Alignas(LINE) pthread_mutex_t lock;            /* here and below, what one thread writes is not beside what another reads */
    pthread_cond_t wake;
    _Alignas(LINE) atomic_uint generation;          /* a new value = a new job (or the end) */
    atomic_bool quit;
    _Alignas(LINE) iso_block_fn *fn;
    void *arg;
    atomic_bool open;               /* workers may join the job */
    atomic_int active;              /* workers that joined, or are about to look whether they may */
    _Alignas(LINE) iso_block_fn *aside_fn;          /* a task beside the jobs */
    void *aside_arg;
    atomic_int aside;
    atomic_uint aside_since;        /* generation */
    later_job later;
};
enum { ASIDE_NONE, ASIDE_WAITS, ASIDE_RUNS };

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Cuts n_blocks into a share for each thread. */
static void deal(share *shares, int n, int64_t n_blocks)
{
    for (int w = 0; w < n; w++) {
        atomic_store_explicit(&shares[w].next, w * n_blocks / n, memory_order_relaxed);
        shares[w].end = (w + 1) * n_blocks / n;
    }
}

static void work(iso_pool *p, int number)
{
    int n = p->n_workers + 1;
    for (int turn = 0; turn < n; turn++) {
        share *from = &p->shares[(number + turn) % n];
        for (;;) {
            int64_t i = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (i >= from->end) break;
            p->fn(p->arg, i);
        }
    }
}

/* Does the task beside the jobs, if it waits. */
static bool try_aside(iso_pool *p)
{
    int waits = ASIDE_WAITS;
    if (atomic_load_explicit(&p->aside, memory_order_relaxed) != ASIDE_WAITS) return false;
    if (!atomic_compare_exchange_strong(&p->aside, &waits, ASIDE_RUNS)) return false;
    p->aside_fn(p->aside_arg, 0);
    atomic_store(&p->aside, ASIDE_NONE);
    return true;
}

/* One block of the job without hurry, which must stay open meanwhile. */
static bool one_later(iso_pool *p, int number)
{
    int n = p->n_workers + 1;
    for (int turn = 0; turn < n; turn++) {
        share *from = &p->later.shares[(number + turn) % n];
        int64_t i = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
        if (i >= from->end) continue;
        atomic_fetch_sub_explicit(&p->later.left, 1, memory_order_relaxed);
        p->later.fn(p->later.arg, i);
        return true;
    }
    return false;
}

static bool try_later(iso_pool *p, int number)
{
    if (atomic_load_explicit(&p->later.left, memory_order_relaxed) <= 0) return false;
    atomic_fetch_add(&p->later.active, 1);
    bool done = atomic_load(&p->later.open) && one_later(p, number);
    atomic_fetch_sub(&p->later.active, 1);
    return done;
}

static bool has_news(iso_pool *p, unsigned seen)
{
    return atomic_load_explicit(&p->generation, memory_order_acquire) != seen;
}

static void *worker(void *arg)
{
    const worker_of *me = arg;
    iso_pool *p = me->pool;
    unsigned seen = 0;
    for (;;) {
        for (int spins = 0; !has_news(p, seen) && spins < SPINS; spins++) {
            if (spins > PATIENCE && seen - atomic_load_explicit(&p->aside_since, memory_order_relaxed) >= JOBS && try_aside(p)) spins = 0;
            else if (spins > PATIENCE && try_later(p, me->number)) spins = 0;
            else pause_briefly();
        }
        if (!has_news(p, seen)) {
            pthread_mutex_lock(&p->lock);
            while (!has_news(p, seen) && atomic_load(&p->aside) != ASIDE_WAITS) pthread_cond_wait(&p->wake, &p->lock);
            pthread_mutex_unlock(&p->lock);
            if (!has_news(p, seen)) continue;
        }
        seen = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (atomic_load(&p->quit)) return NULL;
        atomic_fetch_add(&p->active, 1);                    /* before the look at `open`: either the caller sees it, */
        if (atomic_load(&p->open)) work(p, me->number);                /* or this sees that the job is closed */
        atomic_fetch_sub(&p->active, 1);
    }
}

/* Waits until *left is `most` or less: spins, then naps, as a worker that was put aside in a block needs the core. */
static void wait_for(atomic_int *left, int most)
{
    for (int spins = 0; atomic_load(left) > most; spins++) {
        if (spins < SPINS) pause_briefly();
        else nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
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
    p->fn = fn, p->arg = arg;
    deal(p->shares, p->n_workers + 1, n_blocks);
    atomic_store(&p->open, true);
    announce(p);
    work(p, 0);
    atomic_store(&p->open, false);
    for (int spins = 0; spins < HOPE && atomic_load(&p->active) > 0; spins++) {
        if (spins > PATIENCE && try_later(p, 0)) spins = 0;
        else pause_briefly();
    }
    wait_for(&p->active, 0);
}

static void all_later(void *arg, int64_t number)
{
    while (one_later(arg, (int)number)) {}
}

void iso_pool_later_wait(iso_pool *p)
{
    if (!atomic_load(&p->later.open)) return;
    if (atomic_load(&p->later.left) > 0) iso_pool_run(p, p->n_workers + 1, all_later, p);
    atomic_store(&p->later.open, false);
    wait_for(&p->later.active, 0);
    p->later.last(p->later.arg);
}

void iso_pool_later(iso_pool *p, int64_t n_blocks, iso_block_fn *fn, iso_last_fn *last, void *arg)
{
    iso_pool_later_wait(p);
    p->later.fn = fn, p->later.last = last, p->later.arg = arg;
    deal(p->later.shares, p->n_workers + 1, n_blocks);
    atomic_store(&p->later.left, n_blocks);             /* before anybody can take one */
    atomic_store(&p->later.open, true);
}

void iso_pool_aside(iso_pool *p, iso_block_fn *fn, void *arg)
{
    p->aside_fn = fn, p->aside_arg = arg;
    atomic_store(&p->aside_since, atomic_load(&p->generation));
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->aside, ASIDE_WAITS);
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void iso_pool_aside_wait(iso_pool *p)
{
    if (!try_aside(p)) wait_for(&p->aside, ASIDE_NONE);
}

iso_pool *iso_pool_new(int threads)
{
    iso_pool *p = iso_calloc(1, sizeof *p);
    if (!p) return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->workers = iso_calloc(threads - 1, sizeof *p->workers);
    p->shares = iso_calloc(threads, sizeof *p->shares);
    p->later.shares = iso_calloc(threads, sizeof *p->later.shares);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);        /* signals are for the threads of the caller */
    for (int i = 0; p->workers && p->shares && p->later.shares && i < threads - 1; i++) {
        p->workers[i] = (worker_of){.pool = p, .number = i + 1};
        if (pthread_create(&p->workers[i].thread, NULL, worker, &p->workers[i]) != 0) break;
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
    for (int i = 0; i < p->n_workers; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    iso_free(p->workers);
    iso_free(p->shares);
    iso_free(p->later.shares);
    iso_free(p);
}
