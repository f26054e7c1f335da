/* What is said of places: hills and what chance makes of them, a climb to a peak, rules of exclusive genes, ways along the data, and classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/peaks.h"
#include "map/place.h"
#include "map/route.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1500 };

static iso_env *new_env(int threads)
{
    iso_env *env = iso_env_new(threads);
    assert_non_null(env);
    return env;
}

/* Cells in `hills` normal clouds of sd 1 in a row, `apart` from each other; cell i is in cloud i % hills. */
static void draw_hills(int hills, double apart, float *z)
{
    for (int i = 0; i < N; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 5}, (uint64_t)i);
        z[2 * i] = (float)(iso_rng_normal(&r) + apart * (i % hills));
        z[2 * i + 1] = (float)iso_rng_normal(&r);
    }
}

static int64_t count_hills(int threads, int hills, int32_t *hill)
{
    static float z[2 * N];
    static iso_peak peaks[N];
    double log_q[N], chance;
    int64_t n;
    iso_env *env = new_env(threads);
    iso_knn knn;
    draw_hills(hills, 6, z);
    assert_int_equal(iso_knn_build(env, z, N, 2, 15, 0, &knn, NULL), ISO_OK);
    iso_peaks_density(&knn, 2, log_q);
    assert_int_equal(iso_peaks_null(env, z, N, 2, 15, 1, &chance, NULL), ISO_OK);
    assert_int_equal(iso_peaks_find(&knn, log_q, chance, peaks, &n, hill, NULL), ISO_OK);
    for (int64_t p = 1; p < n; p++) assert_true(peaks[p].log_density <= peaks[p - 1].log_density && peaks[p].persistence >= chance);
    iso_knn_clear(&knn);
    iso_env_free(env);
    return n;
}

static void hills_are_found_and_chance_is_not(void **state)
{
    static int32_t hill[N], again[N];
    (void)state;
    for (int hills = 1; hills <= 4; hills++) {
        assert_int_equal(count_hills(1, hills, hill), hills);
        assert_int_equal(count_hills(3, hills, again), hills);
        assert_memory_equal(hill, again, sizeof hill);
        int together[4][4] = {{0}}, right = 0;
        for (int i = 0; i < N; i++) together[i % hills][hill[i]]++;
        for (int h = 0; h < hills; h++) {
            int most = 0;
            for (int k = 0; k < hills; k++) most = together[h][k] > most ? together[h][k] : most;
            right += most;
        }
        assert_true(right >= 0.98 * N);
    }
}

static void a_climb_ends_on_the_peak(void **state)
{
    static float z[2 * N];
    iso_density q;
    float at[2] = {1.5f, 1};
    double log_q[2];
    (void)state;
    draw_hills(1, 0, z);
    iso_env *env = new_env(2);
    assert_int_equal(iso_density_new(z, NULL, N, 2, 0.7, &q, NULL), ISO_OK);
    assert_int_equal(iso_density_climb(&q, at, NULL), ISO_OK);
    assert_true(fabsf(at[0]) < 0.25f && fabsf(at[1]) < 0.25f);
    for (int k = 0; k < 4; k++) {                                /* nowhere near is higher */
        const float near[4] = {at[0], at[1], at[0] + (k == 0) * 0.05f - (k == 1) * 0.05f, at[1] + (k == 2) * 0.05f - (k == 3) * 0.05f};
        assert_int_equal(iso_density_log(env, &q, near, 2, NULL, log_q, NULL), ISO_OK);
        assert_true(log_q[1] < log_q[0]);
    }
    iso_density_clear(&q);
    iso_env_free(env);
}

/* Genes 0 and 1 exclude each other but for three cells; 2 is independent of both; of 3 too few cells have any. */
static void draw_counts(iso_csr *x)
{
    static int64_t indptr[N + 1];
    static int32_t indices[4 * N];
    static float values[4 * N];
    int64_t at = 0;
    for (int i = 0; i < N; i++) {
        indptr[i] = at;
        const bool has[] = {i % 2 == 0 || i < 6, i % 2 == 1, i % 3 == 0, i == 4};
        for (int g = 0; g < 4; g++)
            if (has[g]) indices[at] = g, values[at++] = 2;
    }
    indptr[N] = at;
    *x = (iso_csr){N, 4, at, indptr, indices, values};
}

static void rules_are_learned(void **state)
{
    static const int32_t genes[] = {3, 0, 1, 2};
    iso_csr x;
    iso_rules rules;
    iso_env *env = new_env(1);
    (void)state;
    draw_counts(&x);
    assert_int_equal(iso_rules_learn(env, &x, genes, 4, 10, &rules, NULL), ISO_OK);
    assert_int_equal(rules.n, 1);
    const iso_rule *r = &rules.rule[0];
    assert_true(r->gene[0] == 1 && r->gene[1] == 0 && r->learned);
    assert_true(r->with[0] == 750 && r->with[1] == 753 && r->together == 3);
    assert_true(fabs(r->expected - 750 * 753 / 1500.0) < 1e-9 && r->p < 1e-100 && r->p > 0);
    const float top[] = {0.5f, 0.4f, 1, 1}, usual[] = {0.5f, 0.1f, 0, 0};
    assert_int_equal(iso_rules_calibrate(&rules, usual, 1, top, 4, NULL), ISO_OK);
    assert_true(fabs(r->level[0] - 0.25 * 0.4) < 1e-6 && fabs(r->level[1] - 0.25 * 0.5) < 1e-6);      /* a quarter of gene 1's largest value */
    const float both[] = {0.2f, 0.2f, 0, 0}, one[] = {0.5f, 0.05f, 0, 0};
    assert_int_equal(iso_rules_broken(&rules, both, true), 0);
    assert_int_equal(iso_rules_broken(&rules, one, true), -1);
    assert_int_equal(iso_rules_broken(&rules, both, false), -1);
    iso_rules_clear(&rules);
    iso_env_free(env);
}

/* Cells along three quarters of a circle: the way between its ends goes round, the straight line through the void. */
static void ways_go_where_cells_are(void **state)
{
    static float z[2 * N], way[2 * 200];
    static bool train[N];
    double p[200], round = 0, straight = 0;
    iso_env *env = new_env(2);
    iso_support s;
    iso_route_graph g;
    (void)state;
    for (int i = 0; i < N; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 9}, (uint64_t)i);
        double angle = 4.7 * iso_rng_uniform(&r);
        z[2 * i] = (float)(3 * cos(angle) + 0.15 * iso_rng_normal(&r)), z[2 * i + 1] = (float)(3 * sin(angle) + 0.15 * iso_rng_normal(&r));
        train[i] = i % 5 > 0;
    }
    const float a[] = {3, 0}, b[] = {(float)(3 * cos(4.7)), (float)(3 * sin(4.7))};
    assert_int_equal(iso_support_new(env, &(iso_support_cells){.mu = z, .n = N, .d = 2, .is_train = train}, &s, NULL), ISO_OK);
    assert_int_equal(iso_route_graph_new(env, &s, z, N, 2, z, 2, false, &g, NULL), ISO_OK);
    assert_int_equal(iso_route_along(env, &g, &s, a, b, 200, way, NULL), ISO_OK);
    assert_true(way[0] == a[0] && way[1] == a[1] && way[398] == b[0] && way[399] == b[1]);
    assert_int_equal(iso_route_p(env, &s, way, 200, p, NULL), ISO_OK);
    for (int i = 0; i < 200; i++) round += (p[i] <= ISO_VOID_P) / 200.0;
    for (int i = 1; i < 200; i++) assert_true(hypot((double)way[2 * i] - (double)way[2 * i - 2], (double)way[2 * i + 1] - (double)way[2 * i - 1]) < 0.3);
    iso_route_straight(a, b, 2, 200, way);
    assert_int_equal(iso_route_p(env, &s, way, 200, p, NULL), ISO_OK);
    for (int i = 0; i < 200; i++) straight += (p[i] <= ISO_VOID_P) / 200.0;
    print_message("in voids: %.3f along the data, %.3f straight\n", round, straight);
    assert_true(round <= 0.02 && straight > 0.6);
    iso_route_graph_clear(&g);
    iso_support_clear(&s);
    iso_env_free(env);
}

/* Two groups with genes of their own on a line in z: between them lie mixtures; beyond, a state that neither has. */
static void draw_judge(iso_env *env, iso_judge *j)
{
    static float z[N], states[3 * N];
    static bool train[N];
    static float profile[] = {9000, 500, 500, 9000, 500, 500}, against[6];                     /* [genes, groups] */
    for (int i = 0; i < 6; i++) against[i] = profile[i] / 5000;
    for (int i = 0; i < N; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 2}, (uint64_t)i);
        z[i] = (float)((i % 2 ? 5 : -5) + iso_rng_normal(&r));
        float part = 0.02f * (float)iso_rng_uniform(&r), own[] = {0.9f - part, 0.098f + part, 0.002f};
        for (int g = 0; g < 3; g++) states[3 * i + g] = own[i % 2 && g < 2 ? 1 - g : g];
        train[i] = i % 5 > 0;
    }
    *j = (iso_judge){0};
    assert_int_equal(iso_support_new(env, &(iso_support_cells){.mu = z, .n = N, .d = 1, .is_train = train}, &j->support, NULL), ISO_OK);
    assert_int_equal(iso_mixture_set(profile, against, 2, 3, &j->mixture, NULL), ISO_OK);
    j->rules.rule = iso_calloc(2, sizeof *j->rules.rule);
    assert_non_null(j->rules.rule);
    j->rules.n = 2;
    j->rules.rule[0] = (iso_rule){.gene = {0, 2}, .learned = true};
    j->rules.rule[1] = (iso_rule){.gene = {1, 2}};
    assert_int_equal(iso_judge_calibrate(env, j, states, N, NULL), ISO_OK);
}

static void places_have_their_class(void **state)
{
    iso_env *env = new_env(1);
    iso_judge j;
    iso_place p[6];
    const float z[] = {-5, 0, 12, 12, 12, 0};
    const float states[] = {0.9f, 0.05f, 0.05f, 0.499f, 0.499f, 0.002f, 0.3f, 0.1f, 0.6f, 0.1f, 0.3f, 0.6f, 0.02f, 0.02f, 0.96f, 0.475f, 0.475f, 0.05f};
    (void)state;
    draw_judge(env, &j);
    assert_int_equal(iso_judge_places(env, &j, z, states, 6, p, NULL), ISO_OK);
    assert_int_equal(p[0].is, ISO_PLACE_OBSERVED);
    assert_int_equal(p[1].is, ISO_PLACE_CHIMERA);
    assert_true(fabs(p[1].mixed.share[0] - 0.5) < 0.01 && fabs(p[1].mixed.share[1] - 0.5) < 0.01);
    assert_true(p[2].is == ISO_PLACE_RULE && p[2].rule == 0);                                   /* learned */
    assert_true(p[3].is == ISO_PLACE_RULE && p[3].rule == 1);                                   /* the user's */
    assert_int_equal(p[4].is, ISO_PLACE_UNSEEN);
    assert_true(p[1].p_value <= ISO_VOID_P && p[0].p_value > ISO_VOID_P);
    assert_int_equal(iso_judge_places(env, &j, z, NULL, 6, p, NULL), ISO_OK);                    /* without decoded states */
    assert_int_equal(p[1].is, ISO_PLACE_UNSEEN);
    iso_judge_clear(&j);
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hills_are_found_and_chance_is_not), cmocka_unit_test(a_climb_ends_on_the_peak), cmocka_unit_test(rules_are_learned),
        cmocka_unit_test(ways_go_where_cells_are),           cmocka_unit_test(places_have_their_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
