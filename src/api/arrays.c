/* arrays.c: data sets from arrays in memory, for those who have no files; see isolario.h. Sizes are the caller's word, what is in the
 * arrays is checked as if it came from a file. */
#include "io/csr.h"
#include "model.h"

#include <string.h>

enum { MOST_SIDE = 1 << 20, MOST_CHANNELS = 1024 };

/* Names copied, or numbers from 0 where there are none. *out has what there is on failure too. */
static iso_status copy_names(const char *const *names, int64_t n, char ***out, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*out, n, sizeof **out);
    for (int64_t i = 0; i < n; i++) {
        FAIL_IF(names && !names[i], ISO_EUSAGE, "name %lld is NULL", (long long)i);
        FAIL_IF(!((*out)[i] = names ? iso_strdup(names[i]) : iso_sprintf("%lld", (long long)i)), ISO_EMEMORY, "out of memory");
    }
done:
    return st;
}

static iso_status make_frame(const char *const *names, int64_t n, iso_frame *f, iso_error *err)
{
    iso_status st = ISO_OK;
    f->n_rows = n;
    FAIL_IF(!(f->index_name = iso_strdup("_index")), ISO_EMEMORY, "out of memory");
    TRY(copy_names(names, n, &f->index, err));
done:
    return st;
}

/* ------------------------------------------------------------------------------------------- counts */

static iso_status check_csr(const char *name, int64_t n_cells, int64_t n_genes, const int64_t *indptr, const int32_t *indices, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(n_cells < 0 || n_genes < 0, ISO_EUSAGE, "%s: a negative size", name);
    FAIL_IF(indptr[0] != 0, ISO_EDATA, "%s: indptr starts at %lld, not at 0", name, (long long)indptr[0]);
    for (int64_t i = 0; i < n_cells; i++)
        FAIL_IF(indptr[i + 1] < indptr[i], ISO_EDATA, "%s: indptr falls at cell %lld", name, (long long)i);
    for (int64_t e = 0; e < indptr[n_cells]; e++)
        FAIL_IF(indices[e] < 0 || indices[e] >= n_genes, ISO_EDATA, "%s: value %lld is of gene %d, but there are %lld", name, (long long)e,
                (int)indices[e], (long long)n_genes);
done:
    return st;
}

iso_status iso_dataset_from_counts(const char *name, int64_t n_cells, int64_t n_genes, const int64_t *indptr, const int32_t *indices,
                                   const float *values, const char *const *cells, const char *const *genes, iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    *out = NULL;
    TRY(check_csr(name, n_cells, n_genes, indptr, indices, err));
    int64_t nnz = indptr[n_cells];
    ALLOC(d, 1, sizeof *d);
    d->format = "array";
    FAIL_IF(!(d->path = iso_strdup(name)) || !(d->source = iso_strdup("array")), ISO_EMEMORY, "out of memory");
    TRY(csr_alloc(&d->x, n_cells, n_genes, nnz, err));
    memcpy(d->x.indptr, indptr, (size_t)(n_cells + 1) * sizeof *indptr);
    if (nnz) memcpy(d->x.indices, indices, (size_t)nnz * sizeof *indices);
    if (nnz) memcpy(d->x.values, values, (size_t)nnz * sizeof *values);
    TRY(csr_tidy(&d->x, err));
    TRY(make_frame(cells, n_cells, &d->obs, err));
    TRY(make_frame(genes, n_genes, &d->var, err));
    TRY(csr_check_exact(&d->x, name, (csr_axis){"cell", n_cells, d->obs.index}, (csr_axis){"gene", n_genes, d->var.index}, err));
    *out = d, d = NULL;
done:
    iso_dataset_free(d);
    return st;
}

/* ------------------------------------------------------------------------------------------- images */

iso_status iso_dataset_from_images(const char *name, int64_t n, int64_t channels, int64_t height, int64_t width, const float *pixels,
                                   const char *const *images, const char *const *channel_names, iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t values;
    *out = NULL;
    iso_images im = {.n = n, .channels = channels, .height = height, .width = width, .pixels = (float *)pixels, .lent = true, .kind = ISO_PIXEL_FLOAT};
    FAIL_IF(n < 1, ISO_EDATA, "%s: holds no images", name);
    FAIL_IF(channels < 1 || channels > MOST_CHANNELS || height < 1 || height > MOST_SIDE || width < 1 || width > MOST_SIDE ||
                !iso_mul(n, channels * height * width, &values),
            ISO_EDATA, "%s: %lld images of %lld channels of %lld x %lld pixels; at most %d channels and %d pixels a side are taken", name,
            (long long)n, (long long)channels, (long long)height, (long long)width, MOST_CHANNELS, MOST_SIDE);
    if (channel_names) TRY(copy_names(channel_names, channels, &im.channel_names, err));
    TRY(make_frame(images, n, &im.obs, err));
    TRY(iso_images_complete(&im, name, NULL, err));
    TRY(iso_images_as_dataset(&im, name, out, err));
done:
    iso_images_clear(&im);
    return st;
}

/* ------------------------------------------------------------------------------------------ columns */

/* Takes c, all but its name, over. */
static iso_status add_column(iso_dataset *d, const char *name, iso_column *c, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_frame *f = &d->obs;
    FAIL_IF(iso_frame_column(f, name), ISO_EUSAGE, "%s: obs has a column \"%s\" already", d->path, name);
    FAIL_IF(!(c->name = iso_strdup(name)), ISO_EMEMORY, "out of memory");
    iso_column *more = iso_realloc(f->columns, f->n_columns, f->n_columns + 1, sizeof *more);
    FAIL_IF(!more, ISO_EMEMORY, "out of memory");
    f->columns = more;
    f->columns[f->n_columns++] = *c, *c = (iso_column){0};
done:
    return st;
}

iso_status iso_dataset_add_categories(iso_dataset *d, const char *column, const int32_t *codes, int32_t n_categories,
                                      const char *const *categories, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = d->obs.n_rows;
    iso_column c = {.kind = ISO_COL_CATEGORY};
    FAIL_IF(n_categories < 0, ISO_EUSAGE, "column \"%s\": a negative number of categories", column);
    for (int64_t i = 0; i < n; i++)
        FAIL_IF(codes[i] < -1 || codes[i] >= n_categories, ISO_EDATA, "column \"%s\": row %lld has code %d, but there are %d categories", column,
                (long long)i, (int)codes[i], (int)n_categories);
    c.n_categories = n_categories;
    TRY(copy_names(categories, n_categories, &c.categories, err));
    ALLOC(c.codes, n, sizeof *c.codes);
    memcpy(c.codes, codes, (size_t)n * sizeof *codes);
    TRY(add_column(d, column, &c, err));
done:
    iso_column_clear(&c, n);
    return st;
}

iso_status iso_dataset_add_integers(iso_dataset *d, const char *column, const int64_t *values, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = d->obs.n_rows;
    iso_column c = {.kind = ISO_COL_INT};
    ALLOC(c.ints, n, sizeof *c.ints);
    memcpy(c.ints, values, (size_t)n * sizeof *values);
    TRY(add_column(d, column, &c, err));
done:
    iso_column_clear(&c, n);
    return st;
}

iso_status iso_dataset_add_numbers(iso_dataset *d, const char *column, const double *values, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = d->obs.n_rows;
    iso_column c = {.kind = ISO_COL_REAL};
    ALLOC(c.reals, n, sizeof *c.reals);
    memcpy(c.reals, values, (size_t)n * sizeof *values);
    TRY(add_column(d, column, &c, err));
done:
    iso_column_clear(&c, n);
    return st;
}
