/* adam.c: one Adam step on a flat range.
 * Source: Kingma & Ba 2015, algorithm 1, with eps outside the bias-corrected root and the L2 term added to the gradient
 * ("coupled"), as torch.optim.Adam and so scvi-tools do. */
#include "isa.h"

#include <math.h>

#ifdef ISO_REAL_DOUBLE
#define SQRT sqrt
#else
#define SQRT sqrtf
#endif

void KERNEL(adam)(real *restrict p, const real *restrict g, real *restrict m, real *restrict v, int64_t n, real g_scale,
                  real lr, real beta1, real beta2, real eps, real weight_decay, real bias1, real bias2)
{
    real step = lr / bias1, inverse_root = 1 / SQRT(bias2);
    for (int64_t i = 0; i < n; i++) {
        real gi = g[i] * g_scale + weight_decay * p[i];
        m[i] = beta1 * m[i] + (1 - beta1) * gi;
        v[i] = beta2 * v[i] + (1 - beta2) * gi * gi;
        p[i] -= step * m[i] / (SQRT(v[i]) * inverse_root + eps);
    }
}

/* In double and in lanes, so that the order of the sum is fixed, vectorises, and no sum waits for itself. */
double KERNEL(sum_squares)(const real *x, int64_t n)
{
    enum { LANES = 32 };
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) lane[0] += (double)x[i] * (double)x[i];
    for (int j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}
