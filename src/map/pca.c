/* pca.c: principal components of sparse data, never made dense.
 *
 * A block Krylov method (Musco & Musco 2015, arXiv:1504.05477): the space of S Q, S^2 Q, ... for a random Q [genes, p], S = (X - 1 m')'(X - 1 m'),
 * each block made orthonormal against those before; the eigenvectors of S within that space (Rayleigh-Ritz) are the
 * loadings. Sums are in double and in fixed order. */
#include "base/rng.h"
#include "eigen.h"
#include "map.h"

#include <math.h>
#include <string.h>

enum { EXTRA = 8, BLOCKS = 7, MAX_SPACE = 420, ROWS = 64, COLUMNS = 128 };

/* The transformed matrix by rows and by columns. */
typedef struct scaled {
    const iso_csr *x;
    float *values;                /* [nnz] */
    int64_t *colptr;              /* [genes + 1] */
    int32_t *col_rows;            /* [nnz] */
    float *col_values;            /* [nnz] */
    double *mean;                 /* [genes] */
    /* of the product at hand */
    int64_t p;
    const double *q;              /* [p, genes] */
    double *t;                    /* [cells, p] */
    double *out;                  /* [p, genes] */
    double *shift, *sum;          /* [p] m'q; column sums of t */
} scaled;

static void transform(const iso_csr *x, bool log1p_data, float *values)
{
    for (int64_t i = 0; i < x->n_rows; i++) {
        double total = 0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) total += (double)x->values[e];
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            values[e] = !log1p_data ? x->values[e] : total > 0 ? (float)log1p(fmax(0, 1e4 * (double)x->values[e] / total)) : 0;
    }
}

static iso_status open_scaled(const iso_csr *x, bool log1p_data, scaled *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *at = NULL, G = x->n_cols;
    s->x = x;
    ALLOC(s->values, x->nnz, sizeof *s->values);
    ALLOC(s->colptr, G + 1, sizeof *s->colptr);
    ALLOC(s->col_rows, x->nnz, sizeof *s->col_rows);
    ALLOC(s->col_values, x->nnz, sizeof *s->col_values);
    ALLOC(s->mean, G, sizeof *s->mean);
    ALLOC(at, G + 1, sizeof *at);
    transform(x, log1p_data, s->values);
    for (int64_t e = 0; e < x->nnz; e++) s->colptr[x->indices[e] + 1]++;
    for (int64_t g = 0; g < G; g++) s->colptr[g + 1] += s->colptr[g];
    memcpy(at, s->colptr, (size_t)(G + 1) * sizeof *at);
    for (int64_t i = 0; i < x->n_rows; i++)
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int64_t g = x->indices[e];
            s->col_rows[at[g]] = (int32_t)i, s->col_values[at[g]++] = s->values[e];
            s->mean[g] += (double)s->values[e] / (double)x->n_rows;
        }
done:
    iso_free(at);
    return st;
}

static void close_scaled(scaled *s)
{
    iso_free(s->values);
    iso_free(s->colptr);
    iso_free(s->col_rows);
    iso_free(s->col_values);
    iso_free(s->mean);
    iso_free(s->t);
    iso_free(s->shift);
    iso_free(s->sum);
}

/* t = (X - 1 m') q, for a block of cells. */
static void forward_block(void *arg, int64_t block)
{
    const scaled *s = arg;
    int64_t end = (block + 1) * ROWS < s->x->n_rows ? (block + 1) * ROWS : s->x->n_rows;
    for (int64_t i = block * ROWS; i < end; i++)
        for (int64_t k = 0; k < s->p; k++) {
            const double *q = s->q + k * s->x->n_cols;
            double sum = -s->shift[k];
            for (int64_t e = s->x->indptr[i]; e < s->x->indptr[i + 1]; e++) sum += (double)s->values[e] * q[s->x->indices[e]];
            s->t[i * s->p + k] = sum;
        }
}

/* out = (X - 1 m')' t, for a block of genes. */
static void backward_block(void *arg, int64_t block)
{
    const scaled *s = arg;
    int64_t G = s->x->n_cols, end = (block + 1) * COLUMNS < G ? (block + 1) * COLUMNS : G;
    for (int64_t g = block * COLUMNS; g < end; g++) {
        for (int64_t k = 0; k < s->p; k++) s->out[k * G + g] = -s->mean[g] * s->sum[k];
        for (int64_t e = s->colptr[g]; e < s->colptr[g + 1]; e++) {
            const double *t = s->t + s->col_rows[e] * s->p;
            for (int64_t k = 0; k < s->p; k++) s->out[k * G + g] += (double)s->col_values[e] * t[k];
        }
    }
}

/* out = S q for the p rows of q. */
static void apply(iso_env *env, scaled *s, const double *q, double *out)
{
    int64_t G = s->x->n_cols, n = s->x->n_rows;
    s->q = q, s->out = out;
    for (int64_t k = 0; k < s->p; k++) {
        s->shift[k] = s->sum[k] = 0;
        for (int64_t g = 0; g < G; g++) s->shift[k] += s->mean[g] * q[k * G + g];
    }
    iso_parallel(env, (n + ROWS - 1) / ROWS, forward_block, s);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < s->p; k++) s->sum[k] += s->t[i * s->p + k];
    iso_parallel(env, (G + COLUMNS - 1) / COLUMNS, backward_block, s);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double lane[8] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += a[i + k] * b[i + k];
    for (; i < n; i++) sum += a[i] * b[i];
    for (int k = 0; k < 8; k++) sum += lane[k];
    return sum;
}

/* Makes rows from..from+p-1 of q [*, G] orthonormal to those before and to each other (Gram-Schmidt, twice); rows that vanish are left
 * out. Returns how many remain. */
static int64_t orthonormalize(double *q, int64_t from, int64_t p, int64_t G)
{
    int64_t kept = from;
    for (int64_t k = from; k < from + p; k++) {
        double *row = q + k * G, before = sqrt(dot(row, row, G));
        for (int twice = 0; twice < 2; twice++)
            for (int64_t j = 0; j < kept; j++) {
                double c = dot(row, q + j * G, G);
                for (int64_t g = 0; g < G; g++) row[g] -= c * q[j * G + g];
            }
        double norm = sqrt(dot(row, row, G));
        if (!(norm > 1e-10 * before) || !(norm > 0)) continue;
        for (int64_t g = 0; g < G; g++) q[kept * G + g] = row[g] / norm;
        kept++;
    }
    return kept - from;
}

static void fix_sign(float *loading, int64_t G)
{
    int64_t most = 0;
    for (int64_t g = 0; g < G; g++)
        if (fabsf(loading[g]) > fabsf(loading[most])) most = g;
    if (G == 0 || loading[most] >= 0) return;
    for (int64_t g = 0; g < G; g++) loading[g] = -loading[g];
}

/* Rayleigh-Ritz in the space of the m rows of q; sq = S q. */
static iso_status extract(const double *q, const double *sq, int64_t m, int64_t n_cells, iso_pca_model *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = out->n_genes;
    double *small = NULL, *values = NULL, *vectors = NULL;
    ALLOC(small, m * m, sizeof *small);
    ALLOC(values, m, sizeof *values);
    ALLOC(vectors, m * m, sizeof *vectors);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++) small[i * m + j] = small[j * m + i] = dot(q + i * G, sq + j * G, G);
    eigen_symmetric(small, m, values, vectors);
    for (int64_t k = 0; k < out->k && k < m; k++) {
        out->variance[k] = fmax(values[k], 0) / (double)(n_cells > 1 ? n_cells - 1 : 1);
        for (int64_t g = 0; g < G; g++) {
            double sum = 0;
            for (int64_t j = 0; j < m; j++) sum += vectors[k * m + j] * q[j * G + g];
            out->loadings[k * G + g] = (float)sum;
        }
        fix_sign(out->loadings + k * G, G);
    }
done:
    iso_free(small);
    iso_free(values);
    iso_free(vectors);
    return st;
}

static iso_status krylov(iso_env *env, scaled *s, int64_t p, uint64_t seed, iso_pca_model *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = out->n_genes, rank = s->x->n_rows < G ? s->x->n_rows : G, room = p * BLOCKS < rank ? p * BLOCKS : rank + p, m = 0;
    double *q = NULL, *sq = NULL;
    if (room > MAX_SPACE + p) room = MAX_SPACE + p;
    ALLOC(q, (room + p) * G, sizeof *q);
    ALLOC(sq, (room + p) * G, sizeof *sq);
    ALLOC(s->t, s->x->n_rows * p, sizeof *s->t);
    ALLOC(s->shift, p, sizeof *s->shift);
    ALLOC(s->sum, p, sizeof *s->sum);
    for (int64_t k = 0; k < p; k++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_MAP, 3}, (uint64_t)k);
        for (int64_t g = 0; g < G; g++) q[k * G + g] = iso_rng_normal(&r);
    }
    for (int64_t wanted = p; wanted > 0 && m + wanted <= room;) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        int64_t got = orthonormalize(q, m, wanted, G);
        s->p = got;
        if (got) apply(env, s, q + m * G, sq + m * G);
        m += got;
        memcpy(q + m * G, sq + (m - got) * G, (size_t)(got * G) * sizeof *q);
        wanted = got;
    }
    TRY(extract(q, sq, m, s->x->n_rows, out, err));
done:
    iso_free(q);
    iso_free(sq);
    return st;
}

iso_status iso_pca_fit(iso_env *env, const iso_csr *x, bool log1p_data, int k, uint64_t seed, iso_pca_model *out, iso_error *err)
{
    iso_status st = ISO_OK;
    scaled s = {0};
    int64_t G = x->n_cols, n = x->n_rows, rank = n - 1 < G ? n - 1 : G;
    double kept = 0;
    *out = (iso_pca_model){.n_genes = G, .k = k, .log1p = log1p_data};
    FAIL_IF(k < 1 || k > G, ISO_EUSAGE, "%d principal components of %lld genes", k, (long long)G);
    TRY(open_scaled(x, log1p_data, &s, err));
    ALLOC(out->mean, G, sizeof *out->mean);
    ALLOC(out->loadings, k * G, sizeof *out->loadings);
    ALLOC(out->variance, k, sizeof *out->variance);
    for (int64_t g = 0; g < G; g++) {
        double square = 0;
        out->mean[g] = (float)s.mean[g];
        for (int64_t e = s.colptr[g]; e < s.colptr[g + 1]; e++) {
            double d = (double)s.col_values[e] - s.mean[g];
            square += d * d;
        }
        square += (double)(n - (s.colptr[g + 1] - s.colptr[g])) * s.mean[g] * s.mean[g];
        out->total_variance += square / (double)(n > 1 ? n - 1 : 1);
    }
    TRY(krylov(env, &s, k + EXTRA < G ? k + EXTRA : G, seed, out, err));
    for (int j = 0; j < k; j++) kept += out->variance[j];
    out->noise = rank > k ? fmax(out->total_variance - kept, 0) / (double)(rank - k) : 0;
done:
    close_scaled(&s);
    if (st) iso_pca_clear(out);
    return st;
}

typedef struct projection { const iso_pca_model *p; const iso_csr *x; const double *shift; float *scores; } projection;

static void project_block(void *arg, int64_t block)
{
    const projection *a = arg;
    const iso_pca_model *p = a->p;
    int64_t end = (block + 1) * ROWS < a->x->n_rows ? (block + 1) * ROWS : a->x->n_rows;
    for (int64_t i = block * ROWS; i < end; i++) {
        double total = 0;
        for (int64_t e = a->x->indptr[i]; e < a->x->indptr[i + 1]; e++) total += (double)a->x->values[e];
        for (int k = 0; k < p->k; k++) {
            double sum = -a->shift[k];
            for (int64_t e = a->x->indptr[i]; e < a->x->indptr[i + 1]; e++) {
                double v = (double)a->x->values[e];
                if (p->log1p) v = total > 0 ? log1p(fmax(0, 1e4 * v / total)) : 0;
                sum += v * (double)p->loadings[k * p->n_genes + a->x->indices[e]];
            }
            a->scores[i * p->k + k] = (float)sum;
        }
    }
}

iso_status iso_pca_transform(iso_env *env, const iso_pca_model *p, const iso_csr *x, float *scores, iso_error *err)
{
    iso_status st = ISO_OK;
    double *shift = NULL;
    FAIL_IF(x->n_cols != p->n_genes, ISO_EUSAGE, "principal components of %lld genes cannot be taken of %lld", (long long)p->n_genes, (long long)x->n_cols);
    ALLOC(shift, p->k, sizeof *shift);
    for (int k = 0; k < p->k; k++)
        for (int64_t g = 0; g < p->n_genes; g++) shift[k] += (double)p->mean[g] * (double)p->loadings[k * p->n_genes + g];
    projection a = {p, x, shift, scores};
    iso_parallel(env, (x->n_rows + ROWS - 1) / ROWS, project_block, &a);
done:
    iso_free(shift);
    return st;
}

void iso_pca_clear(iso_pca_model *p)
{
    iso_free(p->mean);
    iso_free(p->loadings);
    iso_free(p->variance);
    *p = (iso_pca_model){0};
}
