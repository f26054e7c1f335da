/* Neighbours, graph, clusters and scores: closed cases, same bits for any number of threads, refusals, lack of
 * memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/hnsw.h"
#include "map/knn.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_THREADS = 3 };

/* n rows of d numbers around `groups` <= d centres, cell i in group i % groups. */
static float *make_cells(int64_t n, int64_t d, int groups)
{
    float *x = iso_calloc(n * d, sizeof *x);
    assert_non_null(x);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 7, .stream = ISO_STREAM_TEST}, 0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] = (float)iso_rng_normal(&r) + (i % groups % d == c ? 8.0f : 0);
    return x;
}

static iso_env *new_env(int threads)
{
    iso_env *env = iso_env_new(threads);
    assert_non_null(env);
    return env;
}

static bool near(double a, double b) { return fabs(a - b) < 1e-12; }

/* ----------------------------------------------------------------------------------------- neighbours */

static void neighbors_on_a_line(void **state)
{
    (void)state;
    const float x[] = {0, 1, 3, 7, 7.5f};
    const int32_t index[] = {1, 2, 0, 2, 1, 0, 4, 2, 3, 2};
    const float distance[] = {1, 3, 1, 2, 2, 3, .5f, 4, .5f, 4.5f};
    iso_env *env = new_env(1);
    iso_knn knn;
    assert_int_equal(iso_knn_build(env, x, 5, 1, 2, 0, &knn, NULL), ISO_OK);
    assert_memory_equal(knn.index, index, sizeof index);
    assert_memory_equal(knn.distance, distance, sizeof distance);
    iso_knn_clear(&knn);
    iso_env_free(env);
}

/* A 20 x 20 grid: many exact ties, at the edge of the k too. Against all distances, sorted by (distance, index). */
static void ties_go_by_index(void **state)
{
    (void)state;
    enum { SIDE = 20, N = SIDE * SIDE, K = 6 };
    float x[N][2];
    for (int i = 0; i < N; i++) x[i][0] = (float)(i % SIDE), x[i][1] = (float)(i / SIDE);
    iso_env *env = new_env(2);
    iso_knn knn;
    assert_int_equal(iso_knn_build(env, x[0], N, 2, K, 0, &knn, NULL), ISO_OK);
    for (int i = 0; i < N; i++) {
        bool taken[N] = {false};
        taken[i] = true;
        for (int j = 0; j < K; j++) {
            int best = -1;
            double best_d2 = (double)INFINITY;
            for (int o = 0; o < N; o++) {
                double d2 = pow((double)(x[o][0] - x[i][0]), 2) + pow((double)(x[o][1] - x[i][1]), 2);
                if (!taken[o] && d2 < best_d2) best = o, best_d2 = d2;
            }
            taken[best] = true;
            assert_int_equal(knn.index[i * K + j], best);
            assert_float_equal(knn.distance[i * K + j], sqrt(best_d2), 1e-6);
        }
    }
    iso_knn_clear(&knn);
    iso_env_free(env);
}

static void copies_are_at_distance_zero(void **state)
{
    (void)state;
    enum { N = 300, D = 7, K = 4 };
    float *x = make_cells(N, D, 3);
    for (int i = 0; i < N; i++) memcpy(x + i * D, x + i / 5 * 5 * D, D * sizeof *x);      /* five of each */
    iso_env *env = new_env(2);
    iso_knn knn;
    assert_int_equal(iso_knn_build(env, x, N, D, K, 0, &knn, NULL), ISO_OK);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < K; j++) {
            assert_int_equal(knn.index[i * K + j], i / 5 * 5 + j + (j >= i % 5));
            assert_true(knn.distance[i * K + j] == 0);
        }
    iso_csr connectivities, distances;
    assert_int_equal(iso_neighbor_graph(env, &knn, &connectivities, &distances, NULL), ISO_OK);
    assert_int_equal(distances.nnz, N * K);                                  /* zeros are kept */
    assert_int_equal(connectivities.nnz, N * K);
    for (int64_t e = 0; e < connectivities.nnz; e++) assert_true(connectivities.values[e] == 1);
    iso_csr_clear(&connectivities);
    iso_csr_clear(&distances);
    iso_knn_clear(&knn);
    iso_env_free(env);
    iso_free(x);
}

/* 0 to 3 cells, and k up to beyond their number: everything goes through, with n - 1 neighbours at most. */
static void few_cells_do(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 7};
    iso_env *env = new_env(2);
    for (int64_t n = 0; n <= 3; n++)
        for (int k = 0; k <= 5; k++) {
            iso_knn knn;
            iso_csr connectivities, distances;
            int32_t labels[3] = {-1, -1, -1}, n_clusters = -1;
            iso_cluster_score best;
            double accuracy;
            assert_int_equal(iso_knn_build(env, x, n, 2, k, 0, &knn, NULL), ISO_OK);
            assert_int_equal(knn.k, n == 0 ? 0 : k < n ? k : n - 1);
            assert_int_equal(iso_neighbor_graph(env, &knn, &connectivities, &distances, NULL), ISO_OK);
            assert_int_equal(distances.nnz, n * knn.k);
            assert_int_equal(iso_leiden(env, &connectivities, 1, 0, labels, &n_clusters, NULL), ISO_OK);
            assert_true(n_clusters <= n && (n == 0) == (n_clusters == 0));
            for (int64_t i = 0; i < n; i++) assert_true(labels[i] >= 0 && labels[i] < n_clusters);
            assert_int_equal(iso_best_clusters(env, &connectivities, labels, 0, &best, NULL), ISO_OK);
            assert_int_equal(iso_knn_accuracy(env, x, labels, n, 2, k + 1, 2, &accuracy, NULL), ISO_OK);
            assert_true(isnan(iso_silhouette(env, x, labels, n, 2)) || n == 3);
            iso_csr_clear(&connectivities);
            iso_csr_clear(&distances);
            iso_knn_clear(&knn);
        }
    iso_env_free(env);
}

static void bad_values_are_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f};
    float x[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, distance[10];
    int32_t index[10], labels[5] = {0, 0, 0, 0, 0};
    double accuracy;
    iso_env *env = new_env(1);
    iso_error err;
    iso_knn knn;
    for (int b = 0; b < 4; b++) {
        x[5] = bad[b];
        assert_int_equal(iso_knn_build(env, x, 5, 2, 2, 0, &knn, &err), ISO_EDATA);
        assert_non_null(strstr(err.msg, "value 1 of cell 2"));
        assert_null(knn.index);
        assert_int_equal(iso_knn_query(env, x, 5, x, 2, 2, 1, index, distance, NULL), ISO_EDATA);
        assert_int_equal(iso_knn_query(env, x, 2, x, 5, 2, 1, index, distance, NULL), ISO_EDATA);
        assert_int_equal(iso_knn_accuracy(env, x, labels, 5, 2, 1, 2, &accuracy, NULL), ISO_EDATA);
    }
    x[5] = 5;
    assert_int_equal(iso_knn_query(env, x, 5, x, 1, 2, 6, index, distance, NULL), ISO_EUSAGE);
    assert_int_equal(iso_knn_build(env, x, 5, 2, -1, 0, &knn, NULL), ISO_EUSAGE);
    assert_int_equal(iso_knn_build(env, x, 5, 0, 1, 0, &knn, NULL), ISO_EUSAGE);
    assert_int_equal(iso_knn_accuracy(env, x, labels, 5, 2, 1, 1, &accuracy, NULL), ISO_EUSAGE);
    iso_env_free(env);
}

static void bad_graphs_are_refused(void **state)
{
    (void)state;
    int64_t indptr[] = {0, 1, 2};
    int32_t indices[] = {1, 0}, labels[2], n_clusters, index[] = {1, 0};
    float values[] = {1, -1}, distance[] = {1, 1};
    iso_csr m = {.n_rows = 2, .n_cols = 2, .nnz = 2, .indptr = indptr, .indices = indices, .values = values}, c, d;
    iso_knn knn = {.n = 2, .k = 1, .index = index, .distance = distance};
    iso_env *env = new_env(1);
    assert_int_equal(iso_leiden(env, &m, 1, 0, labels, &n_clusters, NULL), ISO_EDATA);
    values[1] = NAN;
    assert_int_equal(iso_leiden(env, &m, 1, 0, labels, &n_clusters, NULL), ISO_EDATA);
    values[1] = 1;
    assert_int_equal(iso_leiden(env, &m, -1, 0, labels, &n_clusters, NULL), ISO_EUSAGE);
    assert_int_equal(iso_leiden(env, &m, (double)NAN, 0, labels, &n_clusters, NULL), ISO_EUSAGE);
    assert_int_equal(iso_leiden(env, &m, 1, 0, labels, &n_clusters, NULL), ISO_OK);
    index[1] = 2;
    assert_int_equal(iso_neighbor_graph(env, &knn, &c, &d, NULL), ISO_EDATA);
    index[1] = 1;                                        /* itself */
    assert_int_equal(iso_neighbor_graph(env, &knn, &c, &d, NULL), ISO_EDATA);
    index[1] = 0, distance[1] = NAN;
    assert_int_equal(iso_neighbor_graph(env, &knn, &c, &d, NULL), ISO_EDATA);
    assert_null(c.indptr);
    iso_env_free(env);
}

/* Three cells, 400 copies of each: more neighbours are asked for than there are copies. The search does not get from
 * one heap to the next, and the rows that it leaves short are done exactly. */
static void approximate_search_gives_k_of_copies_too(void **state)
{
    (void)state;
    enum { N = 1200, D = 3, K = 500 };
    if (!hnsw_available()) {
        print_message("skipped: built without hnswlib, so neighbours are exact and there is no approximate search\n");
        skip();
    }
    float *x = make_cells(N, D, 2);
    for (int i = 3; i < N; i++) memcpy(x + i * D, x + i % 3 * D, D * sizeof *x);
    int32_t *index = iso_calloc(N * K, sizeof *index);
    float *distance = iso_calloc(N * K, sizeof *distance);
    iso_env *env = new_env(2);
    knn_search s = {.x = x, .n = N, .d = D, .q = x, .m = N, .self = true, .k = K, .index = index, .distance = distance};
    assert_int_equal(knn_approximate(env, &s, 1, NULL), ISO_OK);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < K; j++) {
            assert_true(index[i * K + j] >= 0 && index[i * K + j] < N && index[i * K + j] != i);
            assert_true(j == 0 || distance[i * K + j] > distance[i * K + j - 1] ||
                        (distance[i * K + j] == distance[i * K + j - 1] && index[i * K + j] > index[i * K + j - 1]));
        }
    s = (knn_search){.x = x, .n = 5, .d = D, .q = x, .m = 5, .self = true, .k = 4, .index = index, .distance = distance};
    assert_int_equal(knn_approximate(env, &s, 1, NULL), ISO_OK);
    for (int j = 0; j < 5 * 4; j++) assert_true(index[j] >= 0 && index[j] < 5 && index[j] != j / 4);
    iso_env_free(env);
    iso_free(distance);
    iso_free(index);
    iso_free(x);
}

/* ----------------------------------------------------------------------------- all of it, and threads */

typedef struct all_results {
    iso_knn knn;
    iso_csr connectivities, distances;
    int32_t *labels, n_clusters;         /* [n] */
    int32_t *near_index;                 /* [n, k] */
    float *near_distance;                /* [n, k] */
    double accuracy, silhouette;
} all_results;

static iso_status compute(iso_env *env, const float *x, int64_t n, int64_t d, int k, all_results *r)
{
    iso_status st = ISO_OK;
    iso_error *err = NULL;
    *r = (all_results){0};
    ALLOC(r->labels, n, sizeof *r->labels);
    ALLOC(r->near_index, n * k, sizeof *r->near_index);
    ALLOC(r->near_distance, n * k, sizeof *r->near_distance);
    knn_search s = {.x = x, .n = n, .d = d, .q = x, .m = n, .self = true, .k = k, .index = r->near_index,
                    .distance = r->near_distance};
    if (hnsw_available()) TRY(knn_approximate(env, &s, 3, err));
    TRY(iso_knn_build(env, x, n, d, k, 3, &r->knn, err));
    TRY(iso_neighbor_graph(env, &r->knn, &r->connectivities, &r->distances, err));
    TRY(iso_leiden(env, &r->connectivities, .5, 3, r->labels, &r->n_clusters, err));
    TRY(iso_knn_accuracy(env, x, r->labels, n, d, k, 5, &r->accuracy, err));
    r->silhouette = iso_silhouette(env, x, r->labels, n, d);
done:
    return st;
}

static void clear(all_results *r)
{
    iso_knn_clear(&r->knn);
    iso_csr_clear(&r->connectivities);
    iso_csr_clear(&r->distances);
    iso_free(r->labels);
    iso_free(r->near_index);
    iso_free(r->near_distance);
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    enum { N = 1500, D = 5, K = 9 };
    float *x = make_cells(N, D, 4);
    all_results first, other;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        iso_env *env = new_env(threads);
        all_results *r = threads == 1 ? &first : &other;
        assert_int_equal(compute(env, x, N, D, K, r), ISO_OK);
        iso_env_free(env);
        if (threads == 1) continue;
        assert_memory_equal(r->knn.index, first.knn.index, N * K * sizeof(int32_t));
        assert_memory_equal(r->knn.distance, first.knn.distance, N * K * sizeof(float));
        assert_memory_equal(r->near_index, first.near_index, N * K * sizeof(int32_t));
        assert_memory_equal(r->near_distance, first.near_distance, N * K * sizeof(float));
        assert_int_equal(r->connectivities.nnz, first.connectivities.nnz);
        assert_memory_equal(r->connectivities.values, first.connectivities.values, (size_t)first.connectivities.nnz * 4);
        assert_memory_equal(r->distances.values, first.distances.values, N * K * sizeof(float));
        assert_memory_equal(r->labels, first.labels, N * sizeof(int32_t));
        assert_memory_equal(&r->accuracy, &first.accuracy, sizeof(double));
        assert_memory_equal(&r->silhouette, &first.silhouette, sizeof(double));
        clear(r);
    }
    assert_int_equal(first.n_clusters, 4);
    assert_true(first.accuracy > 0.98);
    clear(&first);
    iso_free(x);
}

/* What the graph promises: symmetric, ascending, no diagonal, strengths in (0, 1], 1 to the nearest. */
static void graph_keeps_its_promises(void **state)
{
    (void)state;
    enum { N = 400, D = 5, K = 14 };
    float *x = make_cells(N, D, 2);
    all_results r;
    iso_env *env = new_env(1);
    assert_int_equal(compute(env, x, N, D, K, &r), ISO_OK);
    const iso_csr *m = &r.connectivities;
    float *dense = iso_calloc(N * N, sizeof *dense);
    for (int64_t i = 0; i < N; i++)
        for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++) {
            assert_true(e == m->indptr[i] || m->indices[e] > m->indices[e - 1]);
            assert_true(m->indices[e] != i && m->values[e] > 0 && m->values[e] <= 1);
            dense[i * N + m->indices[e]] = m->values[e];
        }
    for (int i = 0; i < N; i++) {
        assert_true(dense[i * N + r.knn.index[i * K]] == 1);
        for (int j = 0; j < i; j++) assert_true(dense[i * N + j] == dense[j * N + i]);
    }
    iso_free(dense);
    clear(&r);
    iso_env_free(env);
    iso_free(x);
}

/* rho is the distance to the nearest cell that is not a copy; below it the strength is 1. The rest by hand: cell 3 has
 * neighbours at 1 and 2, so exp(-(2 - 1) / sigma) = log2(3) - 1. */
static void strengths_by_hand(void **state)
{
    (void)state;
    enum { N = 4, K = 2 };
    int32_t index[N * K] = {1, 2, 0, 3, 3, 1, 0, 1};
    float distance[N * K] = {0, 3, 0, 1, 1, 1, 1, 2};
    const iso_knn knn = {.n = N, .k = K, .index = index, .distance = distance};
    iso_csr c, d;
    iso_env *env = new_env(1);
    assert_int_equal(iso_neighbor_graph(env, &knn, &c, &d, NULL), ISO_OK);
    assert_int_equal(c.indptr[1], 3);
    assert_int_equal(c.indices[1], 2);
    assert_true(c.values[1] == 1);                       /* 0 to 2, one way only, past a copy */
    index[3] = 2, distance[3] = 5;                       /* now 3 to 1 goes one way only, as the farther of two */
    iso_csr_clear(&c);
    iso_csr_clear(&d);
    assert_int_equal(iso_neighbor_graph(env, &knn, &c, &d, NULL), ISO_OK);
    const int64_t last = c.nnz - 2;                      /* row 3: cells 0, 1, 2 */
    assert_int_equal(c.indptr[4] - c.indptr[3], 3);
    assert_int_equal(c.indices[last], 1);
    assert_float_equal(c.values[last], log2(3) - 1, 2e-5);
    iso_csr_clear(&c);
    iso_csr_clear(&d);
    iso_env_free(env);
}

/* Two cliques joined by one weak edge, and a cell by itself: larger first. */
static void leiden_finds_cliques(void **state)
{
    (void)state;
    enum { N = 10 };
    const int32_t clique[N] = {1, 1, 1, 0, 0, 0, 0, 2, 0, 1};       /* cell 7 is alone */
    int64_t indptr[N + 1] = {0};
    int32_t indices[N * N], labels[N], n_clusters;
    float values[N * N];
    iso_csr m = {.n_rows = N, .n_cols = N, .indptr = indptr, .indices = indices, .values = values};
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            bool bridge = (i == 2 && j == 3) || (i == 3 && j == 2);
            if (i == j || (clique[i] != clique[j] && !bridge)) continue;
            indices[m.nnz] = j;
            values[m.nnz++] = bridge ? .1f : 1;
        }
        indptr[i + 1] = m.nnz;
    }
    iso_env *env = new_env(1);
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_int_equal(iso_leiden(env, &m, 1, seed, labels, &n_clusters, NULL), ISO_OK);
        assert_int_equal(n_clusters, 3);
        assert_memory_equal(labels, clique, sizeof clique);
    }
    iso_cluster_score best;
    assert_int_equal(iso_best_clusters(env, &m, clique, 0, &best, NULL), ISO_OK);
    assert_true(near(best.ari, 1) && near(best.nmi, 1) && best.n_clusters == 3);
    iso_env_interrupt(env);
    assert_int_equal(iso_leiden(env, &m, 1, 0, labels, &n_clusters, NULL), ISO_EINTERRUPT);
    iso_env_free(env);
}

/* Each allocation fails once: ISO_EMEMORY, nothing lost (the sanitizers watch). */
static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    enum { N = 60, D = 2, K = 5 };
    float *x = make_cells(N, D, 2);
    iso_env *env = new_env(1);
    iso_status st = ISO_EMEMORY;
    int64_t at = 1;
    for (; st == ISO_EMEMORY && at < 1000; at++) {
        all_results r;
        iso_alloc_fail_at(at);
        st = compute(env, x, N, D, K, &r);
        iso_alloc_fail_at(0);
        if (st == ISO_OK && isnan(r.silhouette)) st = ISO_EMEMORY;
        clear(&r);
    }
    assert_int_equal(st, ISO_OK);
    assert_true(at > 20);
    iso_env_free(env);
    iso_free(x);
}

/* ------------------------------------------------------------------------------------------- scores */

static void agreement_of_small_labelings(void **state)
{
    (void)state;
    const int32_t a[] = {0, 0, 1, 1, -1}, b[] = {0, 0, 1, 2, 5}, none[] = {-1, -1, -1, -1, -1}, one[] = {3, 3, 3, 3, 3};
    assert_true(near(iso_ari(a, b, 5), 4.0 / 7));                /* scikit-learn's own example */
    assert_true(near(iso_nmi(a, b, 4), log(2) / ((log(2) + 1.5 * log(2)) / 2)));
    assert_true(near(iso_ari(a, a, 5), 1) && near(iso_nmi(a, a, 5), 1));
    assert_true(near(iso_ari(one, one, 5), 1) && near(iso_nmi(one, one, 5), 1));
    assert_true(near(iso_ari(a, one, 5), 0) && near(iso_nmi(a, one, 5), 0));
    assert_true(isnan(iso_ari(a, none, 5)) && isnan(iso_nmi(a, none, 5)) && isnan(iso_ari(a, b, 0)));
}

static void auc_of_small_samples(void **state)
{
    (void)state;
    const double s[] = {.1, .4, .35, .8}, tied[] = {1, 1, 1, 1}, bad[] = {1, 2, (double)NAN, 3};
    const uint8_t p[] = {0, 0, 1, 1}, none[] = {0, 0, 0, 0};
    assert_true(near(iso_auc(s, p, 4), .75));
    assert_true(near(iso_auc(tied, p, 4), .5));
    assert_true(isnan(iso_auc(bad, p, 4)) && isnan(iso_auc(s, none, 4)) && isnan(iso_auc(s, p, 0)));
}

/* Widths by hand: a = 1, b = 10.5 and 9.5 in the pair; the single cell counts 0. */
static void silhouette_by_hand(void **state)
{
    (void)state;
    const float x[] = {0, 99, 1, 10};
    const int32_t labels[] = {4, -1, 4, 9}, apart[] = {0, 1, 2, 3}, one[] = {2, 2, 2, 2};
    iso_env *env = new_env(1);
    assert_true(near(iso_silhouette(env, x, labels, 4, 1), (9.0 / 10 + 8.0 / 9 + 0) / 3));
    assert_true(isnan(iso_silhouette(env, x, apart, 4, 1)) && isnan(iso_silhouette(env, x, one, 4, 1)));
    iso_env_free(env);
}

/* Two far groups on a line, one cell of each mislabelled; folds by hand: 0 0 1 1 in each class. */
static void accuracy_by_hand(void **state)
{
    (void)state;
    const float x[] = {0, 1, 2, 3, 100, 101, 102, 103, 104};
    const int32_t right[] = {5, 5, 5, 5, 2, 2, 2, 2, 2}, swapped[] = {5, 5, 5, 2, 5, 2, 2, 2};
    double accuracy;
    iso_env *env = new_env(1);
    assert_int_equal(iso_knn_accuracy(env, x, right, 8, 1, 1, 2, &accuracy, NULL), ISO_OK);
    assert_true(near(accuracy, 1));
    /* fold 0: cells 0, 1, 3, 5; fold 1: cells 2, 4, 6, 7. Each fold asks for its nearest in the other:
     * 0, 1 -> 2 (5, right); 3 -> 2 (5, wrong); 5 -> 4 (5, wrong; 6 is as near). 2 -> 1 (5, right; 3 is as near);
     * 4, 6, 7 -> 5 (2: wrong, right, right) */
    assert_int_equal(iso_knn_accuracy(env, x, swapped, 8, 1, 1, 2, &accuracy, NULL), ISO_OK);
    assert_true(near(accuracy, (2.0 / 4 + 3.0 / 4) / 2));
    /* one more 2, in fold 0 of 5 cells: all four cells of fold 1 vote, two for each, and the smaller label, 2, wins: 3
     * of 5; in fold 1 the 2s have three to vote for them, and the 5s two against two: 2 of 4 */
    assert_int_equal(iso_knn_accuracy(env, x, right, 9, 1, 4, 2, &accuracy, NULL), ISO_OK);
    assert_true(near(accuracy, (3.0 / 5 + 2.0 / 4) / 2));
    assert_int_equal(iso_knn_accuracy(env, x, right, 8, 1, 5, 2, &accuracy, NULL), ISO_OK);
    assert_true(isnan(accuracy));                                /* a fold has fewer than k others */
    assert_int_equal(iso_knn_accuracy(env, x, right, 8, 1, 1, 5, &accuracy, NULL), ISO_OK);
    assert_true(isnan(accuracy));                                /* no class fills five folds */
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbors_on_a_line),
        cmocka_unit_test(ties_go_by_index),
        cmocka_unit_test(copies_are_at_distance_zero),
        cmocka_unit_test(few_cells_do),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(bad_graphs_are_refused),
        cmocka_unit_test(approximate_search_gives_k_of_copies_too),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(graph_keeps_its_promises),
        cmocka_unit_test(strengths_by_hand),
        cmocka_unit_test(leiden_finds_cliques),
        cmocka_unit_test(lack_of_memory_is_reported),
        cmocka_unit_test(agreement_of_small_labelings),
        cmocka_unit_test(auc_of_small_samples),
        cmocka_unit_test(silhouette_by_hand),
        cmocka_unit_test(accuracy_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
