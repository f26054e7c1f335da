/* PCA of map/: cases of known answer, edges, threads, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/eigen.h"
#include "map/krylov.h"
#include "map/map.h"

#include <math.h>
#include <string.h>

static iso_env *new_env(int threads)
{
    iso_env *env = iso_env_new(threads);
    assert_non_null(env);
    return env;
}

/* dense [n, G] to sparse, without its zeros. */
static iso_csr sparse(const float *dense, int64_t n, int64_t G)
{
    iso_csr m = {.n_rows = n, .n_cols = G, .indptr = iso_calloc(n + 1, sizeof *m.indptr),
                 .indices = iso_calloc(n * G, sizeof *m.indices), .values = iso_calloc(n * G, sizeof *m.values)};
    for (int64_t i = 0; i < n; i++) {
        for (int64_t g = 0; g < G; g++)
            if (dense[i * G + g] != 0) m.indices[m.nnz] = (int32_t)g, m.values[m.nnz++] = dense[i * G + g];
        m.indptr[i + 1] = m.nnz;
    }
    return m;
}

static void random_counts(uint64_t seed, int64_t n, float *x, double mean)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = seed, .stream = ISO_STREAM_TEST}, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)iso_rng_poisson(&r, mean);
}

static void assert_orthonormal(const iso_pca_model *p)
{
    for (int a = 0; a < p->k; a++)
        for (int b = 0; b <= a; b++) {
            double sum = 0;
            for (int64_t g = 0; g < p->n_genes; g++)
                sum += (double)p->loadings[a * p->n_genes + g] * (double)p->loadings[b * p->n_genes + g];
            assert_true(fabs(sum - (a == b)) < 1e-5);
        }
}

/* A random symmetric matrix with repeated eigenvalues: A v = value v, V orthonormal, tails agree with the whole. */
static void eigenvectors_satisfy_their_equation(void **state)
{
    (void)state;
    enum { N = 90, TAIL = 3 };
    static double a[N * N], copy[N * N], v[N * N], tail[N * TAIL], values[N], tail_values[N], work[3 * N];
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 5}, 0);
    for (int n = 1; n <= N; n = n < 5 ? n + 1 : n * 2 - 1) {
        memset(a, 0, sizeof a);
        for (int c = 0; c < n / 2; c++) {       /* rank n / 2; two of a kind */
            double u[N];
            for (int i = 0; i < n; i++) u[i] = iso_rng_normal(&r) * (i < 3 ? 100 : 1);
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) a[i * n + j] += u[i] * u[j] + (i == j) * 0.25;
        }
        memcpy(copy, a, sizeof a);
        eigen_symmetric(copy, n, n, values, v, work);
        memcpy(copy, a, sizeof a);
        eigen_symmetric(copy, n, n < TAIL ? n : TAIL, tail_values, tail, work);
        int rows = n < TAIL ? n : TAIL;
        double scale = 1 + fabs(values[0]);
        for (int k = 0; k < n; k++) {
            assert_true(k == 0 || values[k] <= values[k - 1]);
            assert_true(values[k] == tail_values[k]);
            for (int c = 0; c < rows; c++) assert_true(tail[k * rows + c] == v[k * n + n - rows + c]);
            for (int i = 0; i < n; i++) {
                double sum = -values[k] * v[k * n + i], product = 0;
                for (int j = 0; j < n; j++) {
                    sum += a[i * n + j] * v[k * n + j];
                    product += v[k * n + j] * v[i * n + j];
                }
                assert_true(fabs(sum) < 1e-12 * scale && fabs(product - (i == k)) < 1e-12);
            }
        }
    }
}

static void multiply_diagonal(void *arg, iso_env *env, const double *q, double *out)
{
    (void)env;
    const double *diagonal = arg;
    for (int64_t i = 0; i < 300; i++)
        for (int k = 0; k < KRYLOV_WIDTH; k++) out[i * KRYLOV_WIDTH + k] = diagonal[i] * q[i * KRYLOV_WIDTH + k];
}

/* Eigenvalues of more dimensions than are multiplied at a time, and fewer distinct ones than are asked for. */
static void repeated_eigenvalues_are_all_found(void **state)
{
    (void)state;
    enum { N = 300, K = 12 };
    static double diagonal[N], values[K], vectors[N * K];
    for (int many = 1; many <= 10; many++)
        for (int floor_value = 0; floor_value <= 1; floor_value++) {
            iso_env *env = new_env(1);
            for (int i = 0; i < N; i++) diagonal[i] = i % 29 == 3 && i / 29 < many ? 5 : floor_value;
            krylov_operator s = {N, multiply_diagonal, diagonal};
            assert_int_equal(krylov_leading(env, &s, K, (uint64_t)many, values, vectors, NULL), ISO_OK);
            for (int c = 0; c < K; c++) {
                double square = 0;
                assert_true(fabs(values[c] - (c < many ? 5 : floor_value)) < 1e-9);
                for (int i = 0; i < N; i++) square += vectors[i * K + c] * vectors[i * K + c];
                assert_true(fabs(square - 1) < 1e-9);
            }
            iso_env_free(env);
        }
}

/* A spectrum that falls slowly takes many blocks: growth may end too early; and the first, which are found long before,
 * come back as copies where blocks are not kept orthogonal to all before. */
static void close_eigenvalues_are_told_apart(void **state)
{
    (void)state;
    enum { N = 300, K = 12 };
    static double diagonal[N], values[K], vectors[N * K];
    iso_env *env = new_env(1);
    for (int i = 0; i < N; i++) diagonal[i] = i < 3 ? 1000 - 100 * i : pow(0.99, i);
    krylov_operator s = {N, multiply_diagonal, diagonal};
    assert_int_equal(krylov_leading(env, &s, K, 1, values, vectors, NULL), ISO_OK);
    for (int c = 0; c < K; c++) {
        assert_true(fabs(values[c] / diagonal[c] - 1) < 1e-10);
        for (int i = 0; i < N; i++) assert_true(fabs(fabs(vectors[i * K + c]) - (i == c)) < 1e-4);
    }
    iso_env_free(env);
}

/* Two genes: the eigenvalues of a 2 x 2 matrix in closed form. */
static void two_genes_by_hand(void **state)
{
    (void)state;
    const float dense[] = {1, 2, 3, 0, 5, 7, 0, 0};
    iso_csr x = sparse(dense, 4, 2);
    iso_env *env = new_env(1);
    iso_pca_model p;
    float scores[8];
    double xx = 0, xy = 0, yy = 0;
    for (int i = 0; i < 4; i++) {
        double a = (double)dense[2 * i] - 2.25, b = (double)dense[2 * i + 1] - 2.25;
        xx += a * a / 3, xy += a * b / 3, yy += b * b / 3;
    }
    double root = sqrt((xx - yy) * (xx - yy) / 4 + xy * xy);
    double first = (xx + yy) / 2 + root, second = (xx + yy) / 2 - root;
    assert_int_equal(iso_pca_fit(env, &x, false, 1, 0, &p, NULL), ISO_OK);
    assert_true(fabs(p.variance[0] - first) < 1e-9 && fabs(p.noise - second) < 1e-9);
    assert_true(fabs(p.total_variance - xx - yy) < 1e-9);
    assert_true(p.mean[0] == 2.25f && p.mean[1] == 2.25f);
    double slope = (first - xx) / xy, length = hypot(1, slope);
    assert_true(fabs((double)p.loadings[0] - 1 / length) < 1e-6 && fabs((double)p.loadings[1] - slope / length) < 1e-6);
    assert_int_equal(iso_pca_transform(env, &p, &x, scores, NULL), ISO_OK);
    for (int i = 0; i < 4; i++) {
        double wanted = ((double)dense[2 * i] - 2.25 + slope * ((double)dense[2 * i + 1] - 2.25)) / length;
        assert_true(fabs((double)scores[i] - wanted) < 1e-5);
    }
    iso_pca_clear(&p);
    iso_csr_clear(&x);
    iso_env_free(env);
}

/* log1p(x / total * 1e4), an empty cell, and a gene that never varies: as plain PCA of the same values. */
static void log1p_is_of_shares_of_the_total(void **state)
{
    (void)state;
    enum { N = 40, G = 9, K = 3 };
    float counts[N * G], logged[N * G], scores[N * K], plain[N * K];
    random_counts(7, N * G, counts, 2);
    for (int g = 0; g < G; g++) counts[5 * G + g] = 0;
    for (int i = 0; i < N; i++) {
        double total = 0;
        for (int g = 0; g < G; g++) total += (double)counts[i * G + g];
        for (int g = 0; g < G; g++)
            logged[i * G + g] = total > 0 ? (float)log1p((double)counts[i * G + g] / total * 1e4) : 0;
    }
    iso_csr a = sparse(counts, N, G), b = sparse(logged, N, G);
    iso_env *env = new_env(1);
    iso_pca_model p, q;
    assert_int_equal(iso_pca_fit(env, &a, true, K, 1, &p, NULL), ISO_OK);
    assert_int_equal(iso_pca_fit(env, &b, false, K, 1, &q, NULL), ISO_OK);
    assert_memory_equal(p.variance, q.variance, sizeof *p.variance * K);
    assert_memory_equal(p.loadings, q.loadings, sizeof *p.loadings * K * G);
    assert_int_equal(iso_pca_transform(env, &p, &a, scores, NULL), ISO_OK);
    assert_int_equal(iso_pca_transform(env, &q, &b, plain, NULL), ISO_OK);
    assert_memory_equal(scores, plain, sizeof scores);
    for (int c = 0; c < K; c++) {
        double sum = 0, square = 0;
        for (int i = 0; i < N; i++) sum += (double)scores[i * K + c], square += pow((double)scores[i * K + c], 2);
        assert_true(fabs(sum) < 1e-3 && fabs(square / (N - 1) - p.variance[c]) < 1e-5 * square);
    }
    iso_pca_clear(&p), iso_pca_clear(&q);
    iso_csr_clear(&a), iso_csr_clear(&b);
    iso_env_free(env);
}

/* Rank 2 and constant genes; k past the rank gives components of variance 0, orthonormal all the same. */
static void more_components_than_rank(void **state)
{
    (void)state;
    enum { N = 30, G = 20 };
    float dense[N * G];
    for (int i = 0; i < N; i++)
        for (int g = 0; g < G; g++) dense[i * G + g] = g < 5 ? 3 : (float)((i % 3) * (g % 4) + (i % 5) * (g % 2));
    iso_csr x = sparse(dense, N, G);
    iso_env *env = new_env(1);
    for (int k = 1; k <= G; k++) {
        iso_pca_model p;
        assert_int_equal(iso_pca_fit(env, &x, false, k, 0, &p, NULL), ISO_OK);
        double kept = 0;
        for (int c = 0; c < k; c++) {
            int64_t most = 0;
            kept += p.variance[c];
            assert_true(p.variance[c] >= 0 && (c < 2) == (p.variance[c] > 1e-9));
            for (int g = 0; g < G; g++) {
                if (fabsf(p.loadings[c * G + g]) > fabsf(p.loadings[c * G + most])) most = g;
                if (c < 2 && g < 5) assert_true(fabsf(p.loadings[c * G + g]) < 1e-6f);
            }
            assert_true(p.loadings[c * G + most] > 0);
        }
        assert_orthonormal(&p);
        if (k >= 2) assert_true(fabs(kept - p.total_variance) < 1e-9 && p.noise < 1e-9);
        else assert_true(fabs(p.noise - (p.total_variance - kept) / (G - 1)) < 1e-9);
        iso_pca_clear(&p);
    }
    iso_csr_clear(&x);
    iso_env_free(env);
}

static void edges_and_refusals(void **state)
{
    (void)state;
    float dense[] = {1, 2, 3, 4, 5, 6}, scores[2];
    iso_env *env = new_env(1);
    iso_error err;
    iso_pca_model p;
    for (int64_t n = 0; n <= 1; n++) {
        iso_csr x = sparse(dense, n, 3);
        assert_int_equal(iso_pca_fit(env, &x, true, 2, 0, &p, NULL), ISO_OK);
        assert_true(p.variance[0] == 0 && p.total_variance == 0 && p.noise == 0);
        assert_orthonormal(&p);
        assert_int_equal(iso_pca_transform(env, &p, &x, scores, NULL), ISO_OK);
        iso_pca_clear(&p);
        iso_csr_clear(&x);
    }
    iso_csr x = sparse(dense, 2, 3), narrow = sparse(dense, 3, 2);
    assert_int_equal(iso_pca_fit(env, &x, true, 0, 0, &p, &err), ISO_EUSAGE);
    assert_int_equal(iso_pca_fit(env, &x, true, 4, 0, &p, &err), ISO_EUSAGE);
    assert_null(p.loadings);
    x.values[3] = NAN;
    assert_int_equal(iso_pca_fit(env, &x, false, 1, 0, &p, &err), ISO_EDATA);
    x.values[3] = -100;
    assert_int_equal(iso_pca_fit(env, &x, true, 1, 0, &p, &err), ISO_EDATA);
    x.values[3] = 4;
    assert_int_equal(iso_pca_fit(env, &x, false, 1, 0, &p, &err), ISO_OK);
    assert_int_equal(iso_pca_transform(env, &p, &narrow, scores, &err), ISO_EUSAGE);
    iso_pca_clear(&p);
    iso_csr_clear(&x);
    iso_csr_clear(&narrow);
    iso_env_free(env);
}

enum { CELLS = 700, GENES = 600, K = 6 };

static iso_csr many_counts(void)
{
    float *dense = iso_calloc(CELLS * GENES, sizeof *dense);
    random_counts(3, CELLS * GENES, dense, 0.4);
    for (int i = 0; i < CELLS; i++)
        for (int g = 0; g < GENES; g += 1 + i % 7) dense[i * GENES + g] += (float)(i % 3);
    iso_csr x = sparse(dense, CELLS, GENES);
    iso_free(dense);
    return x;
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    static float scores[3][CELLS * K];
    iso_pca_model p[3];
    iso_csr x = many_counts();
    assert_true(x.nnz > 4 * 32768);         /* several chunks */
    for (int t = 0; t < 3; t++) {
        iso_env *env = new_env(t + 1);
        assert_int_equal(iso_pca_fit(env, &x, true, K, 9, &p[t], NULL), ISO_OK);
        assert_int_equal(iso_pca_transform(env, &p[t], &x, scores[t], NULL), ISO_OK);
        assert_memory_equal(p[0].loadings, p[t].loadings, sizeof(float) * K * GENES);
        assert_memory_equal(p[0].variance, p[t].variance, sizeof(double) * K);
        assert_memory_equal(p[0].mean, p[t].mean, sizeof(float) * GENES);
        assert_true(p[0].noise == p[t].noise && p[0].total_variance == p[t].total_variance);
        assert_memory_equal(scores[0], scores[t], sizeof scores[0]);
        iso_env_free(env);
    }
    for (int t = 0; t < 3; t++) iso_pca_clear(&p[t]);
    iso_csr_clear(&x);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const float dense[] = {1, 2, 0, 3, 0, 5, 4, 1, 2, 2, 7, 1};
    float scores[8];
    iso_csr x = sparse(dense, 4, 3);
    iso_env *env = new_env(1);
    iso_pca_model p;
    iso_status st = ISO_EMEMORY;
    int64_t failed = 0;
    for (; st == ISO_EMEMORY; failed++) {
        iso_alloc_fail_at(failed + 1);
        st = iso_pca_fit(env, &x, true, 2, 0, &p, NULL);
        if (st == ISO_OK) st = iso_pca_transform(env, &p, &x, scores, NULL);
        iso_alloc_fail_at(0);
        iso_pca_clear(&p);
    }
    assert_int_equal(st, ISO_OK);
    assert_true(failed > 15);
    iso_csr_clear(&x);
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvectors_satisfy_their_equation),
        cmocka_unit_test(repeated_eigenvalues_are_all_found),
        cmocka_unit_test(close_eigenvalues_are_told_apart),
        cmocka_unit_test(two_genes_by_hand),
        cmocka_unit_test(log1p_is_of_shares_of_the_total),
        cmocka_unit_test(more_components_than_rank),
        cmocka_unit_test(edges_and_refusals),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
