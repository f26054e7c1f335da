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

/* Adam, with a guard and without, of a length that is no multiple of anything; some moments are still 0, some gradients far too large. */
static void adam_is_adam(void **state)
{
    (void)state;
    enum { N = 2500 };
    static real g[N], p[N], m[N], v[N];
    FOR_EACH(k)
        for (int guard = 0; guard <= 30; guard += 30) {
            iso_rng r = numbers(1);
            double squares = 0, worst = 0, held = 0;
            static double want[N];
            const iso_adam_step s = {.scale = (real)0.5, .rate = (real)0.01, .beta1 = (real)0.9, .beta2 = (real)0.999, .epsilon = (real)0.01,
                                     .weight_decay = (real)1e-3, .inverse_root = (real)3, .guard = (real)guard};
            for (int i = 0; i < N; i++) {
                g[i] = (real)(iso_rng_normal(&r) * (i % 7 == 3 ? 1e4 : 1)), p[i] = (real)iso_rng_normal(&r);
                m[i] = i % 5 ? (real)iso_rng_normal(&r) : 0, v[i] = i % 5 ? (real)pow(iso_rng_normal(&r), 2) : 0;
                double gi = (double)g[i] * 0.5, most = guard * sqrt((double)v[i]);
                squares += (double)g[i] * (double)g[i];
                if (guard && v[i] > 0 && fabs(gi) > most) gi = copysign(most, gi), held++;
                gi += (double)s.weight_decay * (double)p[i];
                const double b1 = (double)s.beta1, b2 = (double)s.beta2;              /* as they are in real */
                double mi = b1 * (double)m[i] + (1 - b1) * gi, vi = b2 * (double)v[i] + (1 - b2) * gi * gi;
                want[i] = (double)p[i] - 0.01 * mi / (sqrt(vi) * 3 + 0.01);
            }
            double got = iso_kernel_table[k]->adam(&s, N, g, p, m, v);
            for (int i = 0; i < N; i++) worst = fmax(worst, fabs((double)p[i] - want[i]));
            assert_true(fabs(got / squares - 1) < 1e-6);
            assert_true(worst < (guard ? 1e-3 : 1e-6));          /* the root of the guard is within 0.2 % */
            assert_true((held > 100) == (guard > 0));
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
    enum { N = 20011 };
    static real some[N + 1], want[N];
    for (uint32_t stream = 1; stream < 5; stream++) {
        const iso_rng_key key = {.seed = 0x123456789abcdefull, .stream = stream, .epoch = 7};
        iso_normal(key, 0x1fffffffffull, N, want);
        FOR_EACH(k) {
            double sum = 0;
            some[N] = 5;
            iso_kernel_table[k]->normal(key, 0x1fffffffffull, N, some);
            for (int i = 0; i < N; i++) {
                double off = fabs((double)some[i] - (double)want[i]);
                sum += off;
                assert_true(off < 5e-6);
            }
            assert_true(sum / N < 5e-8 && some[N] == 5);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(adam_is_adam), cmocka_unit_test(sparse_layer), cmocka_unit_test(masks), cmocka_unit_test(normals), cmocka_unit_test(sums_of_half)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
