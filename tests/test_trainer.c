/* test_trainer.c: a whole training: the same bits for any number of threads, the KL weight ends at its target, early
 * stopping waits for the warm-up, and steps that go wrong are undone or explained. */
#include "cells_common.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { CELLS = 300, TRAIN = 250, GENES = 70 };

typedef struct trained { iso_vae v; iso_history h; iso_status status; iso_error err; } trained;

static void train(trained *r, const test_cells *t, iso_vae_config c, iso_train_options o, int threads, int n_validation)
{
    iso_env *env = iso_env_new(threads);
    *r = (trained){0};
    assert_int_equal(iso_vae_build(&c, o.seed, &r->v, &r->err), ISO_OK);
    r->status = iso_train(env, &r->v, &t->cells, t->index, TRAIN, t->index + TRAIN, n_validation, &o,
                          (iso_train_names){0}, NULL, NULL, &r->h, &r->err);
    iso_env_free(env);
}

static void trained_free(trained *r)
{
    iso_history_clear(&r->h);
    iso_vae_clear(&r->v);
}

/* Every law, with its options, thread counts 1, 2, 3: parameters, running means and curves are the same bits. */
static void test_same_bits(void **state)
{
    (void)state;
    static const char *const laws[] = {"zinb", "nb", "poisson", "gaussian_log1p", "gaussian"};
    test_cells t;
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    for (int k = 0; k < 5; k++) {
        trained one, more;
        iso_vae_config c = test_config(GENES, laws[k], 5, 33);
        iso_train_options o = test_training(4, 64);
        o.keep_best = o.early_stopping = true, o.patience = 2;
        t.cells.raw_input = strcmp(laws[k], "gaussian") == 0;
        train(&one, &t, c, o, 1, CELLS - TRAIN);
        assert_int_equal(one.status, ISO_OK);
        for (int threads = 2; threads <= 3; threads++) {
            train(&more, &t, c, o, threads, CELLS - TRAIN);
            assert_int_equal(more.status, ISO_OK);
            assert_memory_equal(one.v.g->param, more.v.g->param, (size_t)one.v.g->param_size * sizeof(real));
            assert_memory_equal(one.v.g->state, more.v.g->state, (size_t)one.v.g->state_size * sizeof(real));
            for (int e = 0; e < one.h.n; e++) {
                assert_true(one.h.epochs[e].train_elbo == more.h.epochs[e].train_elbo);
                assert_true(one.h.epochs[e].validation_elbo == more.h.epochs[e].validation_elbo);
            }
            trained_free(&more);
        }
        trained_free(&one);
    }
    test_cells_free(&t);
}

static void test_training_learns(void **state)
{
    (void)state;
    test_cells t;
    trained r;
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    train(&r, &t, test_config(GENES, "nb", 5, 32), test_training(40, 64), 2, CELLS - TRAIN);
    assert_int_equal(r.status, ISO_OK);
    assert_int_equal(r.h.n, 40);
    assert_true(r.h.epochs[39].validation_elbo > r.h.epochs[0].validation_elbo + 20);
    assert_true(r.h.epochs[39].kl_weight == 1 && r.h.final_kl_weight == 1);
    assert_int_equal(r.h.roll_backs, 0);
    trained_free(&r);
    test_cells_free(&t);
}

/* Warm-up is a share of the planned steps: it reaches its target for 10 steps and for 10,000. */
static void test_kl_schedule(void **state)
{
    (void)state;
    for (int64_t total = 10; total <= 100000; total *= 10) {
        iso_train_options o = {.kl_weight = 0.7, .kl_warmup = 1, .max_epochs = 1};
        assert_true(fabs(iso_kl_weight_at(&o, total - 1, total) - 0.7) <= 0.7 / (double)total + 1e-12);
        o.kl_warmup = 0.25;
        assert_true(iso_kl_weight_at(&o, 0, total) < 0.7);
        assert_true(iso_kl_weight_at(&o, total / 2, total) == 0.7);
        o.kl_warmup = 0;
        assert_true(iso_kl_weight_at(&o, 0, total) == 0.7);
        o.kl_warmup = 0.25, o.kl_cycles = 2;
        assert_true(iso_kl_weight_at(&o, total - 1, total) == 0.7);
        assert_true(iso_kl_weight_at(&o, total / 2, total) < 0.1 + 1e-9 || total == 10);
        for (int64_t s = 0; s < total; s += total / 10) assert_true(iso_kl_weight_at(&o, s, total) <= 0.7);
    }
}

static void test_rate_schedule(void **state)
{
    (void)state;
    iso_train_options o = {.adam = {.learning_rate = 0.5}};
    assert_true(iso_learning_rate_at(&o, 0, 100) == 0.5 && iso_learning_rate_at(&o, 99, 100) == 0.5);
    o.lr_warmup = 0.1;                      /* ten steps up, then as it is */
    for (int t = 0; t < 10; t++) assert_true(fabs(iso_learning_rate_at(&o, t, 100) - 0.05 * (t + 1)) < 1e-12);
    assert_true(iso_learning_rate_at(&o, 10, 100) == 0.5 && iso_learning_rate_at(&o, 99, 100) == 0.5);
    o.cosine = true;                        /* the ramp is of the cosine's own rate, which is met at its end */
    assert_true(fabs(iso_learning_rate_at(&o, 0, 100) - 0.05) < 1e-12);
    assert_true(fabs(iso_learning_rate_at(&o, 50, 100) - 0.25) < 1e-12 && iso_learning_rate_at(&o, 99, 100) < 1e-3);
    assert_true(iso_learning_rate_at(&o, 0, 1) > 0);
}

static void test_early_stopping_waits(void **state)
{
    (void)state;
    test_cells t;
    trained r;
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    iso_train_options o = test_training(400, 64);
    o.early_stopping = o.keep_best = true, o.patience = 3, o.kl_warmup = 0.1;
    train(&r, &t, test_config(GENES, "nb", 5, 64), o, 2, CELLS - TRAIN);
    assert_int_equal(r.status, ISO_OK);
    assert_true(r.h.stopped_early);
    assert_true(r.h.best + 1 >= 40);                /* a tenth of 400 is warm-up */
    assert_int_equal(r.h.n, r.h.best + 1 + 3);
    for (int e = 39; e < r.h.n; e++) assert_true(r.h.epochs[e].validation_elbo <= r.h.epochs[r.h.best].validation_elbo);
    trained_free(&r);
    test_cells_free(&t);
}

/* What came before the best epoch's parameters were kept is what they score. */
static void test_best_is_kept(void **state)
{
    (void)state;
    test_cells t;
    trained r;
    iso_evaluator *e;
    iso_env *env = iso_env_new(1);
    double elbo[CELLS - TRAIN], mean = 0;
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    iso_train_options o = test_training(60, 64);
    o.keep_best = o.early_stopping = true, o.patience = 5, o.cosine = false, o.adam.learning_rate = 0.02,
    o.kl_warmup = 0.1;
    train(&r, &t, test_config(GENES, "nb", 5, 64), o, 2, CELLS - TRAIN);
    assert_int_equal(iso_evaluator_new(env, &r.v, &t.cells, &e, NULL), ISO_OK);
    assert_int_equal(
        iso_evaluate(e, t.index + TRAIN, CELLS - TRAIN, 1, 0, o.seed, &(iso_cell_scores){.elbo = elbo}, NULL), ISO_OK);
    for (int i = 0; i < CELLS - TRAIN; i++) mean += elbo[i] / (CELLS - TRAIN);
    assert_true(fabs(mean - r.h.epochs[r.h.best].validation_elbo) < 1e-9);
    iso_evaluator_free(e);
    iso_env_free(env);
    trained_free(&r);
    test_cells_free(&t);
}

/* A clip sees the whole gradient before the step: one that never acts changes nothing but rounding, one that always does changes much. */
static void test_clip(void **state)
{
    (void)state;
    test_cells t;
    trained r;
    double elbo[3];
    const double clips[] = {0, 1e9, 1e-4};
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    for (int k = 0; k < 3; k++) {
        iso_train_options o = test_training(5, 64);
        o.gradient_clip = clips[k], o.adam.epsilon = 1;            /* so that the size of a gradient counts */
        train(&r, &t, test_config(GENES, "nb", 5, 64), o, 2, CELLS - TRAIN);
        assert_int_equal(r.status, ISO_OK);
        elbo[k] = r.h.epochs[4].validation_elbo;
        assert_true(r.h.epochs[4].gradient_norm > 1e-3);           /* as it was before the clip */
        trained_free(&r);
    }
    assert_true(fabs(elbo[1] / elbo[0] - 1) < 1e-5 && elbo[2] < elbo[0] - 1);
    test_cells_free(&t);
}

/* A learning rate that blows up is halved until it does not, and the result is finite. */
static void test_roll_back(void **state)
{
    (void)state;
    test_cells t;
    trained r;
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    iso_train_options o = test_training(3, 64);
    o.adam.learning_rate = 3e37, o.cosine = false;
    train(&r, &t, test_config(GENES, "nb", 5, 32), o, 2, CELLS - TRAIN);
    if (r.status == ISO_OK) {
        assert_true(r.h.roll_backs > 0);
        for (int64_t i = 0; i < r.v.g->param_size; i++) assert_true(isfinite((double)r.v.g->param[i]));
    } else {
        assert_int_equal(r.status, ISO_ENUMERIC);
        assert_non_null(strstr(r.err.msg, "--learning-rate"));
    }
    trained_free(&r);
    test_cells_free(&t);
}

/* A cell that no step can digest is named, with its gene, whatever the law and wherever the cell is. */
static void test_culprit_is_named(void **state)
{
    (void)state;
    static const char *const laws[] = {"zinb", "nb", "poisson", "gaussian_log1p", "gaussian"};
    test_cells t;
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    char *cell_names[CELLS], *gene_names[GENES], cells[CELLS][16], genes[GENES][16], named[64];
    for (int i = 0; i < CELLS; i++) snprintf(cells[i], sizeof cells[i], "cell-%d", i), cell_names[i] = cells[i];
    for (int i = 0; i < GENES; i++) snprintf(genes[i], sizeof genes[i], "gene-%d", i), gene_names[i] = genes[i];
    iso_env *env = iso_env_new(2);
    for (int k = 0; k < 5; k++)
        for (int i = 17; i < TRAIN; i += 60) {
            const int64_t bad = t.index[i], entry = (t.x.indptr[bad] + t.x.indptr[bad + 1]) / 2;
            const float count = t.x.values[entry];
            iso_vae_config c = test_config(GENES, laws[k], 5, 32);
            iso_train_options o = test_training(3, 64);
            trained r = {0};
            t.cells.raw_input = strcmp(laws[k], "gaussian") == 0;
            t.x.values[entry] = NAN;
            assert_int_equal(iso_vae_build(&c, 1, &r.v, &r.err), ISO_OK);
            assert_int_equal(iso_train(env, &r.v, &t.cells, t.index, TRAIN, NULL, 0, &o, (iso_train_names){cell_names, gene_names}, NULL, NULL, &r.h, &r.err),
                             ISO_ENUMERIC);
            print_message("%s: %s\n", laws[k], r.err.msg);
            snprintf(named, sizeof named, "\"%s\"", cells[bad]);
            assert_non_null(strstr(r.err.msg, named));
            snprintf(named, sizeof named, "\"%s\"", genes[t.x.indices[entry]]);
            assert_non_null(strstr(r.err.msg, named));
            assert_non_null(strstr(r.err.msg, "step"));
            t.x.values[entry] = count;
            trained_free(&r);
        }
    iso_env_free(env);
    test_cells_free(&t);
}

static void interrupt_after_two(void *arg, const iso_epoch *e)
{
    if (e->epoch == 2) iso_env_interrupt(arg);
}

static void test_interrupt_keeps_what_was_reached(void **state)
{
    (void)state;
    test_cells t;
    trained a, b = {0};
    iso_error err = {0};
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    iso_vae_config c = test_config(GENES, "nb", 5, 32);
    iso_train_options o = test_training(10, 64);
    iso_env *env = iso_env_new(2);
    assert_int_equal(iso_vae_build(&c, o.seed, &b.v, &err), ISO_OK);
    assert_int_equal(iso_train(env, &b.v, &t.cells, t.index, TRAIN, NULL, 0, &o, (iso_train_names){0},
                               interrupt_after_two, env, &b.h, &err),
                     ISO_OK);
    assert_true(b.h.interrupted);
    assert_int_equal(b.h.n, 2);
    train(&a, &t, c, o, 1, 0);
    assert_true(b.h.epochs[1].train_elbo == a.h.epochs[1].train_elbo);
    for (int64_t i = 0; i < b.v.g->param_size; i++) assert_true(isfinite((double)b.v.g->param[i]));
    iso_env_free(env);
    trained_free(&a);
    trained_free(&b);
    test_cells_free(&t);
}

static void test_too_few_cells(void **state)
{
    (void)state;
    test_cells t;
    iso_error err = {0};
    iso_vae v;
    iso_history h;
    iso_env *env = iso_env_new(1);
    test_cells_counts(&t, CELLS, GENES, 4, 300);
    iso_vae_config c = test_config(GENES, "nb", 5, 32);
    iso_train_options o = test_training(3, 64);
    assert_int_equal(iso_vae_build(&c, 1, &v, &err), ISO_OK);
    assert_int_equal(iso_train(env, &v, &t.cells, t.index, 2, NULL, 0, &o, (iso_train_names){0}, NULL, NULL, &h, &err),
                     ISO_EDATA);
    iso_vae_clear(&v);
    iso_env_free(env);
    test_cells_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),        cmocka_unit_test(test_training_learns),
        cmocka_unit_test(test_kl_schedule),      cmocka_unit_test(test_rate_schedule),
             cmocka_unit_test(test_early_stopping_waits),
        cmocka_unit_test(test_best_is_kept),     cmocka_unit_test(test_roll_back), cmocka_unit_test(test_clip),
        cmocka_unit_test(test_culprit_is_named), cmocka_unit_test(test_interrupt_keeps_what_was_reached),
        cmocka_unit_test(test_too_few_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
