/* env.c: the environment of a call: threads, log sink, interrupt. */
#include "env.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

/* Cores this process may run on: affinity, then OMP_NUM_THREADS as an upper limit that clusters set. */
static int usable_cores(void)
{
    int n = 1;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
    const char *omp = getenv("OMP_NUM_THREADS");
    int limit = omp ? atoi(omp) : 0;
    return limit > 0 && limit < n ? limit : n;
}

iso_env *iso_env_new(int threads)
{
    iso_env *env = iso_calloc(1, sizeof *env);
    if (!env) return NULL;
    env->threads = threads > 0 ? threads : usable_cores();
    if (env->threads > 1 && !(env->pool = iso_pool_new(env->threads))) env->threads = 1;
    return env;
}

void iso_env_free(iso_env *env)
{
    if (!env) return;
    iso_pool_free(env->pool);
    iso_free(env);
}

void iso_env_set_log(iso_env *env, iso_log_fn *fn, void *arg) { env->log = fn, env->log_arg = arg; }
void iso_env_interrupt(iso_env *env) { env->interrupted = 1; }
bool iso_env_interrupted(const iso_env *env) { return env->interrupted != 0; }
void iso_env_heeded(iso_env *env) { env->interrupted = 0; }
int iso_env_threads(const iso_env *env) { return env->threads; }

void iso_parallel(iso_env *env, int64_t n_blocks, iso_block_fn *fn, void *arg)
{
    if (env->pool && n_blocks > 1) iso_pool_run(env->pool, n_blocks, fn, arg);
    else for (int64_t i = 0; i < n_blocks; i++) fn(arg, i);
}

void iso_aside(iso_env *env, iso_block_fn *fn, void *arg)
{
    if (env->pool) iso_pool_aside(env->pool, fn, arg);
    else fn(arg, 0);
}

void iso_aside_wait(iso_env *env)
{
    if (env->pool) iso_pool_aside_wait(env->pool);
}

void iso_later(iso_env *env, int64_t n_blocks, iso_block_fn *fn, iso_last_fn *last, void *arg)
{
    if (env->pool) iso_pool_later(env->pool, n_blocks, fn, last, arg);
    else {
        iso_parallel(env, n_blocks, fn, arg);
        last(arg);
    }
}

void iso_later_wait(iso_env *env)
{
    if (env->pool) iso_pool_later_wait(env->pool);
}

double iso_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void iso_log(iso_env *env, iso_log_level level, const char *fmt, ...)
{
    if (!env->log) return;
    char msg[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    iso_tame(msg);
    env->log(env->log_arg, level, msg, 0, -1);
}

void iso_progress(iso_env *env, double fraction, const char *fmt, ...)
{
    if (!env->log) return;
    double now = iso_now_s();
    if (fraction <= 0) env->progress_start_s = now;
    double eta = fraction > 0 ? (now - env->progress_start_s) * (1 - fraction) / fraction : -1;
    char msg[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    iso_tame(msg);
    env->log(env->log_arg, ISO_LOG_PROGRESS, msg, fraction, eta);
}
