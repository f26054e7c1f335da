/* One gene at many places is what the whole decoder makes of it there, for each kind of decoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "train/train.h"

#include <math.h>

enum { N = 37, L = 3, G = 5, H = 7, MOST = 64 };            /* N: two blocks of places and a part of one */

typedef struct kind {
    const char *law;
    int n_layers;
    bool linear, batch_norm;
    int n_categorical, n_categories[3];
} kind;

static const kind kinds[] = {
    {"nb", 1, false, true, 0, {0}},   {"nb", 1, false, false, 0, {0}},           {"nb", 3, false, true, 2, {2, 3}},
    {"poisson", 2, false, false, 3, {3, 1, 2}}, {"zinb", 1, true, true, 1, {2}}, {"nb", 1, true, false, 2, {2, 2}},
    {"gaussian", 1, false, true, 1, {4}}, {"gaussian_log1p", 1, true, true, 0, {0}}, {"nb", 1, false, true, 2, {10, 10}},
};

/* Each tensor, and what batch norm has seen, at random; variances above 0. */
static void shake(iso_graph *g)
{
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 7}, 0);
    for (int64_t i = 0; i < g->param_size; i++) g->param[i] = (real)(0.5 * iso_rng_normal(&r));
    for (int64_t i = 0; i < g->state_size; i++) g->state[i] = (real)(0.2 + fabs(iso_rng_normal(&r)));
}

static void check(const kind *k)
{
    iso_env *env = iso_env_new(1);
    iso_vae v;
    iso_vae_config c = {.n_genes = G, .n_latent = L, .n_hidden = H, .n_layers = k->n_layers, .linear_decoder = k->linear,
                        .batch_norm = k->batch_norm, .n_categorical = k->n_categorical, .n_continuous = 1};
    float z[N * L], all[N * G], one[N], normaliser[N * MOST];
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 3}, 0);
    for (int i = 0; i < N * L; i++) z[i] = (float)iso_rng_normal(&r);
    for (int i = 0; i < k->n_categorical; i++) c.n_categories[i] = k->n_categories[i];
    assert_int_equal(iso_likelihood_find(k->law, &c.likelihood, NULL), ISO_OK);
    assert_int_equal(iso_vae_build(&c, 5, &v, NULL), ISO_OK);
    shake(v.g);
    assert_true(iso_decode_combinations(&c) <= MOST);
    assert_int_equal(iso_decode(env, &v, z, N, NULL, all, NULL, NULL, NULL), ISO_OK);
    if (c.likelihood->counts) assert_int_equal(iso_decode_normaliser(env, &v, z, N, normaliser, NULL), ISO_OK);
    for (int g = 0; g < G; g++) {
        assert_int_equal(iso_decode_gene(env, &v, g, z, N, c.likelihood->counts ? normaliser : NULL, one, NULL), ISO_OK);
        for (int i = 0; i < N; i++) {
            float wanted = all[i * G + g], least = c.likelihood->counts ? 0 : 1;      /* means may be near 0 */
            if (!(fabsf(one[i] - wanted) <= 1e-5f * fmaxf(fabsf(wanted), least)))
                fail_msg("%s, %d layers: gene %d at place %d: %g instead of %g", k->law, k->n_layers, g, i, (double)one[i], (double)wanted);
        }
    }
    iso_vae_clear(&v);
    iso_env_free(env);
}

static void one_gene_is_what_all_are(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) check(&kinds[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_gene_is_what_all_are)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
