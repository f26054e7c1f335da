/* zinb.c: negative binomial with extra zeros: with chance p = sigmoid(pi) the count is 0 whatever its mean.
 *   log p(0) = softplus(-pi + log nb(0)) - softplus(-pi)
 *   log p(x) = log nb(x) - softplus(pi)                          x > 0
 * pi is used within +-80. Source: Lopez et al. 2018, doi:10.1038/s41592-018-0229-2. */
#include "laws.h"

#include <math.h>

static double logit(iso_lik_point p) { return iso_clamp(p.dropout, -80, 80); }
static double dropped(iso_lik_point p) { return 1 / (1 + exp(-logit(p))); }

static double log_p(double x, iso_lik_point p)
{
    const double pi = logit(p), nb = iso_nb_log_p(x, p.mean, p.dispersion);
    if (x > 0) return nb - iso_softplus(pi);
    const double lost = expm1(nb) / (1 + exp(pi));        /* log p(0) = log(1 + lost), without cancellation near 0 */
    return lost > -0.5 ? log1p(lost) : iso_softplus(nb - pi) - iso_softplus(-pi);
}

static double mean(iso_lik_point p) { return p.mean / (1 + exp(logit(p))); }

static double variance(iso_lik_point p)
{
    return mean(p) * (1 + p.mean * (dropped(p) + 1 / iso_nb_theta(p.dispersion)));
}

static double sample(iso_rng *r, iso_lik_point p)
{
    if (iso_rng_uniform(r) < dropped(p)) return 0;
    return iso_likelihood_nb.sample(r, p);
}

static iso_lik_rows_fn *rows(const iso_kernels *k) { return k->zinb_rows; }
static iso_lik_genes_fn *genes(const iso_kernels *k) { return k->zinb_genes; }

const iso_likelihood iso_likelihood_zinb = {
    .name = "zinb",
    .summary = "negative binomial with extra zeros: counts with dropout (plate-based or very sparse data)",
    .counts = true,
    .has_dispersion = true,
    .has_dropout = true,
    .log_p = log_p,
    .mean = mean,
    .variance = variance,
    .sample = sample,
    .rows = rows,
    .genes = genes,
};
