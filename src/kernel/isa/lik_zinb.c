/* lik_zinb.c: zero-inflated negative binomial loss, mu = library * softmax(h); the NB part is in lik_nb.h.
 *
 * With y = t log(1 + mu / t), o = e^-pi the odds against a dropout, p = 1 / (1 + o) its chance, and w = o e^-y:
 *     x = 0:  loss = -log Z,  Z = p + (1 - p) e^-y = p (1 + w)
 *             dloss/dy = w / (1 + w),   dloss/dpi = -p o (1 - e^-y) / (1 + w)
 *     x > 0:  loss = NB loss - log(1 - p),  dloss/dpi = p
 * A zero's loss is exact to a rounding or two of Z, 2e-7 nats: what is summed over genes is hundreds.
 * (scvi-tools writes the same as softplus(-pi - y) and softplus(-pi).) pi is used within +-DROPOUT_MAX, where p or 1 - p is
 * 4e-18: no finite loss becomes infinite. */
#include "lik_nb.h"

/* n zeros: Z, dloss/dlog mu; dloss/dlog theta is added, dloss/dpi takes the place of pi. */
static void zeros(int64_t n, const real *restrict e, real scale, const real *restrict theta,
                  const real *restrict inv_theta, real *restrict dropout, real *restrict Z,
                  real *restrict d_log_mu, real *restrict d_log_theta)
{
    real y[LIK_BLOCK], dy_dtheta[LIK_BLOCK];
    for (int64_t g = 0; g < n; g++) {
        real mu = e[g] * scale;
        log1p_terms r = log1p_split(mu * inv_theta[g]);
        y[g] = theta[g] * r.log1p, d_log_mu[g] = mu * r.inverse, dy_dtheta[g] = theta[g] * r.excess;
    }
    for (int64_t g = 0; g < n; g++) {
        expm1_terms t = expm1_split(y[g]);
        real odds = odds_of(dropout[g]), w = odds * t.exp;
        real up = 1 + odds, down = 1 + w, one = 1 / (up * down), p = one * down, inv_down = one * up, d_y = w * inv_down;
        Z[g] = p * down + shadow_of(dropout[g]);
        d_log_mu[g] *= d_y;
        d_log_theta[g] += d_y * dy_dtheta[g];
        dropout[g] = -odds * t.one_minus * one;
    }
}

static void zeros_value(int64_t n, const real *restrict e, real scale, const real *restrict theta,
                        const real *restrict inv_theta, const real *restrict dropout, real *restrict Z)
{
    for (int64_t g = 0; g < n; g++) {
        log1p_terms r = log1p_split(e[g] * scale * inv_theta[g]);
        real odds = odds_of(dropout[g]), w = odds * expm1_split(theta[g] * r.log1p).exp;
        real up = 1 + odds, down = 1 + w, one = 1 / (up * down), p = one * down;
        Z[g] = p * down + shadow_of(dropout[g]);
    }
}

static void zinb_row(const iso_lik_args *a, int64_t row, const lik_heads *h)
{
    int64_t G = a->x.n_cols;
    real *e = scratch_row(a, ROW_E), *d = h->d_mean, *d_dropout = h->d_dropout;
    real Z[LIK_BLOCK];
    const real *dropout = h->dropout, *theta = scratch_row(a, ROW_THETA), *inv_theta = scratch_row(a, ROW_INV_THETA);
    softmax s = softmax_row(a, row, h->mean, e);
    double loss = 0 * s.sum, sum = 0;           /* NaN if a logit is not finite */
    nb_points p = {0};
    for (int64_t at = a->x.indptr[row]; at < a->x.indptr[row + 1];) {
        nb_points_gather(a, row, h, &s, &at, &p);
        nb_points_run(&p);
        real d_pi[NB_POINTS];
        nb_points_dropout(&p, d_pi);                         /* aside until the dense pass is over */
        memcpy(scratch_row(a, ROW_POINT_D_DROPOUT) + p.first, d_pi, (size_t)p.n * sizeof(real));
        nb_points_add(a, &p, &loss, &sum);
    }
    for (int64_t g = 0; g < G; g += LIK_BLOCK) {
        int64_t n = G - g < LIK_BLOCK ? G - g : LIK_BLOCK;
        fetch_ahead(a, h, g, n);
        if (d) {
            if (d_dropout != dropout) memcpy(d_dropout + g, dropout + g, (size_t)n * sizeof(real));
            zeros(n, e + g, s.scale, theta + g, inv_theta + g, d_dropout + g, Z, d + g, scratch_row(a, ROW_D_DISPERSION) + g);
            sum += real_sum(d + g, n);
        } else {
            zeros_value(n, e + g, s.scale, theta + g, inv_theta + g, dropout + g, Z);
        }
        loss -= sum_of_logs(Z, n);
    }
    a->loss[row] = (real)loss;
    if (!d) return;
    nb_backward(a, row, &s, sum, p.first + p.n, d, d_dropout);
    if (a->d_log_library) a->d_log_library[row] = (real)sum;
}

void KERNEL(zinb_rows)(const iso_lik_args *a, int64_t row0, int64_t row1)
{
    static const lik_law law = {.low = -LOG_THETA_MAX, .high = LOG_THETA_MAX, .prepare = nb_prepare, .row = zinb_row};
    lik_rows(a, &law, row0, row1);
}
