/* h5_matrix.c: see h5_matrix.h. Every index pointer and index is checked before it is used. */
#include "h5_matrix.h"

#include <math.h>
#include <string.h>

/* A vector of the group. */
static iso_status open_vector(const h5_file *f, const char *group, const char *name, h5_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    char *place = iso_sprintf("%s/%s", group, name);
    *a = (h5_array){0};
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    TRY(h5_array_open(f, place, a, err));
    if (a->rank != 1) {
        st = iso_fail(err, ISO_EDATA, "%s: %s should be a vector", f->path, place);
        h5_array_close(a);
    }
done:
    iso_free(place);
    return st;
}

static iso_status read_indptr(const h5_array *a, csr_axis major, int64_t n_values, int64_t *indptr, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *path = a->file->path;
    TRY(h5_read_i64(a, 0, a->n, indptr, err));
    FAIL_IF(indptr[0] != 0, ISO_EDATA, "%s: %s begins with %lld, not 0; the file is damaged", path, a->place,
            (long long)indptr[0]);
    for (int64_t i = 0; i < major.n; i++) {
        FAIL_IF(indptr[i + 1] < indptr[i] || indptr[i + 1] > n_values, ISO_EDATA,
                "%s: %s: %s %lld (\"%s\") spans values %lld to %lld of %lld; the file is damaged", path, a->place,
                major.what, (long long)i, major.names[i], (long long)indptr[i], (long long)indptr[i + 1],
                (long long)n_values);
    }
    FAIL_IF(indptr[major.n] != n_values, ISO_EDATA, "%s: %s ends with %lld but there are %lld values; the file is damaged",
            path, a->place, (long long)indptr[major.n], (long long)n_values);
done:
    return st;
}

static iso_status index_error(const h5_array *a, csr_axis major, csr_axis minor, const int64_t *indptr, int64_t at,
                              int64_t index, iso_error *err)
{
    int64_t i = 0;
    while (i < major.n - 1 && indptr[i + 1] <= at) i++;
    return iso_fail(err, ISO_EDATA, "%s: %s: %lld %s %lld %ss at %s %lld (\"%s\"); the file is damaged or %ss were subset "
                    "without the matrix", a->file->path, a->place, (long long)index, index < 0 ? "is negative, of" : ">=",
                    (long long)minor.n, minor.what, major.what, (long long)i, major.names[i], minor.what);
}

static iso_status read_indices(const h5_array *a, csr_axis major, csr_axis minor, const int64_t *indptr, int32_t *indices,
                               iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *wide = NULL, step = a->block_rows < a->n ? a->block_rows : a->n;
    ALLOC(wide, step, sizeof *wide);
    for (int64_t p = 0; p < a->n; p += step) {
        int64_t n = step < a->n - p ? step : a->n - p;
        TRY(h5_read_i64(a, p, n, wide, err));
        for (int64_t k = 0; k < n; k++) {
            if (wide[k] < 0 || wide[k] >= minor.n) {
                st = index_error(a, major, minor, indptr, p + k, wide[k], err);
                goto done;
            }
            indices[p + k] = (int32_t)wide[k];
        }
    }
done:
    iso_free(wide);
    return st;
}

iso_status h5_read_sparse(const h5_file *f, const char *group, bool by_gene, csr_axis cells, csr_axis genes, iso_csr *m,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    csr_axis major = by_gene ? genes : cells, minor = by_gene ? cells : genes;
    h5_array data = {0}, indices = {0}, indptr = {0};
    iso_csr read = {0};

    TRY(open_vector(f, group, "data", &data, err));
    TRY(open_vector(f, group, "indices", &indices, err));
    TRY(open_vector(f, group, "indptr", &indptr, err));
    FAIL_IF(data.n != indices.n, ISO_EDATA, "%s: %s has %lld values but %lld indices; the file is damaged", f->path, group,
            (long long)data.n, (long long)indices.n);
    FAIL_IF(indptr.n != major.n + 1, ISO_EDATA, "%s: %s has %lld entries for %lld %ss; the file is damaged", f->path,
            indptr.place, (long long)indptr.n, (long long)major.n, major.what);
    TRY(csr_alloc(&read, major.n, minor.n, data.n, err));
    TRY(read_indptr(&indptr, major, data.n, read.indptr, err));
    TRY(read_indices(&indices, major, minor, read.indptr, read.indices, err));
    TRY(h5_read_f32(&data, 0, data.n, read.values, err));
    if (by_gene) {
        TRY(csr_transpose(&read, m, err));
    } else {
        *m = read, read = (iso_csr){0};
    }
    TRY(csr_tidy(m, err));
done:
    h5_array_close(&indptr);
    h5_array_close(&indices);
    h5_array_close(&data);
    iso_csr_clear(&read);
    if (st != ISO_OK) iso_csr_clear(m);
    return st;
}

/* Appends dense rows [n, n_cols], the first of them row `first`. */
static void append_rows(iso_csr *m, int64_t first, int64_t n, const float *rows)
{
    for (int64_t i = 0; i < n; i++) {
        const float *row = rows + i * m->n_cols;
        for (int64_t j = 0; j < m->n_cols; j++) {
            if (row[j] == 0) continue;
            m->indices[m->nnz] = (int32_t)j;
            m->values[m->nnz++] = row[j];
        }
        m->indptr[first + i + 1] = m->nnz;
    }
}

iso_status h5_read_dense(const h5_file *f, const char *place, csr_axis cells, csr_axis genes, iso_csr *m, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array a = {0};
    float *rows = NULL;
    int64_t room = 0;

    TRY(h5_array_open(f, place, &a, err));
    FAIL_IF(a.rank != 2 || a.rows != cells.n || a.cols != genes.n, ISO_EDATA,
            "%s: %s has shape %lld x %lld but there are %lld cells and %lld genes; the file is damaged or was subset in part",
            f->path, place, (long long)a.rows, (long long)a.cols, (long long)cells.n, (long long)genes.n);
    int64_t step = a.block_rows < a.rows ? a.block_rows : a.rows;
    ALLOC(rows, step, (size_t)a.cols * sizeof *rows);
    TRY(csr_alloc(m, cells.n, genes.n, 0, err));
    for (int64_t i = 0; i < a.rows; i += step) {
        int64_t n = step < a.rows - i ? step : a.rows - i, nnz = m->nnz;
        TRY(h5_read_f32(&a, i, n, rows, err));
        for (int64_t k = 0; k < n * a.cols; k++) nnz += rows[k] != 0;
        /* once the first block shows the density, make room for all rows, so that it rarely grows again */
        double all = 1.05 * (double)nnz / (double)(i + n) * (double)a.rows;
        if (nnz > room) TRY(csr_grow(m, &room, i + n < a.rows && all > (double)nnz ? (int64_t)all : nnz, err));
        append_rows(m, i, n, rows);
    }
done:
    h5_array_close(&a);
    iso_free(rows);
    if (st != ISO_OK) iso_csr_clear(m);
    return st;
}
