/* csr.c: see csr.h. Sorting is done by transposing twice: each transposition is a stable counting sort. */
#include "csr.h"

#include <math.h>
#include <string.h>

static const float MAX_COUNT = 16777216.0f;          /* 2^24: float32 holds every integer up to it */

void iso_csr_clear(iso_csr *m)
{
    iso_free(m->indptr);
    iso_free(m->indices);
    iso_free(m->values);
    *m = (iso_csr){0};
}

iso_status csr_alloc(iso_csr *m, int64_t n_rows, int64_t n_cols, int64_t nnz, iso_error *err)
{
    iso_status st = ISO_OK;
    *m = (iso_csr){.n_rows = n_rows, .n_cols = n_cols, .nnz = nnz};
    FAIL_IF(n_rows >= INT32_MAX || n_cols >= INT32_MAX, ISO_EDATA, "a matrix of %lld x %lld is too large",
            (long long)n_rows, (long long)n_cols);
    ALLOC(m->indptr, n_rows + 1, sizeof *m->indptr);
    ALLOC(m->indices, nnz, sizeof *m->indices);
    ALLOC(m->values, nnz, sizeof *m->values);
done:
    if (st != ISO_OK) iso_csr_clear(m);
    return st;
}

iso_status csr_grow(iso_csr *m, int64_t *room, int64_t nnz, iso_error *err)
{
    iso_status st = ISO_OK;
    if (nnz <= *room) return ISO_OK;
    int32_t *indices = iso_realloc(m->indices, *room, nnz, sizeof *indices);
    FAIL_IF(!indices, ISO_EMEMORY, "out of memory: %lld values", (long long)nnz);
    m->indices = indices;
    float *values = iso_realloc(m->values, *room, nnz, sizeof *values);
    FAIL_IF(!values, ISO_EMEMORY, "out of memory: %lld values", (long long)nnz);
    m->values = values;
    *room = nnz;
done:
    return st;
}

iso_status csr_transpose(const iso_csr *a, iso_csr *t, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(csr_alloc(t, a->n_cols, a->n_rows, a->nnz, err));
    /* indptr[j + 1] first counts column j, then is where its next value goes, and ends as its end */
    for (int64_t p = 0; p < a->nnz; p++) t->indptr[a->indices[p] + 1]++;
    int64_t start = 0;
    for (int64_t j = 0; j < a->n_cols; j++) {
        int64_t count = t->indptr[j + 1];
        t->indptr[j + 1] = start;
        start += count;
    }
    for (int64_t i = 0; i < a->n_rows; i++) {
        for (int64_t p = a->indptr[i]; p < a->indptr[i + 1]; p++) {
            int64_t to = t->indptr[a->indices[p] + 1]++;
            t->indices[to] = (int32_t)i;
            t->values[to] = a->values[p];
        }
    }
done:
    return st;
}

static bool rows_ascend(const iso_csr *m)
{
    for (int64_t i = 0; i < m->n_rows; i++)
        for (int64_t p = m->indptr[i] + 1; p < m->indptr[i + 1]; p++)
            if (m->indices[p] < m->indices[p - 1]) return false;
    return true;
}

iso_status csr_tidy(iso_csr *m, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr t = {0};
    if (!rows_ascend(m)) {
        TRY(csr_transpose(m, &t, err));
        iso_csr_clear(m);
        TRY(csr_transpose(&t, m, err));
    }
    int64_t to = 0, p = 0;
    for (int64_t i = 0; i < m->n_rows; i++) {
        int64_t end = m->indptr[i + 1];
        m->indptr[i] = to;
        while (p < end) {
            int32_t j = m->indices[p];
            float sum = m->values[p++];
            while (p < end && m->indices[p] == j) sum += m->values[p++];
            if (sum == 0) continue;
            m->indices[to] = j;
            m->values[to++] = sum;
        }
    }
    m->indptr[m->n_rows] = m->nnz = to;
done:
    iso_csr_clear(&t);
    return st;
}

iso_status csr_take_rows(const iso_csr *m, const int64_t *rows, int64_t n, iso_csr *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t nnz = 0;
    for (int64_t i = 0; i < n; i++) nnz += m->indptr[rows[i] + 1] - m->indptr[rows[i]];
    TRY(csr_alloc(out, n, m->n_cols, nnz, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t from = m->indptr[rows[i]], count = m->indptr[rows[i] + 1] - from, to = out->indptr[i];
        memcpy(out->indices + to, m->indices + from, (size_t)count * sizeof *out->indices);
        memcpy(out->values + to, m->values + from, (size_t)count * sizeof *out->values);
        out->indptr[i + 1] = to + count;
    }
done:
    return st;
}

void csr_keep_columns(iso_csr *m, const int32_t *to, int64_t n_cols)
{
    int64_t kept = 0, p = 0;
    for (int64_t i = 0; i < m->n_rows; i++) {
        int64_t end = m->indptr[i + 1];
        m->indptr[i] = kept;
        for (; p < end; p++) {
            if (to[m->indices[p]] < 0) continue;
            m->values[kept] = m->values[p];
            m->indices[kept++] = to[m->indices[p]];
        }
    }
    m->indptr[m->n_rows] = m->nnz = kept;
    m->n_cols = n_cols;
}

bool csr_is_counts(const iso_csr *m)
{
    for (int64_t p = 0; p < m->nnz; p++) {
        float v = m->values[p];
        if (!(v >= 0) || isinf(v) || v != floorf(v)) return false;
    }
    return true;
}

iso_status csr_check_exact(const iso_csr *m, const char *where, csr_axis cells, csr_axis genes, iso_error *err)
{
    for (int64_t i = 0; i < m->n_rows; i++) {
        for (int64_t p = m->indptr[i]; p < m->indptr[i + 1]; p++) {
            if (!(m->values[p] > MAX_COUNT)) continue;
            if (!csr_is_counts(m)) return ISO_OK;
            int32_t j = m->indices[p];
            return iso_fail(err, ISO_EDATA, "%s: count %.0f of gene %d (\"%s\") in cell %lld (\"%s\") is above 16777216, the "
                            "largest that is kept exactly; are these counts, and not intensities?", where,
                            (double)m->values[p], (int)j, genes.names[j], (long long)i, cells.names[i]);
        }
    }
    return ISO_OK;
}
