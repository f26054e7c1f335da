/* h5_values.c: numbers and text out of an h5_array; see h5.h.
 *
 * HDF5 converts only between byte orders and to the widest type of the same class (exact); narrowing to float32 is
 * a C cast, round to nearest, as NumPy does it. */
#include "h5.h"

#include <math.h>
#include <string.h>

/* A text takes some 100 bytes in memory, however few in the file. A file's rows have names, of a byte at least. */
enum { TEXTS_OF_ANY_FILE = 1 << 22 };

/* Rows into memory of type `mem`; for a field of a table, as the only field of a table in memory. */
static iso_status read_rows(const h5_array *a, int64_t first, int64_t n, hid_t mem, void *out, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_reason why;
    hid_t table = -1, in_file = -1, in_memory = -1;
    hid_t type = mem;
    herr_t bad = -1;

    if (n == 0 || a->cols == 0) return ISO_OK;
    FAIL_IF(a->file->env && iso_env_interrupted(a->file->env), ISO_EINTERRUPT, "interrupted while reading %s", a->file->path);
    FAIL_IF(first < 0 || n < 0 || n > a->rows - first, ISO_EDATA, "%s: %s has %lld rows, %lld were asked for",
            a->file->path, a->place, (long long)a->rows, (long long)(first + n));
    if (a->field) {
        type = table = H5Tcreate(H5T_COMPOUND, H5Tget_size(mem));
        FAIL_IF(table < 0 || H5Tinsert(table, a->field, 0, mem) < 0, ISO_EDATA, "%s: %s cannot be read", a->file->path,
                a->place);
    }
    if (a->is_attribute) {
        bad = H5Aread(a->id, type, out);
    } else if (n == a->rows) {
        bad = H5Dread(a->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
    } else {
        hsize_t start[2] = {(hsize_t)first, 0}, count[2] = {(hsize_t)n, (hsize_t)a->cols};
        in_file = H5Dget_space(a->id);
        in_memory = H5Screate_simple(a->rank, count, NULL);
        if (in_file >= 0 && in_memory >= 0 && H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0)
            bad = H5Dread(a->id, type, in_memory, in_file, H5P_DEFAULT, out);
    }
    FAIL_IF(bad < 0, ISO_EDATA, "%s: values of %s cannot be read (%s); the file is damaged or needs a compression filter "
            "that is not installed", a->file->path, a->place, h5_why(&why));
done:
    h5_drop(in_memory);
    h5_drop(in_file);
    h5_drop(table);
    return st;
}

static bool is_integer(const h5_array *a) { return a->kind == H5_KIND_INT || a->kind == H5_KIND_BOOL; }

iso_status h5_read_i64(const h5_array *a, int64_t first, int64_t n, int64_t *out, iso_error *err)
{
    if (!is_integer(a)) return iso_fail(err, ISO_EDATA, "%s: %s should hold integers but does not", a->file->path, a->place);
    return read_rows(a, first, n, H5T_NATIVE_INT64, out, err);
}

iso_status h5_read_f64(const h5_array *a, int64_t first, int64_t n, double *out, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(!is_integer(a) && a->kind != H5_KIND_REAL, ISO_EDATA, "%s: %s should hold numbers but does not", a->file->path,
            a->place);
    if (a->kind == H5_KIND_REAL) return read_rows(a, first, n, H5T_NATIVE_DOUBLE, out, err);
    TRY(read_rows(a, first, n, H5T_NATIVE_INT64, out, err));
    for (int64_t i = 0; i < n * a->cols; i++) {
        int64_t v;
        memcpy(&v, &out[i], sizeof v);           /* both are 8 bytes: converted in place */
        out[i] = (double)v;
    }
done:
    return st;
}

/* 2^24 + 1 would round to 2^24, the largest count that is allowed, and so hide. */
static float narrow(double v)
{
    const float limit = 16777216.0f;
    float x = (float)v;
    return x == limit && v > (double)limit ? nextafterf(limit, INFINITY) : x;
}

iso_status h5_read_f32(const h5_array *a, int64_t first, int64_t n, float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    double *wide = NULL;
    if (a->kind == H5_KIND_REAL && H5Tget_size(a->type) <= 4) return read_rows(a, first, n, H5T_NATIVE_FLOAT, out, err);
    int64_t step = a->block_rows < n ? a->block_rows : n;
    ALLOC(wide, step * a->cols, sizeof *wide);
    for (int64_t i = 0; i < n; i += step) {
        int64_t m = step < n - i ? step : n - i;
        TRY(h5_read_f64(a, first + i, m, wide, err));
        for (int64_t k = 0; k < m * a->cols; k++) out[i * a->cols + k] = narrow(wide[k]);
    }
done:
    iso_free(wide);
    return st;
}

/* ------------------------------------------------------------------------------------- text */

static iso_status copy_fixed(const h5_array *a, hid_t mem, const char *bytes, int64_t n, char **out, iso_error *err)
{
    iso_status st = ISO_OK;
    size_t width = H5Tget_size(mem);
    bool spaces = H5Tget_strpad(mem) == H5T_STR_SPACEPAD;
    for (int64_t i = 0; i < n; i++) {
        const char *s = bytes + (size_t)i * width;
        size_t length = strnlen(s, width);
        while (spaces && length && s[length - 1] == ' ') length--;
        out[i] = iso_calloc((int64_t)length + 1, 1);
        FAIL_IF(!out[i], ISO_EMEMORY, "out of memory for %lld names of %s", (long long)a->n, a->place);
        memcpy(out[i], s, length);
    }
done:
    return st;
}

static iso_status read_fixed(const h5_array *a, hid_t mem, char **out, iso_error *err)
{
    iso_status st = ISO_OK;
    char *bytes = NULL;
    int64_t width = (int64_t)H5Tget_size(mem), step = a->is_attribute ? a->rows : (1 << 20) / width;
    if (step < 1) step = 1;
    if (step > a->rows) step = a->rows;
    ALLOC(bytes, step * width, (size_t)a->cols);
    for (int64_t i = 0; i < a->rows; i += step) {
        int64_t m = step < a->rows - i ? step : a->rows - i;
        TRY(read_rows(a, i, m, mem, bytes, err));
        TRY(copy_fixed(a, mem, bytes, m * a->cols, out + i * a->cols, err));
    }
done:
    iso_free(bytes);
    return st;
}

/* For HDF5: "converts" a reference to text into the bytes that it consists of, so that HDF5 does not follow it. */
static herr_t keep_bytes(hid_t from, hid_t to, H5T_cdata_t *c, size_t n, size_t stride, size_t bkg_stride, void *buffer,
                         void *bkg, hid_t plist)
{
    (void)n, (void)stride, (void)bkg_stride, (void)buffer, (void)bkg, (void)plist;
    c->need_bkg = H5T_BKG_NO;
    return c->command == H5T_CONV_INIT && H5Tget_size(from) != H5Tget_size(to) ? -1 : 0;
}

static iso_status read_variable(const h5_array *a, char **out, iso_error *err)
{
    static const char name[] = "text as reference";
    iso_status st = ISO_OK;
    unsigned char *references = NULL;            /* [a->n, bytes of one] */
    hid_t opaque = H5Tcreate(H5T_OPAQUE, h5_reference_bytes(a->file));
    bool registered = opaque >= 0 && H5Tregister(H5T_PERS_SOFT, name, a->type, opaque, keep_bytes) >= 0;
    FAIL_IF(!registered, ISO_EDATA, "%s: %s has a type of text that is not understood", a->file->path, a->place);
    ALLOC(references, a->n, h5_reference_bytes(a->file));
    TRY(read_rows(a, 0, a->rows, opaque, references, err));
    TRY(h5_follow_references(a->file, references, a->n, out, err));
done:
    if (registered) H5Tunregister(H5T_PERS_SOFT, name, -1, -1, keep_bytes);
    h5_drop(opaque);
    iso_free(references);
    return st;
}

iso_status h5_read_text(const h5_array *a, char ***out, iso_error *err)
{
    iso_status st = ISO_OK;
    char **text = NULL;
    hid_t mem = -1;
    *out = NULL;
    FAIL_IF(a->kind != H5_KIND_TEXT && a->n > 0, ISO_EDATA, "%s: %s should hold text but does not", a->file->path, a->place);
    FAIL_IF(a->n > TEXTS_OF_ANY_FILE && a->n > a->file->bytes, ISO_EDATA,
            "%s: %s claims %lld texts, far more than its %lld bytes can hold; the file is damaged", a->file->path, a->place,
            (long long)a->n, (long long)a->file->bytes);
    ALLOC(text, a->n, sizeof *text);
    if (a->n == 0) goto done;
    mem = H5Tcopy(a->type);
    FAIL_IF(mem < 0, ISO_EDATA, "%s: %s has no readable type", a->file->path, a->place);
    TRY(H5Tis_variable_str(mem) > 0 ? read_variable(a, text, err) : read_fixed(a, mem, text, err));
done:
    h5_drop(mem);
    if (st != ISO_OK) iso_free_texts(text, a->n);
    else *out = text;
    return st;
}

iso_status h5_attribute_text(const h5_file *f, const char *place, const char *name, char **out, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a;
    char **text = NULL;
    bool found;
    *out = NULL;
    TRY(h5_attribute_open(f, place, name, &a, &found, err));
    if (!found) return ISO_OK;
    st = a.n == 1 ? h5_read_text(&a, &text, err)
                  : iso_fail(err, ISO_EDATA, "%s: %s should be one text", f->path, a.place);
    h5_array_close(&a);
    if (st == ISO_OK) *out = text[0], iso_free(text);
done:
    return st;
}
