/* The kernels of training, of every instruction set that this CPU has, against plain sums in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

#define FOR_EACH(k) for (int k = 0; iso_kernel_table[k]; k++) if (iso_kernel_table[k]->supported())

static iso_rng numbers(uint64_t item) { return iso_rng_start((iso_rng_key){.seed = 8, .stream = ISO_STREAM_TEST}, item); }

static double wide(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* Moments of either kind. */
enum { N_STEPPED = 2500 };
typedef struct moments { real m[N_STEPPED], v[N_STEPPED]; uint32_t both[N_STEPPED]; } moments;
static double m_of(const moments *s, int i, bool half) { return half ? wide(s->both[i] & 0xffff0000u) : (double)s->m[i]; }
static double v_of(const moments *s, int i, bool half) { return half ? wide(s->both[i] << 16) : (double)s->v[i]; }
static void set(moments *s, int i, real m, real v)
{
    iso_bf16 half[2];
    s->m[i] = m, s->v[i] = v;
    iso_kernels_best()->to_bf16((const real[]){m, v}, half, 2);
    s->both[i] = (uint32_t)half[0] << 16 | half[1];
}
static iso_moments lent(moments *s, bool half, int from)
{
    return half ? (iso_moments){.both = s->both + from} : (iso_moments){.m = s->m + from, .v = s->v + from};
}

/* Adam, with a guard and without, of a length that is no multiple of anything; some moments are still 0, some gradients far too large.
 * Narrow moments come out as one of the two numbers of 16 bits that they lie between; all as the same ones if the range is cut. */
static void adam_is_adam(void **state)
{
    (void)state;
    enum { N = N_STEPPED, FIRST = 77, CUT = 800 };
    static real g[N], p[N], again[N];
    static moments once, cut;
    static double want[N], m_want[N], v_want[N];
    FOR_EACH(k)
        for (int kind = 0; kind < 4; kind++) {
            const bool half = kind & 1;
            const int guard = kind & 2 ? 30 : 0;
            iso_rng r = numbers(1);
            double squares = 0, worst = 0, held = 0;
            const iso_adam_step s = {.scale = (real)0.5, .rate = (real)0.01, .beta1 = (real)0.9, .beta2 = (real)0.999, .epsilon = (real)0.01,
                                     .weight_decay = (real)1e-3, .inverse_root = (real)3, .guard = (real)guard, .salt = 12345};
            for (int i = 0; i < N; i++) {
                const real m_was = i % 5 ? (real)iso_rng_normal(&r) : 0, v_was = i % 5 ? (real)pow(iso_rng_normal(&r), 2) : 0;
                set(&once, i, m_was, v_was), set(&cut, i, m_was, v_was);
                double mi = m_of(&once, i, half), vi = v_of(&once, i, half);
                g[i] = (real)(iso_rng_normal(&r) * (i % 7 == 3 ? 1e4 : 1)), again[i] = p[i] = (real)iso_rng_normal(&r);
                double gi = (double)g[i] * 0.5, most = guard * sqrt(vi);
                squares += (double)g[i] * (double)g[i];
                if (guard && vi > 0 && fabs(gi) > most) gi = copysign(most, gi), held++;
                gi += (double)s.weight_decay * (double)p[i];
                const double b1 = (double)s.beta1, b2 = (double)s.beta2;              /* as they are in real */
                m_want[i] = b1 * mi + (1 - b1) * gi, v_want[i] = b2 * vi + (1 - b2) * gi * gi;
                want[i] = (double)p[i] - 0.01 * m_want[i] / (sqrt(v_want[i]) * 3 + 0.01);
            }
            const iso_moments all = lent(&once, half, 0), before = lent(&cut, half, 0), after = lent(&cut, half, CUT);
            double got = iso_kernel_table[k]->adam(&s, FIRST, N, g, p, &all);
            for (int i = 0; i < N; i++) {                            /* with narrow moments root and quotient have 14 bits each */
                double rough = half ? 0.01 * fabs(m_want[i]) / (sqrt(v_want[i]) * 3 + 0.01) * 0x1p-13 : 0;
                worst = fmax(worst, fabs((double)p[i] - want[i]) - rough);
            }
            assert_true(fabs(got / squares - 1) < 1e-6);
            assert_true(worst < (guard ? 1e-3 : 1e-6));          /* the root of the guard is within 0.2 % */
            assert_true((held > 100) == (guard > 0));
            for (int i = 0; i < N && !guard; i++) {
                const double close = half ? 0x1p-7 : 1e-6;
                assert_true(fabs(m_of(&once, i, half) - m_want[i]) < close * (fabs(m_want[i]) + (half ? 1e-6 : 1)));
                assert_true(fabs(v_of(&once, i, half) - v_want[i]) < close * (v_want[i] + (half ? 1e-6 : 1)));
            }
            iso_kernel_table[k]->adam(&s, FIRST, CUT, g, again, &before);
            iso_kernel_table[k]->adam(&s, FIRST + CUT, N - CUT, g + CUT, again + CUT, &after);
            assert_memory_equal(&once, &cut, sizeof once);
            assert_memory_equal(p, again, sizeof p);
        }
}

/* A moment that moves by less than its last bit arrives where it would without rounding: v after 4,000 steps of g = 1 (from where it is
 * 2), of g = 0, and of g that is 1 in one step of ten; a mean over elements is within their spread. */
static void narrow_moments_do_not_stick(void **state)
{
    (void)state;
    enum { N = 4096, STEPS = 4000 };
    static real g[N], p[N];
    static uint32_t both[N];
    for (int what = 0; what < 3; what++)
        FOR_EACH(k) {
            double want = 2, mean = 0;
            for (int i = 0; i < N; i++) both[i] = 0x4000, p[i] = 0;         /* v = 2 */
            for (uint32_t t = 1; t <= STEPS; t++) {
                real now = what == 0 ? 1 : what == 1 ? 0 : t % 10 == 0;
                for (int i = 0; i < N; i++) g[i] = now;
                want = 0.999 * want + 0.001 * (double)now;
                const iso_adam_step s = {.scale = 1, .rate = (real)1e-3, .beta1 = (real)0.9, .beta2 = (real)0.999, .epsilon = 1, .inverse_root = 1,
                                         .salt = t * 0xC2B2AE3Du};
                iso_kernel_table[k]->adam(&s, 0, N, g, p, &(iso_moments){.both = both});
            }
            for (int i = 0; i < N; i++) mean += wide(both[i] << 16) / N;
            assert_true(fabs(mean / want - 1) < 0.001);
        }
}

enum { CELLS = 19, GENES = 301, UNITS = 141 };       /* no multiple of a register, and more than one chunk of them */
typedef struct sparse { int64_t indptr[CELLS + 1]; int32_t indices[CELLS * GENES]; float counts[CELLS * GENES]; real values[CELLS * GENES]; iso_batch_csr x; } sparse;

static void make(sparse *s)
{
    iso_rng r = numbers(2);
    int64_t at = 0;
    for (int c = 0; c < CELLS; c++) {
        for (int g = 0; g < GENES; g++) {
            if (c == 4 || iso_rng_uniform(&r) > 0.1) continue;      /* one cell is empty */
            s->indices[at] = g, s->values[at] = (real)iso_rng_normal(&r), at++;
        }
        s->indptr[c + 1] = at;
    }
    s->x = (iso_batch_csr){CELLS, GENES, s->indptr, s->indices, s->counts};
}

static void sparse_layer(void **state)
{
    (void)state;
    static sparse s;
    static real w[GENES * UNITS], y[CELLS * UNITS], dy[CELLS * UNITS], dw[GENES * UNITS];
    make(&s);
    iso_rng r = numbers(3);
    for (int i = 0; i < GENES * UNITS; i++) w[i] = (real)iso_rng_normal(&r);
    for (int i = 0; i < CELLS * UNITS; i++) dy[i] = (real)iso_rng_normal(&r);
    const int spans[][2] = {{0, GENES}, {0, 100}, {100, 228}, {228, GENES}, {7, 8}};
    FOR_EACH(k)
        for (size_t t = 0; t < sizeof spans / sizeof *spans; t++) {
            int from = spans[t][0], to = spans[t][1];
            int64_t cursor[CELLS];
            iso_kernel_table[k]->csr_linear(&s.x, s.values, w, NULL, UNITS, y, 0, CELLS, from, to);
            for (int c = 0; c < CELLS; c++)
                for (int u = 0; u < UNITS; u++) {
                    double want = 0;
                    for (int64_t e = s.indptr[c]; e < s.indptr[c + 1]; e++)
                        if (s.indices[e] >= from && s.indices[e] < to) want += (double)s.values[e] * (double)w[s.indices[e] * UNITS + u];
                    assert_true(fabs((double)y[c * UNITS + u] - want) < 1e-4);
                }
            for (int add = 0; add < 2; add++) {              /* twice: then twice as much */
                for (int c = 0; c < CELLS; c++) cursor[c] = -1;
                int middle = (from + to) / 2;                /* in two blocks, of which the second goes on where the first ended */
                iso_kernel_table[k]->csr_linear_dw(&s.x, s.values, dy, UNITS, cursor, dw + from * UNITS, add, from, middle);
                iso_kernel_table[k]->csr_linear_dw(&s.x, s.values, dy, UNITS, cursor, dw + middle * UNITS, add, middle, to);
                for (int g = from; g < to; g++)
                    for (int u = 0; u < UNITS; u++) {
                        double want = 0;
                        for (int c = 0; c < CELLS; c++)
                            for (int64_t e = s.indptr[c]; e < s.indptr[c + 1]; e++)
                                if (s.indices[e] == g) want += (1 + add) * (double)s.values[e] * (double)dy[c * UNITS + u];
                        assert_true(fabs((double)dw[g * UNITS + u] - want) < 1e-4);
                    }
            }
        }
}

/* Products with and without a short side, transposed or not, in matrices with more columns than are used; C is not read where beta is 0. */
static void dense_products(void **state)
{
    (void)state;
    static const int shapes[][3] = {{128, 10, 128}, {10, 128, 128}, {128, 128, 10}, {1, 1, 1}, {3, 17, 5}, {9, 33, 40}, {37, 16, 7}, {2, 64, 64}, {40, 40, 41}, {5, 200, 300}, {50, 1100, 20}, {11, 96, 600}};
    enum { MOST = 1105 * 60 };
    static real A[MOST], B[MOST], C[MOST], before[MOST];
    iso_rng r = numbers(9);
    for (int i = 0; i < MOST; i++) A[i] = (real)iso_rng_normal(&r), B[i] = (real)iso_rng_normal(&r), before[i] = (real)iso_rng_normal(&r);
    const double betas[] = {0, 1, 0.5};
    FOR_EACH(kernel)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (int how = 0; how < 12; how++) {
                const int M = shapes[s][0], N = shapes[s][1], K = shapes[s][2], ta = how & 1, tb = how & 2;
                const int lda = (ta ? M : K) + 3, ldb = (tb ? K : N) + (how & 1 ? 5 : 0), ldc = N + 2;
                const double beta = betas[how / 4], alpha = 0.75, close = sizeof(real) == 4 ? 1e-6 : 1e-14;
                for (int i = 0; i < M * ldc; i++) C[i] = beta == 0 ? (real)NAN : before[i];
                iso_kernel_table[kernel]->gemm(ta, tb, M, N, K, (real)alpha, A, lda, B, ldb, (real)beta, C, ldc);
                for (int m = 0; m < M; m++)
                    for (int n = 0; n < ldc; n++) {
                        double want = beta == 0 ? 0 : beta * (double)before[m * ldc + n], size = fabs(want) + 1e-30;
                        for (int k = 0; k < K && n < N; k++) {
                            double p = alpha * (double)(ta ? A[k * lda + m] : A[m * lda + k]) * (double)(tb ? B[n * ldb + k] : B[k * ldb + n]);
                            want += p, size += fabs(p);
                        }
                        if (n < N) assert_true(fabs((double)C[m * ldc + n] - want) <= close * size);
                        else assert_true(beta == 0 ? isnan(C[m * ldc + n]) : C[m * ldc + n] == before[m * ldc + n]);       /* nothing beside it */
                    }
            }
}

/* The loops of batch_norm, of columns that lie among others, against sums in double. */
static void norms(void **state)
{
    (void)state;
    enum { ROWS = 37, COLS = 150, STEP = 160 };
    static real x[ROWS * STEP], d[ROWS * STEP], y[ROWS * STEP], dx[ROWS * STEP], mean[COLS], squares[COLS], a[COLS], b[COLS], c[COLS], sum[COLS], products[COLS];
    const double close = sizeof(real) == 4 ? 1e-5 : 1e-13;
    iso_rng r = numbers(10);
    for (int i = 0; i < ROWS * STEP; i++) x[i] = (real)(3 + iso_rng_normal(&r)), d[i] = (real)iso_rng_normal(&r);
    for (int j = 0; j < COLS; j++) a[j] = (real)iso_rng_normal(&r), b[j] = (real)iso_rng_normal(&r), c[j] = (real)iso_rng_normal(&r);
    FOR_EACH(k)
        for (int how = 0; how < 4; how++) {
            const iso_kernels *kernels = iso_kernel_table[k];
            const bool add = how & 1, relu = how & 2;
            for (int i = 0; i < ROWS * STEP; i++) y[i] = 5, dx[i] = 7;
            kernels->norm_moments(x, ROWS, COLS, STEP, mean, squares);
            kernels->norm(x, ROWS, COLS, STEP, mean, a, b, relu, y);
            kernels->norm_sums(x, d, relu ? y : NULL, ROWS, COLS, STEP, mean, sum, products);
            kernels->norm_back(x, d, relu ? y : NULL, ROWS, COLS, STEP, mean, a, b, c, add, dx);
            for (int j = 0; j < COLS; j++) {
                double m = 0, square = 0, total = 0, product = 0;
                for (int i = 0; i < ROWS; i++) m += (double)x[i * STEP + j] / ROWS;
                for (int i = 0; i < ROWS; i++) {
                    const double off = (double)x[i * STEP + j] - m, normed = off * (double)a[j] + (double)b[j];
                    const double up = relu && y[i * STEP + j] <= 0 ? 0 : (double)d[i * STEP + j];
                    square += off * off, total += up, product += up * off;
                    assert_true(fabs((double)y[i * STEP + j] - (relu ? fmax(normed, 0) : normed)) < close);
                    assert_true(fabs((double)dx[i * STEP + j] - (7 * add + (double)a[j] * up + (double)b[j] * off + (double)c[j])) < 2 * close);
                }
                assert_true(fabs((double)mean[j] - m) < close && fabs((double)squares[j] - square) < 10 * close);
                assert_true(fabs((double)sum[j] - total) < close && fabs((double)products[j] - product) < 2 * close);
            }
            for (int i = 0; i < ROWS; i++)                   /* nothing beside them */
                for (int j = COLS; j < STEP; j++) assert_true(y[i * STEP + j] == 5 && dx[i * STEP + j] == 7);
        }
}

/* As kernel.h says which bits of the generator are whose. */
static void masks(void **state)
{
    (void)state;
    enum { N = 300 };
    const iso_rng_key key = {.seed = 0x123456789abcdefull, .stream = 300, .epoch = 7};
    const uint64_t item = 0x1fffffffffull;
    real mask[N + 1];
    FOR_EACH(k) {
        mask[N] = 5;
        iso_kernel_table[k]->dropout_mask(key, item, N, 20000, 2, mask);
        for (int c = 0; c < N; c++) {
            uint32_t words[4];
            int half = c / 16 % 8;
            iso_philox(key, item, (uint32_t)(c % 16 + c / 128 * 16), words);
            assert_true(mask[c] == ((words[half / 2] >> (half % 2 * 16) & 0xffff) < 20000 ? 0 : 2));
        }
        assert_true(mask[N] == 5);
    }
}

/* The normal numbers of base/rng.h. Where a radius is near 0, so is what it loses. */
static void normals(void **state)
{
    (void)state;
    static const struct { int rows, n; } shapes[] = {{1, 20011}, {128, 10}, {3, 1}, {33, 64}, {1, 3}, {5, 67}};
    enum { N = 20011, ROWS = 128 };
    static real some[N + 1], want[N];
    int64_t items[ROWS];
    for (int i = 0; i < ROWS; i++) items[i] = 0x1fffffffffll * (i + 1) % 1000003 + (int64_t)(i % 2) * 0x1fffffffffll;
    for (uint32_t stream = 1; stream < 5; stream++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const int rows = shapes[s].rows, n = shapes[s].n, size = rows * n;
            const iso_rng_key key = {.seed = 0x123456789abcdefull, .stream = stream, .epoch = 7};
            for (int r = 0; r < rows; r++) iso_normal(key, (uint64_t)items[r], n, want + r * n);
            FOR_EACH(k) {
                double sum = 0;
                some[size] = 5;
                iso_kernel_table[k]->normal(key, items, rows, n, some);
                for (int i = 0; i < size; i++) {
                    double off = fabs((double)some[i] - (double)want[i]);
                    sum += off;
                    assert_true(off < 5e-6);
                }
                assert_true(sum / size < (size > 1000 ? 5e-8 : 1e-6) && some[size] == 5);
            }
        }
}

static iso_bf16 upper_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (iso_bf16)(bits >> 16);
}

/* Of whole numbers up to 256, which 8 bits of mantissa hold: sums are exact. */
static void sums_of_half(void **state)
{
    (void)state;
    enum { N = 150 };
    iso_bf16 a[N], b[N], where[N], to[N + 1];
    FOR_EACH(k) for (int way = 0; way < 16; way++) {
        bool masked = way & 1, added = way & 2, relu = way & 4, in_place = way & 8;
        for (int i = 0; i < N; i++) a[i] = upper_half((float)(i % 19 - 9)), b[i] = upper_half((float)(i % 31 - 15)), where[i] = upper_half((float)(i % 3 - 1));
        if (in_place) memcpy(to, b, sizeof b);
        to[N] = 7;
        iso_kernel_table[k]->add_bf16(N, a, masked ? where : NULL, !added ? NULL : in_place ? to : b, relu, to);
        for (int i = 0; i < N; i++) {
            float want = (float)((masked && i % 3 != 2 ? 0 : i % 19 - 9) + (added ? i % 31 - 15 : 0));
            assert_int_equal(to[i], upper_half(relu && want < 0 ? 0 : want));
        }
        assert_int_equal(to[N], 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(adam_is_adam), cmocka_unit_test(narrow_moments_do_not_stick), cmocka_unit_test(sparse_layer), cmocka_unit_test(dense_products), cmocka_unit_test(norms), cmocka_unit_test(masks), cmocka_unit_test(normals), cmocka_unit_test(sums_of_half)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
