/* Between latent space and picture: the grid finds the nearest cells that a look at all of them finds, cells lie where they lie, and
 * nothing jumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/lift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 3000, D = 2 };
static float xy[2 * N], z[D * N];

/* Clumps, so that the grid has empty and full squares; z a known function of the picture. */
static void make_cells(int64_t n)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 4}, 0);
    for (int64_t i = 0; i < n; i++) {
        xy[2 * i] = (float)(iso_rng_normal(&r) + 6.0 * (double)(i % 3));
        xy[2 * i + 1] = (float)(iso_rng_normal(&r) - 4.0 * (double)(i % 2));
        z[D * i] = xy[2 * i] + 2 * xy[2 * i + 1], z[D * i + 1] = xy[2 * i] - xy[2 * i + 1];
    }
}

static double nearest_of_all(float x, float y)
{
    double best = HUGE_VAL;
    for (int i = 0; i < N; i++) best = fmin(best, hypot((double)(xy[2 * i] - x), (double)(xy[2 * i + 1] - y)));
    return best;
}

static void the_grid_finds_what_all_cells_have(void **state)
{
    iso_lift l;
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 6}, 0);
    float up[D];
    (void)state;
    make_cells(N);
    assert_int_equal(iso_lift_new(xy, z, N, D, &l, NULL), ISO_OK);
    for (int i = 0; i < 500; i++) {
        float x = (float)(40 * iso_rng_uniform(&r) - 14), y = (float)(30 * iso_rng_uniform(&r) - 17);
        double far = iso_lift_up(&l, x, y, up);
        assert_true(fabs(far - nearest_of_all(x, y)) < 1e-5);
        if (far < 0.1) assert_true(fabs((double)(up[0] - (x + 2 * y))) < 1 && fabs((double)(up[1] - (x - y))) < 1);
    }
    iso_lift_clear(&l);
}

static void cells_lie_where_they_lie(void **state)
{
    iso_lift l;
    float up[D], down[2], distance[3];
    int32_t cell[3];
    (void)state;
    make_cells(N);
    assert_int_equal(iso_lift_new(xy, z, N, D, &l, NULL), ISO_OK);
    for (int i = 0; i < N; i += 7) {
        assert_true(iso_lift_up(&l, xy[2 * i], xy[2 * i + 1], up) < 1e-6);
        assert_memory_equal(up, z + D * i, sizeof up);
        iso_lift_down(&l, z + D * i, down);
        assert_memory_equal(down, xy + 2 * i, sizeof down);
        assert_int_equal(iso_lift_nearest(&l, z + D * i, 3, cell, distance), 3);
        assert_true(cell[0] == i && distance[0] == 0 && distance[1] <= distance[2]);
    }
    iso_lift_clear(&l);
}

static void nothing_jumps(void **state)
{
    iso_lift l;
    float before[D], now[D];
    (void)state;
    make_cells(N);
    assert_int_equal(iso_lift_new(xy, z, N, D, &l, NULL), ISO_OK);
    iso_lift_up(&l, -3, -2, before);
    for (int i = 1; i <= 20000; i++) {
        iso_lift_up(&l, -3 + 18 * (float)i / 20000, -2, now);
        assert_true(fabsf(now[0] - before[0]) < 0.3f);
        memcpy(before, now, sizeof now);
    }
    iso_lift_clear(&l);
}

static void few_cells_and_odd_places(void **state)
{
    iso_lift l;
    float up[D], down[2];
    (void)state;
    for (int64_t n = 1; n <= 20; n++) {
        make_cells(n);
        assert_int_equal(iso_lift_new(xy, z, n, D, &l, NULL), ISO_OK);
        iso_lift_up(&l, 1e9f, -1e9f, up);
        assert_true(isfinite(up[0]) && isfinite(up[1]));
        iso_lift_up(&l, NAN, 0, up);                                     /* no answer, but no harm */
        iso_lift_down(&l, (const float[]){1, 2}, down);
        assert_true(isfinite(down[0]) && isfinite(down[1]));
        iso_lift_clear(&l);
    }
    for (int i = 0; i < 40; i++) xy[i] = 1;                              /* all in one place */
    assert_int_equal(iso_lift_new(xy, z, 20, D, &l, NULL), ISO_OK);
    assert_true(iso_lift_up(&l, 1, 1, up) == 0);
    iso_lift_clear(&l);
    xy[3] = INFINITY;
    assert_int_equal(iso_lift_new(xy, z, 20, D, &l, NULL), ISO_EDATA);
    assert_int_equal(iso_lift_new(xy, z, 0, D, &l, NULL), ISO_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grid_finds_what_all_cells_have),
        cmocka_unit_test(cells_lie_where_they_lie),
        cmocka_unit_test(nothing_jumps),
        cmocka_unit_test(few_cells_and_odd_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
