/* test_diagnose_double.c: the diagnosis is right where the answer is known: the linear-Gaussian model in closed form,
 * and count models that are healthy or driven to collapse. */
#include "cells_common.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Linear encoder and decoder, sigma = exp(log_sigma) held fixed: probabilistic PCA as a VAE (Lucas et al. 2019). At the
 * optimum dimension i is active iff lambda_i > sigma^2, with KL = ln(lambda_i / sigma^2) / 2 and Var mu = 1 - sigma^2 /
 * lambda_i; the bound is tight, so the ELBO is the log-likelihood of probabilistic PCA. */
enum { D = 8, L = 6, N = 500 };
static const double eigenvalue[D] = {9, 4, 2, 1.2, 0.8, 0.5, 0.3, 0.1};

/* Mean log-likelihood of data with sample covariance diag(eigenvalue) under probabilistic PCA with L latents. */
static double log_likelihood(double variance)
{
    double sum = 0;
    for (int i = 0; i < D; i++) {
        double of_model = i < L && eigenvalue[i] > variance ? eigenvalue[i] : variance;
        sum -= 0.5 * (log(2 * M_PI * of_model) + eigenvalue[i] / of_model);
    }
    return sum;
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a < *(const double *)b) - (*(const double *)a > *(const double *)b);
}

/* Gaussian law whose sigma starts at exp(log_sigma), so that a fixed one stays there. */
static iso_likelihood fixed_law(double log_sigma)
{
    const iso_likelihood *gaussian;
    assert_int_equal(iso_likelihood_find("gaussian", &gaussian, NULL), ISO_OK);
    iso_likelihood law = *gaussian;
    law.init_dispersion = (real)log_sigma;
    return law;
}

static void check_linear_gaussian(double variance, int active, int steps)
{
    test_cells t;
    iso_error err = {0};
    iso_env *env = iso_env_new(1);
    iso_likelihood law = fixed_law(0.5 * log(variance));
    iso_vae_config c = {.n_genes = D,
                        .n_latent = L,
                        .n_layers = 0,
                        .likelihood = &law,
                        .linear_decoder = true,
                        .fixed_dispersion = true};
    iso_vae v;
    iso_history h;
    test_cells_gaussian(&t, N, D, eigenvalue);
    assert_int_equal(iso_vae_build(&c, 5, &v, &err), ISO_OK);
    iso_train_options o = {.max_epochs = steps,
                           .batch_size = N,
                           .adam = {0.01, 0.9, 0.999, 1e-8, 0, 0},
                           .cosine = true,
                           .kl_weight = 1,
                           .free_bits_groups = 1,
                           .seed = 1};
    assert_int_equal(iso_train(env, &v, &t.cells, t.index, N, NULL, 0, &o, (iso_train_names){0}, NULL, NULL, &h, &err),
                     ISO_OK);

    iso_evaluator *e;
    iso_diagnosis d;
    double *elbo = calloc(N, sizeof *elbo), mean = 0;
    assert_int_equal(iso_evaluator_new(env, &v, &t.cells, &e, &err), ISO_OK);
    assert_int_equal(iso_evaluate(e, NULL, N, 12000, 0, 2, &(iso_cell_scores){.elbo = elbo}, &err), ISO_OK);
    for (int i = 0; i < N; i++) mean += elbo[i] / N;
    assert_int_equal(iso_diagnose(e, t.index, N, NULL, 0, mean, mean, 1, &d, &err), ISO_OK);

    print_message("sigma^2 = %g: ELBO %.5f, log-likelihood %.5f, %d active, %s\n", variance, mean,
                  log_likelihood(variance), d.active_units, iso_verdict_names[d.verdict]);
    assert_true(fabs(mean - log_likelihood(variance)) < 1e-3);
    assert_int_equal(d.active_units, active);
    qsort(d.kl_per_dim, L, sizeof(double), by_size);
    qsort(d.var_mu, L, sizeof(double), by_size);
    for (int i = 0; i < L; i++) {
        double ratio = eigenvalue[i] > variance ? eigenvalue[i] / variance : 1;
        print_message("  KL %.4f (%.4f), Var mu %.4f (%.4f)\n", d.kl_per_dim[i], 0.5 * log(ratio), d.var_mu[i],
                      1 - 1 / ratio);
        assert_true(fabs(d.kl_per_dim[i] - 0.5 * log(ratio)) < 3e-3);
        assert_true(fabs(d.var_mu[i] - (1 - 1 / ratio)) < 5e-3);
    }
    iso_diagnosis_clear(&d);
    iso_evaluator_free(e);
    iso_history_clear(&h);
    iso_vae_clear(&v);
    iso_env_free(env);
    free(elbo);
    test_cells_free(&t);
}

static void test_linear_gaussian(void **state) { (void)state; check_linear_gaussian(1, 4, 4000); }
/* With a smaller sigma seven eigenvalues exceed it: all six latents wake, which is the cure. */
static void test_linear_gaussian_cured(void **state) { (void)state; check_linear_gaussian(0.25, 6, 15000); }

/* ---------------------------------------------------------------------------------------- counts */

typedef struct outcome { iso_verdict verdict; iso_diagnosis d; } outcome;

static iso_verdict train_and_diagnose(iso_vae_config c, iso_train_options o, char *cure)
{
    enum { CELLS = 600, TRAIN = 500, GENES = 80 };
    test_cells t;
    iso_error err = {0};
    iso_env *env = iso_env_new(2);
    iso_vae v;
    iso_history h;
    iso_evaluator *e;
    iso_diagnosis d;
    double elbo[CELLS], train = 0, held_out = 0;
    test_cells_counts(&t, CELLS, GENES, 4, 400);
    c.n_genes = GENES;
    assert_int_equal(iso_vae_build(&c, 1, &v, &err), ISO_OK);
    assert_int_equal(
        iso_train(env, &v, &t.cells, t.index, TRAIN, NULL, 0, &o, (iso_train_names){0}, NULL, NULL, &h, &err), ISO_OK);
    assert_int_equal(iso_evaluator_new(env, &v, &t.cells, &e, &err), ISO_OK);
    assert_int_equal(iso_evaluate(e, t.index, CELLS, 5, 0, 1, &(iso_cell_scores){.elbo = elbo}, &err), ISO_OK);
    for (int i = 0; i < TRAIN; i++) train += elbo[i] / TRAIN;
    for (int i = TRAIN; i < CELLS; i++) held_out += elbo[i] / (CELLS - TRAIN);
    assert_int_equal(iso_diagnose(e, t.index + TRAIN, CELLS - TRAIN, t.index, TRAIN, train, held_out, 1, &d, &err),
                     ISO_OK);
    print_message("%s: AU %d of %d, KL %.2f, MI %.2f (cap %.2f), KL(q||p) %.2f..%.2f, shuffle %.2f of %.1f, ELBO %.2f "
                  "/ %.2f\n  %s\n",
                  iso_verdict_names[d.verdict], d.active_units, d.n_latent, d.kl, d.mutual_information,
                  d.mutual_information_cap, d.kl_aggregate_least, d.kl_aggregate, d.shuffle_loss, d.nll, train,
                  held_out, d.text);
    iso_verdict verdict = d.verdict;
    if (cure) strcpy(cure, d.cure);
    iso_diagnosis_clear(&d);
    iso_evaluator_free(e);
    iso_history_clear(&h);
    iso_vae_clear(&v);
    iso_env_free(env);
    test_cells_free(&t);
    return verdict;
}

static void test_healthy(void **state)
{
    (void)state;
    assert_int_equal(train_and_diagnose(test_config(80, "nb", 4, 32), test_training(150, 64), NULL), ISO_HEALTHY);
}

static void test_collapse_by_beta(void **state)
{
    (void)state;
    char cure[512];
    iso_train_options o = test_training(60, 64);
    o.kl_weight = 100;
    assert_int_equal(train_and_diagnose(test_config(80, "nb", 4, 32), o, cure), ISO_COLLAPSED);
    assert_non_null(strstr(cure, "--kl-weight"));
}

/* Numbers of a model of whole fields of cells with a grid: z tells their focus, and nearly all pixels are the grid's. */
static void test_worth_of_z_beside_a_grid(void **state)
{
    (void)state;
    iso_diagnosis d = {.n_latent = 24, .active_units = 22, .kl = 10.2, .mutual_information = 2.9, .mutual_information_cap = 7, .kl_aggregate = 7.3,
                       .nll = 752774.6, .shuffle_loss = 4134.8, .train_elbo = 13300, .held_out_elbo = 13394.6};
    iso_diagnosis_judge(&d, true);
    assert_int_equal(d.verdict, ISO_PRIOR_HOLE);
    d.shuffle_loss = 133;
    iso_diagnosis_judge(&d, true);
    assert_int_equal(d.verdict, ISO_COLLAPSED);
    d.shuffle_loss = 4134.8;
    iso_diagnosis_judge(&d, false);
    assert_int_equal(d.verdict, ISO_COLLAPSED);
}

static void test_collapse_when_decoder_sees_the_cell(void **state)
{
    (void)state;
    iso_vae_config c = test_config(80, "nb", 4, 32);
    c.decoder_sees_cell = true;
    assert_int_equal(train_and_diagnose(c, test_training(60, 64), NULL), ISO_COLLAPSED);
}

/* Free bits are a cure: the same decoder, with 4 nats that cost nothing, keeps z in use. */
static void test_free_bits_cure(void **state)
{
    (void)state;
    iso_train_options o = test_training(60, 64);
    o.kl_weight = 20;
    assert_int_equal(train_and_diagnose(test_config(80, "nb", 4, 32), o, NULL), ISO_COLLAPSED);
    o.free_bits = 4;
    assert_int_not_equal(train_and_diagnose(test_config(80, "nb", 4, 32), o, NULL), ISO_COLLAPSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_gaussian),
        cmocka_unit_test(test_linear_gaussian_cured),
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_worth_of_z_beside_a_grid),
        cmocka_unit_test(test_collapse_by_beta),
        cmocka_unit_test(test_collapse_when_decoder_sees_the_cell),
        cmocka_unit_test(test_free_bits_cure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
