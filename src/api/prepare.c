/* prepare.c: a hard look at the data before anything is spent on it. */
#include "model.h"

#include <math.h>
#include <string.h>

typedef struct finding { int64_t cell; int32_t gene; float value; int64_t count; } finding;
enum { NOT_FINITE, NEGATIVE, NON_INTEGER, N_FINDINGS };

static void note(finding *f, int64_t cell, int32_t gene, float value)
{
    if (f->count++ == 0) f->cell = cell, f->gene = gene, f->value = value;
}

/* Do these values look like log1p of normalised counts? In such a matrix a cell's expm1 values sum to the same
 * total. */
static bool looks_log1p(const iso_csr *x)
{
    double mean = 0, square = 0;
    int64_t n = 0;
    for (int64_t r = 0; r < x->n_rows && n < 200; r++) {
        double total = 0;
        for (int64_t e = x->indptr[r]; e < x->indptr[r + 1]; e++) {
            if (x->values[e] > 20) return false;
            total += expm1((double)x->values[e]);
        }
        if (total <= 0) continue;
        n++;
        mean += total, square += total * total;
    }
    if (n < 2) return false;
    mean /= (double)n;
    return sqrt(fmax(0, square / (double)n - mean * mean)) < 0.01 * mean;
}

static iso_status refuse(const iso_dataset *d, const finding *f, const char *what, const char *remedy, iso_error *err)
{
    char more[64] = "";
    if (f->count > 1) snprintf(more, sizeof more, " and %lld more values", (long long)f->count - 1);
    return iso_fail(err, ISO_EDATA, "%s (%s): cell %lld (\"%s\"), gene \"%s\" is %g%s: %s. %s", d->path, d->source,
                    (long long)f->cell + 1, d->obs.index[f->cell], d->var.index[f->gene], (double)f->value, more, what,
                    remedy);
}

static iso_status check_values(const iso_dataset *d, bool counts, bool allow_noninteger, iso_error *err)
{
    finding found[N_FINDINGS] = {0};
    const iso_csr *x = &d->x;
    for (int64_t r = 0; r < x->n_rows; r++)
        for (int64_t e = x->indptr[r]; e < x->indptr[r + 1]; e++) {
            float v = x->values[e];
            if (!isfinite(v)) note(&found[NOT_FINITE], r, x->indices[e], v);
            else if (v < 0) note(&found[NEGATIVE], r, x->indices[e], v);
            else if (v != floorf(v)) note(&found[NON_INTEGER], r, x->indices[e], v);
        }
    if (found[NOT_FINITE].count)
        return refuse(d, &found[NOT_FINITE], "not a number", "Remove or repair these values before fitting", err);
    if (!counts) return ISO_OK;
    if (found[NEGATIVE].count)
        return refuse(d, &found[NEGATIVE], "counts cannot be negative",
                      "Scaled data? Point --layer at the raw counts, or use --likelihood gaussian for continuous data",
                      err);
    if (found[NON_INTEGER].count && !allow_noninteger && looks_log1p(x))
        return refuse(d, &found[NON_INTEGER], "this looks like log1p of normalised counts, not like counts",
                      "Point --layer at the raw counts (often layers/counts or raw), or model it as it is with "
                      "--likelihood gaussian",
                      err);
    if (found[NON_INTEGER].count && !allow_noninteger)
        return refuse(d, &found[NON_INTEGER], "counts must be whole numbers",
                      "Point --layer at the raw counts, or pass --allow-noninteger (for corrected or estimated counts)",
                      err);
    return ISO_OK;
}

static double row_total(const iso_csr *x, int64_t r)
{
    double total = 0;
    for (int64_t e = x->indptr[r]; e < x->indptr[r + 1]; e++) total += (double)x->values[e];
    return total;
}

static iso_status check_empty(iso_env *env, iso_dataset *d, bool drop_empty, iso_error *err)
{
    iso_status st = ISO_OK;
    uint8_t *keep = NULL;
    int64_t first = -1, empty = 0;
    ALLOC(keep, d->x.n_rows, 1);
    for (int64_t r = 0; r < d->x.n_rows; r++) {
        keep[r] = row_total(&d->x, r) > 0;
        if (!keep[r] && empty++ == 0) first = r;
    }
    FAIL_IF(empty == d->x.n_rows, ISO_EDATA, "%s (%s): no cell has any counts", d->path, d->source);
    FAIL_IF(empty && !drop_empty, ISO_EDATA,
            "%s (%s): %lld of %lld cells have no counts in these genes, the first is cell %lld (\"%s\"). Pass "
            "--drop-empty to leave them out",
            d->path, d->source, (long long)empty, (long long)d->x.n_rows, (long long)first + 1, d->obs.index[first]);
    if (empty) {
        iso_info(env, "left out %lld cells without counts", (long long)empty);
        TRY(iso_dataset_keep(d, keep, err));
    }
done:
    iso_free(keep);
    return st;
}

iso_status iso_check_counts(iso_env *env, iso_dataset *d, bool counts, bool allow_noninteger, bool drop_empty,
                            iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(d->x.n_rows < 1 || d->x.n_cols < 1, ISO_EDATA, "%s (%s): %lld cells x %lld genes: nothing to model",
            d->path, d->source, (long long)d->x.n_rows, (long long)d->x.n_cols);
    TRY(check_values(d, counts, allow_noninteger, err));
    if (counts) TRY(check_empty(env, d, drop_empty, err));
done:
    return st;
}

/* ------------------------------------------------------------------------------------ keeping some rows */

static void keep_values(void *values, size_t size, int64_t n, const uint8_t *keep)
{
    char *p = values;
    int64_t at = 0;
    for (int64_t i = 0; p && i < n; i++)
        if (keep[i]) memmove(p + (size_t)at++ * size, p + (size_t)i * size, size);
}

/* Texts that go are freed, and the tail is cleared so that they are not freed twice. */
static void keep_texts(char **texts, int64_t n, const uint8_t *keep)
{
    int64_t at = 0;
    for (int64_t i = 0; texts && i < n; i++) {
        if (keep[i]) texts[at++] = texts[i];
        else iso_free(texts[i]);
    }
    for (int64_t i = at; texts && i < n; i++) texts[i] = NULL;
}

iso_status iso_dataset_keep(iso_dataset *d, const uint8_t *keep, iso_error *err)
{
    (void)err;
    iso_csr *x = &d->x;
    int64_t rows = 0, nnz = 0, n = x->n_rows;
    for (int64_t r = 0; r < n; r++) {
        if (!keep[r]) continue;
        int64_t from = x->indptr[r], count = x->indptr[r + 1] - from;
        memmove(x->indices + nnz, x->indices + from, (size_t)count * sizeof *x->indices);
        memmove(x->values + nnz, x->values + from, (size_t)count * sizeof *x->values);
        nnz += count;
        x->indptr[++rows] = nnz;         /* rows <= r: what is overwritten has been read */
    }
    x->n_rows = rows, x->nnz = nnz;
    keep_texts(d->obs.index, n, keep);
    for (int k = 0; k < d->obs.n_columns; k++) {
        iso_column *c = &d->obs.columns[k];
        keep_values(c->codes, sizeof *c->codes, n, keep);
        keep_values(c->ints, sizeof *c->ints, n, keep);
        keep_values(c->reals, sizeof *c->reals, n, keep);
        keep_values(c->bools, sizeof *c->bools, n, keep);
        keep_values(c->mask, sizeof *c->mask, n, keep);
        keep_texts(c->strings, n, keep);
    }
    d->obs.n_rows = rows;
    return ISO_OK;
}

/* ---------------------------------------------------------------------------------------------- facts */

/* k-th smallest of x (reordered), by quickselect. */
static double select_kth(double *x, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        double pivot = x[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i <= j) {
                double t = x[i];
                x[i++] = x[j];
                x[j--] = t;
            }
        }
        if (k <= j) hi = j;
        else if (k >= i) lo = i;
        else break;
    }
    return x[k];
}

iso_data_facts iso_describe(const iso_dataset *d)
{
    const iso_csr *x = &d->x;
    iso_data_facts f = {
        .cells = x->n_rows, .genes = x->n_cols, .nnz = x->nnz, .median_total = (double)NAN, .min_total = HUGE_VAL};
    double *totals = iso_calloc(x->n_rows, sizeof *totals);
    f.density = x->n_rows && x->n_cols ? (double)x->nnz / ((double)x->n_rows * (double)x->n_cols) : 0;
    for (int64_t r = 0; r < x->n_rows; r++) {
        double t = row_total(x, r);
        f.min_total = fmin(f.min_total, t), f.max_total = fmax(f.max_total, t);
        if (totals) totals[r] = t;
    }
    for (int64_t e = 0; e < x->nnz; e++) f.max_count = fmax(f.max_count, (double)x->values[e]);
    if (totals && x->n_rows) f.median_total = select_kth(totals, x->n_rows, x->n_rows / 2);
    iso_free(totals);
    return f;
}
