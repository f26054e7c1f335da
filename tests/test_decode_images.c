/* Large images are decoded a few at a time, so that they need no more memory than small ones, and to what each is alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "train/decoder.h"

#include <math.h>

enum { N = 3, L = 4 };

static void note_bytes(void *arg, const iso_plan *p, int64_t at, int64_t n, int64_t which, int64_t combinations)
{
    (void)at, (void)n, (void)which, (void)combinations;
    *(size_t *)arg = iso_plan_bytes(p);
}

static void build(int side, iso_vae *v)
{
    iso_vae_config c = {.n_genes = (int64_t)side * side, .n_latent = L, .n_hidden = 8,
                        .image = {.height = side, .width = side, .channels = 1, .first_channels = 4, .grid = 2}};
    assert_int_equal(iso_likelihood_find("gaussian", &c.likelihood, NULL), ISO_OK);
    assert_int_equal(iso_vae_build(&c, 5, v, NULL), ISO_OK);
}

static size_t bytes_of(iso_env *env, int side, const float *z)
{
    iso_vae v;
    iso_decoder *d;
    size_t bytes = 0;
    build(side, &v);
    assert_int_equal(iso_decoder_open(env, &v, &v.decoded, 1, &d, NULL), ISO_OK);
    assert_int_equal(iso_decoder_each(d, z, N, NULL, note_bytes, &bytes, NULL), ISO_OK);
    iso_decoder_free(d);
    iso_vae_clear(&v);
    return bytes;
}

static void large_images_are_few_at_a_time(void **state)
{
    enum { SIDE = 256, P = SIDE * SIDE };
    iso_env *env = iso_env_new(1);
    iso_vae v;
    float z[N * L], *all = iso_calloc(N * P, sizeof *all), *one = iso_calloc(P, sizeof *one);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 3}, 0);
    (void)state;
    for (int i = 0; i < N * L; i++) z[i] = (float)iso_rng_normal(&r);
    size_t small = bytes_of(env, 64, z), large = bytes_of(env, SIDE, z);
    assert_true(small > 0 && large > 0);
    assert_true(large < small + small / 2);
    build(SIDE, &v);
    assert_int_equal(iso_decode(env, &v, z, N, NULL, all, NULL, NULL, NULL), ISO_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(iso_decode(env, &v, z + i * L, 1, NULL, one, NULL, NULL, NULL), ISO_OK);
        for (int64_t e = 0; e < P; e++) assert_true(fabsf(one[e] - all[i * P + e]) <= 1e-5f);
    }
    iso_vae_clear(&v);
    iso_free(all);
    iso_free(one);
    iso_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(large_images_are_few_at_a_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
