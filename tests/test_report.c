/* test_report: what names can do to report.html (nothing), and how writing it fails. tests/py/test_report.py looks at
 * it. */
#include "io/report.h"
#include "io/report_text.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/isolario-report-XXXXXX";

static char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state) { (void)state; return mkdtemp(folder) ? 0 : -1; }
static int remove_folder(void **state) { (void)state; return rmdir(folder); }

/* The whole file as a string; the caller frees it. */
static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1);
    assert_int_equal(fread(text, 1, n, f), n);
    text[n] = 0;
    fclose(f);
    return text;
}

static const char bad_name[] = "</script><img src=x onerror=alert(1)>\"'\\\n\xff&amp;";
static const float xy[6] = {0, 0, 1, 2, NAN, 3};
static const float values[3] = {1.5f, NAN, 3};
static int32_t codes[3] = {0, -1, 1};
static const char *categories[2] = {bad_name, "{{data}}"};

static iso_report make(iso_report_color *colors)
{
    static const char *cells[3] = {bad_name, bad_name, bad_name};
    static iso_report_fact fact = {bad_name, bad_name, NULL};
    static const iso_report_series series = {.name = bad_name, .values = values};
    static const iso_report_chart chart = {bad_name, bad_name, bad_name, 3, values, cells, (const uint8_t *)"\1\0", bad_name, true, &series, 1};
    static iso_report_section section = {bad_name, bad_name, &fact, 1, cells, 2, 1, &chart, 1};
    static const double kl[2] = {1.0, (double)NAN};
    static const iso_report_epoch epoch = {.epoch = 1, .train_elbo = -2.5, .validation_elbo = (double)NAN, .learning_rate = 1e-3};
    colors[0] = (iso_report_color){.name = bad_name, .group = "label", .codes = codes, .categories = (char **)(uintptr_t)categories,
                                   .n_categories = 2};
    colors[1] = (iso_report_color){.name = "Gata1", .group = "gene", .values = values, .unit = bad_name};
    return (iso_report){.title = bad_name, .n_cells = 3, .xy = xy, .colors = colors, .n_colors = 2, .epochs = &epoch, .n_epochs = 1,
                        .n_latent = 2, .kl_per_dim = kl, .var_mu = kl, .verdict = bad_name, .verdict_text = bad_name,
                        .gene_mean = values, .gene_zeros = values, .n_genes = 3, .cell_total = values,
                        .sections = &section, .n_sections = 1, .command = bad_name, .version = bad_name};
}

static int count_of(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) n++;
    return n;
}

static void names_cannot_break_out(void **state)
{
    (void)state;
    iso_report_color colors[2];
    iso_report r = make(colors);
    iso_error err = {0};
    char *path = in_folder("report.html");
    assert_int_equal(iso_report_write(NULL, path, &r, &err), ISO_OK);
    char *text = slurp(path);
    assert_null(strstr(text, "<img"));
    assert_null(strchr(text, '\xff'));
    assert_int_equal(count_of(text, "</script>"), 6);                   /* five scripts and the data */
    assert_non_null(strstr(text, "\\u003c/script\\u003e\\u003cimg src=x onerror=alert(1)\\u003e\\\"'\\\\\\u000a\xEF\xBF\xBD\\u0026amp;"));
    assert_non_null(strstr(text, "<title>&#60;/script&#62;&#60;img src=x onerror=alert(1)&#62;&#34;&#39;\\\n\xEF\xBF\xBD&#38;amp;"));
    /* the name of a category; every mark is filled */
    assert_int_equal(count_of(text, "{{"), 1);
    assert_non_null(strstr(text, "\"train_elbo\":[-2.5]"));
    assert_non_null(strstr(text, "\"validation_elbo\":[null]"));
    assert_non_null(strstr(text, "\"kl_per_dim\":[1,null]"));
    /* 0 0, a third and two thirds of the span, missing and all */
    assert_non_null(strstr(text, "\"xy\":\"AAAAAFVVqar///7/\""));
    assert_non_null(strstr(text, "\"counts\":[1,1],\"width\":1,\"codes\":\"AP8B\""));
    assert_non_null(strstr(text, "\"low\":1.5,\"high\":3,\"width\":1,\"values\":\"AP/+\""));
    free(text);
    unlink(path);
}

static void a_path_that_cannot_be_written(void **state)
{
    (void)state;
    iso_report_color colors[2];
    iso_report r = make(colors);
    iso_error err = {0};
    char *path = in_folder("no/such/folder/report.html");
    assert_int_equal(iso_report_write(NULL, path, &r, &err), ISO_EIO);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(iso_report_write(NULL, path, &r, NULL), ISO_EIO);
}

static void a_category_that_does_not_exist(void **state)
{
    (void)state;
    iso_report_color colors[2];
    iso_report r = make(colors);
    iso_error err = {0};
    char *path = in_folder("report.html");
    codes[2] = 2;
    assert_int_equal(iso_report_write(NULL, path, &r, &err), ISO_EDATA);
    codes[2] = 1;
    assert_non_null(strstr(err.msg, "cell 2 has category 2"));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void no_memory(void **state)
{
    (void)state;
    iso_report_color colors[2];
    iso_report r = make(colors);
    char *path = in_folder("report.html");
    int failed = 0;
    for (;; failed++) {
        iso_alloc_fail_at(failed + 1);
        iso_status st = iso_report_write(NULL, path, &r, NULL);
        iso_alloc_fail_at(0);
        if (st == ISO_OK) break;
        assert_int_equal(st, ISO_EMEMORY);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    assert_true(failed >= 6);
    unlink(path);
}

/* What write(json) puts into a stream. */
static const char *written(void (*write)(json *))
{
    static char text[256];
    json j = {fmemopen(text, sizeof text, "w"), false};
    assert_non_null(j.file);
    write(&j);
    fclose(j.file);
    return text;
}

static void put_numbers(json *j)
{
    js_open(j, '[');
    js_number(j, 1234.5);
    js_number(j, -0.001);
    js_number(j, 1e300);
    js_number(j, (double)INFINITY);
    js_number(j, (double)NAN);
    js_integer(j, INT64_MIN);
    js_close(j, ']');
}

static void numbers_in_any_locale(void **state)
{
    (void)state;
    const char *expected = "[1234.5,-0.001,1e+300,null,null,-9223372036854775808]";
    assert_string_equal(written(put_numbers), expected);
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) print_message("no German locale here: numbers tested in this one alone\n");
    assert_string_equal(written(put_numbers), expected);
    setlocale(LC_NUMERIC, "C");
}

static void put_base64(json *j)
{
    static const char *const words[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};     /* RFC 4648, section 10 */
    for (int i = 0; i < 7; i++) js_base64(j, (const unsigned char *)words[i], (int64_t)strlen(words[i]));
}

static void base64_of_the_standard(void **state)
{
    (void)state;
    assert_string_equal(written(put_base64), "\"\",\"Zg==\",\"Zm8=\",\"Zm9v\",\"Zm9vYg==\",\"Zm9vYmE=\",\"Zm9vYmFy\"");
}

/* Each is text, then what it becomes; U is U+FFFD. */
#define U "\xEF\xBF\xBD"
static const char *const utf8[][2] = {
    {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA7\xAC", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA7\xAC"},
    {"\xC0\x80", U U}, {"\xE0\x80\x80", U U U}, {"\xED\xA0\x80", U U U}, {"\xF4\x90\x80\x80", U U U U}, {"\xF5", U},
    {"\x80" "a", U "a"}, {"\xE2\x82", U U}, {"\xF0\x9F\xA7", U U U}, {"a\xC3", "a" U}, {"\xC3(", U "("},
};
static int utf8_row;
static void put_utf8(json *j) { js_string(j, utf8[utf8_row][0]); }

static void bytes_that_are_not_utf8(void **state)
{
    (void)state;
    for (utf8_row = 0; utf8_row < (int)(sizeof utf8 / sizeof *utf8); utf8_row++) {
        char expected[64];
        snprintf(expected, sizeof expected, "\"%s\"", utf8[utf8_row][1]);
        assert_string_equal(written(put_utf8), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_cannot_break_out),
        cmocka_unit_test(a_path_that_cannot_be_written),
        cmocka_unit_test(a_category_that_does_not_exist),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(numbers_in_any_locale),
        cmocka_unit_test(base64_of_the_standard),
        cmocka_unit_test(bytes_that_are_not_utf8),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
