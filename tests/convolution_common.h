/* Convolutions of every kind and their adjoints against plain loops in double; included by a test for each number type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernel/winograd.h"

#include <math.h>
#include <stdlib.h>

/* Images of even and odd sides; few channels and many, which go another way (kernel/winograd.c); no image, one, several. */
static const struct { iso_conv c; int64_t n; bool winograd; } shapes[] = {
    {{8, 8, 2, 3, 4, 2}, 3, false},    {{9, 7, 3, 5, 3, 1}, 2, false},   {{6, 6, 16, 8, 1, 1}, 2, false}, {{16, 12, 8, 32, 4, 2}, 5, true},
    {{10, 14, 16, 40, 4, 2}, 3, true}, {{9, 7, 9, 33, 4, 2}, 2, true},   {{8, 8, 32, 32, 3, 1}, 4, true}, {{5, 7, 33, 47, 3, 1}, 3, true},
    {{4, 4, 64, 32, 4, 2}, 150, true}, {{2, 2, 32, 32, 4, 2}, 2, true},  {{8, 8, 32, 32, 3, 1}, 0, true}, {{32, 32, 32, 32, 3, 1}, 9, true},
};

static real *noise(int64_t n, uint64_t seed)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = seed, .stream = ISO_STREAM_TEST}, 0);
    real *x = malloc((size_t)(n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (real)iso_rng_normal(&r);
    return x;
}

/* Calls f for each tap of each output that lies in the image: indices in x, y, w. */
typedef void tap_fn(void *arg, int64_t x, int64_t y, int64_t w);
static void each_tap(const iso_conv *c, int64_t n, tap_fn *f, void *arg)
{
    int64_t out_h = iso_conv_height(c), out_w = iso_conv_width(c), pad = (c->size - 1) / 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t oy = 0; oy < out_h; oy++)
            for (int64_t ox = 0; ox < out_w; ox++)
                for (int64_t ky = 0; ky < c->size; ky++)
                    for (int64_t kx = 0; kx < c->size; kx++) {
                        int64_t iy = oy * c->stride - pad + ky, ix = ox * c->stride - pad + kx;
                        if (iy < 0 || ix < 0 || iy >= c->height || ix >= c->width) continue;
                        for (int64_t o = 0; o < c->out; o++)
                            for (int64_t k = 0; k < c->in; k++)
                                f(arg, ((i * c->height + iy) * c->width + ix) * c->in + k, ((i * out_h + oy) * out_w + ox) * c->out + o,
                                  ((o * c->size + ky) * c->size + kx) * c->in + k);
                    }
}

typedef struct plain { const real *x, *y, *w; double *sum; } plain;
static void to_y(void *arg, int64_t x, int64_t y, int64_t w) { plain *p = arg; p->sum[y] += (double)p->x[x] * (double)p->w[w]; }
static void to_x(void *arg, int64_t x, int64_t y, int64_t w) { plain *p = arg; p->sum[x] += (double)p->y[y] * (double)p->w[w]; }
static void to_w(void *arg, int64_t x, int64_t y, int64_t w) { plain *p = arg; p->sum[w] += (double)p->x[x] * (double)p->y[y]; }

/* got against sum + start (of what was there before) + bias, or its positive part. */
static void compare(const char *what, const real *got, const double *sum, const real *start, const real *bias, int64_t channels, bool relu, int64_t n)
{
    double scale = 1e-3;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(sum[i]));
    for (int64_t i = 0; i < n; i++) {
        double want = sum[i] + (start ? (double)start[i] : 0) + (bias ? (double)bias[i % channels] : 0);
        if (relu && want < 0) want = 0;
        if (!(fabs((double)got[i] - want) <= TOLERANCE * scale))
            fail_msg("%s: number %lld is %.9g, not %.9g", what, (long long)i, (double)got[i], want);
    }
}

/* One shape: new with bias and relu, then added to what is there; on one thread and on three, to the same bits. */
static void check(const iso_conv *c, int64_t n)
{
    int64_t nx = n * c->height * c->width * c->in, ny = n * iso_conv_height(c) * iso_conv_width(c) * c->out, nw = c->out * c->size * c->size * c->in;
    real *x = noise(nx, 1), *y = noise(ny, 2), *w = noise(nw, 3), *bias = noise(c->in + c->out, 4), *work = noise(iso_conv_work(c, n), 5);
    struct { const char *what; int64_t n, channels; tap_fn *tap; const real *start; } ways[] = {
        {"gather", ny, c->out, to_y, y}, {"scatter", nx, c->in, to_x, x}, {"weights", nw, 1, to_w, w}};
    for (int k = 0; k < 3; k++)
        for (int add = 0; add < 2; add++) {
            int64_t m = ways[k].n;
            double *sum = calloc((size_t)m + 1, sizeof *sum);
            real *got[2] = {0};
            each_tap(c, n, ways[k].tap, &(plain){x, y, w, sum});
            for (int threads = 1; threads <= 3; threads += 2) {
                iso_env *env = iso_env_new(threads);
                real *to = got[threads / 2] = malloc((size_t)(m + 1) * sizeof *to);
                for (int64_t i = 0; i < m; i++) to[i] = add ? ways[k].start[i] : (real)NAN;
                if (k == 0) iso_conv_gather(env, c, n, x, w, add ? NULL : bias, !add, add, to, work);
                else if (k == 1) iso_conv_scatter(env, c, n, y, w, add ? NULL : bias, !add, add, to, work);
                else iso_conv_weights(env, c, n, x, y, add, to, work);
                iso_env_free(env);
            }
            compare(ways[k].what, got[0], sum, add ? ways[k].start : NULL, add || k == 2 ? NULL : bias, ways[k].channels, !add && k < 2, m);
            for (int64_t i = 0; i < m; i++) assert_true(got[0][i] == got[1][i]);
            free(got[0]), free(got[1]), free(sum);
        }
    free(x), free(y), free(w), free(bias), free(work);
}

static void against_loops(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        assert_true(iso_winograd_fits(&shapes[s].c) == shapes[s].winograd);
        check(&shapes[s].c, shapes[s].n);
    }
}

/* A plan makes room once, for its largest batch. */
static void room_for_fewer_images(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int64_t n = 1; n <= 70; n++) assert_true(iso_conv_work(&shapes[s].c, n) <= iso_conv_work(&shapes[s].c, n + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_loops), cmocka_unit_test(room_for_fewer_images)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
