/* Base layer: random numbers, threads, allocation, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

/* Known-answer vectors published with the Random123 library (kat_vectors, philox 4x32 10 rounds). */
static void philox_known_answers(void **state)
{
    (void)state;
    uint32_t w[4];
    iso_philox((iso_rng_key){0}, 0, 0, w);
    assert_int_equal(w[0], 0x6627e8d5u);
    assert_int_equal(w[1], 0xe169c58du);
    assert_int_equal(w[2], 0xbc57ac4cu);
    assert_int_equal(w[3], 0x9b00dbd8u);
    iso_philox((iso_rng_key){.seed = UINT64_MAX, .epoch = UINT32_MAX}, UINT64_MAX, UINT32_MAX, w);
    assert_int_equal(w[0], 0x408f276du);
    assert_int_equal(w[1], 0x41c83b0eu);
    assert_int_equal(w[2], 0xa20bc7c6u);
    assert_int_equal(w[3], 0x6d5451fdu);
}

static void moments(const double *x, int n, double *mean, double *var)
{
    *mean = *var = 0;
    for (int i = 0; i < n; i++) *mean += x[i] / n;
    for (int i = 0; i < n; i++) *var += (x[i] - *mean) * (x[i] - *mean) / (n - 1);
}

/* Means and variances within 5 standard errors; also across the switch of algorithm in the Poisson sampler. */
static void laws_have_their_moments(void **state)
{
    (void)state;
    enum { N = 40000 };
    static double x[N];
    double mean, var;
    const double poisson[] = {0.05, 1, 7, 16.5, 300};
    const double gamma[] = {0.1, 0.9, 1, 4.5, 80};
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < N; i++) {
            iso_rng r = iso_rng_start((iso_rng_key){.seed = 3, .stream = ISO_STREAM_TEST, .epoch = (uint32_t)k},
                                      (uint64_t)i);
            x[i] = iso_rng_poisson(&r, poisson[k]);
        }
        moments(x, N, &mean, &var);
        double m = poisson[k];
        assert_true(fabs(mean - m) < 5 * sqrt(m / N));
        assert_true(fabs(var - m) < 5 * sqrt((m + 2 * m * m) / N));
        for (int i = 0; i < N; i++) {
            iso_rng r = iso_rng_start((iso_rng_key){.seed = 4, .stream = ISO_STREAM_TEST, .epoch = (uint32_t)k},
                                      (uint64_t)i);
            x[i] = iso_rng_gamma(&r, gamma[k]);
        }
        moments(x, N, &mean, &var);
        double g = gamma[k];
        assert_true(fabs(mean - g) < 5 * sqrt(g / N));
        assert_true(fabs(var - g) < 5 * sqrt((2 * g * g + 6 * g) / N));
    }
    real z[8];
    for (int i = 0; i < N; i++) {
        iso_normal((iso_rng_key){.seed = 5}, (uint64_t)i, 8, z);
        x[i] = (double)z[i % 8];
    }
    moments(x, N, &mean, &var);
    assert_true(fabs(mean) < 5 / sqrt(N));
    assert_true(fabs(var - 1) < 5 * sqrt(2.0 / N));
}

static void permutation_is_one(void **state)
{
    (void)state;
    int64_t order[1000], seen[1000] = {0}, fixed = 0;
    iso_permutation((iso_rng_key){.seed = 1, .epoch = 7}, 1000, order);
    for (int i = 0; i < 1000; i++) seen[order[i]]++, fixed += order[i] == i;
    for (int i = 0; i < 1000; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 10);
}

typedef struct { int64_t *hits; } hit_args;
static void hit(void *arg, int64_t i) { ((hit_args *)arg)->hits[i]++; }

static void every_block_runs_once(void **state)
{
    (void)state;
    enum { N = 257 };
    for (int threads = 1; threads <= 5; threads++) {
        iso_env *env = iso_env_new(threads);
        int64_t hits[N] = {0};
        for (int round = 0; round < 200; round++) iso_parallel(env, N, hit, &(hit_args){hits});
        for (int i = 0; i < N; i++) assert_int_equal(hits[i], 200);
        iso_env_free(env);
    }
}

/* A task beside the jobs runs once, whoever does it, and has ended after the wait. */
static void a_task_aside_runs_once(void **state)
{
    (void)state;
    enum { N = 33 };
    for (int threads = 1; threads <= 4; threads++) {
        iso_env *env = iso_env_new(threads);
        int64_t hits[N] = {0}, aside[1] = {0};
        iso_aside_wait(env);                             /* nothing to wait for */
        for (int round = 0; round < 3000; round++) {
            iso_aside(env, hit, &(hit_args){aside});
            for (int job = 0; job < round % 4; job++) iso_parallel(env, N, hit, &(hit_args){hits});
            iso_aside_wait(env);
            assert_int_equal(aside[0], round + 1);
        }
        for (int i = 0; i < N; i++) assert_int_equal(hits[i], 3000 / 4 * 6);
        iso_env_free(env);
    }
}

typedef struct later { int64_t hits[33], ended; } later;
static void hit_later(void *arg, int64_t i) { ((later *)arg)->hits[i]++; }
static void end_later(void *arg)
{
    later *l = arg;
    for (int i = 0; i < 33; i++) assert_int_equal(l->hits[i], l->ended + 1);
    l->ended++;
}

/* Blocks without hurry run once each, beside jobs and tasks, and the end comes after the last of them. */
static void blocks_for_later_run_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        iso_env *env = iso_env_new(threads);
        static later l[2];
        int64_t hits[33] = {0}, aside[1] = {0};
        hit_args task = {aside};
        memset(l, 0, sizeof l);
        iso_later_wait(env);                             /* nothing to wait for */
        for (int round = 0; round < 2000; round++) {
            if (round % 2) iso_aside(env, hit, &task);
            for (int k = 0; k < 2; k++) {
                iso_later(env, 33, hit_later, end_later, &l[k]);
                for (int job = 0; job < round % 4; job++) iso_parallel(env, 33, hit, &(hit_args){hits});
            }
            assert_int_equal(l[0].ended, round + 1);     /* the second has ended the first */
            iso_later_wait(env);
            assert_int_equal(l[1].ended, round + 1);
            iso_aside_wait(env);
        }
        for (int i = 0; i < 33; i++) assert_int_equal(hits[i], 2000 / 4 * 12);
        assert_int_equal(aside[0], 1000);
        iso_env_free(env);
    }
}

static void sizes_are_checked(void **state)
{
    (void)state;
    int64_t out;
    assert_true(iso_mul(3, 4, &out) && out == 12);
    assert_false(iso_mul(INT64_MAX, 2, &out));
    assert_false(iso_mul(-1, 2, &out));
    assert_null(iso_calloc(-1, 8));
    assert_null(iso_calloc(INT64_MAX / 4, 8));
    iso_alloc_fail_at(2);
    void *p = iso_calloc(1, 8);
    assert_non_null(p);
    assert_null(iso_calloc(1, 8));
    iso_free(p);
}

static void errors_say_where(void **state)
{
    (void)state;
    iso_error err;
    assert_int_equal(iso_fail(&err, ISO_EDATA, "cell %d", 7), ISO_EDATA);
    assert_string_equal(err.msg, "cell 7");
    assert_non_null(strstr(err.where, "test_base.c:"));
    assert_int_equal(iso_fail(NULL, ISO_EIO, "nobody listens"), ISO_EIO);
}

/* With a limit large arrays lie in files: they are zero, keep what is written while pages are let go, and go away. */
static void large_arrays_lie_in_files(void **state)
{
    enum { N = 8 << 20 };
    (void)state;
    iso_set_memory_limit(64 << 20);
    for (int round = 0; round < 300; round++) {                      /* more than the table holds, if they stayed */
        int32_t *p = iso_calloc(1 << 20, sizeof *p);
        assert_non_null(p);
        iso_free(p);
    }
    int32_t *a[4], copy[3];
    for (int k = 0; k < 4; k++) {
        assert_non_null(a[k] = iso_calloc(N, sizeof *a[k]));         /* 128 MiB in all, twice the limit */
        for (int32_t i = 0; i < N; i++) {
            assert_int_equal(a[k][i], 0);
            a[k][i] = i ^ k;
        }
    }
    for (int k = 0; k < 4; k++)
        for (int32_t i = 0; i < N; i += 1021) assert_int_equal(a[k][i], i ^ k);
    iso_fetch(copy, a[2] + 12345, sizeof copy);
    for (int32_t i = 0; i < 3; i++) assert_int_equal(copy[i], (12345 + i) ^ 2);
    assert_non_null(a[1] = iso_realloc(a[1], N, N + 1, sizeof *a[1]));
    assert_int_equal(a[1][N - 1], (N - 1) ^ 1);
    assert_int_equal(a[1][N], 0);
    for (int k = 0; k < 4; k++) iso_free(a[k]);
    iso_set_memory_limit(0);
}

/* A file's words go into messages: they must not move the cursor, nor look like a second message. */
static void messages_are_tame(void **state)
{
    (void)state;
    iso_error err = {0};
    iso_fail(&err, ISO_EDATA, "%s", "a \x1b[31mred\tü\nline\x7f");
    assert_string_equal(err.msg, "a ?[31mred ü line?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),  cmocka_unit_test(laws_have_their_moments),
        cmocka_unit_test(permutation_is_one),    cmocka_unit_test(every_block_runs_once), cmocka_unit_test(a_task_aside_runs_once), cmocka_unit_test(blocks_for_later_run_once),
        cmocka_unit_test(large_arrays_lie_in_files), cmocka_unit_test(sizes_are_checked),     cmocka_unit_test(errors_say_where),
        cmocka_unit_test(messages_are_tame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
