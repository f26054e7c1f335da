/* Options: the table itself, setting, lists, typed reads, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "likelihood/likelihood.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int start(void **state) { return !(*state = iso_options_new()); }
static int stop(void **state)
{
    iso_options_free(*state);
    return 0;
}

#define ASSERT_SET(o, name, value)                                          \
    do {                                                                    \
        iso_error e_ = {0};                                                 \
        if (iso_options_set(o, name, value, &e_) != ISO_OK) fail_msg("%s", e_.msg); \
    } while (0)
/* Setting fails with ISO_EUSAGE and a message that holds `text`. */
#define ASSERT_REFUSED(o, name, value, text)                                              \
    do {                                                                                  \
        iso_error e_ = {0};                                                               \
        assert_int_equal(iso_options_set(o, name, value, &e_), ISO_EUSAGE);               \
        assert_int_equal(e_.status, ISO_EUSAGE);                                          \
        if (!strstr(e_.msg, text)) fail_msg("\"%s\" does not say \"%s\"", e_.msg, text);  \
    } while (0)

static void rows_are_sound(void **state)
{
    const iso_option_info *a, *b;
    for (int i = 0; (a = iso_option_row(i)); i++) {
        assert_ptr_equal(iso_option_find(a->name), a);
        assert_null(strchr(a->name, '-'));
        assert_true(strlen(a->help) > 10 && strlen(a->help) < 300);
        assert_true(a->group && *a->group && a->commands && *a->commands);
        assert_int_equal(a->choices != NULL, a->type == ISO_CHOICE);
        assert_int_equal(a->metavar != NULL, a->type != ISO_FLAG);
        if (a->preset) ASSERT_SET(*state, a->name, a->preset);      /* a default is a good value */
        else assert_true(a->type == ISO_TEXT || a->type == ISO_LIST);
        if (a->type == ISO_INT || a->type == ISO_REAL) assert_true(a->min < a->max);
        for (int j = i + 1; (b = iso_option_row(j)); j++) {
            assert_string_not_equal(a->name, b->name);
            assert_false(a->letter && a->letter == b->letter);
            if (strcmp(a->group, b->group) == 0) assert_string_equal(a->group, iso_option_row(j - 1)->group);
        }
    }
    assert_null(iso_option_row(-1));
    assert_null(iso_option_find("no_such"));
}

static void defaults_hold_until_set(void **state)
{
    iso_options *o = *state;
    assert_int_equal(iso_opt_int(o, "n_latent"), 10);
    assert_true(iso_opt_real(o, "learning_rate") == 0.02);
    assert_true(iso_opt_real(o, "weight_decay") == 1e-6);
    assert_true(iso_opt_flag(o, "early_stopping"));
    assert_false(iso_opt_flag(o, "force"));
    assert_string_equal(iso_opt_text(o, "likelihood"), "nb");
    assert_null(iso_opt_text(o, "batch_key"));
    assert_int_equal(iso_opt_list_n(o, "inputs"), 0);
    assert_false(iso_options_given(o, "n_latent"));
    ASSERT_SET(o, "n_latent", "10");
    assert_true(iso_options_given(o, "n_latent"));      /* given, though it is the default */
    ASSERT_SET(o, "--n-latent", "32");
    assert_int_equal(iso_opt_int(o, "n-latent"), 32);
    assert_string_equal(iso_options_get(o, "n_latent"), "32");
    ASSERT_SET(o, "n_latent", NULL);
    assert_false(iso_options_given(o, "n_latent"));
    assert_int_equal(iso_opt_int(o, "n_latent"), 10);
    assert_null(iso_options_get(o, "no_such"));
    assert_false(iso_options_given(o, "no_such"));
    ASSERT_SET(o, "preset", "scvi");                    /* changes nothing by itself */
    assert_true(iso_opt_real(o, "learning_rate") == 0.02);
    assert_false(iso_options_given(o, "learning_rate"));
}

static void bad_values_are_refused(void **state)
{
    iso_options *o = *state;
    ASSERT_REFUSED(o, "batch_kye", "x", "did you mean \"batch_key\"?");
    ASSERT_REFUSED(o, "--batch-kye", "x", "unknown option \"--batch-kye\"; did you mean \"--batch-key\"?");
    ASSERT_REFUSED(o, "qqqqqqqqqqqqqqq", "x", "isolario help");
    ASSERT_REFUSED(o, "n_latent", "ten", "n_latent: \"ten\" is not a whole number");
    ASSERT_REFUSED(o, "n_latent", "10.5", "not a whole number");
    ASSERT_REFUSED(o, "n_latent", "", "not a whole number");
    ASSERT_REFUSED(o, "n_latent", "0", "n_latent: 0 is out of range; it goes from 1 to 1000");
    ASSERT_REFUSED(o, "n_latent", "1001", "out of range");
    ASSERT_REFUSED(o, "seed", "99999999999999999999999", "out of range");
    ASSERT_REFUSED(o, "seed", "-1", "out of range");
    ASSERT_REFUSED(o, "--learning-rate", "0", "--learning-rate: 0 is out of range");
    ASSERT_REFUSED(o, "learning_rate", "nan", "not a number");
    ASSERT_REFUSED(o, "learning_rate", "inf", "not a number");
    ASSERT_REFUSED(o, "learning_rate", "0.1x", "not a number");
    ASSERT_REFUSED(o, "force", "yes", "neither true nor false");
    ASSERT_REFUSED(o, "likelihood", "zinbb", "did you mean \"zinb\"?");
    ASSERT_REFUSED(o, "likelihood", "zinb|nb", "is not one of zinb|nb|poisson");
    ASSERT_REFUSED(o, "likelihood", "", "is not one of");
    ASSERT_REFUSED(o, "dispersion", "gene_cell", "did you mean \"gene-cell\"?");
    ASSERT_REFUSED(o, "batch_key", "", "empty");
    ASSERT_REFUSED(o, "categorical_covariate_keys", "a,,b", "empty item");
    ASSERT_REFUSED(o, "categorical_covariate_keys", "a,", "empty item");
    const iso_option_info *row;
    for (int i = 0; (row = iso_option_row(i)); i++) assert_false(iso_options_given(o, row->name));
    ASSERT_SET(o, "n_latent", "20");
    ASSERT_REFUSED(o, "n_latent", "0", "out of range");
    assert_int_equal(iso_opt_int(o, "n_latent"), 20);   /* keeps what it had */
    assert_int_equal(iso_options_set(o, "n_latent", "0", NULL), ISO_EUSAGE);
}

static void ends_of_a_range_belong_to_it(void **state)
{
    iso_options *o = *state;
    ASSERT_SET(o, "n_latent", "1");
    ASSERT_SET(o, "n_latent", "1000");
    ASSERT_SET(o, "dropout", "0");
    ASSERT_SET(o, "dropout", "0.99");
    ASSERT_REFUSED(o, "dropout", "0.991", "out of range");
    ASSERT_SET(o, "seed", "9007199254740991");
    assert_true(iso_opt_int(o, "seed") == 9007199254740991);
}

static void assert_items(const iso_options *o, const char *name, int n, const char *const *items)
{
    assert_int_equal(iso_opt_list_n(o, name), n);
    for (int i = 0; i < n; i++) {
        char *item = iso_opt_list_item(o, name, i);
        assert_string_equal(item, items[i]);
        iso_free(item);
    }
}

static void list_items_survive(void **state)
{
    iso_options *o = *state;
    const char *paths[] = {"a,b.h5ad", "c:\\dir\\", ",", "\\,", "plain"};
    for (int i = 0; i < 5; i++) assert_int_equal(iso_options_append(o, "inputs", paths[i], NULL), ISO_OK);
    assert_items(o, "inputs", 5, paths);
    ASSERT_SET(o, "categorical_covariate_keys", iso_options_get(o, "inputs"));      /* what get gives, set takes */
    assert_items(o, "categorical_covariate_keys", 5, paths);
    const char *keys[] = {"donor", "day,hour", "a\\b"};
    ASSERT_SET(o, "categorical_covariate_keys", "donor,day\\,hour,a\\b");
    assert_items(o, "categorical_covariate_keys", 3, keys);
    iso_error err;
    assert_int_equal(iso_options_append(o, "inputs", "", &err), ISO_EUSAGE);
    assert_int_equal(iso_options_append(o, "layer", "x", &err), ISO_EUSAGE);
    assert_non_null(strstr(err.msg, "layer takes one value"));
    assert_int_equal(iso_options_append(o, "input", "x", &err), ISO_EUSAGE);
    assert_non_null(strstr(err.msg, "inputs"));
    assert_items(o, "inputs", 5, paths);
}

static void every_allocation_may_fail(void **state)
{
    iso_options *o = *state;
    iso_error err;
    assert_int_equal(iso_options_append(o, "inputs", "first", NULL), ISO_OK);
    ASSERT_SET(o, "layer", "counts");
    iso_alloc_fail_at(1);
    assert_null(iso_options_new());
    iso_alloc_fail_at(1);
    assert_int_equal(iso_options_set(o, "layer", "X", &err), ISO_EMEMORY);
    assert_string_equal(iso_opt_text(o, "layer"), "counts");
    iso_alloc_fail_at(1);
    assert_int_equal(iso_options_append(o, "inputs", "second", &err), ISO_EMEMORY);
    assert_items(o, "inputs", 1, (const char *[]){"first"});
    iso_alloc_fail_at(1);
    assert_null(iso_opt_list_item(o, "inputs", 0));
    iso_alloc_fail_at(0);
}

/* A host program may have set a locale in which 0.02 is written 0,02. */
static void reals_ignore_the_locale(void **state)
{
    static const char *const with_comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8"};
    const char *found = NULL;
    for (int i = 0; i < 3 && !found; i++) found = setlocale(LC_NUMERIC, with_comma[i]);
    if (!found) {
        print_message("skipped: no locale with a decimal comma on this machine\n");
        skip();
    }
    assert_true(iso_opt_real(*state, "learning_rate") == 0.02);
    ASSERT_SET(*state, "dropout", "0.25");
    ASSERT_REFUSED(*state, "dropout", "0,25", "not a number");
    setlocale(LC_NUMERIC, "C");
}

/* The choices of --likelihood are the rows of the table of likelihoods. */
static void likelihoods_are_those_of_the_table(void **state)
{
    (void)state;
    char text[256] = "";
    for (int i = 0; iso_likelihoods[i]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "|" : "", iso_likelihoods[i]->name);
    assert_string_equal(iso_option_find("likelihood")->choices, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_sound, start, stop),
        cmocka_unit_test_setup_teardown(defaults_hold_until_set, start, stop),
        cmocka_unit_test_setup_teardown(bad_values_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(ends_of_a_range_belong_to_it, start, stop),
        cmocka_unit_test_setup_teardown(list_items_survive, start, stop),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, start, stop),
        cmocka_unit_test(likelihoods_are_those_of_the_table),
        cmocka_unit_test_setup_teardown(reals_ignore_the_locale, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
