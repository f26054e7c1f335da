/* The fitted mixture of map/: closed forms, a known mixture found again, threads, degenerate cells, and the voids it gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/gmm.h"
#include "map/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TWO_PI = 6.283185307179586;

static iso_env *new_env(int threads)
{
    iso_env *env = iso_env_new(threads);
    assert_non_null(env);
    return env;
}

/* ------------------------------------------------------------------------------------- one law */

/* One component is the normal law with the mean of mu, and the covariance of mu and the mean variance; a thousandth of it is added. */
static void one_component_is_the_law_of_the_clouds(void **state)
{
    enum { N = 3000 };
    static float mu[2 * N], variance[2 * N];
    double mean[2] = {0}, C[3] = {0}, log_q;
    float z[2] = {1.3f, 5.2f}, top[2] = {3, 4};
    iso_density q;
    iso_env *env = new_env(2);
    (void)state;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 4}, 0);
    for (int i = 0; i < N; i++) {
        double a = iso_rng_normal(&r);
        mu[2 * i] = (float)(2 + a), mu[2 * i + 1] = (float)(5 + 0.1 * (0.8 * a + 0.6 * iso_rng_normal(&r)));
        variance[2 * i] = (float)(0.5 * iso_rng_uniform(&r)), variance[2 * i + 1] = (float)(0.004 * iso_rng_uniform(&r));
        for (int k = 0; k < 2; k++) mean[k] += (double)mu[2 * i + k] / N, C[2 * k] += (double)variance[2 * i + k] / N;
    }
    for (int i = 0; i < N; i++) {
        double u = (double)mu[2 * i] - mean[0], v = (double)mu[2 * i + 1] - mean[1];
        C[0] += u * u / N, C[1] += u * v / N, C[2] += v * v / N;
    }
    C[0] *= 1.001, C[2] *= 1.001;
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, variance, N, 2}, 1, 0, &q, NULL), ISO_OK);
    assert_int_equal(iso_density_log(env, &q, z, 1, NULL, &log_q, NULL), ISO_OK);
    double det = C[0] * C[2] - C[1] * C[1], u = (double)z[0] - mean[0], v = (double)z[1] - mean[1];
    double truth = -0.5 * ((C[2] * u * u - 2 * C[1] * u * v + C[0] * v * v) / det + log(det)) - log(TWO_PI);
    if (fabs(log_q - truth) > 1e-3 * fabs(truth)) fail_msg("%.6f is not %.6f", log_q, truth);
    assert_int_equal(iso_density_climb(&q, top, NULL), ISO_OK);
    assert_true(fabs((double)top[0] - mean[0]) < 1e-2 && fabs((double)top[1] - mean[1]) < 1e-2);
    iso_density_clear(&q);
    iso_env_free(env);
}

/* ------------------------------------------------------------------------------ a known mixture */

enum { D = 3, LAWS = 3 };
static const double centers[LAWS][D] = {{0, 0, 0}, {4, 1, -2}, {-3, 5, 1}}, weights[LAWS] = {0.5, 0.3, 0.2};
/* Lower Cholesky factors of the covariances. */
static const double roots[LAWS][D][D] = {{{1, 0, 0}, {0.9, 0.3, 0}, {0, 0.2, 0.5}}, {{0.4, 0, 0}, {-0.5, 1, 0}, {0.3, 0.1, 0.2}}, {{1.5, 0, 0}, {0, 0.2, 0}, {1, 0, 0.4}}};

static void draw_known(uint64_t item, int n, float *z)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 6}, item);
    for (int i = 0; i < n; i++) {
        double u = iso_rng_uniform(&r), e[D];
        int k = u < weights[0] ? 0 : u < weights[0] + weights[1] ? 1 : 2;
        for (int a = 0; a < D; a++) e[a] = iso_rng_normal(&r);
        for (int a = 0; a < D; a++) {
            double x = centers[k][a];
            for (int b = 0; b <= a; b++) x += roots[k][a][b] * e[b];
            z[i * D + a] = (float)x;
        }
    }
}

static double log_known(const float *z)
{
    double q = 0;
    for (int k = 0; k < LAWS; k++) {
        double y[D], log_p = -0.5 * D * log(TWO_PI);
        for (int a = 0; a < D; a++) {
            y[a] = (double)z[a] - centers[k][a];
            for (int b = 0; b < a; b++) y[a] -= roots[k][a][b] * y[b];
            y[a] /= roots[k][a][a];
            log_p -= 0.5 * y[a] * y[a] + log(roots[k][a][a]);
        }
        q += weights[k] * exp(log_p);
    }
    return log(q);
}

static void a_known_mixture_is_found(void **state)
{
    enum { N = 20000, HELD = 5000 };                          /* more than one part of cells */
    static float mu[N * D], held[HELD * D];
    static double log_q[HELD], again[HELD];
    double mean = 0, truth = 0;
    (void)state;
    draw_known(0, N, mu);
    draw_known(1, HELD, held);
    for (int threads = 1; threads <= 3; threads++) {
        iso_env *env = new_env(threads);
        iso_density q;
        assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, NULL, N, D}, LAWS, 1, &q, NULL), ISO_OK);
        assert_int_equal(iso_density_log(env, &q, held, HELD, NULL, threads == 1 ? log_q : again, NULL), ISO_OK);
        if (threads > 1) assert_memory_equal(log_q, again, sizeof log_q);
        iso_density_clear(&q);
        iso_env_free(env);
    }
    for (int i = 0; i < HELD; i++) mean += log_q[i] / HELD, truth += log_known(held + D * i) / HELD;
    print_message("held-out log density %.4f, of the truth %.4f\n", mean, truth);
    assert_true(fabs(mean - truth) < 0.02);
}

/* -------------------------------------------------------------------------------- odd cells */

static void check_finite(const float *mu, const float *variance, int n, int d, int K)
{
    iso_env *env = new_env(1);
    iso_density q;
    double *log_q = calloc((size_t)n, sizeof *log_q);
    float z[8] = {0};
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, variance, n, d}, K, 3, &q, NULL), ISO_OK);
    assert_int_equal(q.n, K);
    assert_int_equal(iso_density_log(env, &q, mu, n, NULL, log_q, NULL), ISO_OK);
    for (int i = 0; i < n; i++) assert_true(isfinite(log_q[i]));
    assert_int_equal(iso_density_step(&q, z, NULL), ISO_OK);
    for (int k = 0; k < d; k++) assert_true(isfinite(z[k]));
    for (int k = 0; k < d; k++) z[k] = 1e4f;
    assert_int_equal(iso_density_log(env, &q, z, 1, NULL, log_q, NULL), ISO_OK);
    assert_true(log_q[0] < -100);
    iso_density_clear(&q);
    free(log_q);
    iso_env_free(env);
}

static void degenerate_cells_are_no_harm(void **state)
{
    enum { N = 200 };
    static float same[2 * N], flat[2 * N], few[2 * N], variance[2 * N];
    (void)state;
    for (int i = 0; i < N; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 8}, (uint64_t)i);
        same[2 * i] = 1, same[2 * i + 1] = -2;                 /* all cells at one place */
        flat[2 * i] = (float)iso_rng_normal(&r), flat[2 * i + 1] = 7;      /* a dimension without any spread */
        few[2 * i] = (float)(i % 3), few[2 * i + 1] = (float)(i % 3 == 1);     /* three places, each many times */
        variance[2 * i] = 0.1f, variance[2 * i + 1] = 0;
    }
    for (int K = 1; K <= 16; K *= 4) {
        check_finite(same, NULL, N, 2, K);
        check_finite(flat, NULL, N, 2, K);
        check_finite(flat, variance, N, 2, K);
        check_finite(few, NULL, N, 2, K);
        check_finite(flat, NULL, K, 2, K);                   /* as many laws as cells */
    }
}

static void wrong_requests_are_refused(void **state)
{
    float mu[4] = {0, 1, 2, 3}, bad[2] = {1, -1};
    iso_density q;
    iso_env *env = new_env(1);
    (void)state;
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, NULL, 2, 2}, 3, 0, &q, NULL), ISO_EUSAGE);
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, NULL, 2, 2}, 0, 0, &q, NULL), ISO_EUSAGE);
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, NULL, 1, ISO_GMM_DIMENSIONS + 1}, 1, 0, &q, NULL), ISO_EUSAGE);
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, bad, 2, 1}, 1, 0, &q, NULL), ISO_EDATA);
    mu[1] = NAN;
    assert_int_equal(iso_gmm_fit(env, &(iso_gmm_cells){mu, NULL, 2, 2}, 1, 0, &q, NULL), ISO_EDATA);
    mu[1] = 1;
    for (int k = 1; k < 30; k++) {
        iso_alloc_fail_at(k);
        iso_status st = iso_gmm_fit(env, &(iso_gmm_cells){mu, NULL, 2, 2}, 2, 0, &q, NULL);
        iso_alloc_fail_at(0);
        assert_true(st == ISO_EMEMORY || (st == ISO_OK && k > 10));
        iso_density_clear(&q);
    }
    iso_env_free(env);
}

/* ----------------------------------------------------------------------------- in place of cells */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Log densities of the run's cells by the density of 20,000 of them; x [n] from which a place is called a void at `level`. */
static double level_of(const double *x, int n, double level)
{
    double *sorted = malloc((size_t)n * sizeof *sorted), at;
    memcpy(sorted, x, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    at = sorted[(int)(level * n)];
    free(sorted);
    return at;
}

/* Beyond ISO_EXACT_CELLS training cells the support is a fitted mixture; voids are those of the density of every cell. */
static void check_support(int n_held)
{
    enum { N = 26000, TEST = 3000 };
    static float z[N * D], test[TEST * D];
    static bool train[N];
    static double exact[TEST], fitted[TEST];
    iso_env *env = new_env(2);
    iso_density q;
    iso_support s;
    draw_known(2, N, z);
    draw_known(3, TEST, test);
    for (int i = 0; i < N; i++) train[i] = i >= n_held;
    assert_int_equal(iso_support_new(env, &(iso_support_cells){.mu = z, .n = N, .d = D, .is_train = train}, &s, NULL), ISO_OK);
    assert_true(s.fitted && s.density.n <= 256 && s.held_out == (n_held > 0) && s.component[N - 1] == -1);
    for (int64_t i = 1; i < s.n_references; i++) assert_true(s.reference[i] > s.reference[i - 1] && train[s.reference[i]] == (n_held == 0));
    assert_int_equal(iso_density_new(z + (N - ISO_EXACT_CELLS) * D, NULL, ISO_EXACT_CELLS, D, 0.15, &q, NULL), ISO_OK);
    assert_int_equal(iso_density_log(env, &q, test, TEST, NULL, exact, NULL), ISO_OK);
    assert_int_equal(iso_density_log(env, &s.density, test, TEST, NULL, fitted, NULL), ISO_OK);
    double levels[] = {0.01, 0.05}, alarms = 0;
    for (int l = 0; l < 2; l++) {
        double low = level_of(exact, TEST, levels[l]), both = 0;
        alarms = 0;
        for (int i = 0; i < TEST; i++) {
            bool is_void = iso_support_p(&s, -1, fitted[i]) <= levels[l];
            both += is_void == (exact[i] <= low), alarms += is_void;
        }
        print_message("%d held out, level %.2f: %.3f agree, %.3f voids\n", n_held, levels[l], both / TEST, alarms / TEST);
        assert_true(both / TEST > 1 - 0.7 * levels[l] && fabs(alarms / TEST - levels[l]) < 0.015);
    }
    iso_density_clear(&q);
    iso_support_clear(&s);
    iso_env_free(env);
}

static void many_cells_are_judged_by_a_mixture(void **state)
{
    (void)state;
    check_support(4000);
    check_support(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_component_is_the_law_of_the_clouds), cmocka_unit_test(a_known_mixture_is_found),
        cmocka_unit_test(degenerate_cells_are_no_harm),           cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(many_cells_are_judged_by_a_mixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
