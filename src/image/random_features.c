/* random_features.c: a fixed random network as an eye that no one has trained; see quality.h. */
#include "quality.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>

enum { LAYERS = 3, SIZE = 4, AT_ONCE = 32, SEED = 1 };
static const int64_t widths[LAYERS] = {8, 16, 32};

typedef struct eye {
    iso_conv layer[LAYERS];
    real *weights[LAYERS], *seen[LAYERS];     /* [out, SIZE, SIZE, in]; [AT_ONCE, pixels, out] */
    real *x, *work;                           /* [AT_ONCE, height, width, channels] */
} eye;

static int64_t pixels_out(const iso_conv *c) { return iso_conv_height(c) * iso_conv_width(c); }

static iso_status open_eye(eye *e, int64_t channels, iso_area a, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t work = 0;
    for (int l = 0; l < LAYERS; l++) {
        iso_conv *c = &e->layer[l];
        *c = (iso_conv){a.height, a.width, channels, widths[l], SIZE, 2, false, false, false};
        int64_t taps = SIZE * SIZE * c->in;
        ALLOC(e->weights[l], c->out * taps, sizeof(real));
        ALLOC(e->seen[l], AT_ONCE * pixels_out(c) * c->out, sizeof(real));
        iso_normal((iso_rng_key){SEED, ISO_STREAM_INIT, (uint32_t)l}, 0, c->out * taps, e->weights[l]);
        for (int64_t k = 0; k < c->out * taps; k++) e->weights[l][k] *= (real)sqrt(2.0 / (double)taps);
        if (iso_conv_work(c, AT_ONCE, false) > work) work = iso_conv_work(c, AT_ONCE, false);
        a = (iso_area){iso_conv_height(c), iso_conv_width(c)}, channels = c->out;
    }
    ALLOC(e->x, AT_ONCE * e->layer[0].height * e->layer[0].width * e->layer[0].in, sizeof(real));
    ALLOC(e->work, work, sizeof(real));
done:
    return st;
}

static void close_eye(eye *e)
{
    for (int l = 0; l < LAYERS; l++) iso_free(e->weights[l]), iso_free(e->seen[l]);
    iso_free(e->x);
    iso_free(e->work);
}

/* features [n, ISO_RANDOM_FEATURES] of the n images in e->x. */
static void look(iso_env *env, eye *e, int64_t n, float *features)
{
    const real *x = e->x;
    int64_t at = 0;
    for (int l = 0; l < LAYERS; l++) {
        const iso_conv *c = &e->layer[l];
        int64_t pixels = pixels_out(c);
        iso_conv_gather(env, c, n, x, e->weights[l], NULL, true, e->seen[l], e->work);
        for (int64_t i = 0; i < n; i++)
            for (int64_t o = 0; o < c->out; o++) {
                double mean = 0, square = 0;
                for (int64_t p = 0; p < pixels; p++) {
                    double v = (double)e->seen[l][(i * pixels + p) * c->out + o];
                    mean += v / (double)pixels, square += v * v / (double)pixels;
                }
                float *to = features + i * ISO_RANDOM_FEATURES + at + 2 * o;
                to[0] = (float)mean, to[1] = (float)sqrt(fmax(square - mean * mean, 0));
            }
        x = e->seen[l], at += 2 * c->out;
    }
}

iso_status iso_random_features(iso_env *env, const float *images, int64_t n, int64_t channels, iso_area a, float *features, iso_error *err)
{
    iso_status st = ISO_OK;
    eye e = {0};
    int64_t plane = a.height * a.width, size = plane * channels;
    TRY(open_eye(&e, channels, a, err));
    for (int64_t i = 0; i < n; i += AT_ONCE) {
        int64_t k = n - i < AT_ONCE ? n - i : AT_ONCE;
        for (int64_t j = 0; j < k * size; j++)                        /* channels last */
            e.x[j / size * size + j % plane * channels + j % size / plane] = (real)images[i * size + j];
        look(env, &e, k, features + i * ISO_RANDOM_FEATURES);
    }
done:
    close_eye(&e);
    return st;
}
