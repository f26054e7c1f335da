/* Kernels of the map, of every instruction set of this CPU, against plain sums in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>

enum { MOST_D = 33, REPEL = 3, LANES = ISO_LANES };

static void distances_to_a_tile(void **state)
{
    (void)state;
    static float tile[MOST_D * ISO_TILE], q[MOST_D], d2[ISO_TILE];
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 1, .stream = ISO_STREAM_TEST}, 0);
    for (int i = 0; i < MOST_D * ISO_TILE; i++) tile[i] = (float)iso_rng_normal(&r);
    for (int i = 0; i < MOST_D; i++) q[i] = (float)iso_rng_normal(&r);
    for (int k = 0; iso_kernel_table[k]; k++)
        for (int d = 1; d <= MOST_D && iso_kernel_table[k]->supported(); d += 8) {
            float least = iso_kernel_table[k]->tile_distances(q, tile, d, d2), want_least = HUGE_VALF;
            for (int t = 0; t < ISO_TILE; t++) {
                double want = 0;
                for (int c = 0; c < d; c++) want += pow((double)tile[c * ISO_TILE + t] - (double)q[c], 2);
                assert_true(fabs((double)d2[t] - want) <= 1e-5 * want);
                want_least = fminf(want_least, d2[t]);
            }
            assert_true(least == want_least);
        }
}

static double clipped(double v) { return fmax(-4, fmin(4, v)); }

/* A copy of the point it is drawn to, points close by and far away, one whose rate is 0. */
static void step_of_a_layout(void **state)
{
    (void)state;
    const iso_layout_curve c = {(real)0.58, (real)1.33};
    real ox[(1 + REPEL) * LANES], oy[(1 + REPEL) * LANES], rate[LANES], x[LANES], y[LANES];
    for (int k = 0; iso_kernel_table[k]; k++) {
        if (!iso_kernel_table[k]->supported()) continue;
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 2, .stream = ISO_STREAM_TEST}, 0);
        double want[LANES][2];
        for (int l = 0; l < LANES; l++) {
            x[l] = (real)iso_rng_normal(&r), y[l] = (real)iso_rng_normal(&r), rate[l] = (real)(l / 10.0);
            for (int o = 0; o <= REPEL; o++) {
                double scale = pow(10, l % 5 - 2);
                ox[o * LANES + l] = (real)((double)x[l] + scale * iso_rng_normal(&r));
                oy[o * LANES + l] = (real)((double)y[l] + scale * iso_rng_normal(&r));
            }
            if (l == 3) ox[l] = x[l], oy[l] = y[l];
            double at[2] = {(double)x[l], (double)y[l]}, sum[2] = {0};
            for (int o = 0; o <= REPEL; o++) {
                double dx = at[0] - (double)ox[o * LANES + l], dy = at[1] - (double)oy[o * LANES + l], s = dx * dx + dy * dy;
                double p = (double)c.a * pow(s, (double)c.b), b = (double)c.b;
                double force = o ? 2 * b / ((0.001 + s) * (1 + p)) : s > 0 ? -2 * b * p / (s * (1 + p)) : 0;
                sum[0] += clipped(force * dx) * (double)rate[l], sum[1] += clipped(force * dy) * (double)rate[l];
                if (o > 0 && o < REPEL) continue;          /* the pull alone, then all pushes together */
                for (int axis = 0; axis < 2; axis++) at[axis] += sum[axis], sum[axis] = 0;
            }
            want[l][0] = at[0], want[l][1] = at[1];
        }
        iso_kernel_table[k]->layout_step(&c, rate, REPEL, ox, oy, x, y);
        for (int l = 0; l < LANES; l++)
            assert_true(fabs((double)x[l] - want[l][0]) < 1e-3 && fabs((double)y[l] - want[l][1]) < 1e-3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances_to_a_tile), cmocka_unit_test(step_of_a_layout)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
