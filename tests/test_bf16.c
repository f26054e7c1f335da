/* bfloat16: rounding, products against sums in double for each instruction set and for the library's own, and the op `linear`
 * with it against the same op on rounded numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
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
static void check_product(iso_env *env, const iso_kernels *k, bool ta, bool tb, bool add)
{
    static iso_bf16 A[M * LARGEST], B[N * LARGEST];
    static real C[M * N], before[M * N], bias[N];
    const real beta = add ? 1 : 0;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 3, .stream = ISO_STREAM_TEST}, 0);
    for (int i = 0; i < M * K; i++) A[i] = (iso_bf16)(0x3f00 + iso_rng_uniform(&r) * 256);
    for (int i = 0; i < N * K; i++) B[i] = (iso_bf16)(0xbe80 + iso_rng_uniform(&r) * 256);
    for (int i = 0; i < M * N; i++) before[i] = C[i] = (real)iso_rng_normal(&r);
    for (int i = 0; i < N; i++) bias[i] = k ? 0 : (real)iso_rng_normal(&r);
    if (k) k->gemm_bf16(ta, tb, M, N, K, A, ta ? M : K, B, tb ? K : N, beta, C, N);
    else iso_gemm_bf16(env, ta, tb, M, N, K, A, ta ? M : K, B, tb ? K : N, beta, C, N, bias);
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            double want = (double)beta * (double)before[m * N + n] + (double)bias[n], size = 1;
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
    iso_env *env = iso_env_new(2);
    for (int t = 0; t < 8; t++) {
        check_product(env, NULL, t & 1, t & 2, t & 4);
        for (int k = 0; iso_kernel_table[k]; k++)
            if (iso_kernel_table[k]->supported()) check_product(env, iso_kernel_table[k], t & 1, t & 2, t & 4);
    }
    iso_env_free(env);
}

/* The op by hand: forward and backward on plain arrays. */
enum { CELLS = 9, IN = 40, OUT = 70 };
typedef struct arrays { real x[CELLS * IN], w[OUT * IN], b[OUT], d[CELLS * OUT], y[CELLS * OUT], dx[CELLS * IN], dw[OUT * IN], db[OUT]; } arrays;

static void run(arrays *a, bool bf16, iso_env *env)
{
    static real saved0[CELLS * IN], saved1[OUT * IN], work[CELLS * OUT];
    iso_node n = {.op = &iso_op_linear, .n_in = 3, .i = {bf16}};
    iso_args args = {.env = env, .kernels = iso_kernels_best(), .node = &n, .rows = CELLS, .cols = OUT, .in_rows = {CELLS, OUT, 1},
                     .in_cols = {IN, IN, OUT}, .in = {a->x, a->w, a->b}, .out = a->y, .d_out = a->d, .d_in = {a->dx, a->dw, a->db},
                     .saved = {bf16 ? saved0 : NULL, bf16 ? saved1 : NULL}, .work = bf16 ? work : NULL};
    iso_op_linear.forward(&args);
    iso_op_linear.backward(&args);
}

static void linear_rounds_its_operands(void **state)
{
    (void)state;
    static arrays half, whole;
    iso_env *env = iso_env_new(2);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 4, .stream = ISO_STREAM_TEST}, 0);
    for (int i = 0; i < CELLS * IN; i++) half.x[i] = (real)iso_rng_normal(&r), whole.x[i] = rounded(half.x[i]);
    for (int i = 0; i < OUT * IN; i++) half.w[i] = (real)iso_rng_normal(&r), whole.w[i] = rounded(half.w[i]);
    for (int i = 0; i < OUT; i++) half.b[i] = whole.b[i] = (real)iso_rng_normal(&r);
    for (int i = 0; i < CELLS * OUT; i++) half.d[i] = (real)iso_rng_normal(&r), whole.d[i] = rounded(half.d[i]);
    run(&half, true, env);
    run(&whole, false, env);
    for (int i = 0; i < CELLS * OUT; i++) assert_true(fabsf(half.y[i] - whole.y[i]) < 1e-4f);
    for (int i = 0; i < CELLS * IN; i++) assert_true(fabsf(half.dx[i] - whole.dx[i]) < 1e-4f);
    for (int i = 0; i < OUT * IN; i++) assert_true(fabsf(half.dw[i] - whole.dw[i]) < 1e-4f);
    for (int i = 0; i < OUT; i++) {                 /* the bias's gradient is not rounded */
        float sum = 0;
        for (int c = 0; c < CELLS; c++) sum += half.d[c * OUT + i];
        assert_true(fabsf(half.db[i] - sum) < 1e-5f);
    }
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounding), cmocka_unit_test(products), cmocka_unit_test(linear_rounds_its_operands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
