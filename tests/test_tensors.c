/* safetensors: what is written comes back bit by bit; damage of every kind is refused; files appear when whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "io/tensors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static const char *at(const char *name)
{
    static char path[2][300];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/iso_tensors_XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void put(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file of this header, padded as it is, and n zero bytes. */
static void put_header(const char *path, const char *header, size_t n)
{
    static char bytes[1 << 16];
    uint64_t size = strlen(header);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &size, 8);
    memcpy(bytes + 8, header, size);
    put(path, bytes, 8 + size + n);
}

static size_t get(const char *path, char *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

static float floats[12];
static double doubles[5];

/* Odd numbers of floats, so that doubles are not aligned in the file; an empty tensor; names that JSON must escape. */
static iso_tensor_file example(void)
{
    static char *names[] = {"encoder.0/weight", "a \"quoted\" \\ \xc3\xa9", "empty", "last"};
    static iso_tensor t[4];
    static const uint32_t bits[] = {0, 0x80000000u, 1, 0x7f800000u, 0xff800000u, 0x7fc00001u, 0x7f7fffffu, 0x3f800000u};
    memcpy(floats, bits, sizeof bits);
    for (int i = 0; i < 5; i++) doubles[i] = (i - 2) / 3.0;
    t[0] = (iso_tensor){names[0], 2, {3, 3}, false, floats};
    t[1] = (iso_tensor){names[1], 1, {5, 0}, true, doubles};
    t[2] = (iso_tensor){names[2], 2, {0, 7}, false, floats};
    t[3] = (iso_tensor){names[3], 1, {3, 0}, false, floats + 9};
    return (iso_tensor_file){4, t, "{\"a\": [1, \"\xe2\x80\x94\"]}"};
}

static void round_trip(void **state)
{
    (void)state;
    iso_error err = {0};
    iso_tensor_file f = example(), g;
    assert_int_equal(iso_tensors_write(at("a"), &f, &err), ISO_OK);
    assert_int_equal(iso_tensors_read(at("a"), &g, &err), ISO_OK);
    assert_int_equal(g.n_tensors, 4);
    assert_string_equal(g.metadata, f.metadata);
    for (int i = 0; i < 4; i++) {
        const iso_tensor *a = &f.tensors[i], *b = iso_tensors_find(&g, a->name);
        assert_ptr_equal(b, &g.tensors[i]);
        assert_int_equal(a->rank, b->rank);
        assert_int_equal(a->is_double, b->is_double);
        assert_int_equal(a->shape[0], b->shape[0]);
        if (a->rank == 2) assert_int_equal(a->shape[1], b->shape[1]);
        assert_memory_equal(a->values, b->values,
                            (size_t)(a->shape[0] * (a->rank == 2 ? a->shape[1] : 1)) * (a->is_double ? 8 : 4));
    }
    assert_null(iso_tensors_find(&g, "none"));
    iso_tensors_clear(&g);
    iso_tensors_clear(&g);

    char bytes[2048];
    uint64_t size;
    size_t n = get(at("a"), bytes, sizeof bytes);
    memcpy(&size, bytes, 8);
    assert_int_equal(size % 8, 0);
    assert_int_equal(n, 8 + size + 9 * 4 + 5 * 8 + 3 * 4);
    assert_int_equal(bytes[8], '{');
}

static void nothing_at_all_is_a_file_too(void **state)
{
    (void)state;
    iso_error err = {0};
    iso_tensor_file f = {0}, g;
    assert_int_equal(iso_tensors_write(at("none"), &f, &err), ISO_OK);
    assert_int_equal(iso_tensors_read(at("none"), &g, &err), ISO_OK);
    assert_int_equal(g.n_tensors, 0);
    assert_null(g.metadata);
    iso_tensors_clear(&g);
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    float x[4] = {0};
    static const iso_tensor bad[][2] = {
        {{"same", 1, {1, 0}, false, NULL}, {"same", 1, {1, 0}, false, NULL}},
        {{"__metadata__", 1, {1, 0}, false, NULL}, {"b", 1, {1, 0}, false, NULL}},
        {{"caf\xe9", 1, {1, 0}, false, NULL}, {"b", 1, {1, 0}, false, NULL}},
        {{"a", 3, {1, 1}, false, NULL}, {"b", 1, {1, 0}, false, NULL}},
        {{"a", 1, {-1, 0}, false, NULL}, {"b", 1, {1, 0}, false, NULL}},
        {{"a", 2, {INT64_MAX / 2, 2}, true, NULL}, {"b", 1, {1, 0}, false, NULL}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        iso_error err = {0};
        iso_tensor t[2] = {bad[i][0], bad[i][1]};
        t[0].values = t[1].values = x;
        assert_int_equal(iso_tensors_write(at("bad"), &(iso_tensor_file){2, t, NULL}, &err), ISO_EDATA);
        assert_non_null(strstr(err.msg, at("bad")));
    }
    iso_error err = {0};
    assert_int_equal(iso_tensors_write(at("bad"), &(iso_tensor_file){.metadata = "caf\xe9"}, &err), ISO_EDATA);
    assert_int_equal(iso_tensors_write(at("no/folder"), &(iso_tensor_file){0}, &err), ISO_EIO);
    assert_int_equal(access(at("bad"), F_OK), -1);
}

/* ------------------------------------------------------------------------------------ damage */

#define F32(shape, begin, end) "{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

/* Header, bytes of data after it, and a word of the message. */
static const struct { const char *header; size_t n; const char *says; } damaged[] = {
    {"", 0, "begin with {"},
    {" {}", 0, "begin with {"},
    {"[]", 0, "begin with {"},
    {"{", 0, "JSON"},
    {"{}x", 0, "JSON"},
    {"{}", 1, "end at byte 0"},
    {"{\"a\":" F32("2", "0", "8") "}", 7, "outside"},
    {"{\"a\":" F32("2", "0", "8") "}", 9, "end at byte 8"},
    {"{\"a\":" F32("2", "0", "4") "}", 8, "shape"},
    {"{\"a\":" F32("1", "0", "8") "}", 8, "shape"},
    {"{\"a\":" F32("1", "4", "8") "}", 8, "after a gap"},
    {"{\"a\":" F32("1", "0", "4") ",\"b\":" F32("1", "0", "4") "}", 4, "within another"},
    {"{\"a\":" F32("2", "0", "8") ",\"b\":" F32("1", "4", "8") "}", 8, "within another"},
    {"{\"a\":" F32("1", "0", "4") ",\"b\":" F32("1", "8", "12") "}", 12, "after a gap"},
    {"{\"a\":" F32("1", "0", "4") ",\"a\":" F32("1", "4", "8") "}", 8, "duplicate"},
    {"{\"a\":" F32("-1", "0", "4") "}", 4, "whole number"},
    {"{\"a\":" F32("1.0", "0", "4") "}", 4, "whole number"},
    {"{\"a\":" F32("-1,-1", "0", "4") "}", 4, "whole number"},
    {"{\"a\":" F32("", "0", "4") "}", 4, "0 dimensions"},
    {"{\"a\":" F32("1,1,1", "0", "4") "}", 4, "3 dimensions"},
    {"{\"a\":" F32("4611686018427387904,4", "0", "0") "}", 0, "shape"},
    {"{\"a\":" F32("9223372036854775807", "0", "4") "}", 4, "shape"},
    {"{\"a\":" F32("1", "-4", "0") "}", 4, "outside"},
    {"{\"a\":" F32("1", "8", "4") "}", 8, "outside"},
    {"{\"a\":" F32("1", "0", "99999999999999999999") "}", 4, "JSON"},
    {"{\"a\":" F32("1", "0", "4.5") "}", 4, "outside"},
    {"{\"a\":" F32("1", "0", "4,8") "}", 8, "lacks"},
    {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "type F16"},
    {"{\"a\":{\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "only F32 and F64"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "lacks"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "lacks"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks"},
    {"{\"a\":7}", 0, "lacks"},
    {"{\"__metadata__\":7}", 0, "no object"},
};

static void damage_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        iso_error err = {0};
        iso_tensor_file f;
        put_header(at("d"), damaged[i].header, damaged[i].n);
        if (iso_tensors_read(at("d"), &f, &err) != ISO_EDATA || !strstr(err.msg, damaged[i].says) ||
            !strstr(err.msg, at("d")))
            fail_msg("%s: \"%s\"", damaged[i].header, err.msg);
        assert_null(f.tensors);
    }
    iso_error err = {0};
    iso_tensor_file f;
    put_header(at("d"), "{\"a\":" F32("1", "0", "4") ",\"b\":" F32("0", "4", "4") ",\"__metadata__\":{\"x\":\"y\"}}   ",
               4);
    assert_int_equal(iso_tensors_read(at("d"), &f, &err), ISO_OK);
    assert_null(f.metadata);
    iso_tensors_clear(&f);
    assert_int_equal(iso_tensors_read(at("missing"), &f, &err), ISO_EIO);
    assert_int_equal(iso_tensors_read(folder, &f, &err), ISO_EIO);
}

static void sizes_of_the_header_are_checked(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {3, 100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        iso_error err = {0};
        iso_tensor_file f;
        char bytes[10] = {[8] = '{', [9] = '}'};
        memcpy(bytes, &sizes[i], 8);
        put(at("s"), bytes, sizeof bytes);
        assert_int_equal(iso_tensors_read(at("s"), &f, &err), ISO_EDATA);
    }
}

static void truncated_or_flipped_files_never_crash(void **state)
{
    (void)state;
    static char bytes[4096], changed[4096];
    iso_error err = {0};
    iso_tensor_file f = example(), g;
    assert_int_equal(iso_tensors_write(at("a"), &f, &err), ISO_OK);
    size_t n = get(at("a"), bytes, sizeof bytes);
    for (size_t cut = 0; cut < n; cut++) {
        put(at("cut"), bytes, cut);
        assert_int_equal(iso_tensors_read(at("cut"), &g, &err), ISO_EDATA);
    }
    int refused = 0;
    for (uint64_t k = 0; k < 3000; k++) {
        iso_rng r = iso_rng_start((iso_rng_key){.seed = 11, .stream = ISO_STREAM_TEST}, k);
        memcpy(changed, bytes, n);
        for (int flips = 1 + (int)(k % 3); flips > 0; flips--)
            changed[(size_t)(iso_rng_uniform(&r) * (double)n)] ^= (char)(1 << (int)(iso_rng_uniform(&r) * 8));
        put(at("flip"), changed, n);
        iso_status st = iso_tensors_read(at("flip"), &g, &err);
        assert_true(st == ISO_OK || st == ISO_EDATA);
        refused += st != ISO_OK;
        iso_tensors_clear(&g);
    }
    assert_true(refused > 1000 && refused < 2999);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    iso_error err = {0};
    iso_tensor_file f = example(), g;
    iso_status st = ISO_EMEMORY;
    for (int64_t k = 1; st == ISO_EMEMORY; k++) {
        iso_alloc_fail_at(k);
        st = iso_tensors_write(at("memory"), &f, &err);
        iso_alloc_fail_at(0);
        assert_true(k < 100 && access(at("memory"), F_OK) == (st == ISO_OK ? 0 : -1));
    }
    assert_int_equal(st, ISO_OK);
    st = ISO_EMEMORY;
    for (int64_t k = 1; st == ISO_EMEMORY; k++) {
        iso_alloc_fail_at(k);
        st = iso_tensors_read(at("memory"), &g, &err);
        iso_alloc_fail_at(0);
        assert_true(k < 100);
    }
    assert_int_equal(st, ISO_OK);
    iso_tensors_clear(&g);
}

/* ------------------------------------------------------------------------------- whole files */

static void files_appear_when_whole(void **state)
{
    (void)state;
    char bytes[16];
    struct stat s;
    iso_error err = {0};
    iso_out o;
    put(at("o"), "old", 3);
    assert_int_equal(iso_out_open(at("o"), &o, &err), ISO_OK);
    fputs("new text", o.file);
    assert_int_equal(access(o.temp, F_OK), 0);
    assert_int_equal(get(at("o"), bytes, sizeof bytes), 3);
    char *temp = strdup(o.temp);
    iso_out_discard(&o);
    iso_out_discard(&o);
    assert_int_equal(access(temp, F_OK), -1);
    free(temp);
    assert_int_equal(get(at("o"), bytes, sizeof bytes), 3);

    mode_t old = umask(027);
    assert_int_equal(iso_out_open(at("o"), &o, &err), ISO_OK);
    umask(old);
    fputs("new text", o.file);
    assert_int_equal(iso_out_commit(&o, &err), ISO_OK);
    iso_out_discard(&o);
    assert_int_equal(get(at("o"), bytes, sizeof bytes), 8);
    assert_memory_equal(bytes, "new text", 8);
    assert_int_equal(stat(at("o"), &s), 0);
    assert_int_equal(s.st_mode & 0777, 0640);
    assert_int_equal(iso_out_open(folder, &o, &err), ISO_EIO);
    assert_non_null(strstr(err.msg, "folder"));
    assert_int_equal(iso_out_open("/dev/null", &o, &err), ISO_EIO);
    assert_int_equal(iso_out_open(at("o/below"), &o, &err), ISO_EIO);
}

static void links_stay_links(void **state)
{
    (void)state;
    char bytes[16];
    struct stat s;
    iso_error err = {0};
    iso_out o;
    assert_int_equal(iso_make_dir(at("far"), &err), ISO_OK);
    assert_int_equal(symlink("far/target", at("link")), 0);
    for (int i = 0; i < 2; i++) {                /* what it points to is missing, then there */
        assert_int_equal(iso_out_open(at("link"), &o, &err), ISO_OK);
        fputs("x", o.file);
        assert_int_equal(iso_out_commit(&o, &err), ISO_OK);
        assert_true(lstat(at("link"), &s) == 0 && S_ISLNK(s.st_mode));
        assert_int_equal(get(at("far/target"), bytes, sizeof bytes), 1);
    }
}

static void folders_are_made(void **state)
{
    (void)state;
    struct stat s;
    iso_error err = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(iso_make_dir(at("x/y//z/"), &err), ISO_OK);
        assert_true(stat(at("x/y/z"), &s) == 0 && S_ISDIR(s.st_mode));
    }
    put(at("file"), "", 0);
    assert_int_equal(iso_make_dir(at("file"), &err), ISO_EIO);
    assert_int_equal(iso_make_dir(at("file/below"), &err), ISO_EIO);
    assert_non_null(strstr(err.msg, "file/below"));
    assert_int_equal(iso_make_dir("", &err), ISO_EIO);
    assert_int_equal(iso_make_dir("/", &err), ISO_OK);
}

/* Values by sha256sum of GNU coreutils; "abc" and one million "a" are FIPS 180-2's examples. */
static void sha256(void **state)
{
    (void)state;
    char hex[65];
    iso_error err = {0};
    put(at("h"), "abc", 3);
    assert_int_equal(iso_sha256_path(at("h"), hex, &err), ISO_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    put(at("h"), "", 0);
    assert_int_equal(iso_sha256_path(at("h"), hex, &err), ISO_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    static char a[2000000];
    memset(a, 'a', sizeof a);
    put(at("h"), a, 1000000);
    assert_int_equal(iso_sha256_path(at("h"), hex, &err), ISO_OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    put(at("h"), a, sizeof a);                   /* more than one block */
    assert_int_equal(iso_sha256_path(at("h"), hex, &err), ISO_OK);
    assert_string_equal(hex, "bcf7f9d1b4311c3352e60502255ce09a6744df84e8f2c89f79c4b5d74933a95a");

    assert_int_equal(iso_make_dir(at("set/sub"), &err), ISO_OK);
    put(at("set/b"), "abc", 3);
    put(at("set/a"), "", 0);
    put(at("set/.hidden"), "x", 1);
    assert_int_equal(iso_sha256_path(at("set"), hex, &err), ISO_OK);
    assert_string_equal(hex, "bf6e2103d6cbead28abb7d3fec372bc25d03a35b1647e83e090248eb08d0adae");
    assert_int_equal(iso_sha256_path(at("no such"), hex, &err), ISO_EIO);
    assert_non_null(strstr(err.msg, "no such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(nothing_at_all_is_a_file_too),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(sizes_of_the_header_are_checked),
        cmocka_unit_test(truncated_or_flipped_files_never_crash),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(files_appear_when_whole),
        cmocka_unit_test(links_stay_links),
        cmocka_unit_test(folders_are_made),
        cmocka_unit_test(sha256),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
