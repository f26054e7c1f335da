/* lik_poisson.c: loss = sum over genes of mu - x log mu + log x!, mu = library * softmax(h).
 *
 * The means sum to the library, so only the softmax is a dense pass; and with n = sum of x,
 * dloss/dh = n * softmax - x, dloss/dlog library = library - n. */
#include "lik_common.h"

enum { ROW_E };

/* log x! */
static double log_factorial(double x)
{
    if (x <= 1 && x == floor(x)) return 0;
    return (x + 0.5) * log(x) - x + 0.918938533204672742 + stirling_at(x).correction;
}

static void poisson_row(const iso_lik_args *a, int64_t row, const lik_heads *heads)
{
    int64_t G = a->x.n_cols;
    const int64_t begin = a->x.indptr[row], end = a->x.indptr[row + 1];
    const real *h = heads->mean;
    real *e = scratch_row(a, ROW_E);
    softmax s = softmax_row(a, row, h, e);
    double loss = s.library + 0 * s.sum, n = 0;  /* NaN if a logit is not finite */
    for (int64_t j = begin; j < end; j++) {
        double x = (double)a->x.values[j];
        loss += log_factorial(x) - x * ((double)h[a->x.indices[j]] + s.log_scale);
        n += x;
    }
    a->loss[row] = (real)loss;
    if (!a->d_mean) return;
    real *d = heads->d_mean, factor = (real)(n / s.sum);
    for (int64_t g = 0; g < G; g++) d[g] = e[g] * factor;
    for (int64_t j = begin; j < end; j++) d[a->x.indices[j]] -= (real)a->x.values[j];
    if (a->d_log_library) a->d_log_library[row] = (real)(s.library - n);
}

void KERNEL(poisson_rows)(const iso_lik_args *a, int64_t row0, int64_t row1)
{
    static const lik_law law = {.row = poisson_row};
    for (int64_t row = row0; row < row1; row++) lik_row(a, &law, row);
}
