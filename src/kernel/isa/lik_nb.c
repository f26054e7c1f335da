/* lik_nb.c: negative binomial loss with mu = library * softmax(h); the maths is in lik_nb.h. */
#include "lik_nb.h"

/* n zeros: loss, dloss/dlog mu; dloss/dlog theta is added. */
static void zeros(int64_t n, const real *restrict e, real scale, const real *restrict theta,
                  const real *restrict inv_theta, real *restrict loss, real *restrict d_log_mu,
                  real *restrict d_log_theta)
{
    for (int64_t g = 0; g < n; g++) {
        real mu = e[g] * scale;
        log1p_terms r = log1p_split(mu * inv_theta[g]);
        loss[g] = theta[g] * r.log1p;
        d_log_mu[g] = mu * r.inverse;
        d_log_theta[g] += theta[g] * r.excess;
    }
}

static void zeros_value(int64_t n, const real *restrict e, real scale, const real *restrict theta,
                        const real *restrict inv_theta, real *restrict loss)
{
    for (int64_t g = 0; g < n; g++) loss[g] = theta[g] * log1p_split(e[g] * scale * inv_theta[g]).log1p;
}

static void nb_row(const iso_lik_args *a, int64_t row, const lik_heads *h)
{
    int64_t G = a->x.n_cols;
    real *e = scratch_row(a, ROW_E), *d = h->d_mean, loss_of[LIK_BLOCK];
    const real *theta = scratch_row(a, ROW_THETA), *inv_theta = scratch_row(a, ROW_INV_THETA);
    softmax s = softmax_row(a, row, h->mean, e);
    double loss = 0 * s.sum, sum = 0;           /* NaN if a logit is not finite */
    nb_points p = {0};
    for (int64_t at = a->x.indptr[row]; at < a->x.indptr[row + 1];) {
        nb_points_gather(a, row, h, &s, &at, &p);
        nb_points_run(&p);
        nb_points_add(a, &p, &loss, &sum);
    }
    for (int64_t g = 0; g < G; g += LIK_BLOCK) {
        int64_t n = G - g < LIK_BLOCK ? G - g : LIK_BLOCK;
        fetch_ahead(a, h, g, n);
        if (d) {
            zeros(n, e + g, s.scale, theta + g, inv_theta + g, loss_of, d + g, scratch_row(a, ROW_D_DISPERSION) + g);
            sum += real_sum(d + g, n);
        } else {
            zeros_value(n, e + g, s.scale, theta + g, inv_theta + g, loss_of);
        }
        loss += real_sum(loss_of, n);
    }
    a->loss[row] = (real)loss;
    if (!d) return;
    nb_backward(a, row, &s, sum, p.first + p.n, d, NULL);
    if (a->d_log_library) a->d_log_library[row] = (real)sum;
}

void KERNEL(nb_rows)(const iso_lik_args *a, int64_t row0, int64_t row1)
{
    static const lik_law law = {.low = -LOG_THETA_MAX, .high = LOG_THETA_MAX, .prepare = nb_prepare, .row = nb_row};
    lik_rows(a, &law, row0, row1);
}
