/* explore_counts.c: the cells' counts, gene by gene, if they are at hand (run_counts.h). */
#include "explore.h"

#include "io/csr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint16_t cut(float count) { return count >= UINT16_MAX ? UINT16_MAX : (uint16_t)lrintf(fmaxf(count, 0)); }

static iso_status add_indices(iso_explore *x, const iso_csr *t, iso_error *err)
{
    iso_status st = ISO_OK;
    uint16_t *two;
    uint32_t *four;
    if (t->n_cols <= UINT16_MAX) {
        TRY(iso_explore_add(x, "counts_indices", ISO_UINT16, t->nnz, 0, &two, err));
        for (int64_t e = 0; e < t->nnz; e++) two[e] = (uint16_t)t->indices[e];
    } else {
        TRY(iso_explore_add(x, "counts_indices", ISO_UINT32, t->nnz, 0, &four, err));
        for (int64_t e = 0; e < t->nnz; e++) four[e] = (uint32_t)t->indices[e];
    }
done:
    return st;
}

static iso_status add_values(iso_explore *x, const iso_csr *t, float top, iso_error *err)
{
    iso_status st = ISO_OK;
    uint8_t *one;
    uint16_t *two;
    if (top <= UINT8_MAX) {
        TRY(iso_explore_add(x, "counts_values", ISO_UINT8, t->nnz, 0, &one, err));
        for (int64_t e = 0; e < t->nnz; e++) one[e] = (uint8_t)cut(t->values[e]);
    } else {
        TRY(iso_explore_add(x, "counts_values", ISO_UINT16, t->nnz, 0, &two, err));
        for (int64_t e = 0; e < t->nnz; e++) two[e] = cut(t->values[e]);
    }
done:
    return st;
}

/* The whole matrix as three arrays: cells and counts in as few bytes as they need. */
static iso_status write_matrix(iso_explore *x, json *j, iso_error *err)
{
    static const char *const members[][2] = {{"indptr", "counts_indptr"}, {"indices", "counts_indices"}, {"values", "counts_values"}};
    iso_status st = ISO_OK;
    const iso_csr *t = &x->by_gene;
    uint32_t *indptr;
    float top = 0;
    FAIL_IF(t->nnz > UINT32_MAX, ISO_EDATA, "too many counts for one page; write a folder");
    for (int64_t e = 0; e < t->nnz; e++) top = fmaxf(top, t->values[e]);
    TRY(iso_explore_add(x, "counts_indptr", ISO_UINT32, t->n_rows + 1, 0, &indptr, err));
    for (int64_t g = 0; g <= t->n_rows; g++) indptr[g] = (uint32_t)t->indptr[g];
    TRY(add_indices(x, t, err));
    TRY(add_values(x, t, top, err));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) js_key(j, members[i][0]), js_string(j, members[i][1]);
done:
    return st;
}

uint8_t *iso_explore_gene_file(const iso_explore *x, int64_t gene, int64_t *bytes)
{
    int64_t from = x->by_gene.indptr[gene];
    uint32_t n = (uint32_t)(x->by_gene.indptr[gene + 1] - from);
    *bytes = 4 + (int64_t)n * 6;
    uint8_t *out = iso_calloc(*bytes, 1);
    if (!out) return NULL;
    memcpy(out, &n, 4);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t count = cut(x->by_gene.values[from + i]);
        memcpy(out + 4 + (size_t)4 * i, &x->by_gene.indices[from + i], 4);
        memcpy(out + 4 + (size_t)4 * n + (size_t)2 * i, &count, 2);
    }
    return out;
}

iso_status iso_explore_counts(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_csr *c = &x->counts;
    float *totals;
    js_key(j, "counts");
    if (c->n_cols == 0) {
        js_string(j, NULL);
        return ISO_OK;
    }
    TRY(csr_transpose(c, &x->by_gene, err));
    js_open(j, '{');
    if (x->per_gene) js_key(j, "per_gene"), js_string(j, "counts/%d.bin");
    else TRY(write_matrix(x, j, err));
    js_close(j, '}');
    TRY(iso_explore_add(x, "totals", ISO_FLOAT32, c->n_rows, 0, &totals, err));
    for (int64_t i = 0; i < c->n_rows; i++)
        for (int64_t e = c->indptr[i]; e < c->indptr[i + 1]; e++) totals[i] += c->values[e];
    js_key(j, "totals");
    js_string(j, "totals");
done:
    return st;
}
