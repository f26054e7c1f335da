/* Convolutions of every kind and their adjoints against plain loops in double; included by a test for each number type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernel/convolution.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Images of even and odd sides; few channels and many, which go another way (kernel/winograd.c); no image, one, several. */
typedef struct shape { int64_t of[6], n; bool winograd; } shape;
static const shape shapes[] = {
    {{8, 8, 2, 3, 4, 2}, 3, false}, {{9, 7, 3, 5, 3, 1}, 2, false}, {{6, 6, 16, 8, 1, 1}, 2, false}, {{16, 12, 8, 32, 4, 2}, 5, true},
    {{10, 14, 16, 40, 4, 2}, 3, true}, {{9, 7, 9, 33, 4, 2}, 2, true}, {{8, 8, 32, 32, 3, 1}, 4, true}, {{5, 7, 33, 47, 3, 1}, 3, true},
    {{4, 4, 64, 32, 4, 2}, 150, true}, {{2, 2, 32, 32, 4, 2}, 2, true}, {{8, 8, 32, 32, 3, 1}, 0, true}, {{32, 32, 32, 32, 3, 1}, 15, true},
    {{16, 16, 32, 32, 4, 2}, 7, true}, {{2, 2, 128, 32, 4, 2}, 240, true}, {{12, 20, 8, 33, 4, 2}, 40, true},
};

static iso_conv conv_of(const shape *s, bool bf16, bool half_x, bool half_y)
{
    return (iso_conv){s->of[0], s->of[1], s->of[2], s->of[3], s->of[4], s->of[5], bf16, half_x, half_y};
}

static real *noise(int64_t n, uint64_t seed)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = seed, .stream = ISO_STREAM_TEST}, 0);
    real *x = malloc((size_t)(n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (real)iso_rng_normal(&r);
    return x;
}

/* Calls f for each tap of each output that lies in the image: where in x and y the pixels start, and in w the tap's weights of the first output. */
typedef struct plain { const iso_conv *c; const real *x, *y, *w; double *sum; } plain;
typedef void tap_fn(const plain *p, int64_t x, int64_t y, int64_t w);
static void each_tap(const iso_conv *c, int64_t n, tap_fn *f, const plain *p)
{
    int64_t out_h = iso_conv_height(c), out_w = iso_conv_width(c), pad = (c->size - 1) / 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t oy = 0; oy < out_h; oy++)
            for (int64_t ox = 0; ox < out_w; ox++)
                for (int64_t ky = 0; ky < c->size; ky++)
                    for (int64_t kx = 0; kx < c->size; kx++) {
                        int64_t iy = oy * c->stride - pad + ky, ix = ox * c->stride - pad + kx;
                        if (iy < 0 || ix < 0 || iy >= c->height || ix >= c->width) continue;
                        f(p, ((i * c->height + iy) * c->width + ix) * c->in, ((i * out_h + oy) * out_w + ox) * c->out, (ky * c->size + kx) * c->in);
                    }
}

static void to_y(const plain *p, int64_t x, int64_t y, int64_t w)
{
    for (int64_t o = 0; o < p->c->out; o++, w += p->c->size * p->c->size * p->c->in)
        for (int64_t k = 0; k < p->c->in; k++) p->sum[y + o] += (double)p->x[x + k] * (double)p->w[w + k];
}

static void to_x(const plain *p, int64_t x, int64_t y, int64_t w)
{
    for (int64_t o = 0; o < p->c->out; o++, w += p->c->size * p->c->size * p->c->in)
        for (int64_t k = 0; k < p->c->in; k++) p->sum[x + k] += (double)p->y[y + o] * (double)p->w[w + k];
}

static void to_w(const plain *p, int64_t x, int64_t y, int64_t w)
{
    for (int64_t o = 0; o < p->c->out; o++, w += p->c->size * p->c->size * p->c->in)
        for (int64_t k = 0; k < p->c->in; k++) p->sum[w + k] += (double)p->x[x + k] * (double)p->y[y + o];
}

/* got, kept in bfloat16 if `half`, against sum + start (of what was there before) + bias, or its positive part. */
static void compare(const char *what, bool half, const real *got, const double *sum, const real *start, const real *bias, int64_t channels, bool relu, int64_t n)
{
    double scale = 1e-3;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(sum[i]));
    for (int64_t i = 0; i < n; i++) {
        double want = sum[i] + (start ? (double)start[i] : 0) + (bias ? (double)bias[i % channels] : 0);
        if (relu && want < 0) want = 0;
        if (!(fabs((double)got[i] - want) <= (half ? 1.0 / 128 : TOLERANCE) * scale))
            fail_msg("%s: number %lld is %.9g, not %.9g", what, (long long)i, (double)got[i], want);
    }
}

/* d where out is above zero. */
static real *masked(const real *d, const real *out, int64_t n)
{
    real *m = malloc((size_t)(n + 1) * sizeof *m);
    for (int64_t i = 0; i < n; i++) m[i] = out[i] > 0 ? d[i] : 0;
    return m;
}

static void round_to_bf16(real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float f = (float)x[i];
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
        memcpy(&f, &bits, sizeof f);
        x[i] = (real)f;
    }
}

/* A side's numbers as the convolution keeps them, and back. NULL stays NULL. */
static real *packed(const real *x, int64_t n, bool half)
{
    if (!x) return NULL;
    real *to = malloc((size_t)(n + 1) * sizeof *to);
    memcpy(to, x, (size_t)n * sizeof *to);
    if (!half) return to;
    round_to_bf16(to, n);
    iso_bf16 *small = (iso_bf16 *)to;
    for (int64_t i = 0; i < n; i++) {
        float f = (float)to[i];
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        small[i] = (iso_bf16)(bits >> 16);
    }
    return to;
}

static void unpack(const real *x, int64_t n, bool half, real *to)
{
    const iso_bf16 *small = (const iso_bf16 *)x;
    if (!half) memcpy(to, x, (size_t)n * sizeof *to);
    for (int64_t i = 0; half && i < n; i++) {
        uint32_t bits = (uint32_t)small[i] << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        to[i] = (real)f;
    }
}

/* Runs `run` on one thread and on three, on copies of `start`: the same bits, and those of the sums. */
typedef void run_fn(iso_env *env, void *arg, real *to);
static void both(const char *what, run_fn *run, void *arg, const real *start, int64_t n, real *out)
{
    for (int threads = 1; threads <= 3; threads += 2) {
        iso_env *env = iso_env_new(threads);
        real *to = malloc((size_t)(n + 1) * sizeof *to);
        for (int64_t i = 0; i < n; i++) to[i] = start ? start[i] : (real)NAN;
        run(env, arg, to);
        for (int64_t i = 0; i < n && threads > 1; i++)
            if (to[i] != out[i]) fail_msg("%s: number %lld is %.9g on one thread, %.9g on three", what, (long long)i, (double)out[i], (double)to[i]);
        memcpy(out, to, (size_t)n * sizeof *to);
        free(to);
        iso_env_free(env);
    }
}

typedef struct call { const iso_conv *c; int64_t n; const real *x, *y, *w, *bias; iso_conv_gradient g; int which; real *work; } call;

static int64_t size_x(const iso_conv *c, int64_t n) { return n * c->height * c->width * c->in; }
static int64_t size_y(const iso_conv *c, int64_t n) { return n * iso_conv_height(c) * iso_conv_width(c) * c->out; }

static void run_forward(iso_env *env, void *arg, real *to)
{
    const call *k = arg;
    const iso_conv *c = k->c;
    int64_t nx = size_x(c, k->n), ny = size_y(c, k->n);
    real *x = packed(k->x, nx, c->half_x), *y = packed(k->y, ny, c->half_y);
    if (k->which) {
        iso_conv_scatter(env, c, k->n, y, k->w, k->bias, k->bias, x, k->work);
        unpack(x, nx, c->half_x, to);
    } else {
        iso_conv_gather(env, c, k->n, x, k->w, k->bias, k->bias, y, k->work);
        unpack(y, ny, c->half_y, to);
    }
    free(x), free(y);
}

/* One gradient of the three alone, or all of them. */
static void run_backward(iso_env *env, void *arg, real *to)
{
    const call *k = arg;
    const iso_conv *c = k->c;
    iso_conv_gradient g = k->g;
    int64_t nx = size_x(c, k->n), ny = size_y(c, k->n), nw = c->out * c->size * c->size * c->in, n_in = g.transposed ? ny : nx, n_out = g.transposed ? nx : ny;
    bool half_in = g.transposed ? c->half_y : c->half_x, half_out = g.transposed ? c->half_x : c->half_y;
    real *x = packed(g.x, n_in, half_in), *d = packed(g.d, n_out, half_out), *out = packed(g.out, n_out, half_out), *dx = packed(to, n_in, half_in);
    g.x = x, g.d = d, g.out = out;
    if (k->which != 1) g.dx = dx;
    if (k->which != 0) g.dw = to + n_in;
    if (k->which == 2) g.dbias = to + n_in + nw;
    iso_conv_backward(env, c, k->n, &g, k->work);
    if (k->which != 1) unpack(dx, n_in, half_in, to);
    free(x), free(d), free(out), free(dx);
}

/* Forward and transposed, with bias and relu and without. */
static void check_forward(const iso_conv *c, int64_t n, const real *x, const real *y, const real *w, const real *bias)
{
    int64_t size[2] = {n * iso_conv_height(c) * iso_conv_width(c) * c->out, n * c->height * c->width * c->in}, channels[2] = {c->out, c->in};
    real *work = noise(iso_conv_work(c, n, false), 5);
    for (int which = 0; which < 2; which++) {
        double *sum = calloc((size_t)size[which] + 1, sizeof *sum);
        real *got = malloc((size_t)(size[which] + 1) * sizeof *got);
        each_tap(c, n, which ? to_x : to_y, &(plain){c, x, y, w, sum});
        for (int finish = 0; finish < 2; finish++) {
            call k = {.c = c, .n = n, .x = x, .y = y, .w = w, .bias = finish ? bias : NULL, .which = which, .work = work};
            both(which ? "scatter" : "gather", run_forward, &k, NULL, size[which], got);
            compare(which ? "scatter" : "gather", which ? c->half_x : c->half_y, got, sum, NULL, k.bias, channels[which], finish, size[which]);
        }
        free(sum), free(got);
    }
    free(work);
}

/* All gradients of forward or transposed, alone and together, new and added to what is there, through a relu and without. */
static void check_backward(const iso_conv *c, int64_t n, const real *x, const real *y, const real *w, bool transposed)
{
    int64_t nx = n * c->height * c->width * c->in, ny = n * iso_conv_height(c) * iso_conv_width(c) * c->out, nw = c->out * c->size * c->size * c->in;
    int64_t n_in = transposed ? ny : nx, n_out = transposed ? nx : ny, channels = transposed ? c->in : c->out, all = n_in + nw + channels;
    real *work = noise(iso_conv_work(c, n, true), 5), *out = noise(n_out, 6), *there = noise(all, 7), *got = malloc((size_t)(all + 1) * sizeof *got);
    for (int way = 0; way < 4; way++) {
        bool relu = way & 1, add = way & 2;
        const real *d = transposed ? x : y;
        real *dm = relu ? masked(d, out, n_out) : NULL;
        plain p = {c, transposed && relu ? dm : x, !transposed && relu ? dm : y, w, calloc((size_t)all + 1, sizeof(double))}, pw = p;
        pw.sum = p.sum + n_in;
        each_tap(c, n, transposed ? to_y : to_x, &p);
        each_tap(c, n, to_w, &pw);
        for (int64_t i = 0; i < n_out; i++) p.sum[n_in + nw + i % channels] += (double)(relu ? dm : d)[i];
        call k = {.c = c, .n = n, .work = work};
        k.g = (iso_conv_gradient){.transposed = transposed, .add_x = add, .add_w = add, .add_bias = add, .x = transposed ? y : x, .w = w, .d = d,
                                  .out = relu ? out : NULL};
        for (k.which = 0; k.which < 3; k.which++) {
            const real *start = k.which == 2 && !add ? NULL : there;
            both("backward", run_backward, &k, start, all, got);
            const real *to_add = add ? there : NULL, *w_there = to_add ? to_add + n_in : NULL;
            if (k.which != 1) compare("dx", transposed ? c->half_y : c->half_x, got, p.sum, to_add, NULL, 1, false, n_in);
            if (k.which != 0) compare("dw", false, got + n_in, pw.sum, w_there, NULL, 1, false, nw);
            if (k.which == 2) compare("dbias", false, got + n_in + nw, pw.sum + nw, w_there ? w_there + nw : NULL, NULL, 1, false, channels);
        }
        free(p.sum), free(dm);
    }
    free(work), free(out), free(there), free(got);
}

/* In bfloat16, numbers that it can hold are used: products of these are exact. */
static void check(const iso_conv *c, int64_t n)
{
    int64_t nx = n * c->height * c->width * c->in, ny = n * iso_conv_height(c) * iso_conv_width(c) * c->out, nw = c->out * c->size * c->size * c->in;
    real *x = noise(nx, 1), *y = noise(ny, 2), *w = noise(nw, 3), *bias = noise(c->in + c->out, 4);
    if (c->bf16) round_to_bf16(x, nx), round_to_bf16(y, ny), round_to_bf16(w, nw);
    check_forward(c, n, x, y, w, bias);
    check_backward(c, n, x, y, w, false);
    check_backward(c, n, x, y, w, true);
    free(x), free(y), free(w), free(bias);
}

/* By the kernels of each instruction set that this CPU has. */
static void against_loops(void **state)
{
    (void)state;
    for (int k = 0; iso_kernel_table[k]; k++) {
        if (!iso_kernel_table[k]->supported()) continue;
        setenv("ISOLARIO_ISA", iso_kernel_table[k]->name, 1);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            iso_conv c = conv_of(&shapes[s], false, false, false);
            assert_true(iso_conv_by_winograd.fits(&c) == shapes[s].winograd);
            check(&c, shapes[s].n);
        }
    }
    unsetenv("ISOLARIO_ISA");
}

/* In bfloat16 by tiles, where the CPU has them, images kept in it or not: places that are fewer and more than a tile, one block of images and
 * several, teams and none. */
static void by_tiles(void **state)
{
    (void)state;
    static const shape more[] = {{{64, 64, 2, 32, 4, 2}, 5, false}, {{16, 16, 16, 32, 4, 2}, 37, false}, {{12, 20, 8, 32, 3, 1}, 17, false},
                                 {{4, 4, 32, 96, 4, 2}, 64, false}, {{8, 8, 128, 64, 4, 2}, 9, false}, {{16, 16, 64, 8, 1, 1}, 6, false},
                                 {{6, 10, 1, 2, 4, 2}, 1, false}, {{8, 8, 512, 18, 4, 2}, 9, false}, {{16, 16, 2048, 6, 4, 2}, 3, false},
                                 {{8, 8, 3, 5, 3, 1}, 1, false}};
    enum { MORE = sizeof more / sizeof *more, ALL = MORE + sizeof shapes / sizeof *shapes };
    iso_conv odd = conv_of(&more[MORE - 1], true, false, false);
    assert_false(iso_conv_in_tiles(&odd));      /* pairs of channels would straddle pixels */
    for (int s = 0; s < ALL; s++)
        for (int half = 0; half < 4; half += s < MORE ? 1 : 3) {
            const shape *a = s < MORE ? &more[s] : &shapes[s - MORE];
            iso_conv c = conv_of(a, true, half & 1, half & 2);
            if (iso_conv_in_tiles(&c)) check(&c, a->n);
        }
}

/* A plan makes room once, for its largest batch. */
static void room_for_fewer_images(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int64_t n = 1; n <= 70; n++)
            for (int k = 0; k < 4; k++) {
                iso_conv c = conv_of(&shapes[s], k & 2, false, false);
                assert_true(iso_conv_work(&c, n, k & 1) <= iso_conv_work(&c, n + 1, k & 1));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_loops), cmocka_unit_test(by_tiles), cmocka_unit_test(room_for_fewer_images)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
