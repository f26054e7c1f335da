/* dataset.c: opening any known format, what every dataset must satisfy, and frames and columns; see dataset.h. */
#include "dataset.h"

#include "images.h"

#include "readers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ----------------------------------------------------------------------------------- freeing */

void iso_column_clear(iso_column *c, int64_t n_rows)
{
    iso_free(c->name);
    iso_free(c->codes);
    iso_free_texts(c->categories, c->n_categories);
    iso_free_texts(c->strings, n_rows);
    iso_free(c->ints);
    iso_free(c->reals);
    iso_free(c->bools);
    iso_free(c->mask);
    *c = (iso_column){0};
}

void iso_frame_clear(iso_frame *f)
{
    for (int i = 0; i < f->n_columns; i++) iso_column_clear(&f->columns[i], f->n_rows);
    iso_free(f->columns);
    iso_free(f->index_name);
    iso_free_texts(f->index, f->n_rows);
    *f = (iso_frame){0};
}

void iso_dataset_free(iso_dataset *d)
{
    if (!d) return;
    iso_csr_clear(&d->x);
    iso_frame_clear(&d->obs);
    iso_frame_clear(&d->var);
    if (d->images) iso_images_clear(d->images);
    iso_free(d->images);
    iso_free(d->source);
    iso_free(d->path);
    iso_free(d);
}

int64_t iso_dataset_n_cells(const iso_dataset *d) { return d->x.n_rows; }
int64_t iso_dataset_n_genes(const iso_dataset *d) { return d->x.n_cols; }

/* ----------------------------------------------------------------------------------- opening */

static iso_status check_frame(const char *path, const char *what, const iso_frame *f, int64_t n_rows, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(f->n_rows != n_rows, ISO_EDATA, "%s: the matrix has %lld %ss but there are names for %lld", path,
            (long long)n_rows, what, (long long)f->n_rows);
    for (int64_t i = 0; i < n_rows; i++) FAIL_IF(!f->index[i], ISO_EDATA, "%s: %s %lld has no name", path, what, (long long)i);
done:
    return st;
}

/* What dataset.h promises of x. A reader that breaks it is at fault, not the file. */
static iso_status check_csr(const char *path, const iso_csr *m, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(m->indptr[0] != 0 || m->indptr[m->n_rows] != m->nnz, ISO_EDATA, "%s: the matrix was not read whole", path);
    for (int64_t i = 0; i < m->n_rows; i++) {
        bool good = m->indptr[i] <= m->indptr[i + 1];
        for (int64_t p = m->indptr[i]; good && p < m->indptr[i + 1]; p++)
            good = m->indices[p] >= 0 && m->indices[p] < m->n_cols && m->values[p] != 0 &&
                   (p == m->indptr[i] || m->indices[p - 1] < m->indices[p]);
        FAIL_IF(!good, ISO_EDATA, "%s: the matrix is not in order at cell %lld", path, (long long)i);
    }
done:
    return st;
}

/* Why no reader takes the path. */
static iso_status refuse(const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *names[16];
    int64_t n = 0;
    char *known = NULL;
    for (const iso_unsupported *u = iso_unsupported_formats; u->what; u++)
        FAIL_IF(u->sniff(path), ISO_EDATA, "%s: %s %s", path, u->what, u->advice);
    for (const iso_reader *r = iso_readers; r->name && n < 16; r++) names[n++] = r->what;
    known = iso_join(names, n, "none");
    FAIL_IF(!known, ISO_EMEMORY, "out of memory");
    FAIL_IF(true, ISO_EDATA, "%s: not a format that is known; known are: %s", path, known);
done:
    iso_free(known);
    return st;
}

iso_status iso_dataset_open(iso_env *env, const char *path, const char *layer, iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    struct stat s;
    const iso_reader *reader = iso_readers;

    *out = NULL;
    FAIL_IF(stat(path, &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    FAIL_IF(!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode), ISO_EIO, "%s: neither a file nor a folder; copy it to a file first", path);
    FAIL_IF(S_ISREG(s.st_mode) && s.st_size == 0, ISO_EDATA, "%s: the file is empty", path);
    while (reader->name && !reader->sniff(path)) reader++;
    if (!reader->name) return refuse(path, err);
    ALLOC(d, 1, sizeof *d);
    d->format = reader->name;
    FAIL_IF(!(d->path = iso_strdup(path)), ISO_EMEMORY, "out of memory");
    TRY(reader->read(env, path, layer, d, err));
    TRY(check_frame(path, "cell", &d->obs, d->x.n_rows, err));
    TRY(check_frame(path, "gene", &d->var, d->x.n_cols, err));
    TRY(check_csr(path, &d->x, err));
    *out = d, d = NULL;
done:
    iso_dataset_free(d);
    return st;
}

/* ----------------------------------------------------------------------------------- columns */

const iso_column *iso_frame_column(const iso_frame *f, const char *name)
{
    for (int i = 0; i < f->n_columns; i++)
        if (!strcmp(f->columns[i].name, name)) return &f->columns[i];
    return NULL;
}

/* A row's value, to be sorted; exactly one of text and number is used. */
typedef struct keyed { const char *text; int64_t number; int64_t row; } keyed;

static int by_value(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = x->text ? strcmp(x->text, y->text) : (x->number > y->number) - (x->number < y->number);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static bool is_missing(const iso_column *c, int64_t i)
{
    return (c->mask && c->mask[i]) || (c->strings && !c->strings[i]);
}

static char *key_text(const iso_column *c, const keyed *k)
{
    if (k->text) return iso_strdup(k->text);
    return c->kind == ISO_COL_BOOL ? iso_strdup(k->number ? "True" : "False") : iso_sprintf("%" PRId64, k->number);
}

/* codes [n_rows] zeroed; categories has room for all keys [n_keys], which are sorted. *n counts the texts made, always. */
static iso_status number_keys(const iso_column *c, const keyed *keys, int64_t n_keys, int32_t *codes, char **categories,
                              int32_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    for (int64_t i = 0; i < n_keys; i++) {
        bool same = i > 0 && (keys[i].text ? !strcmp(keys[i].text, keys[i - 1].text) : keys[i].number == keys[i - 1].number);
        if (!same) {
            categories[*n] = key_text(c, &keys[i]);
            FAIL_IF(!categories[*n], ISO_EMEMORY, "out of memory for the categories of %s", c->name);
            ++*n;
        }
        codes[keys[i].row] = *n - 1;
    }
done:
    return st;
}

static iso_status factor_values(const iso_frame *f, const iso_column *c, int32_t *codes, char ***categories, int32_t *n,
                                iso_error *err)
{
    iso_status st = ISO_OK;
    keyed *keys = NULL;
    int64_t n_keys = 0;
    FAIL_IF(f->n_rows >= INT32_MAX, ISO_EDATA, "column \"%s\" has too many rows", c->name);
    ALLOC(keys, f->n_rows, sizeof *keys);
    ALLOC(*categories, f->n_rows, sizeof **categories);
    for (int64_t i = 0; i < f->n_rows; i++) {
        codes[i] = -1;
        if (is_missing(c, i)) continue;
        keys[n_keys++] = (keyed){c->strings ? c->strings[i] : NULL, c->ints ? c->ints[i] : c->bools ? c->bools[i] : 0, i};
    }
    qsort(keys, (size_t)n_keys, sizeof *keys, by_value);
    TRY(number_keys(c, keys, n_keys, codes, *categories, n, err));
done:
    iso_free(keys);
    return st;
}

static iso_status copy_categories(const iso_frame *f, const iso_column *c, int32_t *codes, char ***categories, int32_t *n,
                                  iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*categories, c->n_categories, sizeof **categories);
    for (; *n < c->n_categories; ++*n)
        FAIL_IF(!((*categories)[*n] = iso_strdup(c->categories[*n])), ISO_EMEMORY, "out of memory for the categories of %s", c->name);
    memcpy(codes, c->codes, (size_t)f->n_rows * sizeof *codes);
done:
    return st;
}

iso_status iso_column_factor(const iso_frame *f, const iso_column *c, int32_t **codes, char ***categories, int32_t *n,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    *codes = NULL, *categories = NULL, *n = 0;
    FAIL_IF(c->kind == ISO_COL_REAL, ISO_EDATA, "column \"%s\" holds real numbers, not categories; name another, or store it as "
            "text or integers", c->name);
    ALLOC(*codes, f->n_rows, sizeof **codes);
    TRY((c->kind == ISO_COL_CATEGORY ? copy_categories : factor_values)(f, c, *codes, categories, n, err));
done:
    if (st != ISO_OK) {
        iso_free_texts(*categories, *n);
        iso_free(*codes);
        *codes = NULL, *categories = NULL, *n = 0;
    }
    return st;
}
