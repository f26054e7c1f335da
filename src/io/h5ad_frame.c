/* h5ad_frame.c: dataframes of an h5ad.
 *
 * Since anndata 0.7 a dataframe is a group with attributes `_index` (name of the array that holds row names) and
 * `column-order`, one entry per column: an array, or a group with an `encoding-type` (table below). Version 0.1 of that
 * encoding keeps categories beside the codes, found by the reference in attribute `categories`. Before 0.7 it was one
 * table (compound dataset), row names first, with categories in /uns/NAME_categories.
 * Source: anndata's documentation, "On-disk format". */
#include "h5ad_frame.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct frame_reader {
    const h5_file *f;
    const char *place;
    iso_frame *out;
} frame_reader;

/* ---------------------------------------------------------------------------- plain columns */

static iso_status read_bools(const h5_array *a, uint8_t *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *wide = NULL;
    ALLOC(wide, a->n, sizeof *wide);
    TRY(h5_read_i64(a, 0, a->rows, wide, err));
    for (int64_t i = 0; i < a->n; i++) out[i] = wide[i] != 0;
done:
    iso_free(wide);
    return st;
}

/* Unsigned integers that int64 cannot hold were cut to its largest value. */
static bool was_cut(const h5_array *a, const int64_t *v)
{
    if (H5Tget_sign(a->type) != H5T_SGN_NONE || H5Tget_size(a->type) < 8) return false;
    for (int64_t i = 0; i < a->n; i++)
        if (v[i] == INT64_MAX) return true;
    return false;
}

iso_status h5_read_column(const h5_array *a, const char *name, iso_column *c, bool *known, iso_error *err)
{
    iso_status st = ISO_OK;
    *c = (iso_column){0};
    *known = a->rank == 1;
    if (!*known) goto done;
    switch (a->kind) {
    case H5_KIND_INT:
        c->kind = ISO_COL_INT;
        ALLOC(c->ints, a->n, sizeof *c->ints);
        TRY(h5_read_i64(a, 0, a->n, c->ints, err));
        *known = !was_cut(a, c->ints);
        break;
    case H5_KIND_REAL:
        c->kind = ISO_COL_REAL;
        ALLOC(c->reals, a->n, sizeof *c->reals);
        TRY(h5_read_f64(a, 0, a->n, c->reals, err));
        break;
    case H5_KIND_BOOL:
        c->kind = ISO_COL_BOOL;
        ALLOC(c->bools, a->n, sizeof *c->bools);
        TRY(read_bools(a, c->bools, err));
        break;
    case H5_KIND_TEXT:
        c->kind = ISO_COL_STRING;
        TRY(h5_read_text(a, &c->strings, err));
        break;
    default: *known = false;
    }
    c->name = *known ? iso_strdup(name) : NULL;
    FAIL_IF(*known && !c->name, ISO_EMEMORY, "out of memory");
done:
    if (st != ISO_OK || !*known) iso_column_clear(c, a->n);
    return st;
}

/* As Python writes it: the shortest text that reads back as the same double, ".0" after whole numbers, an exponent
 * only below 1e-4 and from 1e16. */
static char *real_text(double v)
{
    char s[40] = "";
    int digits = 0;
    if (isnan(v)) return iso_strdup("nan");
    if (isinf(v)) return iso_strdup(v > 0 ? "inf" : "-inf");
    do snprintf(s, sizeof s, "%.*e", digits++, v); while (digits < 17 && strtod(s, NULL) != v);
    int exponent = atoi(strchr(s, 'e') + 1), decimals = digits - 1 - exponent;
    if (exponent < -4 || exponent >= 16) return iso_strdup(s);
    return iso_sprintf("%.*f", decimals > 1 ? decimals : 1, v);
}

/* Row i as text; NULL: no memory. */
static char *value_text(const iso_column *c, int64_t i)
{
    static const char *const truth[] = {"False", "True"};
    bool missing = (c->mask && c->mask[i]) || (c->codes && c->codes[i] < 0) || (c->strings && !c->strings[i]);
    if (missing) return iso_strdup("nan");
    switch (c->kind) {
    case ISO_COL_CATEGORY: return iso_strdup(c->categories[c->codes[i]]);
    case ISO_COL_STRING: return iso_strdup(c->strings[i]);
    case ISO_COL_INT: return iso_sprintf("%" PRId64, c->ints[i]);
    case ISO_COL_REAL: return real_text(c->reals[i]);
    case ISO_COL_BOOL: return iso_strdup(truth[c->bools[i]]);
    }
    return NULL;
}

/* Moves column c [n] into text [n]; c is cleared. */
static iso_status column_to_text(iso_column *c, int64_t n, char ***out, iso_error *err)
{
    iso_status st = ISO_OK;
    char **text = NULL;
    ALLOC(text, n, sizeof *text);
    for (int64_t i = 0; i < n; i++) {
        text[i] = value_text(c, i);
        FAIL_IF(!text[i], ISO_EMEMORY, "out of memory for %lld names", (long long)n);
    }
done:
    if (st != ISO_OK) iso_free_texts(text, n), text = NULL;
    iso_column_clear(c, n);
    *out = text;
    return st;
}

/* ------------------------------------------------------------------------------- categories */

/* For messages: name of row i, if names are known yet. */
static const char *row_name(const frame_reader *r, int64_t i)
{
    return r->out->index && i < r->out->n_rows ? r->out->index[i] : "?";
}

static iso_status read_codes(const frame_reader *r, const h5_array *a, iso_column *c, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *wide = NULL;
    ALLOC(c->codes, a->n, sizeof *c->codes);
    ALLOC(wide, a->n, sizeof *wide);
    TRY(h5_read_i64(a, 0, a->rows, wide, err));
    for (int64_t i = 0; i < a->n; i++) {
        FAIL_IF(wide[i] < -1 || wide[i] >= c->n_categories, ISO_EDATA,
                "%s: %s: code %lld at row %lld (\"%s\") but there are %d categories; the file is damaged", r->f->path, a->place,
                (long long)wide[i], (long long)i, row_name(r, i), (int)c->n_categories);
        c->codes[i] = (int32_t)wide[i];
    }
done:
    iso_free(wide);
    return st;
}

static iso_status read_categorical(const frame_reader *r, const h5_array *codes, const h5_array *categories, iso_column *c,
                                   iso_error *err)
{
    iso_status st = ISO_OK;
    iso_column values = {0};
    h5_array flat = *categories;
    bool known;
    c->kind = ISO_COL_CATEGORY;
    if (flat.rank == 0) flat.rank = 1;               /* old files keep a single category as a scalar */
    FAIL_IF(codes->rank != 1 || codes->kind != H5_KIND_INT || flat.n >= INT32_MAX, ISO_EDATA,
            "%s: %s should hold integer codes", r->f->path, codes->place);
    TRY(h5_read_column(&flat, "", &values, &known, err));
    FAIL_IF(!known && flat.n, ISO_EDATA, "%s: %s should be a vector of text or numbers", r->f->path, categories->place);
    TRY(column_to_text(&values, flat.n, &c->categories, err));
    c->n_categories = (int32_t)flat.n;
    TRY(read_codes(r, codes, c, err));
done:
    return st;
}

/* An attribute that is true or false; false if there is none. */
static iso_status read_flag(const h5_file *f, const char *place, const char *name, bool *out, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a;
    bool found;
    int64_t v = 0;
    TRY(h5_attribute_open(f, place, name, &a, &found, err));
    if (found && a.n == 1) st = h5_read_i64(&a, 0, 1, &v, err);
    if (found) h5_array_close(&a);
    *out = v != 0;
done:
    return st;
}

/* --------------------------------------------------------------------- groups, by encoding */

typedef iso_status column_fn(const frame_reader *r, const char *place, h5_array *first, h5_array *second, iso_column *c,
                             iso_error *err);

static iso_status codes_and_categories(const frame_reader *r, const char *place, h5_array *codes, h5_array *categories,
                                       iso_column *c, iso_error *err)
{
    iso_status st = read_flag(r->f, place, "ordered", &c->ordered, err);
    return st == ISO_OK ? read_categorical(r, codes, categories, c, err) : st;
}

static iso_status values_and_mask(const frame_reader *r, const char *place, h5_array *values, h5_array *mask, iso_column *c,
                                  iso_error *err)
{
    iso_status st = ISO_OK;
    bool known, missing = false;
    TRY(h5_read_column(values, "", c, &known, err));
    iso_free(c->name), c->name = NULL;
    FAIL_IF(!known || (c->kind != ISO_COL_INT && c->kind != ISO_COL_BOOL && c->kind != ISO_COL_STRING), ISO_EDATA,
            "%s: %s should be a vector of integers, bools or text", r->f->path, values->place);
    FAIL_IF(mask->n != values->n || mask->rank != 1, ISO_EDATA, "%s: %s has a mask of another length; the file is damaged",
            r->f->path, place);
    ALLOC(c->mask, mask->n, 1);
    TRY(read_bools(mask, c->mask, err));
    for (int64_t i = 0; i < mask->n; i++) {
        missing = missing || c->mask[i];
        if (c->mask[i] && c->strings) iso_free(c->strings[i]), c->strings[i] = NULL;
    }
    if (!missing || c->kind == ISO_COL_STRING) iso_free(c->mask), c->mask = NULL;
done:
    return st;
}

static const struct { const char *encoding, *first, *second; column_fn *read; } encodings[] = {
    {"categorical", "codes", "categories", codes_and_categories},
    {"nullable-integer", "values", "mask", values_and_mask},
    {"nullable-boolean", "values", "mask", values_and_mask},
    {"nullable-string-array", "values", "mask", values_and_mask},
};

/* Before a column is read; the first, which is the row names, sets the length. */
static iso_status check_length(const frame_reader *r, const char *place, int64_t n, iso_error *err)
{
    if (!r->out->index || n == r->out->n_rows) return ISO_OK;
    return iso_fail(err, ISO_EDATA, "%s: %s has %lld values for %lld rows; the file is damaged", r->f->path, place, (long long)n,
                    (long long)r->out->n_rows);
}

static iso_status open_child(const h5_file *f, const char *place, const char *name, h5_array *a, iso_error *err)
{
    char *child = iso_sprintf("%s/%s", place, name);
    iso_status st = child ? h5_array_open(f, child, a, err) : iso_fail(err, ISO_EMEMORY, "out of memory");
    iso_free(child);
    return st;
}

/* *n = length of the column, in case of success. */
static iso_status read_group_column(const frame_reader *r, const char *place, iso_column *c, int64_t *n, bool *known,
                                    iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array first = {0}, second = {0};
    char *encoding = NULL;
    *known = false;
    TRY(h5_attribute_text(r->f, place, "encoding-type", &encoding, err));
    for (size_t i = 0; encoding && i < sizeof encodings / sizeof *encodings; i++) {
        if (strcmp(encoding, encodings[i].encoding) != 0) continue;
        TRY(open_child(r->f, place, encodings[i].first, &first, err));
        TRY(open_child(r->f, place, encodings[i].second, &second, err));
        TRY(check_length(r, place, first.n, err));
        *n = first.n;
        *known = true;
        TRY(encodings[i].read(r, place, &first, &second, c, err));
    }
done:
    if (st != ISO_OK) iso_column_clear(c, first.n);
    h5_array_close(&second);
    h5_array_close(&first);
    iso_free(encoding);
    return st;
}

/* An array; with the attribute `categories` it holds codes (encoding 0.1). */
static iso_status read_array_column(const frame_reader *r, const char *place, iso_column *c, int64_t *n, bool *known,
                                    iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a = {0}, reference = {0}, categories = {0};
    bool legacy = false;
    TRY(h5_array_open(r->f, place, &a, err));
    TRY(check_length(r, place, a.n, err));
    *n = a.n;
    TRY(h5_attribute_open(r->f, place, "categories", &reference, &legacy, err));
    if (!legacy) {
        TRY(h5_read_column(&a, "", c, known, err));
        iso_free(c->name), c->name = NULL;
    } else {
        *known = true;
        TRY(h5_array_follow(&reference, &categories, err));
        TRY(read_flag(r->f, categories.place, "ordered", &c->ordered, err));
        TRY(read_categorical(r, &a, &categories, c, err));
    }
done:
    if (st != ISO_OK) iso_column_clear(c, a.n);
    h5_array_close(&categories);
    h5_array_close(&reference);
    h5_array_close(&a);
    return st;
}

static iso_status read_entry(const frame_reader *r, const char *name, iso_column *c, int64_t *n, bool *known, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_what what;
    char *place = iso_sprintf("%s/%s", r->place, name);
    *c = (iso_column){0};
    *known = false;
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(h5_look(r->f, place, &what, err));
    FAIL_IF(what == H5_NOTHING, ISO_EDATA, "%s: %s lists \"%s\" but has no such entry; the file is damaged", r->f->path,
            r->place, name);
    if (what == H5_GROUP) TRY(read_group_column(r, place, c, n, known, err));
    if (what == H5_ARRAY) TRY(read_array_column(r, place, c, n, known, err));
    if (*known && !(c->name = iso_strdup(name))) {
        iso_column_clear(c, *n);
        st = iso_fail(err, ISO_EMEMORY, "out of memory");
    }
done:
    iso_free(place);
    return st;
}

/* Adds column c to the frame, or warns and leaves it out if it is not known. */
static void add_column(const frame_reader *r, const char *name, const iso_column *c, bool known)
{
    if (known) r->out->columns[r->out->n_columns++] = *c;
    else iso_warn(r->f->env, "%s: %s/%s has an encoding that is not known here; left out", r->f->path, r->place, name);
}

/* Constants take next to no room in the file, yet all of it in memory: small files are kept from taking much. */
static iso_status check_room(const frame_reader *r, int64_t n_columns, iso_error *err)
{
    int64_t values, bytes, file = r->f->bytes < INT64_MAX >> 11 ? r->f->bytes : INT64_MAX >> 11;
    if (iso_mul(r->out->n_rows, n_columns, &values) && iso_mul(values, 8, &bytes) && n_columns <= 1 << 20 &&
        bytes <= (256 << 20) + file * 1024)
        return ISO_OK;
    return iso_fail(err, ISO_EDATA, "%s: %s claims %lld rows of %lld columns, far more than its %lld bytes can hold; the file is "
                    "damaged", r->f->path, r->place, (long long)r->out->n_rows, (long long)n_columns, (long long)r->f->bytes);
}

static iso_status read_group_frame(const frame_reader *r, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array order = {0};
    iso_column c;
    char **names = NULL;
    int64_t n = 0;
    bool found, known;

    TRY(h5_attribute_text(r->f, r->place, "_index", &r->out->index_name, err));
    FAIL_IF(!r->out->index_name, ISO_EDATA, "%s: %s has no attribute _index and so no row names; is it a dataframe of anndata?",
            r->f->path, r->place);
    TRY(read_entry(r, r->out->index_name, &c, &n, &known, err));
    FAIL_IF(!known, ISO_EDATA, "%s: row names %s/%s are neither text nor numbers", r->f->path, r->place, r->out->index_name);
    TRY(column_to_text(&c, n, &r->out->index, err));
    r->out->n_rows = n;
    TRY(h5_attribute_open(r->f, r->place, "column-order", &order, &found, err));
    FAIL_IF(!found, ISO_EDATA, "%s: %s has no attribute column-order; is it a dataframe of anndata?", r->f->path, r->place);
    TRY(check_room(r, order.n, err));
    TRY(h5_read_text(&order, &names, err));
    ALLOC(r->out->columns, order.n, sizeof *r->out->columns);
    for (int64_t i = 0; i < order.n; i++) {
        TRY(read_entry(r, names[i], &c, &n, &known, err));
        add_column(r, names[i], &c, known);
    }
done:
    iso_free_texts(names, order.n);
    h5_array_close(&order);
    return st;
}

/* -------------------------------------------------------------------------- before anndata 0.7 */

/* If /uns/NAME_categories exists and fits all codes, the integers are codes (anndata decides the same way). */
static iso_status apply_categories(const frame_reader *r, const h5_array *codes, iso_column *c, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array categories = {0};
    iso_column as_category = {0};
    h5_what what = H5_NOTHING;
    char *place = iso_sprintf("/uns/%s_categories", c->name);
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(h5_look(r->f, place, &what, err));
    if (what != H5_ARRAY) goto done;
    TRY(h5_array_open(r->f, place, &categories, err));
    for (int64_t i = 0; i < codes->n; i++)
        if (c->ints[i] >= categories.n) goto done;
    TRY(read_categorical(r, codes, &categories, &as_category, err));
    as_category.name = c->name, c->name = NULL;
    iso_column_clear(c, codes->n);
    *c = as_category, as_category = (iso_column){0};
done:
    iso_column_clear(&as_category, codes->n);
    h5_array_close(&categories);
    iso_free(place);
    return st;
}

static iso_status read_field(const frame_reader *r, const h5_array *field, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_column c = {0};
    bool known;
    bool in_uns = !strcmp(r->place, "/obs") || !strcmp(r->place, "/var");
    TRY(h5_read_column(field, field->field, &c, &known, err));
    if (!r->out->index) {
        FAIL_IF(!known, ISO_EDATA, "%s: row names %s are neither text nor numbers", r->f->path, field->place);
        r->out->index_name = c.name, c.name = NULL;
        TRY(column_to_text(&c, field->n, &r->out->index, err));
        r->out->n_rows = field->n;
        return ISO_OK;
    }
    if (known && c.kind == ISO_COL_INT && in_uns) TRY(apply_categories(r, field, &c, err));
    add_column(r, field->field, &c, known);
    return ISO_OK;
done:
    iso_column_clear(&c, field->n);
    return st;
}

static iso_status read_table_frame(const frame_reader *r, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array table = {0}, field = {0};
    TRY(h5_array_open(r->f, r->place, &table, err));
    FAIL_IF(table.kind != H5_KIND_TABLE || table.rank != 1, ISO_EDATA, "%s: %s is neither a dataframe nor a table", r->f->path,
            r->place);
    int n_fields = h5_table_n_fields(&table);
    FAIL_IF(n_fields < 1, ISO_EDATA, "%s: %s is a table without columns", r->f->path, r->place);
    ALLOC(r->out->columns, n_fields, sizeof *r->out->columns);
    for (int i = 0; i < n_fields; i++) {
        TRY(h5_array_field(&table, i, &field, err));
        st = read_field(r, &field, err);
        h5_array_close(&field);
        if (st != ISO_OK) goto done;
    }
done:
    h5_array_close(&table);
    return st;
}

iso_status h5ad_read_frame(const h5_file *f, const char *place, iso_frame *out, iso_error *err)
{
    iso_status st = ISO_OK;
    frame_reader r = {f, place, out};
    h5_what what;
    *out = (iso_frame){0};
    TRY(h5_look(f, place, &what, err));
    FAIL_IF(what != H5_GROUP && what != H5_ARRAY, ISO_EDATA, "%s: %s is missing; an AnnData file has obs and var", f->path, place);
    TRY(what == H5_GROUP ? read_group_frame(&r, err) : read_table_frame(&r, err));
done:
    if (st != ISO_OK) iso_frame_clear(out);
    return st;
}
