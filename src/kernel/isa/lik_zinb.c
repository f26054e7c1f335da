/* lik_zinb.c: zero-inflated negative binomial loss, mu = library * softmax(h); the NB part is in lik_nb.h.
 *
 * With y = t log(1 + mu / t), the NB loss of a zero, and p = sigmoid(pi) = 1 - q the chance of a dropout:
 *     x = 0:  loss = -log(p + q e^-y) = -log Z,   Z = e^-y + p (1 - e^-y)
 *             dloss/dy = q e^-y / Z,   dloss/dpi = -q p (1 - e^-y) / Z
 *     x > 0:  loss = NB loss - log q,  dloss/dpi = p
 * (scvi-tools writes the same as softplus(-pi - y) and softplus(-pi); this form cancels nothing for small y.)
 * pi is used within +-DROPOUT_MAX, where p or q is 2e-35: no finite loss becomes infinite. */
#include "lik_nb.h"

#define DROPOUT_MAX 80

/* p = sigmoid(pi), q = 1 - p, both to full precision. */
typedef struct chance { real p, q; } chance;

static inline chance chance_of(real pi)
{
    real e = real_exp(-real_min(real_abs(pi), DROPOUT_MAX)), big = 1 / (1 + e), small = e * big;
    return (chance){.p = pi > 0 ? big : small, .q = pi > 0 ? small : big};
}

/* n zeros: loss, dloss/dlog mu; dloss/dlog theta is added, dloss/dpi takes the place of pi. */
static void zeros(int64_t n, const real *restrict e, real scale, const real *restrict theta,
                  const real *restrict inv_theta, real *restrict dropout, real *restrict loss,
                  real *restrict d_log_mu, real *restrict d_log_theta)
{
    for (int64_t g = 0; g < n; g++) {
        real mu = e[g] * scale;
        log1p_terms r = log1p_split(mu * inv_theta[g]);
        expm1_terms y = expm1_split(theta[g] * r.log1p);
        chance c = chance_of(dropout[g]);
        real Z = y.exp + c.p * y.one_minus, q_over_Z = c.q / Z, d_y = q_over_Z * y.exp;
        loss[g] = -log_near(Z, -c.q * y.one_minus);
        d_log_mu[g] = d_y * (mu * r.inverse);
        d_log_theta[g] += d_y * (theta[g] * r.excess);
        dropout[g] = -q_over_Z * (c.p * y.one_minus);
    }
}

static void zeros_value(int64_t n, const real *restrict e, real scale, const real *restrict theta,
                        const real *restrict inv_theta, const real *restrict dropout, real *restrict loss)
{
    for (int64_t g = 0; g < n; g++) {
        expm1_terms y = expm1_split(theta[g] * log1p_split(e[g] * scale * inv_theta[g]).log1p);
        chance c = chance_of(dropout[g]);
        loss[g] = -log_near(y.exp + c.p * y.one_minus, -c.q * y.one_minus);
    }
}

/* What dropout adds to entries with x > 0; dloss/dpi aside until the dense pass is over. */
static void points_dropout(const iso_lik_args *a, nb_points *p)
{
    real d_dropout[NB_POINTS];
    for (int j = 0; j < NB_POINTS; j++) {
        chance c = chance_of(p->dropout[j]);
        p->loss[j] -= log_near(c.q, -c.p);
        d_dropout[j] = c.p;
    }
    memcpy(scratch_row(a, ROW_POINT_D_DROPOUT) + p->first, d_dropout, (size_t)p->n * sizeof(real));
}

static void zinb_row(const iso_lik_args *a, int64_t row)
{
    int64_t G = a->x.n_cols;
    real *e = scratch_row(a, ROW_E), *d = a->d_mean ? a->d_mean + row * G : NULL;
    real loss_of[LIK_BLOCK];
    const real *dropout = a->dropout + row * G;
    real *d_dropout = d ? a->d_dropout + row * G : NULL;
    const real *theta = scratch_row(a, ROW_THETA), *inv_theta = scratch_row(a, ROW_INV_THETA);
    softmax s = softmax_row(a, row, e);
    double loss = 0 * s.sum, sum = 0;           /* NaN if a logit is not finite */
    nb_points p = {0};
    for (int64_t at = a->x.indptr[row]; at < a->x.indptr[row + 1];) {
        nb_points_gather(a, row, &s, &at, &p);
        nb_points_run(&p);
        points_dropout(a, &p);
        nb_points_add(a, &p, &loss, &sum);
    }
    for (int64_t g = 0; g < G; g += LIK_BLOCK) {
        int64_t n = G - g < LIK_BLOCK ? G - g : LIK_BLOCK;
        if (d) {
            if (d_dropout != dropout) memcpy(d_dropout + g, dropout + g, (size_t)n * sizeof(real));
            zeros(n, e + g, s.scale, theta + g, inv_theta + g, d_dropout + g, loss_of, d + g, scratch_row(a, ROW_D_DISPERSION) + g);
            sum += real_sum(d + g, n);
        } else {
            zeros_value(n, e + g, s.scale, theta + g, inv_theta + g, dropout + g, loss_of);
        }
        loss += real_sum(loss_of, n);
    }
    a->loss[row] = (real)loss;
    if (!d) return;
    nb_points_scatter(a, row, d, d_dropout);
    softmax_backward(&s, e, sum, d, G);
    if (a->d_log_library) a->d_log_library[row] = (real)sum;
}

void KERNEL(zinb_rows)(const iso_lik_args *a, int64_t row0, int64_t row1)
{
    static const lik_law law = {.low = -LOG_THETA_MAX, .high = LOG_THETA_MAX, .prepare = nb_prepare, .row = zinb_row};
    lik_rows(a, &law, row0, row1);
}
