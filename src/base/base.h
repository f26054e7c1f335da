/* base.h: what every layer uses: errors, checked sizes, allocation, threads, log. Depends on nothing. */
#ifndef ISO_BASE_H
#define ISO_BASE_H

#include "isolario.h"

#include <stdarg.h>
#include <stdio.h>

/* ---------------------------------------------------------------------------------- numbers */

/* One source, two precisions: the product is built with float; tests also with double. */
#ifdef ISO_REAL_DOUBLE
typedef double real;
#define ISO_REAL_NAME "float64"
#else
typedef float real;
#define ISO_REAL_NAME "float32"
#endif

/* ----------------------------------------------------------------------------------- errors */

/* Messages may quote what a file says, and must be one line that does nothing to a terminal: blanks become spaces, other control
 * characters question marks. All messages go through it. */
void iso_tame(char *message);
/* Fill *err (may be NULL) and return `status`. */
iso_status iso_fail_at(iso_error *err, iso_status status, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
#define iso_fail(err, status, ...) iso_fail_at(err, status, __FILE__, __LINE__, __VA_ARGS__)

/* For functions with one exit: `iso_status st = ISO_OK; ... done: ... return st;` */
#define TRY(x)                            \
    do {                                  \
        st = (x);                         \
        if (st != ISO_OK) goto done;      \
    } while (0)
#define FAIL_IF(cond, status, ...)                           \
    do {                                                     \
        if (cond) {                                          \
            st = iso_fail(err, status, __VA_ARGS__);         \
            goto done;                                       \
        }                                                    \
    } while (0)
/* p = allocation; fails with ISO_EMEMORY. */
#define ALLOC(p, n, size)                                                                      \
    do {                                                                                       \
        (p) = iso_calloc((int64_t)(n), (size));                                                \
        FAIL_IF(!(p), ISO_EMEMORY, "out of memory: %s needs %lld x %zu bytes", #p, (long long)(n), (size_t)(size)); \
    } while (0)

/* ------------------------------------------------------------------------------- allocation */

/* n * size zeroed bytes, 64-byte aligned (16 when they are fewer than 64), NULL on overflow, negative n or no memory; n = 0 gives a valid pointer.
 * Every allocation of the library goes through these, so that tests can make each one fail (iso_alloc_fail_at). */
void *iso_calloc(int64_t n, size_t size);
/* Grows keep old bytes (old_n elements); the old block is freed on success. */
void *iso_realloc(void *p, int64_t old_n, int64_t new_n, size_t size);
void iso_free(void *p);
void iso_free_texts(char **texts, int64_t n);                           /* each of them, and the array; NULL: nothing */
char *iso_strdup(const char *s);                                        /* NULL for NULL or no memory */
char *iso_sprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* NULL: no memory */
/* Test hook: the k-th allocation from now (1 = next) fails; 0 = off. Single-threaded tests only. */
void iso_alloc_fail_at(int64_t k);

/* From now on large arrays lie in temporary files, and the process holds about `bytes` in memory; 0: no limit. For the
 * whole process; see spill.c. */
void iso_set_memory_limit(int64_t bytes);
/* memcpy out of an array that may lie in a file: reads the file, and so leaves no pages of it in memory. */
void iso_fetch(void *to, const void *from, size_t bytes);

/* Product of sizes; false on overflow or a negative factor. */
bool iso_mul(int64_t a, int64_t b, int64_t *out);

/* ---------------------------------------------------------------------------------- threads */

/* Runs fn(arg, i) once for each i in 0..n_blocks-1, on the threads of env; returns when all are done. The number of
 * blocks must depend on the data alone, never on the threads: then each block does the same sums in the same
 * order, and results are the same bits for any thread count. fn must not call iso_parallel. */
typedef void iso_block_fn(void *arg, int64_t block);
void iso_parallel(iso_env *env, int64_t n_blocks, iso_block_fn *fn, void *arg);
/* fn(arg, 0) beside all that, on a thread that has nothing else to do (without other threads: now). One at a time; it must not use env.
 * iso_aside_wait returns when it is done. */
void iso_aside(iso_env *env, iso_block_fn *fn, void *arg);
void iso_aside_wait(iso_env *env);
/* iso_parallel that may return at once: threads that wait for others, or have nothing else to do, run fn(arg, i); then the caller runs last(arg). All of it
 * is done at the next iso_later, or when iso_later_wait returns; until then arg and what it leads to must stay. */
typedef void iso_last_fn(void *arg);
void iso_later(iso_env *env, int64_t n_blocks, iso_block_fn *fn, iso_last_fn *last, void *arg);
void iso_later_wait(iso_env *env);
int iso_env_threads(const iso_env *env);
bool iso_env_interrupted(const iso_env *env);
/* The interrupt has been heeded: what follows may run on. */
void iso_env_heeded(iso_env *env);

/* -------------------------------------------------------------------------------------- log */

void iso_log(iso_env *env, iso_log_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define iso_info(env, ...) iso_log(env, ISO_LOG_INFO, __VA_ARGS__)
#define iso_warn(env, ...) iso_log(env, ISO_LOG_WARN, __VA_ARGS__)
/* fraction in 0..1; the time left is estimated from when fraction was first 0. */
void iso_progress(iso_env *env, double fraction, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void iso_sort(double *v, int64_t n);                                    /* ascending; no NaN */
/* Sorts v [n], n > 0; the value that `share` of them do not exceed. */
double iso_quantile(double *v, int64_t n, double share);
double iso_now_s(void);                                                  /* monotonic clock */

/* ---------------------------------------------------------------------------------- options */

/* Typed reads of options; the name must exist in the table (asserted). */
int64_t iso_opt_int(const iso_options *o, const char *name);
double iso_opt_real(const iso_options *o, const char *name);
bool iso_opt_flag(const iso_options *o, const char *name);
const char *iso_opt_text(const iso_options *o, const char *name);        /* NULL when not set */
int iso_opt_list_n(const iso_options *o, const char *name);              /* items of an ISO_LIST */
/* i-th item copied; NULL: no memory. Caller frees with iso_free. */
char *iso_opt_list_item(const iso_options *o, const char *name, int i);

/* Nearest of the names next(arg, i) (NULL past the last) to `word`, for "did you mean"; NULL if none is near. */
const char *iso_nearest(const char *word, const char *(*next)(const void *arg, int i), const void *arg);

#endif
