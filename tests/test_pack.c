/* The explorer's block of bytes: what is read back answers as what was written, and no damage ends in anything but a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "map/gmm.h"
#include "web/explorer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 120, L = 3, G = 23, K = 2, BATCHES = 2, SIDE = 16, CHANNELS = 2, P = SIDE * SIDE * CHANNELS };

typedef struct world {
    iso_env *env;
    iso_chart chart;              /* with a whole model */
    float z[N * L], xy[N * 2];
    uint8_t *bytes;
    int64_t n;
} world;

static void build_model(world *w, const char *law, bool linear)
{
    iso_vae_config c = {.n_genes = G, .n_latent = L, .n_hidden = 8, .n_layers = 2, .linear_decoder = linear, .batch_norm = true,
                        .n_categorical = 1, .n_categories = {BATCHES}, .n_continuous = 1};
    assert_int_equal(iso_likelihood_find(law, &c.likelihood, NULL), ISO_OK);
    assert_int_equal(iso_vae_build(&c, 5, &w->chart.v, NULL), ISO_OK);
}

/* fitted: the density is a mixture, as it is of many cells. */
static void build_judge(world *w, bool counts, bool fitted)
{
    static bool train[N];
    static float profiles[G * K], states[N * P];             /* P: of images, and more than G */
    int64_t genes = w->chart.v.c.n_genes;
    int32_t batch[N];
    for (int i = 0; i < N; i++) train[i] = i % 2, batch[i] = i % BATCHES;
    iso_support_cells cells = {.mu = w->z, .n = N, .d = L, .is_train = train, .batch = batch, .n_batches = BATCHES};
    assert_int_equal(iso_support_new(w->env, &cells, &w->chart.judge.support, NULL), ISO_OK);
    if (fitted) {
        iso_density_clear(&w->chart.judge.support.density);
        assert_int_equal(iso_gmm_fit(w->env, &(iso_gmm_cells){.mu = w->z, .n = N, .d = L}, 4, 0, &w->chart.judge.support.density, NULL), ISO_OK);
    }
    assert_int_equal(iso_decode(w->env, &w->chart.v, w->z, N, NULL, states, NULL, NULL, NULL), ISO_OK);
    if (counts) {
        for (int g = 0; g < G; g++)
            for (int k = 0; k < K; k++) profiles[g * K + k] = 1e4f * states[k * G + g];
        assert_int_equal(iso_mixture_set(profiles, profiles, K, G, &w->chart.judge.mixture, NULL), ISO_OK);
        w->chart.judge.rules.rule = iso_calloc(1, sizeof(iso_rule));
        w->chart.judge.rules.rule[0] = (iso_rule){.gene = {3, 4}, .learned = true, .together = 2, .expected = 8};
        w->chart.judge.rules.n = 1;
        assert_int_equal(iso_judge_calibrate(w->env, &w->chart.judge, states, N, NULL), ISO_OK);
    }
    assert_int_equal(iso_route_graph_new(w->env, &w->chart.judge.support, w->z, N, L, states, genes, counts, &w->chart.route, NULL), ISO_OK);
}

static void build_image_model(world *w, const char *law)
{
    iso_vae_config c = {.n_genes = P, .n_latent = L, .n_hidden = 8, .image = {.height = SIDE, .width = SIDE, .channels = CHANNELS, .first_channels = 4, .grid = 2}};
    assert_int_equal(iso_likelihood_find(law, &c.likelihood, NULL), ISO_OK);
    assert_int_equal(iso_vae_build(&c, 5, &w->chart.v, NULL), ISO_OK);
}

static world *new_world_of(const char *law, bool linear, bool counts, bool images)
{
    world *w = calloc(1, sizeof *w);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 2}, 0);
    w->env = iso_env_new(1);
    for (int i = 0; i < N * L; i++) w->z[i] = (float)iso_rng_normal(&r);
    for (int i = 0; i < N; i++) w->xy[2 * i] = w->z[i * L], w->xy[2 * i + 1] = w->z[i * L + 1];
    if (images) build_image_model(w, law);
    else build_model(w, law, linear);
    build_judge(w, counts, linear);
    w->chart.n_normaliser = counts ? N * BATCHES : 0;
    w->chart.normaliser = iso_calloc(w->chart.n_normaliser, sizeof *w->chart.normaliser);
    if (counts) assert_int_equal(iso_decode_normaliser(w->env, &w->chart.v, w->z, N, w->chart.normaliser, NULL), ISO_OK);
    assert_int_equal(iso_chart_pack(&w->chart, &w->bytes, &w->n, NULL), ISO_OK);
    return w;
}

static world *new_world(const char *law, bool linear, bool counts) { return new_world_of(law, linear, counts, false); }

static void free_world(world *w)
{
    iso_free(w->bytes);
    iso_chart_clear(&w->chart);
    iso_env_free(w->env);
    free(w);
}

static void check_answers(const char *law, bool linear, bool counts)
{
    world *w = new_world(law, linear, counts);
    iso_explorer e;
    float here[2 * G], there[2 * G], gene[N], way[5 * L], along[5 * L];
    double p[5];
    iso_place a, b;
    iso_error err = {0};
    if (iso_explorer_open(w->env, w->bytes, w->n, w->xy, w->z, N, &e, &err)) fail_msg("%s", err.msg);
    assert_int_equal(iso_decode(w->env, &w->chart.v, w->z, 2, NULL, here, NULL, NULL, NULL), ISO_OK);
    assert_int_equal(iso_explorer_decode(&e, w->z, 2, there, NULL), ISO_OK);
    assert_memory_equal(here, there, sizeof here);
    for (int g = 0; g < G; g += 11) {
        assert_int_equal(iso_explorer_gene(&e, g, gene, NULL), ISO_OK);
        for (int i = 0; i < 2; i++) assert_true(fabsf(gene[i] - (counts ? 1e4f : 1) * here[i * G + g]) <= 1e-5f * fabsf(gene[i]));
    }
    assert_int_equal(iso_explorer_gene(&e, G, gene, NULL), ISO_EUSAGE);
    assert_int_equal(iso_judge_places(w->env, &w->chart.judge, w->z, here, 1, &a, NULL), ISO_OK);
    assert_int_equal(iso_explorer_judge(&e, w->z, &b, NULL), ISO_OK);
    assert_true(a.is == b.is && a.p_value == b.p_value && a.rule == b.rule && fabs(a.mixed.share[1] - b.mixed.share[1]) < 1e-4);
    assert_int_equal(iso_route_along(w->env, &w->chart.route, &w->chart.judge.support, w->z, w->z + L, 5, way, NULL), ISO_OK);
    assert_int_equal(iso_explorer_path(&e, w->z, w->z + L, true, 5, along, p, NULL), ISO_OK);
    assert_memory_equal(way, along, sizeof way);
    assert_int_equal(iso_explorer_path(&e, w->z, w->z + L, false, 1, along, p, NULL), ISO_EUSAGE);
    iso_explorer_close(&e);
    if (counts) assert_int_equal(iso_explorer_open(w->env, w->bytes, w->n, w->xy, w->z, N - 1, &e, NULL), ISO_EDATA);
    free_world(w);
}

static void what_is_read_answers_alike(void **state)
{
    (void)state;
    check_answers("nb", false, true);
    check_answers("zinb", true, true);
    check_answers("gaussian", false, false);
}

static void images_are_decoded_without_their_encoder(void **state)
{
    static const char *const laws[] = {"gaussian", "photon", "feature"};
    (void)state;
    for (size_t k = 0; k < sizeof laws / sizeof *laws; k++) {
        world *w = new_world_of(laws[k], false, false, true);
        iso_explorer e;
        float here[2 * P], there[2 * P];
        iso_place a, b;
        assert_int_equal(iso_explorer_open(w->env, w->bytes, w->n, w->xy, w->z, N, &e, NULL), ISO_OK);
        assert_true(e.chart.v.g->param_size < w->chart.v.g->param_size);
        assert_int_equal(iso_decode(w->env, &w->chart.v, w->z, 2, NULL, here, NULL, NULL, NULL), ISO_OK);
        assert_int_equal(iso_explorer_decode(&e, w->z, 2, there, NULL), ISO_OK);
        assert_memory_equal(here, there, sizeof here);
        assert_int_equal(iso_judge_places(w->env, &w->chart.judge, w->z, here, 1, &a, NULL), ISO_OK);
        assert_int_equal(iso_explorer_judge(&e, w->z, &b, NULL), ISO_OK);
        assert_true(a.is == b.is && a.p_value == b.p_value);
        assert_int_equal(iso_explorer_gene(&e, 0, here, NULL), ISO_EUSAGE);
        iso_explorer_close(&e);
        free_world(w);
    }
}

static void a_block_that_ends_early_is_refused(void **state)
{
    world *w = new_world("nb", false, true);
    iso_chart c;
    (void)state;
    for (int64_t n = 0; n < w->n; n++) {
        uint8_t *part = malloc((size_t)n + 1);             /* of its own size, so that a look beyond it shows under a sanitizer */
        memcpy(part, w->bytes, (size_t)n);
        assert_int_equal(iso_chart_unpack(part, n, &c, NULL), ISO_EDATA);
        free(part);
    }
    uint8_t *more = calloc((size_t)w->n + 1, 1);
    memcpy(more, w->bytes, (size_t)w->n);
    assert_int_equal(iso_chart_unpack(more, w->n + 1, &c, NULL), ISO_EDATA);
    free(more);
    free_world(w);
}

/* Each 8 bytes in turn become numbers that break things; what is accepted must still answer. */
static void damage_ends_in_a_message(void **state)
{
    static const int64_t bad[] = {-1, INT64_MAX, INT32_MAX, 0, 1, 0x7ff8000000000000};
    world *w = new_world("nb", false, true);
    float out[G], way[4 * L];
    double p[4];
    int refused = 0, read = 0;
    iso_place place;
    (void)state;
    for (int64_t at = 0; at + 8 <= w->n; at += at < 4096 ? 1 : 61)
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            uint8_t kept[8];
            iso_explorer e;
            memcpy(kept, w->bytes + at, 8);
            memcpy(w->bytes + at, &bad[k], 8);
            if (iso_explorer_open(w->env, w->bytes, w->n, w->xy, w->z, N, &e, NULL) == ISO_OK) {
                read++;
                int64_t genes = e.chart.v.c.n_genes;
                if (genes <= G && iso_explorer_decode(&e, w->z, 1, out, NULL) == ISO_OK) (void)iso_explorer_judge(&e, w->z, &place, NULL);
                if (e.lift.d == L) (void)iso_explorer_path(&e, w->z, w->z + L, true, 4, way, p, NULL);
                iso_explorer_close(&e);
            } else refused++;
            memcpy(w->bytes + at, kept, 8);
        }
    print_message("%d refused, %d read\n", refused, read);
    assert_true(refused > 1000 && read > 0);
    free_world(w);
}

/* The sizes of images lie behind magic, version, law, and number of values. */
static void damaged_sizes_of_images_are_refused(void **state)
{
    static const int64_t bad[] = {-1, 0, 3, 17, 1024, 1025, INT64_MAX};
    world *w = new_world_of("gaussian", false, false, true);
    iso_chart c;
    (void)state;
    for (int64_t at = 8 + 8 + 32; at < 8 + 8 + 32 + 4 * 8; at += 8)         /* values, channels, height, width */
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            uint8_t kept[8];
            memcpy(kept, w->bytes + at, 8);
            memcpy(w->bytes + at, &bad[k], 8);
            assert_int_equal(iso_chart_unpack(w->bytes, w->n, &c, NULL), ISO_EDATA);
            memcpy(w->bytes + at, kept, 8);
        }
    assert_int_equal(iso_chart_unpack(w->bytes, w->n, &c, NULL), ISO_OK);
    iso_chart_clear(&c);
    free_world(w);
}

static void no_memory_is_a_message(void **state)
{
    world *w = new_world("nb", false, true);
    iso_status st = ISO_EMEMORY;
    iso_explorer e;
    int tried = 0;
    (void)state;
    for (; st == ISO_EMEMORY; tried++) {
        iso_alloc_fail_at(tried + 1);
        st = iso_explorer_open(w->env, w->bytes, w->n, w->xy, w->z, N, &e, NULL);
        iso_alloc_fail_at(0);
    }
    assert_true(st == ISO_OK && tried > 20);
    iso_explorer_close(&e);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_answers_alike),
        cmocka_unit_test(images_are_decoded_without_their_encoder),
        cmocka_unit_test(a_block_that_ends_early_is_refused),
        cmocka_unit_test(damage_ends_in_a_message),
        cmocka_unit_test(damaged_sizes_of_images_are_refused),
        cmocka_unit_test(no_memory_is_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
