/* Density of map/: closed forms, leaving a cell out, threads, and voids of known area. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/density.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static iso_env *new_env(int threads)
{
    iso_env *env = iso_env_new(threads);
    assert_non_null(env);
    return env;
}

/* log of the mean of n normal laws, in double, one left out. */
static double by_hand(const float *mu, const float *variance, int64_t n, int64_t d, double h, const float *z, int64_t out)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double log_p = 0;
        for (int64_t k = 0; k < d; k++) {
            double v = (double)variance[i * d + k] + h * h, u = (double)z[k] - (double)mu[i * d + k];
            log_p -= 0.5 * (log(6.283185307179586 * v) + u * u / v);
        }
        if (i != out) sum += exp(log_p);
    }
    return log(sum / (double)(out < 0 ? n : n - 1));
}

static void density_is_that_of_the_mixture(void **state)
{
    enum { N = 2500, D = 3, M = 40 };            /* more than one chunk of components */
    static float mu[N * D], variance[N * D], z[M * D];
    static int64_t own[M];
    double log_q[M], again[M];
    (void)state;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 3}, 0);
    for (int i = 0; i < N * D; i++) mu[i] = (float)iso_rng_normal(&r), variance[i] = (float)(0.01 + 0.3 * iso_rng_uniform(&r));
    for (int i = 0; i < M; i++) {
        own[i] = i % 2 ? (i * 61) % N : -1;
        for (int k = 0; k < D; k++) z[i * D + k] = own[i] >= 0 ? mu[own[i] * D + k] : (float)(2 * iso_rng_normal(&r));
    }
    for (int threads = 1; threads <= 3; threads++) {
        iso_env *env = new_env(threads);
        iso_density q;
        assert_int_equal(iso_density_new(mu, variance, N, D, 0.1, &q, NULL), ISO_OK);
        assert_int_equal(iso_density_log(env, &q, z, M, own, threads == 1 ? log_q : again, NULL), ISO_OK);
        if (threads > 1) assert_memory_equal(log_q, again, sizeof log_q);
        iso_density_clear(&q);
        iso_env_free(env);
    }
    for (int i = 0; i < M; i++) assert_true(fabs(log_q[i] - by_hand(mu, variance, N, D, 0.1, z + i * D, own[i])) < 2e-5);
}

static void far_away_is_low_and_finite(void **state)
{
    float mu[2] = {0, 0}, z[4] = {0, 0, 1e6f, -1e6f};
    double log_q[2];
    iso_density q;
    iso_env *env = new_env(1);
    (void)state;
    assert_int_equal(iso_density_new(mu, NULL, 1, 2, 0.5, &q, NULL), ISO_OK);
    assert_int_equal(iso_density_log(env, &q, z, 2, NULL, log_q, NULL), ISO_OK);
    assert_true(fabs(log_q[0] - -log(6.283185307179586 * 0.25)) < 1e-6 && log_q[1] < -1e11 && isfinite(log_q[1]));
    iso_density_clear(&q);
    assert_int_equal(iso_density_new(mu, NULL, 0, 2, 0.5, &q, NULL), ISO_EUSAGE);
    assert_int_equal(iso_density_new(mu, NULL, 1, 2, 0, &q, NULL), ISO_EUSAGE);
    mu[1] = NAN;
    assert_int_equal(iso_density_new(mu, NULL, 1, 2, 0.5, &q, NULL), ISO_EDATA);
    iso_env_free(env);
}

/* ---------------------------------------------------------------------------- voids of known area */

static bool in_ring(double x, double y)
{
    double r = sqrt(x * x + y * y);
    return r > 0.6 && r < 1.2;
}

static double to_arc(double x, double y, double cx, double cy, double side)
{
    double u = x - cx, v = (y - cy) * side;
    return v > 0 ? fabs(sqrt(u * u + v * v) - 1) : fmin(hypot(u - 1, v), hypot(u + 1, v));
}

static bool in_moons(double x, double y)
{
    return to_arc(x, y, -0.5, -0.25, 1) < 0.2 || to_arc(x, y, 0.5, 0.25, -1) < 0.2;
}

static bool in_islands(double x, double y) { return hypot(x + 1, y) < 0.5 || hypot(x - 0.9, y - 0.5) < 0.7 || hypot(x - 0.4, y + 1.2) < 0.3; }

static void draw(iso_rng *r, bool (*in)(double, double), int64_t n, float *z)
{
    for (int64_t i = 0; i < n;) {
        double x = 4 * iso_rng_uniform(r) - 2, y = 4 * iso_rng_uniform(r) - 2;
        if (!in(x, y)) continue;
        z[2 * i] = (float)x, z[2 * i + 1] = (float)y;
        i++;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Share of agreement between what lies below the 2 % level of held-out cells and what is outside, in a box; and the same
 * for what is inside. */
static void overlap(bool (*in)(double, double), double *of_void, double *of_land)
{
    enum { N = 6000, HELD = 2000, SIDE = 128 };
    static float mu[2 * N], held[2 * HELD], grid[2 * SIDE * SIDE];
    static double held_q[HELD], q_at[SIDE * SIDE];
    iso_env *env = new_env(2);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 9}, 0);
    iso_density q;
    double h;
    int both = 0, either = 0, land_both = 0, land_either = 0;
    draw(&r, in, N, mu);
    draw(&r, in, HELD, held);
    assert_int_equal(iso_density_bandwidth(env, mu, NULL, N, 2, held, HELD, &h, NULL), ISO_OK);
    assert_int_equal(iso_density_new(mu, NULL, N, 2, h, &q, NULL), ISO_OK);
    assert_int_equal(iso_density_log(env, &q, held, HELD, NULL, held_q, NULL), ISO_OK);
    qsort(held_q, HELD, sizeof *held_q, ascending);
    for (int i = 0; i < SIDE * SIDE; i++)
        grid[2 * i] = (float)(4.0 * (i % SIDE + 0.5) / SIDE - 2), grid[2 * i + 1] = (float)(4.0 * (i / SIDE + 0.5) / SIDE - 2);
    assert_int_equal(iso_density_log(env, &q, grid, SIDE * SIDE, NULL, q_at, NULL), ISO_OK);
    for (int i = 0; i < SIDE * SIDE; i++) {
        bool is_void = q_at[i] < held_q[HELD / 50], outside = !in((double)grid[2 * i], (double)grid[2 * i + 1]);
        both += is_void && outside, either += is_void || outside;
        land_both += !is_void && !outside, land_either += !is_void || !outside;
    }
    *of_void = (double)both / either, *of_land = (double)land_both / land_either;
    iso_density_clear(&q);
    iso_env_free(env);
}

static void voids_have_their_area(void **state)
{
    static const struct { const char *what; bool (*in)(double, double); } truths[] = {
        {"a disc with a hole", in_ring}, {"two moons", in_moons}, {"three islands", in_islands}};
    (void)state;
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        double of_void, of_land;
        overlap(truths[i].in, &of_void, &of_land);
        print_message("%s: void %.3f, land %.3f\n", truths[i].what, of_void, of_land);
        assert_true(of_void >= 0.9 && of_land >= 0.9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(density_is_that_of_the_mixture),
        cmocka_unit_test(far_away_is_low_and_finite),
        cmocka_unit_test(voids_have_their_area),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
