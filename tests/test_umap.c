/* Layout and two-sample test of map/: threads, edges, cases of known answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static iso_env *new_env(int threads)
{
    iso_env *env = iso_env_new(threads);
    assert_non_null(env);
    return env;
}

static void random_normal(uint64_t seed, int64_t n, float *x)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = seed, .stream = ISO_STREAM_TEST}, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)iso_rng_normal(&r);
}

/* Layout of x [n, d] over its k nearest neighbours. */
static void layout(iso_env *env, const float *x, int64_t n, int64_t d, int k, float *xy)
{
    iso_knn knn;
    iso_csr connectivities, distances;
    assert_int_equal(iso_knn_build(env, x, n, d, k, 0, &knn, NULL), ISO_OK);
    assert_int_equal(iso_neighbor_graph(env, &knn, &connectivities, &distances, NULL), ISO_OK);
    assert_int_equal(iso_umap(env, &connectivities, x, d, 0.5, 4, xy, NULL), ISO_OK);
    iso_knn_clear(&knn);
    iso_csr_clear(&connectivities);
    iso_csr_clear(&distances);
}

enum { N = 300, D = 5, NEIGHBORS = 10 };

/* Two clouds far apart in x, so two components of the graph. */
static void two_blobs(float *x)
{
    random_normal(1, N * D, x);
    for (int i = 0; i < N; i++) x[i * D + 2] += i % 2 ? 40 : 0;
}

static double distance(const float *a, const float *b) { return hypot((double)(a[0] - b[0]), (double)(a[1] - b[1])); }

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    static float x[N * D], xy[3][N * 2];
    two_blobs(x);
    for (int t = 0; t < 3; t++) {
        iso_env *env = new_env(t + 1);
        layout(env, x, N, D, NEIGHBORS, xy[t]);
        assert_memory_equal(xy[0], xy[t], sizeof xy[0]);
        iso_env_free(env);
    }
}

/* Every cell is nearer to the middle of its own blob, and neither blob has collapsed. */
static void blobs_stay_apart(void **state)
{
    (void)state;
    static float x[N * D], xy[N * 2];
    float middle[2][2] = {{0}};
    double spread = 0;
    iso_env *env = new_env(2);
    two_blobs(x);
    layout(env, x, N, D, NEIGHBORS, xy);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < 2; c++) middle[i % 2][c] += xy[2 * i + c] / (N / 2);
    for (int i = 0; i < N; i++) {
        spread += distance(xy + 2 * i, middle[i % 2]) / N;
        assert_true(distance(xy + 2 * i, middle[i % 2]) < distance(xy + 2 * i, middle[1 - i % 2]));
    }
    assert_true(distance(middle[0], middle[1]) > 3 * spread && spread > 1);
    iso_env_free(env);
}

/* Points on a line keep their order, but for the ends' curling: neighbours in the layout are neighbours on the line. */
static void a_line_stays_a_line(void **state)
{
    (void)state;
    static float x[N], xy[N * 2];
    iso_env *env = new_env(1);
    int close = 0;
    for (int i = 0; i < N; i++) x[i] = (float)i;
    layout(env, x, N, 1, NEIGHBORS, xy);
    for (int i = 0; i < N; i++) {
        int nearest = -1;
        double least = HUGE_VAL;
        for (int j = 0; j < N; j++) {
            double far = distance(xy + 2 * i, xy + 2 * j);
            if (j != i && far < least) nearest = j, least = far;
        }
        close += abs(nearest - i) <= NEIGHBORS;
    }
    assert_true(close > N * 95 / 100);
    iso_env_free(env);
}

/* A graph of n cells by hand: edges 0-1 of weight 1 where n > 1, the others without any. */
static void few_or_isolated_cells(void **state)
{
    (void)state;
    enum { MOST = 70 };
    const float x[MOST * 2] = {0, 1, 2, 3};      /* copies of one place, beside two cells */
    int32_t indices[] = {1, 0};
    float values[] = {1, 1}, xy[MOST * 2];
    int64_t indptr[MOST + 1] = {0, 1, 2};
    iso_env *env = new_env(2);
    for (int64_t n = 0; n <= MOST; n = n < 3 ? n + 1 : n + 67)
        for (int edges = 0; edges <= 1; edges++)
            for (int64_t d = 0; d <= 2; d++) {
                bool linked = edges && n > 1;
                for (int64_t i = 1; i <= n; i++) indptr[i] = !linked ? 0 : i < 2 ? i : 2;
                iso_csr graph = {.n_rows = n, .n_cols = n, .nnz = linked ? 2 : 0, .indptr = indptr, .indices = indices,
                                 .values = values};
                memset(xy, 0x7f, sizeof xy);
                assert_int_equal(iso_umap(env, &graph, x, d, 0.5, 1, xy, NULL), ISO_OK);
                for (int64_t i = 0; i < 2 * n; i++) assert_true(isfinite(xy[i]) && fabsf(xy[i]) < 1000);
                for (int64_t i = 1; i < n; i++) assert_true(distance(xy, xy + 2 * i) > 0);
                if (linked && n == 2 && d > 0) assert_true(distance(xy, xy + 2) < 5);
            }
    iso_env_free(env);
}

static void failures_of_the_layout(void **state)
{
    (void)state;
    float x[] = {0, 1, 2, 3}, xy[4], values[] = {1, 1};
    int64_t indptr[] = {0, 1, 2};
    int32_t indices[] = {1, 0};
    iso_csr graph = {.n_rows = 2, .n_cols = 2, .nnz = 2, .indptr = indptr, .indices = indices, .values = values};
    iso_env *env = new_env(1);
    iso_error err;
    iso_status st = ISO_EMEMORY;
    int64_t failed = 0;
    for (; st == ISO_EMEMORY; failed++) {
        iso_alloc_fail_at(failed + 1);
        st = iso_umap(env, &graph, x, 2, 0.5, 0, xy, NULL);
        iso_alloc_fail_at(0);
    }
    assert_true(st == ISO_OK && failed > 5);
    x[3] = INFINITY;
    assert_int_equal(iso_umap(env, &graph, x, 2, 0.5, 0, xy, &err), ISO_EDATA);
    assert_non_null(strstr(err.msg, "cell 1"));
    x[3] = 3;
    iso_env_interrupt(env);
    assert_int_equal(iso_umap(env, &graph, x, 2, 0.5, 0, xy, &err), ISO_EINTERRUPT);
    iso_env_free(env);
}

/* ------------------------------------------------------------------------------------------ two-sample test */

enum { A = 400, B = 300, F = 6 };

static double auc_of_shift(int threads, float shift, uint64_t seed)
{
    static float a[A * F], b[B * F];
    double auc;
    iso_env *env = new_env(threads);
    random_normal(21, A * F, a);
    random_normal(22, B * F, b);
    for (int i = 0; i < A; i++) a[i * F] = 1e-4f * (a[i * F] + shift), a[i * F + 5] = 7;   /* a scale; a constant */
    for (int i = 0; i < B; i++) b[i * F] *= 1e-4f, b[i * F + 5] = 7;
    assert_int_equal(iso_two_sample_auc(env, a, A, b, B, F, seed, &auc, NULL), ISO_OK);
    iso_env_free(env);
    return auc;
}

/* Normal clouds a distance s apart: AUC = Phi(s / sqrt 2). */
static void auc_is_that_of_normal_clouds(void **state)
{
    (void)state;
    for (int s = -2; s <= 3; s++) {
        double wanted = 0.5 * erfc(-abs(s) / 2.0);
        assert_true(fabs(auc_of_shift(1, (float)s, 3) - wanted) < (s ? 0.03 : 0.12));   /* at 0 folds err downwards */
    }
    assert_true(auc_of_shift(1, 100, 3) == 1);
    assert_true(auc_of_shift(1, 1, 3) != auc_of_shift(1, 1, 4));
    for (int t = 2; t <= 3; t++) assert_true(auc_of_shift(1, 1, 3) == auc_of_shift(t, 1, 3));
}

/* More features than cells tell any two samples apart that were trained on. */
static void scores_are_out_of_fold(void **state)
{
    (void)state;
    enum { M = 40, MANY = 150 };
    static float x[2 * M * MANY];
    double auc;
    iso_env *env = new_env(2);
    random_normal(5, 2 * M * MANY, x);
    assert_int_equal(iso_two_sample_auc(env, x, M, x + M * MANY, M, MANY, 0, &auc, NULL), ISO_OK);
    assert_true(fabs(auc - 0.5) < 0.2);
    iso_env_free(env);
}

static void failures_of_the_two_sample_test(void **state)
{
    (void)state;
    float a[] = {0, 1, 2, 3, 4, 5}, b[] = {0, 1, 2, 3, 9, 5};
    double auc = 0;
    iso_env *env = new_env(1);
    iso_error err;
    assert_int_equal(iso_two_sample_auc(env, a, 4, b, 5, 1, 0, &auc, NULL), ISO_OK);
    assert_true(isnan(auc));                                /* fewer cells than folds */
    assert_int_equal(iso_two_sample_auc(env, a, 6, b, 0, 1, 0, &auc, NULL), ISO_OK);
    assert_true(isnan(auc));
    iso_status st = ISO_EMEMORY;
    int64_t failed = 0;
    for (; st == ISO_EMEMORY; failed++) {
        iso_alloc_fail_at(failed + 1);
        st = iso_two_sample_auc(env, a, 6, b, 6, 1, 0, &auc, NULL);
        iso_alloc_fail_at(0);
    }
    assert_true(st == ISO_OK && failed > 4 && auc >= 0 && auc <= 1);
    b[4] = NAN;
    assert_int_equal(iso_two_sample_auc(env, a, 6, b, 6, 1, 0, &auc, &err), ISO_EDATA);
    assert_non_null(strstr(err.msg, "generated cell 4"));
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(blobs_stay_apart),
        cmocka_unit_test(a_line_stays_a_line),
        cmocka_unit_test(few_or_isolated_cells),
        cmocka_unit_test(failures_of_the_layout),
        cmocka_unit_test(auc_is_that_of_normal_clouds),
        cmocka_unit_test(scores_are_out_of_fold),
        cmocka_unit_test(failures_of_the_two_sample_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
