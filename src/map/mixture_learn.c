/* mixture_learn.c: groups' profiles, and how residuals of mixtures are weighed; see mixture.h. */
#include "krylov.h"
#include "mixture.h"

#include <math.h>
#include <string.h>

enum { DIRECTIONS = 10, MOST_CELLS = 4000, BLOCKS = 16, W = KRYLOV_WIDTH };
static const double PER = 1e4, LEAST_VARIANCE = 0.5;       /* counts per 10,000, squared */

typedef struct learner {
    const iso_csr *x;
    const int32_t *codes;
    int64_t K, G, n;
    int64_t *cell;                /* [n] the cells that are used */
    double *per_count;            /* [n] 10,000 / total */
    double *mean;                 /* [K, G] of counts per 10,000 over the group's cells */
    double *scale;                /* [G] 1 / sd within groups */
    double total;                 /* variance of all scaled residuals */
    double *partial;              /* [BLOCKS, G, W] */
    double *offset;               /* [K, W] scaled means times the vectors at hand */
} learner;

/* ----------------------------------------------------------------------------------- the groups */

static iso_status choose_cells(learner *l, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t of = 0, at = 0, seen = 0;
    for (int64_t i = 0; i < l->x->n_rows; i++) of += l->codes[i] >= 0 && l->codes[i] < l->K;
    FAIL_IF(of == 0, ISO_EDATA, "a mixture needs groups, and no cell is in one");
    l->n = of < MOST_CELLS ? of : MOST_CELLS;
    ALLOC(l->cell, l->n, sizeof *l->cell);
    ALLOC(l->per_count, l->n, sizeof *l->per_count);
    for (int64_t i = 0; i < l->x->n_rows && at < l->n; i++)
        if (l->codes[i] >= 0 && l->codes[i] < l->K && seen++ * l->n / of >= at) l->cell[at++] = i;
    l->n = at;
    for (int64_t c = 0; c < l->n; c++) {
        double total = 0;
        for (int64_t e = l->x->indptr[l->cell[c]]; e < l->x->indptr[l->cell[c] + 1]; e++) total += (double)l->x->values[e];
        l->per_count[c] = total > 0 ? PER / total : 0;
    }
done:
    return st;
}

/* Means, and the variance of each gene around its group's mean. */
static iso_status find_spread(learner *l, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = l->G, *size = NULL;
    double *square = NULL;
    ALLOC(size, l->K, sizeof *size);
    ALLOC(square, G, sizeof *square);
    ALLOC(l->mean, l->K * G, sizeof *l->mean);
    ALLOC(l->scale, G, sizeof *l->scale);
    for (int64_t c = 0; c < l->n; c++) size[l->codes[l->cell[c]]]++;
    for (int64_t c = 0; c < l->n; c++) {
        int64_t k = l->codes[l->cell[c]];
        for (int64_t e = l->x->indptr[l->cell[c]]; e < l->x->indptr[l->cell[c] + 1]; e++) {
            double t = (double)l->x->values[e] * l->per_count[c];
            l->mean[k * G + l->x->indices[e]] += t / (double)size[k];
            square[l->x->indices[e]] += t * t / (double)l->n;
        }
    }
    for (int64_t g = 0; g < G; g++) {
        double between = 0;
        for (int64_t k = 0; k < l->K; k++) between += (double)size[k] / (double)l->n * l->mean[k * G + g] * l->mean[k * G + g];
        double within = fmax(0, square[g] - between);
        l->scale[g] = 1 / sqrt(within + LEAST_VARIANCE);
        l->total += within * l->scale[g] * l->scale[g];
    }
done:
    iso_free(size);
    iso_free(square);
    return st;
}

/* Counts in all of each group, per 10,000: [G, K]. */
static iso_status find_profiles(const learner *l, float *profile, iso_error *err)
{
    iso_status st = ISO_OK;
    double *sum = NULL, *total = NULL;
    ALLOC(sum, l->K * l->G, sizeof *sum);
    ALLOC(total, l->K, sizeof *total);
    for (int64_t i = 0; i < l->x->n_rows; i++) {
        int64_t k = l->codes[i];
        for (int64_t e = l->x->indptr[i]; k >= 0 && k < l->K && e < l->x->indptr[i + 1]; e++) {
            sum[k * l->G + l->x->indices[e]] += (double)l->x->values[e];
            total[k] += (double)l->x->values[e];
        }
    }
    for (int64_t g = 0; g < l->G; g++)
        for (int64_t k = 0; k < l->K; k++) profile[g * l->K + k] = total[k] > 0 ? (float)(PER * sum[k * l->G + g] / total[k]) : 0;
done:
    iso_free(sum);
    iso_free(total);
    return st;
}

/* -------------------------------------------------------------------- directions within the groups */

typedef struct multiplied { learner *l; const double *q; } multiplied;

/* Part of R' R q / n of a block of cells; R: scaled residuals. */
static void multiply_block(void *arg, int64_t block)
{
    const multiplied *m = arg;
    const learner *l = m->l;
    double *out = l->partial + block * l->G * W;
    memset(out, 0, (size_t)(l->G * W) * sizeof *out);
    for (int64_t c = block * l->n / BLOCKS; c < (block + 1) * l->n / BLOCKS; c++) {
        int64_t row = l->cell[c], k = l->codes[row];
        double t[W];
        for (int w = 0; w < W; w++) t[w] = -l->offset[k * W + w];
        for (int64_t e = l->x->indptr[row]; e < l->x->indptr[row + 1]; e++) {
            int64_t g = l->x->indices[e];
            double r = (double)l->x->values[e] * l->per_count[c] * l->scale[g];
            for (int w = 0; w < W; w++) t[w] += r * m->q[g * W + w];
        }
        for (int64_t e = l->x->indptr[row]; e < l->x->indptr[row + 1]; e++) {
            int64_t g = l->x->indices[e];
            double r = (double)l->x->values[e] * l->per_count[c] * l->scale[g] / (double)l->n;
            for (int w = 0; w < W; w++) out[g * W + w] += r * t[w];
        }
        /* The means' part, mean' t, sums to 0 over the cells of a group. */
    }
}

static void multiply(void *arg, iso_env *env, const double *q, double *out)
{
    learner *l = arg;
    memset(l->offset, 0, (size_t)(l->K * W) * sizeof *l->offset);
    for (int64_t k = 0; k < l->K; k++)
        for (int64_t g = 0; g < l->G; g++)
            for (int w = 0; w < W; w++) l->offset[k * W + w] += l->mean[k * l->G + g] * l->scale[g] * q[g * W + w];
    iso_parallel(env, BLOCKS, multiply_block, &(multiplied){l, q});
    memcpy(out, l->partial, (size_t)(l->G * W) * sizeof *out);
    for (int64_t b = 1; b < BLOCKS; b++)
        for (int64_t i = 0; i < l->G * W; i++) out[i] += l->partial[b * l->G * W + i];
}

/* against = S (I - V diag(1 - rest / value) V') S profile, S = diag(scale), V the leading directions, rest the mean variance beyond. */
static void weigh(const learner *l, const float *profile, const double *values, const double *vectors, int n, float *against)
{
    double rest = l->total;
    for (int i = 0; i < n; i++) rest -= values[i];
    rest = fmax(0, rest) / (double)(l->G > n ? l->G - n : 1);
    for (int64_t k = 0; k < l->K; k++) {
        double along[DIRECTIONS] = {0};
        for (int i = 0; i < n; i++) {
            for (int64_t g = 0; g < l->G; g++) along[i] += vectors[g * n + i] * l->scale[g] * (double)profile[g * l->K + k];
            along[i] *= values[i] > rest ? 1 - rest / values[i] : 0;
        }
        for (int64_t g = 0; g < l->G; g++) {
            double p = l->scale[g] * (double)profile[g * l->K + k];
            for (int i = 0; i < n; i++) p -= vectors[g * n + i] * along[i];
            against[g * l->K + k] = (float)(l->scale[g] * p);
        }
    }
}

iso_status iso_mixture_learn(iso_env *env, const iso_csr *x, const int32_t *codes, int64_t K, uint64_t seed, iso_mixture *out, iso_error *err)
{
    iso_status st = ISO_OK;
    learner l = {.x = x, .codes = codes, .K = K, .G = x->n_cols};
    int n = x->n_cols < DIRECTIONS ? (int)x->n_cols : DIRECTIONS;
    float *profile = NULL, *against = NULL;
    double *values = NULL, *vectors = NULL;
    *out = (iso_mixture){0};
    ALLOC(profile, x->n_cols * K, sizeof *profile);
    ALLOC(against, x->n_cols * K, sizeof *against);
    ALLOC(values, n, sizeof *values);
    ALLOC(vectors, x->n_cols * n, sizeof *vectors);
    ALLOC(l.partial, BLOCKS * x->n_cols * W, sizeof *l.partial);
    ALLOC(l.offset, K * W, sizeof *l.offset);
    TRY(choose_cells(&l, err));
    TRY(find_spread(&l, err));
    TRY(find_profiles(&l, profile, err));
    TRY(krylov_leading(env, &(krylov_operator){.n = x->n_cols, .product = multiply, .arg = &l}, n, seed, values, vectors, err));
    weigh(&l, profile, values, vectors, n, against);
    TRY(iso_mixture_set(profile, against, K, x->n_cols, out, err));
done:
    iso_free(profile);
    iso_free(against);
    iso_free(values);
    iso_free(vectors);
    iso_free(l.partial);
    iso_free(l.offset);
    iso_free(l.cell);
    iso_free(l.per_count);
    iso_free(l.mean);
    iso_free(l.scale);
    return st;
}
