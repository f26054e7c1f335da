/* image_labels.c: labels of images out of a CSV file; see iso_images_add_labels. */
#include "csv.h"
#include "images.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const key_columns[] = {"file", "name", "image", "index"};
enum { N_KEYS = sizeof key_columns / sizeof key_columns[0] };

/* A row's key, to be sorted. */
typedef struct keyed_row {
    const char *key;
    int64_t row;
} keyed_row;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const keyed_row *)a)->key, ((const keyed_row *)b)->key);
}

/* Length of a file's name without its ending. */
static int stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (int)(dot - name) : (int)strlen(name);
}

/* texts [n]: the column's values as text, made here. */
static iso_status as_texts(const iso_column *c, int64_t n, char ***texts, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*texts, n, sizeof **texts);
    for (int64_t i = 0; i < n; i++) {
        (*texts)[i] = c->ints ? iso_sprintf("%" PRId64, c->ints[i])
                              : iso_strdup(c->strings && c->strings[i] ? c->strings[i] : "");
        FAIL_IF(!(*texts)[i], ISO_EMEMORY, "out of memory");
    }
done:
    return st;
}

static const keyed_row *find_row(const keyed_row *rows, int64_t n, const char *name)
{
    return bsearch(&(keyed_row){name, 0}, rows, (size_t)n, sizeof *rows, by_key);
}

/* row_of [im->n]: where in the table each image is; *missing: the first image that is not there, or -1. */
static iso_status match(const iso_images *im, char *const *texts, int64_t n_rows, int64_t *row_of, int64_t *missing,
                        iso_error *err)
{
    iso_status st = ISO_OK;
    keyed_row *rows = NULL;
    char *stem = NULL;
    *missing = -1;
    ALLOC(rows, n_rows, sizeof *rows);
    for (int64_t i = 0; i < n_rows; i++) rows[i] = (keyed_row){texts[i], i};
    qsort(rows, (size_t)n_rows, sizeof *rows, by_key);
    for (int64_t i = 0; i < im->n && *missing < 0; i++) {
        const char *name = im->obs.index[i];
        const keyed_row *found = find_row(rows, n_rows, name);
        iso_free(stem);
        FAIL_IF(!(stem = iso_sprintf("%.*s", stem_length(name), name)), ISO_EMEMORY, "out of memory");
        if (!found) found = find_row(rows, n_rows, stem);
        if (!found) *missing = i;
        else row_of[i] = found->row;
        bool twice = found && ((found > rows && !strcmp(found[-1].key, found->key)) ||
                               (found + 1 < rows + n_rows && !strcmp(found[1].key, found->key)));
        if (twice) *missing = i;
    }
done:
    iso_free(stem);
    iso_free(rows);
    return st;
}

/* The first of the key columns that has a row for every image. */
static iso_status find_key(const char *path, const iso_images *im, const iso_frame *table, int64_t *row_of,
                           const iso_column **key, iso_error *err)
{
    iso_status st = ISO_OK;
    char **texts = NULL;
    const char *tried = NULL, *lost = "";
    *key = NULL;
    for (int k = 0; k < N_KEYS && !*key; k++) {
        const iso_column *c = iso_frame_column(table, key_columns[k]);
        int64_t missing;
        if (!c) continue;
        TRY(as_texts(c, table->n_rows, &texts, err));
        TRY(match(im, texts, table->n_rows, row_of, &missing, err));
        iso_free_texts(texts, table->n_rows);
        texts = NULL;
        if (missing < 0) *key = c;
        else if (!tried) tried = c->name, lost = im->obs.index[missing];
    }
    FAIL_IF(!*key && !tried, ISO_EDATA,
            "%s: has no column \"file\", \"name\", \"image\" or \"index\" to tell which row is which image", path);
    FAIL_IF(!*key, ISO_EDATA,
            "%s: its column \"%s\" has no row for image \"%s\", or more than one; every image needs one row", path,
            tried, lost);
done:
    iso_free_texts(texts, table->n_rows);
    return st;
}

/* out: the column's values in the order of the images. */
static iso_status pick_rows(const iso_column *c, const int64_t *row_of, int64_t n, iso_column *out, iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_column){.kind = c->kind};
    FAIL_IF(!(out->name = iso_strdup(c->name)), ISO_EMEMORY, "out of memory");
    if (c->ints) ALLOC(out->ints, n, sizeof *out->ints);
    if (c->reals) ALLOC(out->reals, n, sizeof *out->reals);
    if (c->strings) ALLOC(out->strings, n, sizeof *out->strings);
    for (int64_t i = 0; i < n; i++) {
        const char *text = c->strings ? c->strings[row_of[i]] : NULL;
        if (c->ints) out->ints[i] = c->ints[row_of[i]];
        if (c->reals) out->reals[i] = c->reals[row_of[i]];
        FAIL_IF(text && !(out->strings[i] = iso_strdup(text)), ISO_EMEMORY, "out of memory");
    }
done:
    return st;
}

static bool same_values(const iso_column *a, const iso_column *b, int64_t n)
{
    if (a->kind != b->kind) return false;
    for (int64_t i = 0; i < n; i++) {
        if (a->ints && a->ints[i] != b->ints[i]) return false;
        if (a->reals && !(fabs(a->reals[i] - b->reals[i]) <= 1e-6 * fabs(a->reals[i]))) return false;      /* as the table rounds them */
        if (a->strings && strcmp(a->strings[i] ? a->strings[i] : "", b->strings[i] ? b->strings[i] : "") != 0) return false;
    }
    return true;
}

iso_status iso_images_add_labels(iso_env *env, iso_images *im, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_frame table = {0};
    int64_t *row_of = NULL;
    const iso_column *key;
    TRY(iso_csv_read(path, &table, err));
    ALLOC(row_of, im->n, sizeof *row_of);
    TRY(find_key(path, im, &table, row_of, &key, err));
    iso_column *columns =
        iso_realloc(im->obs.columns, im->obs.n_columns, im->obs.n_columns + table.n_columns, sizeof *columns);
    FAIL_IF(!columns, ISO_EMEMORY, "out of memory");
    im->obs.columns = columns;
    for (int k = 0; k < table.n_columns; k++) {
        const iso_column *c = &table.columns[k];
        if (c == key) continue;
        const iso_column *before = iso_frame_column(&im->obs, c->name);
        iso_column *picked = &columns[im->obs.n_columns];
        im->obs.n_columns++;
        TRY(pick_rows(c, row_of, im->n, picked, err));
        if (before && same_values(before, picked, im->n)) {
            iso_column_clear(picked, im->n);
            im->obs.n_columns--;
            continue;
        }
        FAIL_IF(before, ISO_EDATA, "%s: the images have a column \"%s\" already, with other values; rename one", path, c->name);
    }
    if (table.n_rows > im->n)
        iso_info(env, "%s: %lld rows are of no image here", path, (long long)(table.n_rows - im->n));
done:
    iso_free(row_of);
    iso_frame_clear(&table);
    return st;
}
