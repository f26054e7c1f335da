/* bfloat16: rounding, products against sums in double for each instruction set and for the library's own, and the ops `linear`
 * and `csr_linear` with it against the same on rounded numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernel/layer.h"
#include "likelihood/laws.h"
#include "op/likelihood_genes.h"
#include "op/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float widened(iso_bf16 x)
{
    uint32_t b = (uint32_t)x << 16;
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

static float rounded(float x)
{
    iso_bf16 y;
    iso_kernels_best()->to_bf16(&x, &y, 1);
    return widened(y);
}

static void rounding(void **state)
{
    (void)state;
    /* 1 + 2^-8 and 1 + 3 * 2^-8 lie half-way: to even. */
    const float x[] = {1, 1 + 1 / 256.0f, 1 + 3 / 256.0f, 1 + 1.01f / 256, -2.5f, 0, -0.0f, 3.4e38f, INFINITY, -INFINITY, NAN, 1e-40f};
    const float want[] = {1, 1, 1 + 1 / 64.0f, 1 + 1 / 128.0f, -2.5f, 0, -0.0f, INFINITY, INFINITY, -INFINITY, NAN, 9.18355e-41f};
    enum { N = sizeof x / sizeof *x };
    for (int k = 0; iso_kernel_table[k]; k++) {
        iso_bf16 y[N];
        if (!iso_kernel_table[k]->supported()) continue;
        iso_kernel_table[k]->to_bf16(x, y, N);
        for (int i = 0; i < N; i++) {
            float got = widened(y[i]);
            if (isnan(want[i])) assert_true(isnan(got));
            else if (fabsf(want[i]) < 1e-30f) assert_true(fabsf(got - want[i]) < 1e-42f && !signbit(got) == !signbit(want[i]));
            else assert_true(got == want[i]);
        }
    }
}

enum { M = 37, N = 150, K = 261, LARGEST = K };

/* A [M, K] or its transpose, and so on; the sum of |a b| sets how far float sums may lie from the truth. */
static void check_product(const iso_kernels *k, bool ta, bool tb, bool add)
{
    static iso_bf16 A[M * LARGEST], B[N * LARGEST];
    static real C[M * N], before[M * N];
    const real beta = add ? 1 : 0;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 3, .stream = ISO_STREAM_TEST}, 0);
    for (int i = 0; i < M * K; i++) A[i] = (iso_bf16)(0x3f00 + iso_rng_uniform(&r) * 256);
    for (int i = 0; i < N * K; i++) B[i] = (iso_bf16)(0xbe80 + iso_rng_uniform(&r) * 256);
    for (int i = 0; i < M * N; i++) before[i] = C[i] = (real)iso_rng_normal(&r);
    if (k) k->gemm_bf16(ta, tb, M, N, K, A, ta ? M : K, B, tb ? K : N, beta, C, N);
    else iso_gemm_bf16(ta, tb, M, N, K, A, ta ? M : K, B, tb ? K : N, beta, C, N);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            double want = (double)beta * (double)before[m * N + n], size = 1;
            for (int i = 0; i < K; i++) {
                double p = (double)widened(ta ? A[i * M + m] : A[m * K + i]) * (double)widened(tb ? B[n * K + i] : B[i * N + n]);
                want += p, size += fabs(p);
            }
            assert_true(fabs((double)C[m * N + n] - want) <= 2e-6 * size);
        }
}

static void products(void **state)
{
    (void)state;
    for (int t = 0; t < 8; t++) {
        check_product(NULL, t & 1, t & 2, t & 4);
        for (int k = 0; iso_kernel_table[k]; k++)
            if (iso_kernel_table[k]->supported()) check_product(iso_kernel_table[k], t & 1, t & 2, t & 4);
    }
}

/* The op by hand: forward and backward on plain arrays. */
enum { CELLS = 41, IN = 45, OUT = 700 };
typedef struct arrays { real x[CELLS * IN], w[OUT * IN], b[OUT], d[CELLS * OUT], y[CELLS * OUT], dx[CELLS * IN], dw[OUT * IN], db[OUT]; } arrays;

/* What a stepper is told of the weights' gradient. */
enum { WEIGHTS = 36000 };        /* at most */
typedef struct listener { iso_stepper stepper; real dw[WEIGHTS]; } listener;
static double listen(const iso_stepper *s, int64_t from, int64_t n, const real *g)
{
    assert_true(from + n <= WEIGHTS);
    memcpy(((listener *)(uintptr_t)s)->dw + from, g, (size_t)n * sizeof *g);
    return iso_kernels_best()->sum_squares(g, n);
}

static void run(arrays *a, bool bf16, bool add, iso_env *env, listener *l, double *squares)
{
    real *work = iso_calloc(iso_layer_work(CELLS, IN, OUT), sizeof *work);
    iso_node n = {.op = &iso_op_linear, .n_in = 3, .i = {bf16}};
    iso_settings settings = {.training = true, .stepper = l ? &l->stepper : NULL, .squares = squares};
    iso_args args = {.env = env, .kernels = iso_kernels_best(), .node = &n, .settings = &settings, .rows = CELLS, .cols = OUT,
                     .in_rows = {CELLS, OUT, 1}, .in_cols = {IN, IN, OUT}, .in = {a->x, a->w, a->b}, .out = a->y, .d_out = a->d,
                     .d_in = {a->dx, a->dw, a->db}, .add = {add, add, add}, .work = work, .squares = {NULL, squares, NULL}};
    iso_op_linear.forward(&args);
    iso_op_linear.backward(&args);
    iso_later_wait(env);
    iso_free(work);
}

/* By tiles where the CPU has them, else by products: the same as on rounded numbers. */
static void linear_rounds_its_operands(void **state)
{
    (void)state;
    static arrays half, whole, first;
    static listener l = {.stepper = {listen}};
    iso_env *env = iso_env_new(2), *alone = iso_env_new(1);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 4, .stream = ISO_STREAM_TEST}, 0);
    for (int i = 0; i < CELLS * IN; i++) half.x[i] = (real)iso_rng_normal(&r), whole.x[i] = rounded(half.x[i]);
    for (int i = 0; i < OUT * IN; i++) half.w[i] = (real)iso_rng_normal(&r), whole.w[i] = rounded(half.w[i]);
    for (int i = 0; i < OUT; i++) half.b[i] = whole.b[i] = (real)iso_rng_normal(&r);
    for (int i = 0; i < CELLS * OUT; i++) half.d[i] = (real)iso_rng_normal(&r), whole.d[i] = rounded(half.d[i]);
    for (int add = 0; add < 2; add++) {
        run(&half, true, add, env, NULL, NULL);
        run(&whole, false, add, env, NULL, NULL);
        for (int i = 0; i < CELLS * OUT; i++) assert_true(fabsf(half.y[i] - whole.y[i]) < 1e-4f);
        for (int i = 0; i < CELLS * IN; i++) assert_true(fabsf(half.dx[i] - whole.dx[i]) < 1e-4f);
        for (int i = 0; i < OUT * IN; i++) assert_true(fabsf(half.dw[i] - whole.dw[i]) < 1e-4f);
        for (int i = 0; i < OUT; i++) {                 /* the bias's gradient is not rounded */
            double sum = 0, size = 0;
            for (int c = 0; c < CELLS; c++) sum += (double)half.d[c * OUT + i], size += fabs((double)half.d[c * OUT + i]);
            assert_true(fabs((double)half.db[i] - (add + 1) * sum) < 5e-7 * (add + 1) * size);
        }
        if (add == 0) first = half;
    }
    for (int bf16 = 0; bf16 < 2; bf16++) {              /* one thread or two, stepped or not: the same gradients */
        double squares, want = 0;
        run(&half, bf16, false, env, &l, &squares);
        run(&first, bf16, false, alone, NULL, NULL);
        assert_memory_equal(l.dw, first.dw, sizeof first.dw);
        assert_memory_equal(half.dx, first.dx, sizeof first.dx);
        assert_memory_equal(half.db, first.db, sizeof first.db);
        for (int i = 0; i < OUT * IN; i++) want += (double)first.dw[i] * (double)first.dw[i];
        assert_true(fabs(squares / want - 1) < 1e-6);
        for (int i = 0; i < CELLS * IN; i++) first.x[i] = half.x[i] = whole.x[i];
    }
    iso_env_free(env);
    iso_env_free(alone);
}

/* Without bfloat16 all of it is as exact as sums of floats, also where tiles do it in three parts of 16 bits: two parts would be 50 times worse.
 * Operands span twelve orders of magnitude. */
static void linear_is_exact(void **state)
{
    (void)state;
    static arrays a;
    iso_env *env = iso_env_new(2);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 6, .stream = ISO_STREAM_TEST}, 0);
    for (int i = 0; i < CELLS * IN; i++) a.x[i] = (real)(iso_rng_normal(&r) * pow(10, 12 * iso_rng_uniform(&r) - 6));
    for (int i = 0; i < OUT * IN; i++) a.w[i] = (real)(iso_rng_normal(&r) * pow(10, 12 * iso_rng_uniform(&r) - 6));
    for (int i = 0; i < OUT; i++) a.b[i] = (real)iso_rng_normal(&r);
    for (int i = 0; i < CELLS * OUT; i++) a.d[i] = (real)(iso_rng_normal(&r) * pow(10, 12 * iso_rng_uniform(&r) - 6));
    run(&a, false, false, env, NULL, NULL);
    const double close = 5e-7;                               /* of the sum of sizes */
    for (int c = 0; c < CELLS; c++)
        for (int o = 0; o < OUT; o++) {
            double sum = (double)a.b[o], size = fabs(sum);
            for (int i = 0; i < IN; i++) { double p = (double)a.x[c * IN + i] * (double)a.w[o * IN + i]; sum += p, size += fabs(p); }
            assert_true(fabs((double)a.y[c * OUT + o] - sum) < close * size);
        }
    for (int c = 0; c < CELLS; c++)
        for (int i = 0; i < IN; i++) {
            double sum = 0, size = 0;
            for (int o = 0; o < OUT; o++) { double p = (double)a.d[c * OUT + o] * (double)a.w[o * IN + i]; sum += p, size += fabs(p); }
            assert_true(fabs((double)a.dx[c * IN + i] - sum) < close * size);
        }
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++) {
            double sum = 0, size = 0;
            for (int c = 0; c < CELLS; c++) { double p = (double)a.d[c * OUT + o] * (double)a.x[c * IN + i]; sum += p, size += fabs(p); }
            assert_true(fabs((double)a.dw[o * IN + i] - sum) < close * size);
        }
    iso_env_free(env);
}

/* What comes out, and the gradient by it, by column: against sums in double. Both lie at the end of memory of their size, where the
 * sanitizers see what is read or written beside them. */
typedef struct by_column { int B, K, N; bool bf16, add, stepped, no_dx, no_work, no_bias; } by_column;

static double of_number(const real *x, int64_t i, bool bf16) { return bf16 ? (double)widened(((const iso_bf16 *)x)[i]) : (double)x[i]; }
static void expect(double got, double before, double sum, double size, double close)
{
    assert_true(fabs(got - before - sum) <= close * (size + fabs(before) + 1e-30));
}

static real *normals(iso_rng *r, int64_t n, bool round)
{
    real *x = iso_calloc(n, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = round ? rounded((real)iso_rng_normal(r)) : (real)iso_rng_normal(r);
    return x;
}

static real *copied(const real *x, int64_t n)
{
    real *y = iso_calloc(n, sizeof *y);
    memcpy(y, x, (size_t)n * sizeof *x);
    return y;
}

static void check_by_column(const by_column *c)
{
    static listener l = {.stepper = {listen}};
    const double close = 5e-7;                               /* of the sum of sizes */
    const int n_x = c->B, n_in = c->K, n_out = c->N;
    const int64_t size = c->bf16 ? sizeof(iso_bf16) : sizeof(real);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 5, .stream = ISO_STREAM_TEST}, 0);
    real *x = normals(&r, n_x * n_in, c->bf16), *w = normals(&r, n_out * n_in, c->bf16), *b = normals(&r, n_out, false), *d = normals(&r, n_out * n_x, c->bf16), *first[3] = {0};
    void *y = iso_calloc(n_out * n_x, size), *d_kept = iso_calloc(n_out * n_x, size);
    if (c->bf16) iso_kernels_best()->to_bf16(d, d_kept, n_out * n_x);
    else memcpy(d_kept, d, (size_t)(n_out * n_x) * sizeof *d);
    const real *before[3] = {normals(&r, n_x * n_in, false), normals(&r, n_out * n_in, false), normals(&r, n_out, false)};
    const int64_t sizes[3] = {n_x * n_in, n_out * n_in, n_out};
    double squares = 0, want_squares = 0;
    for (int threads = 1; threads < 3; threads++) {
        real *g[3], *work = c->no_work ? NULL : iso_calloc(iso_layer_work(n_x, n_in, n_out), sizeof *work);
        for (int i = 0; i < 3; i++) g[i] = copied(before[i], sizes[i]);
        iso_env *env = iso_env_new(threads);
        iso_node n = {.op = &iso_op_linear, .n_in = 3, .i = {c->bf16, 1}};
        iso_settings settings = {.training = true, .stepper = c->stepped ? &l.stepper : NULL, .squares = &squares};
        iso_args a = {.env = env, .kernels = iso_kernels_best(), .node = &n, .settings = &settings, .rows = n_x, .cols = n_out, .in_rows = {n_x, n_out, 1}, .in_cols = {n_in, n_in, n_out},
                      .in = {x, w, c->no_bias ? NULL : b}, .out = y, .d_out = d_kept, .d_in = {c->no_dx ? NULL : g[0], g[1], c->no_bias ? NULL : g[2]},
                      .add = {c->add, c->add && !c->stepped, c->add}, .work = work, .squares = {NULL, c->stepped ? &squares : NULL, NULL}};
        iso_op_linear.forward(&a);
        iso_op_linear.backward(&a);
        iso_later_wait(env);
        if (c->stepped) memcpy(g[1], l.dw, (size_t)(n_out * n_in) * sizeof *w);
        for (int i = 0; i < 3; i++) {
            if (first[i]) assert_memory_equal(first[i], g[i], (size_t)sizes[i] * sizeof(real)), iso_free(g[i]);
            else first[i] = g[i];
        }
        iso_free(work);
        iso_env_free(env);
    }
    for (int o = 0; o < n_out; o++) {
        double all = 0, all_size = 0;
        for (int i = 0; i < n_x; i++) {
            double sum = c->no_bias ? 0 : (double)b[o], sum_size = fabs(sum);
            for (int k = 0; k < n_in; k++) { double p = (double)x[i * n_in + k] * (double)w[o * n_in + k]; sum += p, sum_size += fabs(p); }
            expect(of_number(y, o * n_x + i, c->bf16), 0, sum, c->bf16 ? sum_size + fabs(sum) / 256 / close : sum_size, close);
            all += (double)d[o * n_x + i], all_size += fabs((double)d[o * n_x + i]);
        }
        if (!c->no_bias) expect((double)first[2][o], c->add ? (double)before[2][o] : 0, all, all_size, close);
        for (int k = 0; k < n_in; k++) {
            double sum = 0, sum_size = 0, got = (double)first[1][o * n_in + k];
            for (int i = 0; i < n_x; i++) { double p = (double)d[o * n_x + i] * (double)x[i * n_in + k]; sum += p, sum_size += fabs(p); }
            expect(got, c->add && !c->stepped ? (double)before[1][o * n_in + k] : 0, sum, sum_size, close);
            want_squares += got * got;
        }
    }
    if (c->stepped) expect(squares, 0, want_squares, want_squares, 1e-6);
    for (int i = 0; i < n_x; i++)
        for (int k = 0; k < n_in; k++) {
            double sum = 0, sum_size = 0;
            for (int o = 0; o < n_out; o++) { double p = (double)d[o * n_x + i] * (double)w[o * n_in + k]; sum += p, sum_size += fabs(p); }
            if (c->no_dx) assert_true(first[0][i * n_in + k] == before[0][i * n_in + k]);
            else expect((double)first[0][i * n_in + k], c->add ? (double)before[0][i * n_in + k] : 0, sum, sum_size, close);
        }
    for (int i = 0; i < 3; i++) iso_free((void *)(uintptr_t)before[i]), iso_free(first[i]);
    iso_free(x), iso_free(w), iso_free(b), iso_free(d), iso_free(y), iso_free(d_kept);
}

static void linear_by_column(void **state)
{
    (void)state;
    static const int sizes[][3] = {{128, 40, 300}, {64, 32, 144}, {47, 45, 300}, {32, 20, 77}, {5, 33, 300}, {1, 45, 77}, {3, 7, 4}, {33, 1, 160}, {47, 20, 1300}, {32, 33, 1056}, {5, 3, 8900}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int how = 0; how < 64; how++)
            check_by_column(&(by_column){sizes[s][0], sizes[s][1], sizes[s][2], .bf16 = how & 1, .add = how & 2, .stepped = how & 4, .no_dx = how & 8,
                                         .no_bias = how & 16, .no_work = (how & 33) == 32});
}

/* csr_linear with bfloat16, by tiles where the CPU has them and enough is not zero: on rounded numbers against sums in double. */
typedef struct sparse_case { int B, G, H; double density; bool add, stepped, no_bias; } sparse_case;

static void check_sparse(const sparse_case *c)
{
    static listener l = {.stepper = {listen}};
    const double close = 5e-7;                               /* of the sum of sizes */
    const int B = c->B, G = c->G, H = c->H;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 8, .stream = ISO_STREAM_TEST}, 0);
    real *w = normals(&r, G * H, true), *b = normals(&r, H, false), *d = normals(&r, B * H, true), *before = normals(&r, G * H, false), *x = iso_calloc(B * G, sizeof *x), *y = NULL, *dw = NULL;
    int64_t *indptr = iso_calloc(B + 1, sizeof *indptr), at = 0;
    int32_t *indices = iso_calloc(B * G + 1, sizeof *indices);
    real *values = iso_calloc(B * G + 1, sizeof *values);
    for (int i = 0; i < B; i++, indptr[i] = at)
        for (int g = 0; g < G; g++)
            if (i % 7 != 3 && iso_rng_uniform(&r) < c->density) x[i * G + g] = values[at] = rounded((real)iso_rng_normal(&r)), indices[at++] = g;     /* some rows are empty */
    iso_node nodes[] = {{.rows = G, .cols = H}, {.op = &iso_op_csr_linear, .cols = H, .n_in = 2, .i = {1}, .in = {0, -1}}};
    const iso_graph graph = {.nodes = nodes, .n_nodes = 2};
    const iso_batch batch = {.n = B, .x = {B, G, indptr, indices, NULL}, .input_values = values};
    double squares = 0;
    for (int threads = 1; threads < 4; threads++) {
        const int64_t kept = iso_op_csr_linear.saved_size(&graph, &nodes[1], 0, B);
        real *saved = kept ? iso_calloc(kept, sizeof *saved) : NULL, *out = iso_calloc(B * H, sizeof *out), *grad = copied(before, G * H), *d_bias = iso_calloc(H, sizeof *d_bias);
        iso_env *env = iso_env_new(threads);
        iso_settings settings = {.training = true, .stepper = c->stepped ? &l.stepper : NULL, .squares = &squares};
        iso_args a = {.env = env, .kernels = iso_kernels_best(), .node = &nodes[1], .batch = &batch, .settings = &settings, .rows = B, .cols = H, .in_rows = {G, 1}, .in_cols = {H, H},
                      .in = {w, c->no_bias ? NULL : b}, .out = out, .d_out = d, .d_in = {grad, c->no_bias ? NULL : d_bias}, .add = {c->add && !c->stepped},
                      .saved = {saved}, .squares = {c->stepped ? &squares : NULL}};
        for (int backward = 0; backward < 2; backward++) {
            a.work = iso_calloc(iso_op_csr_linear.work_size(&graph, &nodes[1], B, backward), sizeof *a.work);
            (backward ? iso_op_csr_linear.backward : iso_op_csr_linear.forward)(&a);
            iso_free(a.work);
        }
        if (c->stepped) memcpy(grad, l.dw, (size_t)(G * H) * sizeof *grad);
        if (y) assert_memory_equal(y, out, (size_t)(B * H) * sizeof *y), iso_free(out);
        else y = out;
        if (dw) assert_memory_equal(dw, grad, (size_t)(G * H) * sizeof *dw), iso_free(grad);
        else dw = grad;
        iso_free(saved), iso_free(d_bias);
        iso_env_free(env);
    }
    for (int i = 0; i < B; i++)
        for (int h = 0; h < H; h++) {
            double sum = c->no_bias ? 0 : (double)b[h], size = fabs(sum);
            for (int g = 0; g < G; g++) { double p = (double)x[i * G + g] * (double)w[g * H + h]; sum += p, size += fabs(p); }
            expect((double)y[i * H + h], 0, sum, size, close);
        }
    double want_squares = 0;
    for (int g = 0; g < G; g++)
        for (int h = 0; h < H; h++) {
            double sum = 0, size = 0, got = (double)dw[g * H + h];
            for (int i = 0; i < B; i++) { double p = (double)x[i * G + g] * (double)d[i * H + h]; sum += p, size += fabs(p); }
            expect(got, c->add && !c->stepped ? (double)before[g * H + h] : 0, sum, size, close);
            want_squares += got * got;
        }
    if (c->stepped) expect(squares, 0, want_squares, want_squares, 1e-6);
    void *all[] = {w, b, d, before, x, y, dw, indptr, indices, values};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) iso_free(all[i]);
}

static void sparse_rows(void **state)
{
    (void)state;
    static const int sizes[][3] = {{128, 700, 45}, {41, 700, 32}, {1, 33, 7}, {64, 128, 141}, {33, 513, 16}, {97, 95, 1}, {160, 31, 160}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int how = 0; how < 16; how++)
            check_sparse(&(sparse_case){sizes[s][0], sizes[s][1], sizes[s][2], .density = how & 1 ? 0.01 : 0.2, .add = how & 2, .stepped = how & 4, .no_bias = how & 8});
}

/* The likelihood's way back with heads genes first in 16 bits: what forward left, times the gradient of the loss, beside it or in its place. */
static void heads_are_scaled(void **state)
{
    (void)state;
    enum { B = 3, G = 400 };                                 /* more than one run of numbers */
    static iso_bf16 mean[G * B], d[G * B], want[G * B];
    static real left[G * B], saved[G + B], dispersion[G], loss;
    const int64_t indptr[B + 1] = {0, 1, 1, 2};
    const int32_t genes[] = {7, 399};
    const float counts[] = {3, 1};
    iso_env *env = iso_env_new(1);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 9, .stream = ISO_STREAM_TEST}, 0);
    real library[B] = {2, 3, 4}, *work = iso_calloc(iso_likelihood_genes_work(B, G) + B, sizeof *work);
    const iso_batch batch = {.n = B, .x = {B, G, indptr, genes, counts}};
    const iso_settings settings = {.training = true};
    const iso_node n = {.op = &iso_op_likelihood, .n_in = 4, .i = {0, 0, ISO_GENES_FIRST_BF16}, .pointer = &iso_likelihood_nb};
    for (int in_place = 0; in_place < 2; in_place++)
        for (real up = 1; up > 0; up -= (real)0.75) {
            for (int i = 0; i < G * B; i++) left[i] = (real)iso_rng_normal(&r);
            iso_kernels_best()->to_bf16(left, mean, G * B);
            iso_args a = {.env = env, .kernels = iso_kernels_best(), .node = &n, .batch = &batch, .settings = &settings, .rows = 1, .cols = 1,
                          .in_rows = {B, 0, 1, B}, .in_cols = {G, 0, G, 1}, .in = {(real *)mean, NULL, dispersion, library}, .out = &loss,
                          .saved = {(real *)mean, NULL, saved}, .work = work};
            iso_op_likelihood.forward(&a);
            iso_kernels_best()->from_bf16(mean, left, G * B);
            for (int i = 0; i < G * B; i++) left[i] *= up;
            iso_kernels_best()->to_bf16(left, want, G * B);
            a.d_out = &up, a.d_in[0] = in_place ? (real *)mean : (real *)d;
            iso_op_likelihood.backward(&a);
            assert_memory_equal(a.d_in[0], want, sizeof want);
        }
    iso_free(work);
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounding), cmocka_unit_test(products), cmocka_unit_test(linear_rounds_its_operands), cmocka_unit_test(linear_by_column), cmocka_unit_test(linear_is_exact), cmocka_unit_test(sparse_rows), cmocka_unit_test(heads_are_scaled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
