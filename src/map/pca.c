/* pca.c: principal components of sparse data, never made dense.
 *
 * The eigenvectors of S = (X - 1 m')'(X - 1 m') / (n - 1) by krylov.c, where X [cells, genes] holds x,
 * or log1p(x / total * 1e4), and m its column means. S q takes one pass over the cells: y = x_i q - m'q, then x_i' y is
 * added to the result, while the cell is in the cache (the y of all cells add up to 0, so x_i needs no mean there).
 * What is left over is the noise of probabilistic PCA (Tipping & Bishop 1999, doi:10.1111/1467-9868.00196, eq. 8), over
 * as many dimensions as the centred data can have. */
#include "krylov.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { W = KRYLOV_WIDTH, MAX_CHUNKS = 32, CHUNK_VALUES = 1 << 15, GENE_RANGE = 512, CELL_RANGE = 64, LANES = 8 };
static const double SCALE = 1e4;

typedef struct cells {
    const iso_csr *x;
    float *values;                /* [nnz] transformed */
    int64_t n_chunks;
    int64_t *begin;               /* [n_chunks + 1] first cell of each chunk, of about as many values */
    double *mean;                 /* [genes] */
    double *partial;              /* [n_chunks, genes, W] sums of each chunk of cells */
    double shift[W];              /* m'q */
    const double *q;              /* [genes, W] */
    double *out;                  /* [genes, W] */
} cells;

/* ------------------------------------------------------------------------------------- transformed values */

typedef struct transformed { const iso_csr *x; float *values; } transformed;

static void transform_range(void *arg, int64_t range)
{
    const transformed *t = arg;
    const iso_csr *x = t->x;
    int64_t end = (range + 1) * CELL_RANGE < x->n_rows ? (range + 1) * CELL_RANGE : x->n_rows;
    for (int64_t i = range * CELL_RANGE; i < end; i++) {
        double total = 0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) total += (double)x->values[e];
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            t->values[e] = (float)log1p((double)x->values[e] / total * SCALE);
    }
}

/* values [nnz], to be freed. */
static iso_status transform_values(iso_env *env, const iso_csr *x, bool log1p_data, float **values, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*values, x->nnz, sizeof **values);
    transformed t = {x, *values};
    if (log1p_data) iso_parallel(env, (x->n_rows + CELL_RANGE - 1) / CELL_RANGE, transform_range, &t);
    else memcpy(*values, x->values, (size_t)x->nnz * sizeof **values);
done:
    return st;
}

/* ------------------------------------------------------------------------------------- mean and variance */

/* Sums by gene in column 0 of `partial`. */
static void sum_chunk(void *arg, int64_t chunk)
{
    cells *s = arg;
    const iso_csr *x = s->x;
    double *sum = s->partial + chunk * x->n_cols * W;
    for (int64_t e = x->indptr[s->begin[chunk]]; e < x->indptr[s->begin[chunk + 1]]; e++)
        sum[x->indices[e] * W] += (double)s->values[e];
}

/* Squared distances from the mean in column 1 of `partial`, how many values in column 2. */
static void square_chunk(void *arg, int64_t chunk)
{
    cells *s = arg;
    const iso_csr *x = s->x;
    double *sum = s->partial + chunk * x->n_cols * W;
    for (int64_t e = x->indptr[s->begin[chunk]]; e < x->indptr[s->begin[chunk + 1]]; e++) {
        double d = (double)s->values[e] - s->mean[x->indices[e]];
        sum[x->indices[e] * W + 1] += d * d;
        sum[x->indices[e] * W + 2] += 1;
    }
}

static double over_chunks(const cells *s, int64_t gene, int column)
{
    double sum = 0;
    for (int64_t c = 0; c < s->n_chunks; c++) sum += s->partial[(c * s->x->n_cols + gene) * W + column];
    return sum;
}

static void cut_chunks(cells *s)
{
    const iso_csr *x = s->x;
    int64_t row = 0;
    for (int64_t c = 1; c < s->n_chunks; c++) {
        while (row < x->n_rows && x->indptr[row] < x->nnz / s->n_chunks * c) row++;
        s->begin[c] = row;
    }
    s->begin[s->n_chunks] = x->n_rows;
}

static iso_status open_cells(iso_env *env, const iso_csr *x, bool log1p_data, cells *s, double *total_variance,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = x->n_cols, n = x->n_rows;
    *s = (cells){.x = x, .n_chunks = x->nnz / CHUNK_VALUES + 1};
    if (s->n_chunks > MAX_CHUNKS) s->n_chunks = MAX_CHUNKS;
    TRY(transform_values(env, x, log1p_data, &s->values, err));
    ALLOC(s->begin, s->n_chunks + 1, sizeof *s->begin);
    ALLOC(s->mean, G, sizeof *s->mean);
    ALLOC(s->partial, s->n_chunks * G, W * sizeof *s->partial);
    cut_chunks(s);
    iso_parallel(env, s->n_chunks, sum_chunk, s);
    for (int64_t g = 0; n > 0 && g < G; g++) s->mean[g] = over_chunks(s, g, 0) / (double)n;
    iso_parallel(env, s->n_chunks, square_chunk, s);
    *total_variance = 0;
    for (int64_t g = 0; n > 1 && g < G; g++) {
        double zeros = (double)n - over_chunks(s, g, 2);
        *total_variance += (over_chunks(s, g, 1) + zeros * s->mean[g] * s->mean[g]) / (double)(n - 1);
    }
    FAIL_IF(!isfinite(*total_variance), ISO_EDATA, "principal components: the data holds values that are not finite%s",
            log1p_data ? ", or negative ones, which no counts are" : "");
done:
    return st;
}

static void close_cells(cells *s)
{
    iso_free(s->values);
    iso_free(s->begin);
    iso_free(s->mean);
    iso_free(s->partial);
}

/* ------------------------------------------------------------------------------------------- product S q */

static void product_chunk(void *arg, int64_t chunk)
{
    cells *s = arg;
    const int64_t *indptr = s->x->indptr;
    const int32_t *indices = s->x->indices;
    const float *values = s->values;
    const double *q = s->q;
    double *sum = s->partial + chunk * s->x->n_cols * W;
    memset(sum, 0, (size_t)(s->x->n_cols * W) * sizeof *sum);
    for (int64_t i = s->begin[chunk]; i < s->begin[chunk + 1]; i++) {
        double y[W];
        for (int k = 0; k < W; k++) y[k] = -s->shift[k];
        for (int64_t e = indptr[i]; e < indptr[i + 1]; e++) {
            const double v = (double)values[e], *from = q + (int64_t)indices[e] * W;
            for (int k = 0; k < W; k++) y[k] += v * from[k];
        }
        for (int64_t e = indptr[i]; e < indptr[i + 1]; e++) {
            const double v = (double)values[e];
            double *to = sum + (int64_t)indices[e] * W;
            for (int k = 0; k < W; k++) to[k] += v * y[k];
        }
    }
}

static void product_genes(void *arg, int64_t range)
{
    cells *s = arg;
    int64_t G = s->x->n_cols, end = (range + 1) * GENE_RANGE < G ? (range + 1) * GENE_RANGE : G;
    double scale = s->x->n_rows > 1 ? 1 / (double)(s->x->n_rows - 1) : 0;
    for (int64_t g = range * GENE_RANGE; g < end; g++)
        for (int k = 0; k < W; k++) s->out[g * W + k] = over_chunks(s, g, k) * scale;
}

static void product(void *arg, iso_env *env, const double *q, double *out)
{
    cells *s = arg;
    int64_t G = s->x->n_cols;
    s->q = q, s->out = out;
    for (int k = 0; k < W; k++) {
        s->shift[k] = 0;
        for (int64_t g = 0; g < G; g++) s->shift[k] += s->mean[g] * q[g * W + k];
    }
    iso_parallel(env, s->n_chunks, product_chunk, s);
    iso_parallel(env, (G + GENE_RANGE - 1) / GENE_RANGE, product_genes, s);
}

/* ---------------------------------------------------------------------------------------------- fit */

/* Component c of vectors [genes, k], its largest entry made positive. */
static void take_loading(const double *vectors, int64_t G, int k, int c, float *loading)
{
    float most = 0;
    for (int64_t g = 0; g < G; g++) {
        loading[g] = (float)vectors[g * k + c];
        if (fabsf(loading[g]) > fabsf(most)) most = loading[g];
    }
    for (int64_t g = 0; g < G; g++) loading[g] *= copysignf(1, most);
}

iso_status iso_pca_fit(iso_env *env, const iso_csr *x, bool log1p_data, int k, uint64_t seed, iso_pca_model *out,
                       iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = x->n_cols, rank = x->n_rows - 1 < G ? x->n_rows - 1 : G;
    cells s = {0};
    double *vectors = NULL, kept = 0;
    *out = (iso_pca_model){.n_genes = G, .k = k, .log1p = log1p_data};
    FAIL_IF(k < 1 || k > G, ISO_EUSAGE, "%d principal components asked for of %lld genes", k, (long long)G);
    ALLOC(out->mean, G, sizeof *out->mean);
    ALLOC(out->loadings, k * G, sizeof *out->loadings);
    ALLOC(out->variance, k, sizeof *out->variance);
    ALLOC(vectors, k * G, sizeof *vectors);
    TRY(open_cells(env, x, log1p_data, &s, &out->total_variance, err));
    krylov_operator covariance = {G, product, &s};
    TRY(krylov_leading(env, &covariance, k, seed, out->variance, vectors, err));
    for (int64_t g = 0; g < G; g++) out->mean[g] = (float)s.mean[g];
    for (int c = 0; c < k; c++) {
        take_loading(vectors, G, k, c, out->loadings + c * G);
        out->variance[c] = fmax(out->variance[c], 0);
        kept += out->variance[c];
    }
    out->noise = rank > k ? fmax(out->total_variance - kept, 0) / (double)(rank - k) : 0;
done:
    iso_free(vectors);
    close_cells(&s);
    if (st != ISO_OK) iso_pca_clear(out);
    return st;
}

/* -------------------------------------------------------------------------------------------- transform */

typedef struct projection {
    const iso_csr *x;
    const float *values;          /* [nnz] transformed */
    const float *loadings;        /* [genes, stride] */
    const double *shift;          /* [stride] components of the mean */
    float *scores;                /* [cells, k] */
    int64_t k, stride;            /* k, and k rounded up to a multiple of LANES */
} projection;

static void project_range(void *arg, int64_t range)
{
    const projection *a = arg;
    const iso_csr *x = a->x;
    int64_t end = (range + 1) * CELL_RANGE < x->n_rows ? (range + 1) * CELL_RANGE : x->n_rows;
    for (int64_t i = range * CELL_RANGE; i < end; i++)
        for (int64_t from = 0; from < a->k; from += LANES) {
            double sum[LANES];
            for (int c = 0; c < LANES; c++) sum[c] = -a->shift[from + c];
            for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
                const float *loading = a->loadings + x->indices[e] * a->stride + from;
                const double v = (double)a->values[e];
                for (int c = 0; c < LANES; c++) sum[c] += v * (double)loading[c];
            }
            for (int c = 0; c < LANES && from + c < a->k; c++) a->scores[i * a->k + from + c] = (float)sum[c];
        }
}

iso_status iso_pca_transform(iso_env *env, const iso_pca_model *p, const iso_csr *x, float *scores, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = p->n_genes, stride = (p->k + LANES - 1) / LANES * LANES;
    float *values = NULL, *loadings = NULL;
    double *shift = NULL;
    FAIL_IF(x->n_cols != G, ISO_EUSAGE, "principal components of %lld genes cannot be taken of data with %lld",
            (long long)G, (long long)x->n_cols);
    TRY(transform_values(env, x, p->log1p, &values, err));
    ALLOC(loadings, stride * G, sizeof *loadings);
    ALLOC(shift, stride, sizeof *shift);
    for (int64_t c = 0; c < p->k; c++)
        for (int64_t g = 0; g < G; g++) {
            loadings[g * stride + c] = p->loadings[c * G + g];
            shift[c] += (double)p->mean[g] * (double)p->loadings[c * G + g];
        }
    projection a = {x, values, loadings, shift, scores, p->k, stride};
    iso_parallel(env, (x->n_rows + CELL_RANGE - 1) / CELL_RANGE, project_range, &a);
done:
    iso_free(values);
    iso_free(loadings);
    iso_free(shift);
    return st;
}

void iso_pca_inverse(const iso_pca_model *p, const float *z, float *y)
{
    for (int64_t g = 0; g < p->n_genes; g++) {
        double v = (double)p->mean[g];
        for (int k = 0; k < p->k; k++) v += (double)z[k] * (double)p->loadings[k * p->n_genes + g];
        y[g] = (float)v;
    }
}

void iso_pca_clear(iso_pca_model *p)
{
    iso_free(p->mean);
    iso_free(p->loadings);
    iso_free(p->variance);
    *p = (iso_pca_model){0};
}
