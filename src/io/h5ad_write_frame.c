/* h5ad_write_frame.c: obs and var as anndata 0.10 to 0.12 write them: a group with attributes `_index` (name of the
 * array of row names) and `column-order`, and an entry per column, each with its encoding.
 * Source: anndata's documentation, "On-disk format". */
#include "h5ad_write.h"

#include <string.h>

static const h5_encoding dataframe = {"dataframe", "0.2.0"}, array = {"array", "0.2.0"},
                         categorical = {"categorical", "0.2.0"}, nullable_integer = {"nullable-integer", "0.1.0"},
                         nullable_boolean = {"nullable-boolean", "0.1.0"},
                         nullable_string = {"nullable-string-array", "0.1.0"};

/* ------------------------------------------------------------------------- which columns */

const char *h5ad_refused_name(const char *name)
{
    if (!name || !*name) return "it has no name";
    if (!h5_is_utf8(name)) return "its name is not UTF-8";
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && *part == '.')) return "HDF5 does not allow its name";
        part += n;
        if (!*part) return NULL;
    }
}

static bool has_column(const h5ad_frame *f, const char *name)
{
    for (int i = 0; i < f->n_columns; i++)
        if (!strcmp(f->columns[i]->name, name)) return true;
    return false;
}

static void add_column(iso_env *env, h5ad_frame *f, const iso_column *c)
{
    const char *why = h5ad_refused_name(c->name);
    if (!why && has_column(f, c->name)) why = "there are two of that name";
    if (!why) f->columns[f->n_columns++] = c;
    else if (env) iso_warn(env, "column \"%s\" is left out of the file: %s", c->name ? c->name : "", why);
}

static const iso_column *find(const iso_column *columns, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (name && columns[i].name && !strcmp(columns[i].name, name)) return &columns[i];
    return NULL;
}

/* Row names are an entry beside the columns and so need a name that no column has. */
static const char *pick_index_name(const h5ad_frame *f, const char *wanted)
{
    static const char *const others[] = {"_index", "index", "row_names", "_index_of_rows"};
    if (!h5ad_refused_name(wanted) && !has_column(f, wanted)) return wanted;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!has_column(f, others[i])) return others[i];
    return others[0];
}

iso_status h5ad_frame_of(iso_env *env, const iso_frame *f, const iso_column *extra, int n_extra, h5ad_frame *out,
                         iso_error *err)
{
    static const iso_frame none = {0};
    iso_status st = ISO_OK;
    if (!f) f = &none;
    *out = (h5ad_frame){.n_rows = f->n_rows, .index = (const char *const *)f->index};
    ALLOC(out->columns, (int64_t)f->n_columns + n_extra, sizeof *out->columns);
    for (int i = 0; i < f->n_columns; i++) {
        const iso_column *replaced = find(extra, n_extra, f->columns[i].name);
        add_column(env, out, replaced ? replaced : &f->columns[i]);
    }
    for (int i = 0; i < n_extra; i++)
        if (!find(f->columns, f->n_columns, extra[i].name)) add_column(env, out, &extra[i]);
    out->index_name = pick_index_name(out, f->index_name);
done:
    return st;
}

void h5ad_frame_free(h5ad_frame *f)
{
    iso_free((void *)f->columns);
    *f = (h5ad_frame){0};
}

/* ------------------------------------------------------------------------------ columns */

typedef iso_status write_fn(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err);

static iso_status put_vector(const h5_file *f, const char *place, h5_type type, h5_type stored, const void *data,
                             int64_t n, iso_error *err)
{
    const h5_values v = {
        .encoding = array, .type = type, .stored = stored, .rank = 1, .rows = n, .cols = 1, .data = data};
    return h5_put_values(f, place, &v, err);
}

/* Any byte but 0 is true. */
static iso_status put_bools(const h5_file *f, const char *place, const uint8_t *bytes, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    uint8_t *truth = NULL;
    ALLOC(truth, n, 1);
    for (int64_t i = 0; i < n; i++) truth[i] = bytes[i] != 0;
    TRY(put_vector(f, place, H5_BOOL, H5_BOOL, truth, n, err));
done:
    iso_free(truth);
    return st;
}

/* "place/name"; NULL: no memory. */
static char *child(const char *place, const char *name) { return iso_sprintf("%s/%s", place, name); }

/* pandas takes the narrowest codes that leave room for its own marks. */
static iso_status write_category(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    char *codes = child(place, "codes"), *categories = child(place, "categories");
    const uint8_t ordered = c->ordered;
    const h5_values flag = {.type = H5_BOOL, .rank = 0, .rows = 1, .cols = 1, .data = &ordered};
    h5_type stored = c->n_categories < INT8_MAX ? H5_INT8 : c->n_categories < INT16_MAX ? H5_INT16 : H5_INT32;
    FAIL_IF(!codes || !categories, ISO_EMEMORY, "out of memory");
    TRY(h5_put_group(f, place, categorical, err));
    TRY(h5_note_values(f, place, "ordered", &flag, err));
    TRY(h5_put_texts(f, categories, (const char *const *)c->categories, c->n_categories, err));
    TRY(put_vector(f, codes, H5_INT32, stored, c->codes, n, err));
done:
    iso_free(categories);
    iso_free(codes);
    return st;
}

static iso_status put_strings(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    return h5_put_texts(f, place, (const char *const *)c->strings, n, err);
}

static iso_status put_ints(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    return put_vector(f, place, H5_INT64, H5_INT64, c->ints, n, err);
}

static iso_status put_reals(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    return put_vector(f, place, H5_FLOAT64, H5_FLOAT64, c->reals, n, err);
}

static iso_status put_truths(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    return put_bools(f, place, c->bools, n, err);
}

/* A group of values and mask. */
static iso_status write_nullable(const h5_file *f, const char *place, h5_encoding encoding, write_fn *put,
                                 const iso_column *c, const uint8_t *mask, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    char *values_place = child(place, "values"), *mask_place = child(place, "mask");
    FAIL_IF(!values_place || !mask_place, ISO_EMEMORY, "out of memory");
    TRY(h5_put_group(f, place, encoding, err));
    TRY(put(f, values_place, c, n, err));
    TRY(put_bools(f, mask_place, mask, n, err));
done:
    iso_free(mask_place);
    iso_free(values_place);
    return st;
}

static iso_status write_strings(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    uint8_t *mask = NULL;
    bool missing = false;
    ALLOC(mask, n, 1);
    for (int64_t i = 0; i < n; i++) {
        mask[i] = !c->strings[i];
        missing = missing || mask[i];
    }
    TRY(missing ? write_nullable(f, place, nullable_string, put_strings, c, mask, n, err)
                : put_strings(f, place, c, n, err));
done:
    iso_free(mask);
    return st;
}

static iso_status write_ints(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    return c->mask ? write_nullable(f, place, nullable_integer, put_ints, c, c->mask, n, err)
                   : put_ints(f, place, c, n, err);
}

static iso_status write_bools(const h5_file *f, const char *place, const iso_column *c, int64_t n, iso_error *err)
{
    return c->mask ? write_nullable(f, place, nullable_boolean, put_truths, c, c->mask, n, err)
                   : put_truths(f, place, c, n, err);
}

static write_fn *const writers[] = {
    [ISO_COL_CATEGORY] = write_category, [ISO_COL_STRING] = write_strings, [ISO_COL_INT] = write_ints,
    [ISO_COL_REAL] = put_reals,          [ISO_COL_BOOL] = write_bools,
};

iso_status h5ad_write_column(const h5_file *f, const char *frame, const iso_column *c, int64_t n, iso_error *err)
{
    char *place = child(frame, c->name);
    if (!place) return iso_fail(err, ISO_EMEMORY, "out of memory");
    iso_status st = writers[c->kind](f, place, c, n, err);
    iso_free(place);
    return st;
}

iso_status h5ad_write_frame(const h5_file *f, const char *place, const h5ad_frame *frame, iso_error *err)
{
    iso_status st = ISO_OK;
    const char **names = NULL;
    char *entry = child(place, frame->index_name);
    ALLOC(names, frame->n_columns, sizeof *names);
    FAIL_IF(!entry, ISO_EMEMORY, "out of memory");
    TRY(h5_put_group(f, place, dataframe, err));
    TRY(h5_note_text(f, place, "_index", frame->index_name, err));
    TRY(h5_put_texts(f, entry, frame->index, frame->n_rows, err));
    for (int i = 0; i < frame->n_columns; i++) {
        names[i] = frame->columns[i]->name;
        TRY(h5ad_write_column(f, place, frame->columns[i], frame->n_rows, err));
    }
    TRY(h5_note_texts(f, place, "column-order", names, frame->n_columns, err));
done:
    iso_free((void *)names);
    iso_free(entry);
    return st;
}
