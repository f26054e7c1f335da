/* h5_write.c: see h5_write.h. */
#include "h5_write.h"

#include <errno.h>
#include <string.h>

enum { CHUNK_BYTES = 512 << 10, SLICE_BYTES = 32 << 20, GZIP_LEVEL = 4 };

static const h5_encoding text_encoding = {"string", "0.2.0"}, texts_encoding = {"string-array", "0.2.0"};

/* For a step that HDF5 says failed; where the file could not be written that is the reason. */
static iso_status step_failed(const h5_file *f, const char *place, iso_error *err)
{
    h5_reason why;
    const int error = f->sink->error;
    if (error)
        return iso_fail(err, error == ENOMEM ? ISO_EMEMORY : ISO_EIO, "%s: cannot be written: %s", f->path,
                        strerror(error));
    return iso_fail(err, ISO_EIO, "%s: %s cannot be written (%s)", f->path, place, h5_why(&why));
}

/* bad: what HDF5 said of the step. */
static iso_status check_step(const h5_file *f, const char *place, bool bad, iso_error *err)
{
    return bad || f->sink->error ? step_failed(f, place, err) : ISO_OK;
}

/* create: the file is empty. */
static iso_status open_sink(iso_env *env, const char *path, h5_sink *sink, bool create, bool wide, h5_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    *f = (h5_file){.env = env, .path = path, .id = -1, .lapl = H5Pcreate(H5P_LINK_ACCESS), .fd = -1, .sink = sink};
    h5_silence(f);
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    FAIL_IF(fapl < 0 || f->lapl < 0 || !h5_sink_use(fapl, sink), ISO_EMEMORY, "%s: HDF5 could not make its settings",
            path);
    if (wide) H5Pset_libver_bounds(fapl, H5F_LIBVER_V18, H5F_LIBVER_V18);
    f->id = create ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, fapl) : H5Fopen(path, H5F_ACC_RDWR, fapl);
    TRY(check_step(f, "the file", f->id < 0, err));
done:
    h5_drop(fapl);
    return st;
}

iso_status h5_create(iso_env *env, const char *path, h5_sink *sink, bool wide, h5_file *f, iso_error *err)
{
    return open_sink(env, path, sink, true, wide, f, err);
}

iso_status h5_extend(iso_env *env, const char *path, h5_sink *sink, h5_file *f, iso_error *err)
{
    return open_sink(env, path, sink, false, false, f, err);
}

iso_status h5_finish(h5_file *f, iso_error *err)
{
    bool bad = H5Fclose(f->id) < 0;
    f->id = -1;
    return check_step(f, "the file", bad, err);
}

/* ----------------------------------------------------------------------------------- types */

/* A type of our own to be dropped; -1: no memory. */
static hid_t new_type(h5_type type)
{
    const hid_t native[] = {H5T_NATIVE_INT8,  H5T_NATIVE_INT16, H5T_NATIVE_INT32,
                            H5T_NATIVE_INT64, H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE};
    static const int8_t no = 0, yes = 1;
    if (type != H5_BOOL) return H5Tcopy(native[type]);
    hid_t t = H5Tenum_create(H5T_NATIVE_INT8);
    if (t < 0 || H5Tenum_insert(t, "FALSE", &no) < 0 || H5Tenum_insert(t, "TRUE", &yes) < 0) return h5_drop(t), -1;
    return t;
}

static hid_t new_text_type(void)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    if (t < 0 || H5Tset_size(t, H5T_VARIABLE) < 0 || H5Tset_cset(t, H5T_CSET_UTF8) < 0) return h5_drop(t), -1;
    return t;
}

static hid_t new_space(int rank, int64_t rows, int64_t cols)
{
    const hsize_t dims[2] = {(hsize_t)rows, (hsize_t)cols};
    return rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
}

static size_t type_bytes(h5_type t)
{
    static const size_t bytes[] = {1, 2, 4, 8, 4, 8, 1};
    return bytes[t];
}

/* ------------------------------------------------------------------------------- attributes */

static iso_status put_attribute(const h5_file *f, const char *place, const char *name, hid_t type, hid_t space,
                                const void *data, iso_error *err)
{
    hid_t object = H5Oopen(f->id, place, H5P_DEFAULT), id = -1;
    if (object >= 0 && H5Aexists(object, name) > 0) H5Adelete(object, name);
    if (object >= 0 && type >= 0 && space >= 0) id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool bad = id < 0 || (H5Sget_simple_extent_npoints(space) > 0 && H5Awrite(id, type, data) < 0);
    iso_status st = check_step(f, place, bad, err);
    h5_drop(id);
    h5_drop(object);
    return st;
}

iso_status h5_note_values(const h5_file *f, const char *place, const char *name, const h5_values *v, iso_error *err)
{
    hid_t type = new_type(v->type), space = new_space(v->rank, v->rows, v->cols);
    iso_status st = put_attribute(f, place, name, type, space, v->data, err);
    h5_drop(space);
    h5_drop(type);
    return st;
}

iso_status h5_note_texts(const h5_file *f, const char *place, const char *name, const char *const *texts, int64_t n,
                         iso_error *err)
{
    hid_t type = new_text_type(), space = new_space(1, n, 1);
    iso_status st = put_attribute(f, place, name, type, space, texts, err);
    h5_drop(space);
    h5_drop(type);
    return st;
}

iso_status h5_note_text(const h5_file *f, const char *place, const char *name, const char *text, iso_error *err)
{
    hid_t type = new_text_type(), space = new_space(0, 1, 1);
    iso_status st = put_attribute(f, place, name, type, space, &text, err);
    h5_drop(space);
    h5_drop(type);
    return st;
}

iso_status h5_note_encoding(const h5_file *f, const char *place, h5_encoding encoding, iso_error *err)
{
    iso_status st = ISO_OK;
    if (!encoding.type) return st;
    TRY(h5_note_text(f, place, "encoding-type", encoding.type, err));
    TRY(h5_note_text(f, place, "encoding-version", encoding.version, err));
done:
    return st;
}

/* ------------------------------------------------------------------------ groups and arrays */

/* Links whose missing parents are made, with names in UTF-8. */
static hid_t new_link_settings(void)
{
    hid_t p = H5Pcreate(H5P_LINK_CREATE);
    if (p >= 0) H5Pset_create_intermediate_group(p, 1), H5Pset_char_encoding(p, H5T_CSET_UTF8);
    return p;
}

iso_status h5_put_group(const h5_file *f, const char *place, h5_encoding encoding, iso_error *err)
{
    iso_status st = ISO_OK;
    hid_t links = new_link_settings();
    hid_t id = links < 0 ? -1 : H5Gcreate2(f->id, place, links, H5P_DEFAULT, H5P_DEFAULT);
    TRY(check_step(f, place, id < 0, err));
    TRY(h5_note_encoding(f, place, encoding, err));
done:
    h5_drop(id);
    h5_drop(links);
    return st;
}

/* Only an array with values can be cut in chunks. */
static hid_t new_layout(const h5_values *v)
{
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    if (p < 0 || !v->packed || v->rows == 0) return p;
    const int64_t most = CHUNK_BYTES / (int64_t)type_bytes(v->stored);
    const hsize_t chunk = (hsize_t)(v->rows < most ? v->rows : most);
    if (H5Pset_chunk(p, 1, &chunk) < 0 || H5Pset_shuffle(p) < 0 || H5Pset_deflate(p, GZIP_LEVEL) < 0)
        return h5_drop(p), -1;
    return p;
}

static hid_t create_array(const h5_file *f, const char *place, hid_t type, hid_t space, hid_t layout)
{
    hid_t links = new_link_settings(), id = -1;
    if (links >= 0 && type >= 0 && space >= 0 && layout >= 0)
        id = H5Dcreate2(f->id, place, type, space, links, layout, H5P_DEFAULT);
    h5_drop(links);
    return id;
}

/* In slices of rows, so that a long write can be interrupted. */
static iso_status write_rows(const h5_file *f, const char *place, hid_t id, hid_t type, hid_t space, const h5_values *v,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    hid_t memory = -1;
    const int64_t row_bytes = v->cols * (int64_t)type_bytes(v->type);
    const int64_t step = SLICE_BYTES / row_bytes > 0 ? SLICE_BYTES / row_bytes : 1;      /* whole chunks, for vectors */
    for (int64_t i = 0; i < v->rows; i += step) {
        int64_t n = step < v->rows - i ? step : v->rows - i;
        const hsize_t start[2] = {(hsize_t)i, 0}, count[2] = {(hsize_t)n, (hsize_t)v->cols};
        FAIL_IF(f->env && iso_env_interrupted(f->env), ISO_EINTERRUPT, "interrupted while writing %s", f->path);
        h5_drop(memory);
        memory = new_space(v->rank, n, v->cols);
        bool good = v->rank == 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
        good = good && memory >= 0 &&
               H5Dwrite(id, type, memory, space, H5P_DEFAULT, (const char *)v->data + i * row_bytes) >= 0;
        TRY(check_step(f, place, !good, err));
    }
done:
    h5_drop(memory);
    return st;
}

iso_status h5_put_values(const h5_file *f, const char *place, const h5_values *v, iso_error *err)
{
    iso_status st = ISO_OK;
    hid_t type = new_type(v->type), stored = new_type(v->stored);
    hid_t space = new_space(v->rank, v->rows, v->cols), layout = new_layout(v);
    hid_t id = type < 0 ? -1 : create_array(f, place, stored, space, layout);
    TRY(check_step(f, place, id < 0, err));
    if (v->rows > 0 && v->cols > 0) TRY(write_rows(f, place, id, type, space, v, err));
    TRY(h5_note_encoding(f, place, v->encoding, err));
    bool bad = H5Dclose(id) < 0;                         /* the last chunks are written here */
    id = -1;
    TRY(check_step(f, place, bad, err));
done:
    h5_drop(id);
    h5_drop(layout);
    h5_drop(space);
    h5_drop(stored);
    h5_drop(type);
    return st;
}

/* ------------------------------------------------------------------------------------- text */

/* Bytes of the UTF-8 letter at s, 0 if there is none. Source: RFC 3629, section 4. */
static int letter_bytes(const unsigned char *s)
{
    static const struct { unsigned char first, last, low, high; int n; } rows[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        if (s[0] < rows[k].first || s[0] > rows[k].last) continue;
        if (rows[k].n > 1 && (s[1] < rows[k].low || s[1] > rows[k].high)) return 0;
        for (int i = 2; i < rows[k].n; i++)
            if (s[i] < 0x80 || s[i] > 0xbf) return 0;
        return rows[k].n;
    }
    return 0;
}

bool h5_is_utf8(const char *s)
{
    const unsigned char *at = (const unsigned char *)s;
    while (*at && letter_bytes(at)) at += letter_bytes(at);
    return !*at;
}

/* NULL if s is UTF-8 as it is; else a copy made so. *status says if there was memory. */
static char *mended(const char *s, iso_status *status)
{
    if (h5_is_utf8(s)) return NULL;
    char *copy = iso_strdup(s);
    if (!copy) *status = ISO_EMEMORY;
    for (char *c = copy; c && *c;) {
        int n = letter_bytes((unsigned char *)c);
        if (n == 0) *c = '?', n = 1;
        c += n;
    }
    return copy;
}

/* What is handed to HDF5: lent texts where they are good, and copies, which `own` keeps. */
typedef struct clean_texts { const char **texts; char **own; int64_t n; } clean_texts;

static void clean_texts_free(clean_texts *c)
{
    iso_free_texts(c->own, c->n);
    iso_free((void *)c->texts);
}

static iso_status clean(const char *const *texts, int64_t n, clean_texts *c, iso_error *err)
{
    iso_status st = ISO_OK;
    *c = (clean_texts){.n = n};
    ALLOC(c->texts, n, sizeof *c->texts);
    ALLOC(c->own, n, sizeof *c->own);
    for (int64_t i = 0; i < n; i++) {
        const char *s = texts[i] ? texts[i] : "";
        c->own[i] = mended(s, &st);
        FAIL_IF(st != ISO_OK, ISO_EMEMORY, "out of memory for %lld texts", (long long)n);
        c->texts[i] = c->own[i] ? c->own[i] : s;
    }
done:
    return st;
}

static iso_status put_texts(const h5_file *f, const char *place, int rank, const char *const *texts, int64_t n,
                            h5_encoding encoding, iso_error *err)
{
    iso_status st = ISO_OK;
    clean_texts c = {0};
    hid_t type = new_text_type(), space = new_space(rank, n, 1), id = -1;
    TRY(clean(texts, n, &c, err));
    id = create_array(f, place, type, space, H5P_DEFAULT);
    TRY(check_step(f, place, id < 0, err));
    TRY(check_step(f, place, n > 0 && H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c.texts) < 0, err));
    TRY(h5_note_encoding(f, place, encoding, err));
done:
    clean_texts_free(&c);
    h5_drop(id);
    h5_drop(space);
    h5_drop(type);
    return st;
}

iso_status h5_put_texts(const h5_file *f, const char *place, const char *const *texts, int64_t n, iso_error *err)
{
    return put_texts(f, place, 1, texts, n, texts_encoding, err);
}

iso_status h5_put_text(const h5_file *f, const char *place, const char *text, iso_error *err)
{
    return put_texts(f, place, 0, &text, 1, text_encoding, err);
}
