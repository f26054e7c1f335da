/* The Haar transform: golden coefficients, the same length, its inverse, levels and sub-bands of even and odd sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "likelihood/haar.h"
#include "likelihood/laws.h"

#include "golden/images.h"

#include <math.h>
#include <string.h>

enum { MOST = 64 * 64 * 3 };
static const int sizes[][4] = {{64, 64, 1, 4}, {16, 48, 3, 4}, {40, 24, 2, 3}, {12, 20, 1, 2}, {2, 64, 2, 1}, {6, 10, 3, 1}, {33, 32, 1, 0}, {32, 1, 2, 0},
                               {1, 1, 3, 0}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* Numbers of a cell, from the generator's own stream, and their sum of squares. */
static double noise(real *x, int64_t n, uint64_t item)
{
    double sum = 0;
    iso_normal((iso_rng_key){.seed = 4, .stream = ISO_STREAM_TEST}, item, n, x);
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

/* Golden images and coefficients are exact in both precisions: every bit must agree. */
static void coefficients_are_golden(void **state)
{
    (void)state;
    static real x[MOST], work[MOST];
    for (const golden_haar *g = golden_haar_table; g->height; g++) {
        int n = g->height * g->width * g->channels;
        for (int i = 0; i < n; i++) x[i] = (real)g->image[i];
        iso_haar(x, g->height, g->width, g->channels, work);
        for (int i = 0; i < n; i++)
            if ((double)x[i] != g->coefficients[i]) fail_msg("%d x %d [%d]: %g, should be %g", g->height, g->width, i, (double)x[i], g->coefficients[i]);
        iso_haar_inverse(x, g->height, g->width, g->channels, work);
        for (int i = 0; i < n; i++) assert_true((double)x[i] == g->image[i]);
    }
}

static void length_stays_and_inverse_restores(void **state)
{
    (void)state;
    static real first[MOST], x[MOST], work[MOST];
    for (int s = 0; s < SIZES; s++) {
        const int *z = sizes[s];
        int64_t n = z[0] * z[1] * z[2];
        double before = noise(first, n, (uint64_t)s), after = 0, moved = 0;
        memcpy(x, first, sizeof x);
        iso_haar(x, z[0], z[1], z[2], work);
        for (int64_t i = 0; i < n; i++) after += (double)x[i] * (double)x[i], moved = fmax(moved, fabs((double)(x[i] - first[i])));
        assert_true(fabs(sqrt(after / before) - 1) < 1e-6);
        assert_true((moved > 0.1) == (z[3] > 0));             /* without a level it is the identity */
        iso_haar_inverse(x, z[0], z[1], z[2], work);
        for (int64_t i = 0; i < n; i++) assert_true(fabs((double)(x[i] - first[i])) < 2e-6);
    }
}

/* As often as both sides can be halved, at most 4; three sub-bands a level, each a quarter of what the level found, and the rest. */
static void levels_and_sub_bands(void **state)
{
    (void)state;
    for (int s = 0; s < SIZES; s++) {
        const int *z = sizes[s];
        int count[13] = {0}, levels = iso_haar_levels(z[0], z[1]);
        assert_int_equal(levels, z[3]);
        for (int y = 0; y < z[0]; y++)
            for (int x = 0; x < z[1]; x++) {
                int band = iso_haar_band(z[0], z[1], y, x);
                assert_in_range(band, 0, 3 * levels);
                count[band]++;
            }
        for (int k = 0; k < 3 * levels; k++) assert_int_equal(count[k], z[0] * z[1] >> 2 * (k / 3 + 1));
        assert_int_equal(count[3 * levels], z[0] * z[1] >> 2 * levels);
    }
}

/* Only the places of a sub-band answer to its waves: stripes and a checkerboard of every level, in a channel alone. */
static void a_wave_stays_in_its_sub_band(void **state)
{
    (void)state;
    enum { N = 32, LEVELS = 4, CHANNELS = 2 };
    static real x[N * N * CHANNELS], work[N * N * CHANNELS];
    for (int l = 0; l < LEVELS; l++)
        for (int kind = 0; kind < 3; kind++) {
            for (int i = 0; i < N * N; i++) {
                int across = (i % N >> l) & 1, down = (i / N >> l) & 1, odd = kind == 0 ? across : kind == 1 ? down : across ^ down;
                x[i * CHANNELS] = odd ? -1 : 1, x[i * CHANNELS + 1] = 0;
            }
            iso_haar(x, N, N, CHANNELS, work);
            for (int i = 0; i < N * N; i++) {
                bool here = iso_haar_band(N, N, i / N, i % N) == 3 * l + kind;
                assert_true((double)x[i * CHANNELS] == (here ? 2 << l : 0) && x[i * CHANNELS + 1] == 0);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coefficients_are_golden),
        cmocka_unit_test(length_stays_and_inverse_restores),
        cmocka_unit_test(levels_and_sub_bands),
        cmocka_unit_test(a_wave_stays_in_its_sub_band),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
