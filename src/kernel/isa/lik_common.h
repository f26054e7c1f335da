/* lik_common.h: what the likelihood loops share: softmax, sums, the walk over rows of dispersion parameters.
 *
 * Every law goes cell by cell, and over a cell's row of genes in a few passes that stay in cache. Loops are plain
 * element-wise C, so that compilers vectorise them; sums are passes of their own (real_sum). */
#ifndef ISO_LIK_COMMON_H
#define ISO_LIK_COMMON_H

#include "bf16.h"

enum { LIK_BLOCK = 512 };          /* genes a pass handles at a time: its temporaries stay in the first cache */

/* The least logarithm of e: 1e-38 is as good as 0. */
#define EXP_LEAST ((real)-87)

/* log library is used within this range (total counts from 4e-18 to 2e17), so that no mean overflows. */
#define LOG_LIBRARY_MAX 40.0

static inline real *scratch_row(const iso_lik_args *a, int i) { return a->scratch + i * a->x.n_cols; }

/* In lanes of real over runs of RUN elements, which are added up in double: 32 roundings of a float at most. */
static inline double real_sum(const real *restrict x, int64_t n)
{
    enum { LANES = 16, RUN = 512 };
    double total = 0;
    for (int64_t from = 0; from < n; from += RUN) {
        int64_t i = from, end = n - from < RUN ? n : from + RUN;
        real lane[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (int k = 0; k < LANES; k++) lane[k] += x[i + k];
        for (int k = 0; k < LANES; k++) total += (double)lane[k];
        for (; i < end; i++) total += (double)x[i];
    }
    return total;
}

/* A cell's rows [G] of the heads and of the gradients by them, which may be the same memory; NULL: not there, not wanted. */
typedef struct lik_heads { const real *mean, *dropout; real *d_mean, *d_dropout; } lik_heads;

/* Reads genes g..g+n-1 of the next cell, a row of G on, into the second cache: rows lie far away, and until that cell's turn there is arithmetic to do.
 * Harmless past the last. */
static inline __attribute__((always_inline)) void fetch_ahead(const iso_lik_args *a, const lik_heads *h, int64_t g, int64_t n)
{
    enum { LINE = 64 / sizeof(real) };
    const real *next[] = {h->mean, h->dropout};
    for (int k = 0; k < 2 && next[k]; k++)
        for (int64_t i = g; i < g + n; i += LINE) __builtin_prefetch(next[k] + a->x.n_cols + i, 0, 2);
}

/* Sum of the logarithms of x > 0, none of them denormal. float: mantissas are multiplied and exponents added, so that a logarithm is
 * taken once for RUN of them in each lane. */
static inline double sum_of_logs(const real *restrict x, int64_t n)
{
    double sum = 0;
    int64_t i = 0;
#ifndef ISO_REAL_DOUBLE
    enum { LANES = 16, RUN = 32 };             /* mantissas lie between sqrt(1/2) and sqrt(2): no product overflows */
    typedef float floats __attribute__((vector_size(LANES * sizeof(float))));      /* as loops over lanes gcc makes scalar code of it */
    typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));
    while (n - i >= LANES) {
        floats some, product = (floats){0} + 1;
        ints exponent = {0};
        for (int run = 0; run < RUN && n - i >= LANES; run++, i += LANES) {
            memcpy(&some, x + i, sizeof some);
            ints e = ((ints)some - 0x3f3504f3) >> 23;
            product *= some * (floats)((127 - e) << 23);                           /* NaN stays */
            exponent += e;
        }
        float logs[LANES];
        for (int k = 0; k < LANES; k++) logs[k] = real_log(product[k]) + (float)exponent[k] * LN2;
        for (int k = 0; k < LANES; k++) sum += (double)logs[k];
    }
#endif
    for (; i < n; i++) sum += (double)real_log(x[i]);
    return sum;
}

static inline real real_max_of(const real *x, int64_t n)
{
    enum { LANES = 32 };
    real lane[LANES], best = x[0];
    int64_t i = 0;
    for (int k = 0; k < LANES; k++) lane[k] = x[0];
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] = real_max(x[i + k], lane[k]);
    for (; i < n; i++) best = real_max(x[i], best);
    for (int k = 0; k < LANES; k++) best = real_max(lane[k], best);
    return best;
}

/* mu = library * softmax(h) of one cell: e = exp(h - max h) [G], mu = e * scale, log mu = h + log_scale (which also
 * holds where e is at its least). */
typedef struct softmax {
    double library, sum, log_scale;
    real scale;
} softmax;

static inline softmax softmax_row(const iso_lik_args *a, int64_t row, const real *h, real *restrict e)
{
    int64_t G = a->x.n_cols;
    real top = real_max_of(h, G);
    for (int64_t g = 0; g < G; g++) {
        real x = h[g] - top;
        e[g] = exp_within(x < EXP_LEAST ? EXP_LEAST : x);
    }
    double l = (double)a->log_library[row];
    l = l > LOG_LIBRARY_MAX ? LOG_LIBRARY_MAX : l < -LOG_LIBRARY_MAX ? -LOG_LIBRARY_MAX : l;
    softmax s = {.library = exp(l), .sum = real_sum(e, G)};
    s.log_scale = l - log(s.sum) - (double)top;
    s.scale = (real)(s.library / s.sum);
    return s;
}

/* d [G]: dloss/dlog mu in, dloss/dh = d - softmax * sum(d) out. */
static inline void softmax_backward(const softmax *s, const real *restrict e, double sum, real *restrict d, int64_t G)
{
    real factor = (real)(sum / s->sum);
    for (int64_t g = 0; g < G; g++) d[g] -= e[g] * factor;
}

/* One law with a dispersion head. Its value uses the parameter clamped to [low, high]; outside, the gradient is
 * passed on only if a step along it leads back. */
typedef struct lik_law {
    real low, high;
    void (*prepare)(const iso_lik_args *a, const real *dispersion);     /* per gene: scratch rows from it [G] */
    void (*row)(const iso_lik_args *a, int64_t row, const lik_heads *h);
} lik_law;

/* Scratch row 0 holds, while a law runs, the gradient of the dispersion row at hand; the others are the law's. */
enum { ROW_D_DISPERSION };

/* One cell. */
static inline void lik_row(const iso_lik_args *a, const lik_law *law, int64_t row)
{
    int64_t G = a->x.n_cols, from = row * G;
    lik_heads h = {.mean = a->mean + from, .dropout = a->dropout ? a->dropout + from : NULL, .d_mean = a->d_mean ? a->d_mean + from : NULL,
                   .d_dropout = a->d_dropout ? a->d_dropout + from : NULL};
    law->row(a, row, &h);
}

static inline int64_t dispersion_row(const iso_lik_args *a, int64_t row)
{
    return a->dispersion_row ? a->dispersion_row[row] : 0;
}

static inline void add_d_dispersion(const iso_lik_args *a, const lik_law *law, int64_t which)
{
    int64_t G = a->x.n_cols;
    const real *p = a->dispersion + which * G, *d = scratch_row(a, ROW_D_DISPERSION);
    real *out = a->d_dispersion + which * G;
    for (int64_t g = 0; g < G; g++) {
        bool stuck = (p[g] < law->low && d[g] > 0) || (p[g] > law->high && d[g] < 0);
        out[g] += stuck ? 0 : d[g];
    }
}

/* Rows row0..row1-1, those that share a dispersion row together, so that exp(dispersion) is taken once for them. */
static inline void lik_rows(const iso_lik_args *a, const lik_law *law, int64_t row0, int64_t row1)
{
    int64_t G = a->x.n_cols;
    for (int64_t first = row0; first < row1; first++) {
        int64_t which = dispersion_row(a, first), seen = row0;
        while (dispersion_row(a, seen) != which) seen++;
        if (seen < first) continue;
        law->prepare(a, a->dispersion + which * G);
        memset(scratch_row(a, ROW_D_DISPERSION), 0, (size_t)G * sizeof(real));
        for (int64_t row = first; row < row1; row++)
            if (dispersion_row(a, row) == which) lik_row(a, law, row);
        if (a->d_mean) add_d_dispersion(a, law, which);
    }
}

#endif
