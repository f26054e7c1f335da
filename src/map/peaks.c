/* peaks.c: see peaks.h. */
#include "peaks.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLOUDS = 9, DRAW_CLOUD = 40 };

typedef struct ranked { double log_q; int64_t cell; } ranked;

static int falling(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->log_q != y->log_q) return (x->log_q < y->log_q) - (x->log_q > y->log_q);
    return (x->cell > y->cell) - (x->cell < y->cell);
}

typedef struct hills {
    int64_t *rank;                /* [n] place of each cell by falling density */
    int64_t *parent;              /* [n] union-find; -1: not reached yet; the root is the summit of the hill */
    double *persistence;          /* [n] of summits that were merged; else HUGE_VAL */
} hills;

static int64_t root(int64_t *parent, int64_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

/* Cell i is reached: it joins the highest hill that it touches, and lower ones that end here and are low enough join it. */
static void reach(const iso_knn *knn, const double *log_q, double least, hills *h, int64_t i)
{
    int64_t home = i;
    h->parent[i] = i;
    for (int j = 0; j < knn->k; j++) {                         /* the hill of the highest neighbour */
        int64_t o = knn->index[i * knn->k + j];
        if (h->parent[o] >= 0 && o != i && (home == i || h->rank[o] < h->rank[home])) home = o;
    }
    if (home == i) return;
    h->parent[i] = root(h->parent, home);
    for (int j = 0; j < knn->k; j++) {
        int64_t o = knn->index[i * knn->k + j];
        if (h->parent[o] < 0) continue;
        int64_t a = root(h->parent, o), b = root(h->parent, i);
        int64_t high = h->rank[a] < h->rank[b] ? a : b, low = high == a ? b : a;
        double tall = log_q[low] - log_q[i];
        if (a == b || tall >= least) continue;
        h->parent[low] = high;
        h->persistence[low] = tall;
    }
}

static void reach_all(const iso_knn *knn, const double *log_q, const ranked *order, double least, hills *h)
{
    for (int64_t i = 0; i < knn->n; i++) h->parent[i] = -1, h->persistence[i] = HUGE_VAL;
    for (int64_t r = 0; r < knn->n; r++) reach(knn, log_q, least, h, order[r].cell);
}

static int by_height(const void *a, const void *b)
{
    const iso_peak *x = a, *y = b;
    if (x->log_density != y->log_density) return (x->log_density < y->log_density) - (x->log_density > y->log_density);
    return (x->cell > y->cell) - (x->cell < y->cell);
}

iso_status iso_peaks_find(const iso_knn *knn, const double *log_q, double least, iso_peak *peaks, int64_t *n_peaks, int32_t *hill,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = knn->n, *number = NULL;
    double *tall = NULL;
    ranked *order = NULL;
    hills h = {0};
    ALLOC(order, n, sizeof *order);
    ALLOC(number, n, sizeof *number);
    ALLOC(tall, n, sizeof *tall);
    ALLOC(h.rank, n, sizeof *h.rank);
    ALLOC(h.parent, n, sizeof *h.parent);
    ALLOC(h.persistence, n, sizeof *h.persistence);
    for (int64_t i = 0; i < n; i++) order[i] = (ranked){log_q[i], i};
    qsort(order, (size_t)n, sizeof *order, falling);
    for (int64_t r = 0; r < n; r++) h.rank[order[r].cell] = r;
    reach_all(knn, log_q, order, HUGE_VAL, &h);              /* how tall each hill is */
    memcpy(tall, h.persistence, (size_t)n * sizeof *tall);
    reach_all(knn, log_q, order, least, &h);                 /* which cells are on it */
    *n_peaks = 0;
    for (int64_t i = 0; i < n; i++)
        if (h.parent[i] == i) peaks[(*n_peaks)++] = (iso_peak){i, log_q[i], tall[i]};
    qsort(peaks, (size_t)*n_peaks, sizeof *peaks, by_height);
    for (int64_t p = 0; p < *n_peaks; p++) number[peaks[p].cell] = p;
    for (int64_t i = 0; hill && i < n; i++) hill[i] = (int32_t)number[root(h.parent, i)];
done:
    iso_free(order);
    iso_free(number);
    iso_free(tall);
    iso_free(h.rank);
    iso_free(h.parent);
    iso_free(h.persistence);
    return st;
}

void iso_peaks_density(const iso_knn *knn, int64_t d, double *log_q)
{
    for (int64_t i = 0; i < knn->n; i++) {
        double far = 0;
        for (int j = 0; j < knn->k; j++) far = fmax(far, (double)knn->distance[i * knn->k + j]);
        log_q[i] = -(double)d * log(fmax(far, 1e-12));
    }
}

/* ------------------------------------------------------------------------------ what chance does */

/* lower [d, d]: the Cholesky factor of the covariance of z [n, d], with a little added to its diagonal. mean [d]. */
static void factor_covariance(const float *z, int64_t n, int64_t d, double *mean, double *lower)
{
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(lower, 0, (size_t)(d * d) * sizeof *lower);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++) mean[k] += (double)z[i * d + k] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < d; a++)
            for (int64_t b = 0; b <= a; b++)
                lower[a * d + b] += ((double)z[i * d + a] - mean[a]) * ((double)z[i * d + b] - mean[b]) / (double)n;
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b <= a; b++) {
            double sum = lower[a * d + b];
            for (int64_t k = 0; k < b; k++) sum -= lower[a * d + k] * lower[b * d + k];
            lower[a * d + b] = a == b ? sqrt(fmax(sum, 0) + 1e-12) : sum / lower[b * d + b];
        }
}

static void draw_cloud(const double *mean, const double *lower, int64_t n, int64_t d, uint64_t seed, uint32_t cloud, double *normal, float *z)
{
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_MAP, DRAW_CLOUD + cloud}, (uint64_t)i);
        for (int64_t k = 0; k < d; k++) normal[k] = iso_rng_normal(&r);
        for (int64_t a = 0; a < d; a++) {
            double x = mean[a];
            for (int64_t b = 0; b <= a; b++) x += lower[a * d + b] * normal[b];
            z[i * d + a] = (float)x;
        }
    }
}

/* Raises *persistence to that of the second highest hill of a cloud. */
static iso_status second_hill(iso_env *env, const float *z, int64_t n, int64_t d, int k, double *persistence, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_knn knn = {0};
    int64_t n_peaks;
    double *log_q = NULL;
    iso_peak *peaks = NULL;
    ALLOC(log_q, n, sizeof *log_q);
    ALLOC(peaks, n, sizeof *peaks);
    TRY(iso_knn_build(env, z, n, d, k, 0, &knn, err));
    iso_peaks_density(&knn, d, log_q);
    TRY(iso_peaks_find(&knn, log_q, 0, peaks, &n_peaks, NULL, err));
    for (int64_t p = 0; p < n_peaks; p++)
        if (peaks[p].persistence < HUGE_VAL && peaks[p].persistence > *persistence) *persistence = peaks[p].persistence;
done:
    iso_knn_clear(&knn);
    iso_free(log_q);
    iso_free(peaks);
    return st;
}

iso_status iso_peaks_null(iso_env *env, const float *z, int64_t n, int64_t d, int k, uint64_t seed, double *persistence, iso_error *err)
{
    iso_status st = ISO_OK;
    double *mean = NULL, *lower = NULL, *normal = NULL;
    float *cloud = NULL;
    ALLOC(mean, d, sizeof *mean);
    ALLOC(lower, d * d, sizeof *lower);
    ALLOC(normal, d, sizeof *normal);
    ALLOC(cloud, n * d, sizeof *cloud);
    factor_covariance(z, n, d, mean, lower);
    *persistence = 0;
    for (uint32_t c = 0; c < CLOUDS; c++) {
        draw_cloud(mean, lower, n, d, seed, c, normal, cloud);
        TRY(second_hill(env, cloud, n, d, k, persistence, err));
    }
done:
    iso_free(mean);
    iso_free(lower);
    iso_free(normal);
    iso_free(cloud);
    return st;
}
