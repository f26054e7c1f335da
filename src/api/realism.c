/* realism.c: see realism.h. */
#include "realism.h"

#include "generate.h"
#include "io/csr.h"
#include "map/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 50, MOST_FITTED = 20000, MOST_CELLS = 1000, LEAST_CELLS = 20, PAIRED_GENES = 100 };

/* ------------------------------------------------------------------------------------- telling apart */

/* Scores [n, k] of rows [n] (NULL: the first n) of y. */
static iso_status score_rows(iso_env *env, const iso_pca_model *pca, const iso_csr *y, const int64_t *rows, int64_t n, float *scores, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr some = {0};
    int64_t *first = NULL;
    ALLOC(first, n, sizeof *first);
    for (int64_t i = 0; i < n; i++) first[i] = i;
    TRY(csr_take_rows(y, rows ? rows : first, n, &some, err));
    TRY(iso_pca_transform(env, pca, &some, scores, err));
done:
    iso_csr_clear(&some);
    iso_free(first);
    return st;
}

/* Of at most MOST_FITTED cells, evenly spaced. */
static iso_status fit_components(iso_env *env, const iso_csr *x, bool log1p, int k, uint64_t seed, iso_pca_model *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr some = {0};
    int64_t *rows = NULL;
    if (x->n_rows <= MOST_FITTED) return iso_pca_fit(env, x, log1p, k, seed, out, err);
    ALLOC(rows, MOST_FITTED, sizeof *rows);
    for (int64_t i = 0; i < MOST_FITTED; i++) rows[i] = i * x->n_rows / MOST_FITTED;
    TRY(csr_take_rows(x, rows, MOST_FITTED, &some, err));
    TRY(iso_pca_fit(env, &some, log1p, k, seed, out, err));
done:
    iso_csr_clear(&some);
    iso_free(rows);
    return st;
}

iso_status iso_real_new(iso_env *env, const iso_csr *x, bool log1p, const int64_t *rows, int64_t n, uint64_t seed, iso_real *out,
                        iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_real){.n = n, .k = x->n_cols < FEATURES ? (int)x->n_cols : FEATURES};
    if (out->k > x->n_rows - 1) out->k = (int)x->n_rows - 1;
    TRY(fit_components(env, x, log1p, out->k, seed, &out->pca, err));
    ALLOC(out->scores, n * out->k, sizeof *out->scores);
    TRY(score_rows(env, &out->pca, x, rows, n, out->scores, err));
done:
    if (st) iso_real_clear(out);
    return st;
}

void iso_real_clear(iso_real *r)
{
    iso_pca_clear(&r->pca);
    iso_free(r->scores);
    *r = (iso_real){0};
}

iso_status iso_real_auc(iso_env *env, const iso_real *r, const iso_csr *y, const int64_t *rows, int64_t n, uint64_t seed, double *auc,
                        iso_error *err)
{
    iso_status st = ISO_OK;
    float *others = NULL;
    ALLOC(others, n * r->k, sizeof *others);
    TRY(score_rows(env, &r->pca, y, rows, n, others, err));
    TRY(iso_two_sample_auc(env, r->scores, r->n, others, n, r->k, seed, auc, err));
done:
    iso_free(others);
    return st;
}

/* ------------------------------------------------------------------------------------ gene by gene */

/* Of log1p counts per 10,000: mean, standard deviation; share of zeros [genes]; correlations of pairs of some genes. */
typedef struct portrait { double *mean, *deviation, *zeros, *pairs; } portrait;

static void portrait_clear(portrait *p)
{
    iso_free(p->mean);
    iso_free(p->deviation);
    iso_free(p->zeros);
    iso_free(p->pairs);
}

static double per_count(const iso_csr *x, int64_t row)
{
    double total = 0;
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) total += (double)x->values[e];
    return total > 0 ? 1e4 / total : 0;
}

/* The dense profile of some genes: out [n_genes], slot [x->n_cols] their places or -1. */
static void take_genes(const iso_csr *x, int64_t row, const int32_t *slot, int n_genes, double *out)
{
    double per = per_count(x, row);
    memset(out, 0, (size_t)n_genes * sizeof *out);
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++)
        if (slot[x->indices[e]] >= 0) out[slot[x->indices[e]]] = log1p((double)x->values[e] * per);
}

/* p->pairs [n_genes, n_genes] from sums of products. */
static iso_status correlate(const iso_csr *x, const int64_t *rows, int64_t n, const int32_t *slot, int n_genes, portrait *p, iso_error *err)
{
    iso_status st = ISO_OK;
    double *y = NULL, *sum = NULL, *product = NULL;
    ALLOC(y, n_genes, sizeof *y);
    ALLOC(sum, n_genes, sizeof *sum);
    ALLOC(product, n_genes * n_genes, sizeof *product);
    ALLOC(p->pairs, n_genes * n_genes, sizeof *p->pairs);
    for (int64_t i = 0; i < n; i++) {
        take_genes(x, rows ? rows[i] : i, slot, n_genes, y);
        for (int a = 0; a < n_genes; a++) {
            sum[a] += y[a];
            for (int b = 0; b <= a && y[a] != 0; b++) product[a * n_genes + b] += y[a] * y[b];
        }
    }
    for (int a = 0; a < n_genes; a++)
        for (int b = 0; b < a; b++) {
            double N = (double)n, cov = product[a * n_genes + b] - sum[a] * sum[b] / N;
            double va = product[a * n_genes + a] - sum[a] * sum[a] / N, vb = product[b * n_genes + b] - sum[b] * sum[b] / N;
            p->pairs[a * n_genes + b] = va > 0 && vb > 0 ? cov / sqrt(va * vb) : 0;
        }
done:
    iso_free(y);
    iso_free(sum);
    iso_free(product);
    return st;
}

/* Of the cells rows [n] of x (NULL: the first n). */
static iso_status paint(const iso_csr *x, const int64_t *rows, int64_t n, portrait *p, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = x->n_cols;
    ALLOC(p->mean, G, sizeof *p->mean);
    ALLOC(p->deviation, G, sizeof *p->deviation);
    ALLOC(p->zeros, G, sizeof *p->zeros);
    for (int64_t g = 0; g < G; g++) p->zeros[g] = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = rows ? rows[i] : i;
        double per = per_count(x, row);
        for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
            double y = log1p((double)x->values[e] * per);
            p->mean[x->indices[e]] += y / (double)n;
            p->deviation[x->indices[e]] += y * y / (double)n;
            p->zeros[x->indices[e]] -= 1 / (double)n;
        }
    }
    for (int64_t g = 0; g < G; g++) p->deviation[g] = sqrt(fmax(0, p->deviation[g] - p->mean[g] * p->mean[g]));
done:
    return st;
}

static double apart(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]) / (double)n;
    return sqrt(sum);
}

/* Correlation over the pairs below the diagonal. */
static double alike(const double *a, const double *b, int n)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0, m = (double)n * (n - 1) / 2;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            double x = a[i * n + j], y = b[i * n + j];
            sa += x, sb += y, saa += x * x, sbb += y * y, sab += x * y;
        }
    double va = saa - sa * sa / m, vb = sbb - sb * sb / m;
    return va > 0 && vb > 0 ? (sab - sa * sb / m) / sqrt(va * vb) : (double)NAN;
}

typedef struct ranked { double deviation; int32_t gene; } ranked;

static int falling(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->deviation != y->deviation) return (x->deviation < y->deviation) - (x->deviation > y->deviation);
    return x->gene - y->gene;
}

/* slot [G]: the places of the most variable genes, else -1. */
static iso_status choose_genes(const double *deviation, int64_t G, int32_t *slot, int *n, iso_error *err)
{
    iso_status st = ISO_OK;
    ranked *order = NULL;
    ALLOC(order, G, sizeof *order);
    for (int64_t g = 0; g < G; g++) order[g] = (ranked){deviation[g], (int32_t)g}, slot[g] = -1;
    qsort(order, (size_t)G, sizeof *order, falling);
    *n = G < PAIRED_GENES ? (int)G : PAIRED_GENES;
    for (int i = 0; i < *n; i++) slot[order[i].gene] = i;
done:
    iso_free(order);
    return st;
}

static iso_status keep_genes(const portrait *const portraits[3], int64_t G, iso_realism *out, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(out->gene_mean, 3 * G, sizeof *out->gene_mean);
    ALLOC(out->gene_zeros, 3 * G, sizeof *out->gene_zeros);
    out->n_genes = G;
    for (int k = 0; k < 3; k++) {
        memcpy(out->gene_mean + k * G, portraits[k]->mean, (size_t)G * sizeof *out->gene_mean);
        memcpy(out->gene_zeros + k * G, portraits[k]->zeros, (size_t)G * sizeof *out->gene_zeros);
    }
done:
    return st;
}

void iso_realism_clear(iso_realism *m)
{
    iso_free(m->gene_mean);
    iso_free(m->gene_zeros);
    *m = (iso_realism){0};
}

typedef struct sides { const iso_csr *x, *generated; const int64_t *held_out, *train; int64_t n; } sides;

static iso_status compare_genes(const sides *s, iso_realism *out, iso_error *err)
{
    iso_status st = ISO_OK;
    portrait real_cells = {0}, floor_cells = {0}, made = {0};
    int64_t G = s->x->n_cols;
    int32_t *slot = NULL;
    int n = 0;
    ALLOC(slot, G, sizeof *slot);
    TRY(paint(s->x, s->held_out, s->n, &real_cells, err));
    TRY(paint(s->x, s->train, s->n, &floor_cells, err));
    TRY(paint(s->generated, NULL, s->n, &made, err));
    TRY(choose_genes(real_cells.deviation, G, slot, &n, err));
    TRY(correlate(s->x, s->held_out, s->n, slot, n, &real_cells, err));
    TRY(correlate(s->x, s->train, s->n, slot, n, &floor_cells, err));
    TRY(correlate(s->generated, NULL, s->n, slot, n, &made, err));
    TRY(keep_genes((const portrait *const[]){&real_cells, &made, &floor_cells}, G, out, err));
    out->mean = (iso_against){apart(made.mean, real_cells.mean, G), apart(floor_cells.mean, real_cells.mean, G)};
    out->deviation = (iso_against){apart(made.deviation, real_cells.deviation, G), apart(floor_cells.deviation, real_cells.deviation, G)};
    out->zeros = (iso_against){apart(made.zeros, real_cells.zeros, G), apart(floor_cells.zeros, real_cells.zeros, G)};
    out->coexpression = (iso_against){alike(made.pairs, real_cells.pairs, n), alike(floor_cells.pairs, real_cells.pairs, n)};
done:
    iso_free(slot);
    portrait_clear(&real_cells);
    portrait_clear(&floor_cells);
    portrait_clear(&made);
    return st;
}

/* At most `most` of the cells that were trained on, or not: evenly spaced. */
static int64_t choose_cells(const iso_run_cells *r, bool train, int64_t most, int64_t *rows)
{
    int64_t of = 0, at = 0, seen = 0;
    for (int64_t i = 0; i < r->obs.n_rows; i++) of += r->is_train[i] == train;
    int64_t n = of < most ? of : most;
    for (int64_t i = 0; i < r->obs.n_rows && at < n; i++)
        if (r->is_train[i] == train && seen++ * n / of >= at) rows[at++] = i;
    return at;
}

iso_status iso_realism_of_run(iso_env *env, const iso_run_cells *r, const iso_csr *x, uint64_t seed, iso_realism *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent, *held_out = NULL, *train = NULL, *all = NULL;
    float *z = NULL;
    iso_generated g = {0};
    iso_real real_cells = {0};
    *out = (iso_realism){0};
    ALLOC(held_out, MOST_CELLS, sizeof *held_out);
    ALLOC(train, MOST_CELLS, sizeof *train);
    ALLOC(all, r->obs.n_rows, sizeof *all);
    int64_t n = choose_cells(r, false, MOST_CELLS, held_out), n_train = choose_cells(r, true, n, train);
    int64_t n_all = choose_cells(r, true, r->obs.n_rows, all);
    if (n_train < n) n = n_train;
    if (n < LEAST_CELLS || !r->variance) goto done;
    ALLOC(z, n * L, sizeof *z);
    iso_draw_posterior(r->mu, r->variance, all, n_all, n, (int)L, seed, z);
    TRY(iso_generate(env, r->model, z, n, NULL, seed, &g, err));
    TRY(iso_real_new(env, x, true, held_out, n, seed, &real_cells, err));
    TRY(iso_real_auc(env, &real_cells, &g.x, NULL, n, seed, &out->auc.generated, err));
    TRY(iso_real_auc(env, &real_cells, x, train, n, seed, &out->auc.floor, err));
    TRY(compare_genes(&(sides){x, &g.x, held_out, train, n}, out, err));
    out->n = n;
done:
    iso_free(held_out);
    iso_free(train);
    iso_free(all);
    iso_free(z);
    iso_generated_clear(&g);
    iso_real_clear(&real_cells);
    if (st) iso_realism_clear(out);
    return st;
}
