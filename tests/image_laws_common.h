/* image_laws_common.h: the laws of images, as the op computes them, against golden values; included by a test for each number type, which
 * defines RELATIVE and ABSOLUTE, the latter in units of the largest value of its kind. */
#include "ops_common.h"

#include "likelihood/laws.h"

#include "golden/images.h"
#include "golden/likelihood.h"

static int near(const char *what, const golden_images *g, int64_t n, const real *got, const double *want, double scale)
{
    int wrong = 0;
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(want[i]));
    for (int64_t i = 0; i < n; i++) {
        double value = (double)got[i] / scale;
        if (fabs(value - want[i]) <= RELATIVE * fabs(want[i]) + ABSOLUTE * largest) continue;
        wrong++;
        print_error("%s (case %d), %s [%d]: %.17g, should be %.17g\n", g->law->name, (int)(g - golden_images_table), what, (int)i, value, want[i]);
    }
    return wrong;
}

static void fill(setting *s, int j, const double *from)
{
    if (s->leaf[j] < 0) return;
    const iso_node *n = &s->g->nodes[s->leaf[j]];
    real *to = n->leaf == ISO_PARAM ? s->g->param + s->g->params[n->slot].offset : s->g->state + s->g->states[n->slot].offset;
    for (int64_t i = 0; i < n->rows * n->cols; i++) to[i] = (real)from[i];
}

/* The case as an example of the op, whose inputs are then the golden ones. */
static int check(const golden_images *g, iso_env *env)
{
    static setting s;
    int64_t P = (int64_t)g->height * g->width * g->channels;
    const iso_example e = {.what = g->law->name, .cells = g->cells, .training = g->training, .pointer = g->law, .i = {g->height, g->width},
                           .r = {g->momentum}, .n_in = 3,
                           .in = {{true, .cols = P}, {true, .is_state = true, .cols = P}, {.is_state = true, .rows = g->states, .cols = g->states ? g->channels : 0}}};
    real losses[8];
    double total = 0;
    int wrong = 0;
    make_setting(&s, &iso_op_image_likelihood, &e, -1, false);
    fill(&s, 0, g->mean), fill(&s, 1, g->image), fill(&s, 2, g->state);
    s.batch.cell_loss = losses;
    double weighed = run_setting(&s, env);
    for (int b = 0; b < g->cells; b++) total += g->loss[b];
    wrong += near("sum", g, 1, &(real){(real)weighed}, &total, weight(0));
    wrong += near("loss", g, g->cells, losses, g->loss, 1);
    wrong += near("gradient", g, g->cells * P, s.g->grad, g->gradient, weight(0));
    iso_plan_run(s.plan, env, iso_kernels_best(), &s.batch, &s.settings);             /* run_setting puts the state back */
    if (g->states) wrong += near("state", g, (int64_t)g->states * g->channels, s.g->state + s.g->states[s.g->nodes[s.leaf[2]].slot].offset, g->after, 1);
    clear_setting(&s);
    return wrong;
}

static void losses_gradients_and_states(void **state)
{
    (void)state;
    iso_env *env = iso_env_new(2);
    int wrong = 0;
    for (const golden_images *g = golden_images_table; g->law; g++) wrong += check(g, env);
    iso_env_free(env);
    assert_int_equal(wrong, 0);
}

/* The scalar references, always in double. Photons need not be whole: then log p goes on as the gamma function does. */
static void scalar_references(void **state)
{
    (void)state;
    static const iso_likelihood *const normal[] = {&iso_likelihood_wavelet, &iso_likelihood_mse, &iso_likelihood_feature};
    for (size_t i = 0; i < sizeof golden_photons / sizeof golden_photons[0]; i++) {
        double x = golden_photons[i].x, m = golden_photons[i].mean, want = golden_photons[i].log_p;
        double got = iso_likelihood_photon.log_p(x, (iso_lik_point){.mean = m});
        if (!(fabs(got - want) <= 1e-14 * (x * fabs(log(m)) + x * log(x + 1) + m)))
            fail_msg("photon, x %g, mean %g: %.17g, should be %.17g", x, m, got, want);
    }
    for (size_t i = 0; i < sizeof golden_gaussian / sizeof golden_gaussian[0]; i++)
        for (int k = 0; k < 3; k++) {
            const golden_point *p = &golden_gaussian[i];
            double got = normal[k]->log_p(p->x, (iso_lik_point){p->mean, exp(p->dispersion), 0});
            if (!(fabs(got - p->log_p) <= 1e-12 * fabs(p->log_p) + 1e-14)) fail_msg("%s, point %d: %.17g, should be %.17g", normal[k]->name, (int)i, got, p->log_p);
        }
}

/* Mean and variance of samples, five standard errors around what the law says; and what it says. */
static void samples_follow(void **state)
{
    (void)state;
    enum { N = 40000 };
    static const iso_likelihood *const laws[] = {&iso_likelihood_wavelet, &iso_likelihood_mse, &iso_likelihood_feature, &iso_likelihood_photon};
    for (int k = 0; k < 4; k++) {
        const iso_likelihood *law = laws[k];
        bool photons = law->image->photons;
        iso_lik_point p = {.mean = 6.5, .dispersion = 0.75};
        double want = photons ? 6.5 : 0.75 * 0.75, sum = 0, squares = 0;
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 8, .stream = ISO_STREAM_TEST}, (uint64_t)k);
        for (int i = 0; i < N; i++) {
            double x = law->sample(&r, p) - 6.5;
            sum += x, squares += x * x;
        }
        assert_true(law->mean(p) == 6.5 && law->variance(p) == want);
        if (fabs(sum / N) > 5 * sqrt(want / N) || fabs(squares / N / want - 1) > 5 * sqrt((2 + (photons ? 1 / want : 0)) / N))
            fail_msg("%s: mean %g, should be 6.5; variance %g, should be %g", law->name, 6.5 + sum / N, squares / N, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_gradients_and_states), cmocka_unit_test(scalar_references), cmocka_unit_test(samples_follow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
