/* divergence.c: the divergence of two normal laws, element by element. */
#include "isa.h"
#include "vmath.h"

static const real FLOOR = (real)ISO_VARIANCE_FLOOR, HALF = (real)0.5;

/* exp(raw), raw held to the limit; its slope. */
static inline real raw_exp(real raw) { return real_exp(real_clamp(raw, -ISO_RAW_LIMIT, ISO_RAW_LIMIT)); }
static inline real slope(real raw, real e) { return raw > ISO_RAW_LIMIT || raw < -ISO_RAW_LIMIT ? 0 : e; }

void KERNEL(normal_kl)(int64_t n, const real *mu, const real *raw, const real *mu0, const real *raw0, real *restrict out)
{
    for (int64_t i = 0; i < n; i++) {
        real v = raw_exp(raw[i]) + FLOOR, v0 = raw_exp(raw0[i]) + FLOOR, d = mu[i] - mu0[i];
        out[i] = HALF * (real_log(v0 / v) + (v + d * d) / v0 - 1);
    }
}

void KERNEL(normal_kl_backward)(int64_t n, const real *mu, const real *raw, const real *mu0, const real *raw0, const real *up, real *restrict d_mu,
                                real *restrict d_raw, real *restrict d_mu0, real *restrict d_raw0)
{
    for (int64_t i = 0; i < n; i++) {
        real e = raw_exp(raw[i]), e0 = raw_exp(raw0[i]), u = 1 / (e + FLOOR), u0 = 1 / (e0 + FLOOR), d = mu[i] - mu0[i], half = HALF * up[i];
        d_mu[i] = up[i] * d * u0, d_mu0[i] = -d_mu[i];
        d_raw[i] = half * (u0 - u) * slope(raw[i], e);
        d_raw0[i] = half * (1 - (e + FLOOR + d * d) * u0) * u0 * slope(raw0[i], e0);
    }
}
