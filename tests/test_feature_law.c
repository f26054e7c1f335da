/* The law `feature` as a model of images makes it: pixels and the responses of two fixed convolutions, against golden values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/graph.h"
#include "likelihood/laws.h"
#include "model/vae.h"

#include "golden/images.h"

#include <math.h>
#include <string.h>

enum { CELLS = 2, SIDE = 8, PIXELS = SIDE * SIDE, LATENT = 2 };

/* The same numbers as golden/images.py deals. */
static void deal(real *x, int64_t n, int step, int most)
{
    for (int64_t i = 0; i < n; i++) x[i] = (real)(i * step % most - most / 2) / 256;
}

static real *tensor(iso_graph *g, const char *name, bool is_state, int64_t n)
{
    const iso_named *t = iso_graph_find(g, name, is_state);
    if (!t) fail_msg("no tensor %s", name);
    assert_int_equal(t->rows * t->cols, n);
    return (is_state ? g->state : g->param) + t->offset;
}

static void expect(const char *what, double got, double want)
{
    if (!(fabs(got - want) <= 2e-6 * fabs(want))) fail_msg("%s: %.9g, should be %.9g", what, got, want);
}

/* A decoder whose weights are all 0 but the last bias decodes to that bias everywhere. */
static void loss_and_gradient(void **state)
{
    (void)state;
    const iso_vae_config c = {.n_genes = PIXELS, .image = {SIDE, SIDE, 1, 8, 0}, .n_latent = LATENT, .likelihood = &iso_likelihood_feature};
    real image[CELLS * PIXELS], z[CELLS * LATENT] = {0}, losses[CELLS];
    int64_t cells[CELLS] = {0, 1};
    iso_vae v;
    iso_plan *plan;
    iso_error err;
    assert_int_equal(iso_vae_build(&c, 1, &v, &err), ISO_OK);
    memset(v.g->param, 0, (size_t)v.g->param_size * sizeof(real));
    *tensor(v.g, "decoder.conv1.bias", false, 1) = (real)0.5;
    deal(tensor(v.g, "features.conv1.weight", true, 128), 128, 137, 509);
    deal(tensor(v.g, "features.conv2.weight", true, 2048), 2048, 141, 521);
    deal(image, CELLS * PIXELS, 29, 251);
    iso_plan_request want = {.outputs = &v.given, .n_outputs = 1, .loss = v.given, .max_cells = CELLS, .poison = true};
    assert_int_equal(iso_plan_new(v.g, &want, &plan, &err), ISO_OK);
    iso_env *env = iso_env_new(2);
    iso_batch batch = {.n = CELLS, .cells = cells, .inputs = {[ISO_SLOT_Z] = z, [ISO_SLOT_IMAGE] = image}, .cell_loss = losses};
    iso_settings settings = {.training = true};
    iso_plan_run(plan, env, iso_kernels_best(), &batch, &settings);
    expect("sum", (double)iso_plan_value(plan, v.given)[0], golden_feature_loss[0] + golden_feature_loss[1]);
    for (int b = 0; b < CELLS; b++) expect("loss", (double)losses[b], golden_feature_loss[b]);
    const iso_named *bias = iso_graph_find(v.g, "decoder.conv1.bias", false);
    expect("gradient", (double)v.g->grad[bias->offset], golden_feature_gradient);
    iso_env_free(env);
    iso_plan_free(plan);
    iso_vae_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loss_and_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
