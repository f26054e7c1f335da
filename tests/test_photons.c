/* The line of variance against mean: gain and offset of images whose camera is known, and images from which there is nothing to learn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "image/image.h"

#include <math.h>

enum { N = 20, H = 64, W = 96, PLANE = H * W, CHANNELS = 2 };
static float pixels[N * CHANNELS * PLANE];

/* A camera, and what it looks at: `low` to `high` photons in a smooth pattern; without shot: just the mean. */
typedef struct camera {
    double gain, offset, low, high, read_noise, full;      /* full: photons at which a pixel is saturated; 0: none */
    bool quiet;
} camera;

static double photons_at(const camera *c, int at)
{
    return c->low + (c->high - c->low) * (0.5 + 0.25 * sin(2 * M_PI * (at % W) / W) + 0.25 * sin(2 * M_PI * (at / W) / H));
}

/* The first channel is the camera's; the second holds what must not be looked at. */
static void look(const camera *c, uint64_t seed)
{
    for (int i = 0; i < N; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){.seed = seed, .stream = ISO_STREAM_TEST}, (uint64_t)i);
        float *plane = pixels + i * CHANNELS * PLANE;
        for (int at = 0; at < PLANE; at++) {
            double mean = photons_at(c, at), count = c->quiet ? mean : iso_rng_poisson(&r, mean);
            count += c->read_noise * iso_rng_normal(&r);
            if (c->full > 0 && count > c->full) count = c->full;
            plane[at] = (float)(c->gain * count + c->offset), plane[PLANE + at] = (float)(1e6 * iso_rng_uniform(&r));
        }
    }
}

static bool line(int n, double *gain, double *offset)
{
    return iso_photon_line(pixels, (iso_area){H, W}, n, CHANNELS * PLANE, gain, offset);
}

static void expect(const camera *c, int n, double of_gain, double of_offset, double photons_below)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double gain, offset;
        look(c, seed);
        assert_true(line(n, &gain, &offset));
        double off = (offset - c->offset) / c->gain + photons_below;
        if (fabs(gain / c->gain - 1) > of_gain || fabs(off) > of_offset)
            fail_msg("gain %g, offset %g, full %g: found %g and %g (%.2f photons off)", c->gain, c->offset, c->full, gain, offset, off);
    }
}

static void cameras_are_found(void **state)
{
    (void)state;
    static const double known[][2] = {{1, 0}, {0.25, 100}, {7.5, -12}, {100, 1000}};
    for (int k = 0; k < 4; k++) expect(&(camera){known[k][0], known[k][1], .low = 3, .high = 200}, N, 0.04, 2, 0);
}

/* 6,000 pixels instead of 120,000. */
static void one_image_will_do(void **state)
{
    (void)state;
    expect(&(camera){2, 50, .low = 3, .high = 200}, 1, 0.2, 6, 0);
}

/* The line crosses 0 below the offset: read noise of variance 9 looks like 9 photons. */
static void read_noise_moves_the_offset(void **state)
{
    (void)state;
    expect(&(camera){2, 50, .low = 3, .high = 200, .read_noise = 3}, N, 0.04, 1.5, 9);
}

/* The noise of saturated pixels is cut off: a twentieth of them, a quarter, nearly half. */
static void saturated_pixels_do_not_count(void **state)
{
    (void)state;
    for (int full = 190; full >= 130; full -= 30) expect(&(camera){2, 50, .low = 3, .high = 200, .full = full}, N, 0.08, 2, 0);
}

static void nothing_to_learn(void **state)
{
    (void)state;
    double gain, offset;
    look(&(camera){2, 50, .low = 20, .high = 20, .quiet = true}, 1);                           /* constant images */
    assert_false(line(N, &gain, &offset));
    for (uint64_t seed = 1; seed <= 8; seed++) {                                               /* noise, but the same everywhere */
        look(&(camera){2, 50, .low = 3, .high = 200, .read_noise = 7, .quiet = true}, seed);
        assert_false(line(N, &gain, &offset));
    }
    for (int i = 0; i < N * CHANNELS * PLANE; i++) pixels[i] = (float)(i % W * 3 + i / W % H); /* no noise: a ramp */
    assert_false(line(N, &gain, &offset));
}

/* Too few pixels, or none that has neighbours on all sides. */
static void small_images(void **state)
{
    (void)state;
    double gain, offset;
    look(&(camera){2, 50, .low = 3, .high = 200}, 1);
    assert_true(line(1, &gain, &offset));
    assert_false(line(0, &gain, &offset));
    assert_false(iso_photon_line(pixels, (iso_area){25, W}, 1, PLANE, &gain, &offset));
    assert_false(iso_photon_line(pixels, (iso_area){PLANE / 2, 2}, N, PLANE, &gain, &offset));
    assert_false(iso_photon_line(pixels, (iso_area){PLANE, 1}, N, PLANE, &gain, &offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cameras_are_found),           cmocka_unit_test(one_image_will_do),
        cmocka_unit_test(read_noise_moves_the_offset), cmocka_unit_test(saturated_pixels_do_not_count),
        cmocka_unit_test(nothing_to_learn),            cmocka_unit_test(small_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
