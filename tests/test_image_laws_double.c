/* Laws of images against golden/image_laws.h: -log p and its gradient by the mean. And the Haar transform against itself. */
#include "ops_common.h"

#include "golden/image_laws.h"
#include "likelihood/haar.h"

static void put(const setting *s, int input, const double *from)
{
    if (s->leaf[input] < 0) return;
    const iso_node *n = &s->g->nodes[s->leaf[input]];
    real *to = n->leaf == ISO_PARAM ? s->g->param + s->g->params[n->slot].offset : s->g->state + s->g->states[n->slot].offset;
    for (int64_t i = 0; i < n->rows * n->cols; i++) to[i] = (real)from[i];
}

static const iso_likelihood *law_of(const char *name)
{
    const iso_likelihood *law = NULL;
    iso_error err;
    assert_int_equal(iso_likelihood_find(name, &law, &err), ISO_OK);
    return law;
}

static void laws_are_golden(void **state)
{
    (void)state;
    static setting s;
    iso_env *env = iso_env_new(2);
    for (const golden_images *g = golden_image_laws; g->law; g++) {
        int pixels = g->height * g->width * g->channels;
        const iso_example e = {.what = g->law, .cells = g->cells, .training = g->training, .pointer = law_of(g->law), .i = {g->height, g->width}, .n_in = 3,
                               .in = {{true, .cols = pixels}, {true, .is_state = true, .cols = pixels},
                                      {.is_state = true, .rows = g->state_rows, .cols = g->state_rows ? g->channels : 0}}};
        make_setting(&s, &iso_op_image_likelihood, &e, -1, false);
        put(&s, 0, g->mean);
        put(&s, 1, g->image);
        put(&s, 2, g->state);
        run_setting(&s, env);
        assert_true(fabs(iso_plan_value(s.plan, s.out)[0] / g->loss - 1) < 1e-12);
        for (int i = 0; i < g->cells * pixels; i++) {
            double d = s.g->grad[s.g->params[0].offset + i] / weight(0);
            if (!(fabs(d - g->gradient[i]) <= 1e-11 * (1 + fabs(g->gradient[i])))) fail_msg("%s [%d]: %.15g, not %.15g", g->law, i, d, g->gradient[i]);
        }
        clear_setting(&s);
    }
    iso_env_free(env);
}

static void haar_turns_and_turns_back(void **state)
{
    (void)state;
    enum { H = 48, W = 80, C = 3, N = H * W * C };
    static real x[N], y[N], work[N];
    double before = 0, after = 0;
    iso_normal((iso_rng_key){.seed = 3, .stream = ISO_STREAM_TEST}, 0, N, x);
    memcpy(y, x, sizeof x);
    iso_haar(y, H, W, C, work);
    for (int i = 0; i < N; i++) before += x[i] * x[i], after += y[i] * y[i];
    assert_true(fabs(after / before - 1) < 1e-12);
    iso_haar_inverse(y, H, W, C, work);
    for (int i = 0; i < N; i++) assert_true(fabs(x[i] - y[i]) < 1e-12);
    assert_int_equal(iso_haar_levels(48, 80), 4);
    assert_int_equal(iso_haar_levels(6, 10), 1);
    assert_int_equal(iso_haar_levels(5, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(laws_are_golden), cmocka_unit_test(haar_turns_and_turns_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
