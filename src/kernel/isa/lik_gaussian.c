/* lik_gaussian.c: Gaussian losses, of the values themselves and of y = log(1 + 1e4 x / library).
 *
 *     loss = sum over genes of ((y - m) / sigma)^2 / 2 + log sigma + log(2 pi) / 2,   sigma = exp(dispersion)
 *     dloss/dm = (m - y) / sigma^2,   dloss/dlog sigma = 1 - ((y - m) / sigma)^2
 *
 * Every entry counts, zeros too, so the cell's values are laid out densely first. */
#include "lik_common.h"

/* sigma from 1e-3 to 1e3. */
#define LOG_SIGMA_MAX 7

enum { ROW_Y = ROW_D_DISPERSION + 1, ROW_INV_SIGMA, ROW_LOG_NORM };

static void prepare(const iso_lik_args *a, const real *dispersion)
{
    real *restrict inv_sigma = scratch_row(a, ROW_INV_SIGMA), *restrict log_norm = scratch_row(a, ROW_LOG_NORM);
    for (int64_t g = 0; g < a->x.n_cols; g++) {
        real d = real_clamp(dispersion[g], -LOG_SIGMA_MAX, LOG_SIGMA_MAX);
        inv_sigma[g] = real_exp(-d);
        log_norm[g] = d + (real)0.918938533204672742;
    }
    memset(scratch_row(a, ROW_Y), 0, (size_t)a->x.n_cols * sizeof(real));
}

static void terms(int64_t n, const real *restrict y, const real *restrict m, const real *restrict inv_sigma,
                  const real *restrict log_norm, real *restrict loss, real *restrict d_m, real *restrict d_log_sigma)
{
    for (int64_t g = 0; g < n; g++) {
        real z = (m[g] - y[g]) * inv_sigma[g];
        loss[g] = (real)0.5 * (z * z) + log_norm[g];
        d_m[g] = z * inv_sigma[g];
        d_log_sigma[g] += 1 - z * z;
    }
}

static void terms_value(int64_t n, const real *restrict y, const real *restrict m, const real *restrict inv_sigma,
                        const real *restrict log_norm, real *restrict loss)
{
    for (int64_t g = 0; g < n; g++) {
        real z = (m[g] - y[g]) * inv_sigma[g];
        loss[g] = (real)0.5 * (z * z) + log_norm[g];
    }
}

/* The cell's y is in ROW_Y, and zeroed again here. */
static void dense_row(const iso_lik_args *a, int64_t row, const lik_heads *h)
{
    int64_t G = a->x.n_cols;
    real *y = scratch_row(a, ROW_Y), loss_of[LIK_BLOCK], m[LIK_BLOCK];
    const real *inv_sigma = scratch_row(a, ROW_INV_SIGMA), *log_norm = scratch_row(a, ROW_LOG_NORM);
    double loss = 0;
    for (int64_t g = 0; g < G; g += LIK_BLOCK) {
        int64_t n = G - g < LIK_BLOCK ? G - g : LIK_BLOCK;
        memcpy(m, h->mean + g, (size_t)n * sizeof(real));               /* d_mean may be this memory */
        if (h->d_mean)
            terms(n, y + g, m, inv_sigma + g, log_norm + g, loss_of, h->d_mean + g,
                  scratch_row(a, ROW_D_DISPERSION) + g);
        else
            terms_value(n, y + g, m, inv_sigma + g, log_norm + g, loss_of);
        loss += real_sum(loss_of, n);
    }
    a->loss[row] = (real)loss;
    if (h->d_mean && a->d_log_library) a->d_log_library[row] = 0;
    for (int64_t j = a->x.indptr[row]; j < a->x.indptr[row + 1]; j++) y[a->x.indices[j]] = 0;
}

static void gaussian_row(const iso_lik_args *a, int64_t row, const lik_heads *h)
{
    real *y = scratch_row(a, ROW_Y);
    for (int64_t j = a->x.indptr[row]; j < a->x.indptr[row + 1]; j++) y[a->x.indices[j]] = (real)a->x.values[j];
    dense_row(a, row, h);
}

/* The library only scales the data here: it is data, and gets no gradient. */
static void gaussian_log1p_row(const iso_lik_args *a, int64_t row, const lik_heads *h)
{
    enum { CHUNK = 64 };
    real *y = scratch_row(a, ROW_Y), scale = (real)(1e4 / exp((double)a->log_library[row])), chunk[CHUNK];
    for (int64_t j = a->x.indptr[row]; j < a->x.indptr[row + 1]; j += CHUNK) {
        int64_t left = a->x.indptr[row + 1] - j, n = left < CHUNK ? left : CHUNK;
        const float *x = a->x.values + j;
        for (int64_t k = 0; k < n; k++) chunk[k] = log_near(1 + (real)x[k] * scale, (real)x[k] * scale);
        for (int64_t k = 0; k < n; k++) y[a->x.indices[j + k]] = chunk[k];
    }
    dense_row(a, row, h);
}

void KERNEL(gaussian_rows)(const iso_lik_args *a, int64_t row0, int64_t row1)
{
    static const lik_law law = {.low = -LOG_SIGMA_MAX, .high = LOG_SIGMA_MAX, .prepare = prepare, .row = gaussian_row};
    lik_rows(a, &law, row0, row1);
}

void KERNEL(gaussian_log1p_rows)(const iso_lik_args *a, int64_t row0, int64_t row1)
{
    static const lik_law law = {.low = -LOG_SIGMA_MAX, .high = LOG_SIGMA_MAX, .prepare = prepare,
                                .row = gaussian_log1p_row};
    lik_rows(a, &law, row0, row1);
}
