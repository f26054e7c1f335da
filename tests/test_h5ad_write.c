/* Writing h5ad: what is written is read back by our own reader, and errors are named. More, with anndata, in
 * tests/py/test_h5ad_write.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/dataset.h"
#include "io/h5_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 3, G = 2 };

static char folder[256], path[300];
static iso_env *env;
static char said[1024];

static void keep_log(void *arg, iso_log_level level, const char *msg, double fraction, double eta_s)
{
    (void)arg, (void)level, (void)fraction, (void)eta_s;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", msg);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/iso_h5ad_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.h5ad", folder);
    env = iso_env_new(1);
    iso_env_set_log(env, keep_log, NULL);
    return env ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    iso_env_free(env);
    unlink(path);
    return rmdir(folder);             /* fails if anything was left behind */
}

static int n_files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

/* 3 cells, 2 genes, one column of each kind, each with its second value missing where the kind can have that. */
static char *cells[N] = {"c1", "c2", "c3"}, *genes[G] = {"g1", "g2"}, *kinds[] = {"B", "T \xce\xb2"},
            *strings[N] = {"x", NULL, ""};
static int32_t codes[N] = {1, -1, 0};
static int64_t ints[N] = {-5, 0, INT64_MAX};
static double reals[N] = {0.1, -2, 1e300};
static uint8_t bools[N] = {0, 0, 7}, mask[N] = {0, 9, 0};
static iso_column columns[] = {
    {.name = "category", .kind = ISO_COL_CATEGORY, .codes = codes, .categories = kinds, .n_categories = 2,
     .ordered = true},
    {.name = "string", .kind = ISO_COL_STRING, .strings = strings},
    {.name = "int", .kind = ISO_COL_INT, .ints = ints, .mask = mask},
    {.name = "real", .kind = ISO_COL_REAL, .reals = reals},
    {.name = "bool", .kind = ISO_COL_BOOL, .bools = bools, .mask = mask},
};
static const iso_frame obs = {N, "barcode", cells, 5, columns}, var = {G, "_index", genes, 0, NULL};
static int64_t indptr[N + 1] = {0, 1, 1, 3};
static int32_t indices[3] = {1, 0, 1};
static float values[3] = {4, 1, 7};
static const iso_csr x = {N, G, 3, indptr, indices, values};

static iso_dataset *written(const iso_h5ad_out *out)
{
    iso_error err = {0};
    iso_dataset *d = NULL;
    if (iso_h5ad_write(env, path, out, &err) != ISO_OK) fail_msg("%s", err.msg);
    if (iso_dataset_open(env, path, NULL, &d, &err) != ISO_OK) fail_msg("%s", err.msg);
    assert_int_equal(n_files(), 1);
    return d;
}

static void round_trip(void **state)
{
    (void)state;
    iso_dataset *d = written(&(iso_h5ad_out){.obs = &obs, .var = &var, .x = &x});
    assert_string_equal(d->obs.index_name, "barcode");
    assert_int_equal(d->obs.n_columns, 5);
    for (int i = 0; i < N; i++) assert_string_equal(d->obs.index[i], cells[i]);
    for (int i = 0; i < G; i++) assert_string_equal(d->var.index[i], genes[i]);
    const iso_column *c = d->obs.columns;
    for (int k = 0; k < 5; k++) assert_true(!strcmp(c[k].name, columns[k].name) && c[k].kind == columns[k].kind);
    assert_true(c[0].ordered && c[0].n_categories == 2 && !strcmp(c[0].categories[1], kinds[1]));
    assert_memory_equal(c[0].codes, codes, sizeof codes);
    assert_string_equal(c[1].strings[0], "x");
    assert_null(c[1].strings[1]);
    assert_string_equal(c[1].strings[2], "");
    assert_memory_equal(c[2].ints, ints, sizeof ints);
    assert_memory_equal(c[2].mask, ((uint8_t[N]){0, 1, 0}), N);
    assert_memory_equal(c[3].reals, reals, sizeof reals);
    assert_memory_equal(c[4].bools, ((uint8_t[N]){0, 0, 1}), N);
    assert_memory_equal(c[4].mask, ((uint8_t[N]){0, 1, 0}), N);
    assert_true(d->x.n_rows == N && d->x.n_cols == G && d->x.nnz == 3);
    assert_memory_equal(d->x.indptr, indptr, sizeof indptr);
    assert_memory_equal(d->x.indices, indices, sizeof indices);
    assert_memory_equal(d->x.values, values, sizeof values);
    iso_dataset_free(d);
}

/* Any byte but 0 is true to us; in the file it is 0 or 1. */
static void truth_is_stored_as_0_and_1(void **state)
{
    (void)state;
    int8_t stored[N] = {0};
    iso_dataset_free(written(&(iso_h5ad_out){.obs = &obs, .var = &var, .x = &x}));
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), id = H5Dopen2(f, "/obs/bool/values", H5P_DEFAULT);
    assert_true(H5Dread(id, H5T_NATIVE_INT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, stored) >= 0);
    assert_memory_equal(stored, ((int8_t[N]){0, 0, 1}), N);
    H5Dclose(id);
    H5Fclose(f);
}

static void extra_columns_replace_or_follow(void **state)
{
    (void)state;
    static const iso_column extra[] = {{.name = "new", .kind = ISO_COL_REAL, .reals = reals},
                                       {.name = "int", .kind = ISO_COL_REAL, .reals = reals}};
    iso_dataset *d = written(&(iso_h5ad_out){.obs = &obs, .var = &var, .x = &x, .extra_obs = extra, .n_extra_obs = 2});
    assert_int_equal(d->obs.n_columns, 6);
    assert_true(d->obs.columns[2].kind == ISO_COL_REAL && !strcmp(d->obs.columns[2].name, "int"));
    assert_string_equal(d->obs.columns[5].name, "new");
    iso_dataset_free(d);
}

/* Names that a file cannot hold do not cost the user the whole file. */
static void bad_names_are_left_out(void **state)
{
    (void)state;
    static char *const names[] = {"",        "/x",       "a//b", "a/",    "..",    ".", "a/./b",
                                  "caf\xe9", "good/one", "good", "twice", "twice", NULL};
    static const bool kept[] = {false, false, false, false, true, false, false, false, true, false, true, false, false};
    enum { K = sizeof names / sizeof *names };
    iso_column c[K];
    for (int i = 0; i < K; i++) c[i] = (iso_column){.name = names[i], .kind = ISO_COL_REAL, .reals = reals};
    c[9].name = "int";                           /* HDF5 would not take both "good/one" and "good" */
    iso_frame f = {N, "twice", cells, K, c};
    said[0] = 0;
    iso_dataset *d = written(&(iso_h5ad_out){.obs = &f, .var = &var, .x = &x});
    assert_string_equal(d->obs.index_name, "_index");
    assert_int_equal(d->obs.n_columns, 4);
    for (int i = 0, k = 0; i < K; i++)
        if (kept[i] || i == 9) assert_string_equal(d->obs.columns[k++].name, c[i].name);
    assert_non_null(strstr(said, "\"caf\xe9\" is left out of the file: its name is not UTF-8"));
    assert_non_null(strstr(said, "\"twice\" is left out of the file: there are two"));
    iso_dataset_free(d);
}

static void bad_shapes_and_names_are_errors(void **state)
{
    (void)state;
    static const iso_h5ad_sparse wrong[] = {{"l", &x}};
    static const iso_h5ad_uns clash[] = {{.path = "a", .text = "t"}, {.path = "a/b", .text = "t"}},
                              twice[] = {{.path = "a", .text = "t"}, {.path = "a", .text = "u"}};
    const iso_h5ad_out bad[] = {
        {.obs = &obs, .var = &obs, .x = &x},
        {.obs = &obs, .var = NULL, .x = &x},
        {.obs = &obs, .var = &var, .obsp = wrong, .n_obsp = 1},
        {.obs = &obs, .var = &obs, .layers = wrong, .n_layers = 1},
        {.obs = &obs, .var = &var, .uns = clash, .n_uns = 2},
        {.obs = &obs, .var = &var, .uns = twice, .n_uns = 2},
    };
    unlink(path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        iso_error err = {0};
        iso_status st = iso_h5ad_write(env, path, &bad[i], &err);
        assert_true((st == ISO_EDATA || st == ISO_EIO) && strstr(err.msg, path));
        assert_int_equal(n_files(), 0);
    }
}

static herr_t any_print(hid_t stack, void *arg)
{
    (void)stack, (void)arg;
    return 0;
}

/* HDF5's printing is silenced while we write and then as it was; nothing stays open, and nothing else is closed. */
static void hdf5_is_left_as_it_was(void **state)
{
    (void)state;
    iso_error err = {0};
    H5E_auto2_t print;
    void *arg;
    H5Eset_auto2(H5E_DEFAULT, any_print, path);
    iso_dataset_free(written(&(iso_h5ad_out){.obs = &obs, .var = &var, .x = &x}));
    assert_int_equal(iso_h5ad_write(env, folder, &(iso_h5ad_out){.obs = &obs}, &err), ISO_EIO);
    assert_int_equal(iso_h5ad_write(env, path, &(iso_h5ad_out){.obs = &obs, .x = &x}, &err), ISO_EDATA);
    H5Eget_auto2(H5E_DEFAULT, &print, &arg);
    assert_true(print == any_print && arg == path);
    assert_int_equal(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
    assert_true(fcntl(STDIN_FILENO, F_GETFD) != -1);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* What a disk that is full does; the limit on file sizes, which tests/py uses, also stops ftruncate. */
static void the_first_failure_is_told(void **state)
{
    (void)state;
    iso_error err = {0};
    h5_file f;
    h5_sink sink = {.fd = open("/dev/full", O_RDWR)};
    if (sink.fd < 0) {
        print_message("skipped: no /dev/full on this system\n");
        skip();
    }
    assert_int_equal(h5_create(env, path, &sink, false, &f, &err), ISO_OK);
    assert_int_equal(h5_put_group(&f, "/a", (h5_encoding){"dict", "0.1.0"}, &err), ISO_OK);
    assert_int_equal(h5_finish(&f, &err), ISO_EIO);
    h5_close(&f);
    close(sink.fd);
    assert_int_equal(sink.error, ENOSPC);
    assert_true(strstr(err.msg, path) && strstr(err.msg, strerror(ENOSPC)));
}

static iso_status crash(void *arg, iso_error *err)
{
    (void)arg, (void)err;
    raise(SIGKILL);
    return ISO_OK;
}

static iso_status refuse(void *arg, iso_error *err) { return iso_fail(err, ISO_EUSAGE, "no %s", (const char *)arg); }
static iso_status succeed(void *arg, iso_error *err) { return (void)arg, (void)err, ISO_OK; }

static void a_child_is_heard_and_may_die(void **state)
{
    (void)state;
    iso_error err = {0};
    assert_int_equal(h5_in_child(path, succeed, NULL, &err), ISO_OK);
    assert_int_equal(h5_in_child(path, crash, NULL, &err), ISO_EDATA);
    assert_true(strstr(err.msg, path) && strstr(err.msg, "crashes"));
    assert_int_equal(h5_in_child(path, refuse, "luck", &err), ISO_EUSAGE);
    assert_string_equal(err.msg, "no luck");
}

static void can_be_interrupted(void **state)
{
    (void)state;
    iso_error err = {0};
    iso_env *stopped = iso_env_new(1);
    iso_env_interrupt(stopped);
    unlink(path);
    assert_int_equal(iso_h5ad_write(stopped, path, &(iso_h5ad_out){.obs = &obs, .var = &var, .x = &x}, &err),
                     ISO_EINTERRUPT);
    assert_int_equal(n_files(), 0);
    iso_env_free(stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(truth_is_stored_as_0_and_1),
        cmocka_unit_test(extra_columns_replace_or_follow),
        cmocka_unit_test(bad_names_are_left_out),
        cmocka_unit_test(bad_shapes_and_names_are_errors),
        cmocka_unit_test(hdf5_is_left_as_it_was),
        cmocka_unit_test(the_first_failure_is_told),
        cmocka_unit_test(a_child_is_heard_and_may_die),
        cmocka_unit_test(can_be_interrupted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
