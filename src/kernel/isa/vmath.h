/* vmath.h: exp, log and their relatives for loops over genes.
 *
 * float: branch-free polynomials on the bits of the number, which gcc and clang turn into vector code (no libm call in
 * a loop). double: libm. Coefficients: minimax fits (Remez, 50 digits) rounded to float.
 * Largest relative errors of the float versions, held by tests/test_likelihood.c:
 *   real_exp, expm1_split 1.5e-7; real_log 1.5e-7 (of max(|log x|, 1/4));
 *   log1p_split: log1p 2.5e-7, inverse 1.5e-7, excess 1.5e-6.
 * NaN in gives NaN out of real_exp and real_log. */
#ifndef ISO_VMATH_H
#define ISO_VMATH_H

#include "base/base.h"

#include <math.h>
#include <string.h>

/* Of r >= 0: what a negative binomial needs of r = mu / theta, without cancellation for any r. */
typedef struct log1p_terms {
    real log1p;        /* log(1 + r) */
    real inverse;      /* 1 / (1 + r) */
    real excess;       /* log(1 + r) - r / (1 + r) */
} log1p_terms;

typedef struct log_terms { real log, less; } log_terms;

/* Of y >= 0. */
typedef struct expm1_terms {
    real exp;          /* e^-y */
    real one_minus;    /* 1 - e^-y */
} expm1_terms;

static inline real real_min(real a, real b) { return a < b ? a : b; }
static inline real real_max(real a, real b) { return a > b ? a : b; }
static inline real real_abs(real a) { return a < 0 ? -a : a; }
static inline real real_sqrt(real x) { return sizeof x == 4 ? (real)sqrtf((float)x) : (real)sqrt((double)x); }
static inline real real_floor(real x) { return (real)floor((double)x); }
static inline real real_clamp(real x, real low, real high) { return x < low ? low : x > high ? high : x; }

static inline uint32_t float_bits(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float bits_float(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

#ifndef ISO_REAL_DOUBLE

#define LN2 0.693147180559945f

/* x = k ln 2 + f, |f| <= ln 2 / 2: *scale = 2^k; returns e^f - 1. Needs -87.3 < x < 88.7. */
static inline float exp_split(float x, float *scale)
{
    const float round = 12582912.0f;                    /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    float shifted = x * 1.44269504f + round;
    float k = shifted - round;
    float f = (x - k * 0.693359375f) - k * -2.12194440e-4f;       /* ln 2 in two parts, the first exact in 10 bits */
    float q = 0.49999994f + f * (0.16666521f + f * (0.04166839f + f * (0.008368717f + f * 0.0013814599f)));
    *scale = bits_float((float_bits(shifted) - float_bits(round) + 127u) << 23);
    return f + f * f * q;
}

/* 0 below -87.3; stays at e^88.3 above it. */
static inline float real_exp(float x)
{
    float scale, capped = x > 88.3f ? 88.3f : x;
    float e = exp_split(capped < -87.3f ? -87.3f : capped, &scale);
    return x < -87.3f ? 0.0f : scale + scale * e;
}

/* Within -87.3 < x < 88.7. */
static inline float exp_within(float x)
{
    float scale, e = exp_split(x, &scale);
    return scale + scale * e;
}

/* x >= 0, but at most high; NaN becomes high. As integers: one instruction. */
static inline float at_most(float x, float high)
{
    uint32_t b = float_bits(x), h = float_bits(high);
    return bits_float(b < h ? b : h);
}

/* x within +-limit; NaN becomes a limit. */
static inline float held_within(float x, float limit)
{
    int32_t b = (int32_t)float_bits(x), high = (int32_t)float_bits(limit);
    uint32_t u = (uint32_t)(b < high ? b : high), low = float_bits(-limit);      /* of negative numbers the larger is the lower */
    return bits_float(u < low ? u : low);
}

/* (log(1 + f) - f + f^2 / 2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1]. */
static inline float log_tail(float f)
{
    return 0.3333391f + f * (-0.25001338f + f * (0.19963063f + f * (-0.16577585f + f * (0.14914767f +
           f * (-0.14267486f + f * 0.08700436f)))));
}

/* x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)): returns k and 1 + f. x: normal and positive. */
static inline int32_t log_split(float x, float *mantissa)
{
    uint32_t bits = float_bits(x);
    int32_t k = (int32_t)(bits - 0x3f3504f3u) >> 23;
    *mantissa = bits_float(bits - ((uint32_t)k << 23));
    return k;
}

/* log(1 + small), given u = 1 + small rounded: exact `small` keeps the result's digits where u is near 1. */
static inline float log_near(float u, float small)
{
    float m;
    int32_t k = log_split(u, &m);
    float f = k == 0 ? small : m - 1.0f;
    return u * 0.0f + ((float)k * LN2 + (f + f * f * (f * log_tail(f) - 0.5f)));     /* u * 0: keeps NaN */
}

/* log(1 + small) of the same u, and that less small, which keeps its digits where both nearly cancel. */
static inline log_terms log_split_near(float u, float small)
{
    float m;
    int32_t k = log_split(u, &m);
    float f = k == 0 ? small : m - 1.0f, rest = f * f * (f * log_tail(f) - 0.5f), log = (float)k * LN2 + (f + rest);
    return (log_terms){.log = log, .less = k == 0 ? rest : log - small};
}

static inline float real_log(float x) { return log_near(x, x - 1.0f); }

static inline log1p_terms log1p_split(float r)
{
    float u = 1.0f + r, m;
    int32_t k = log_split(u, &m);
    float f = k == 0 ? r : m - 1.0f, ff = f * f, tail = f * log_tail(f) - 0.5f, inverse = 1.0f / u;
    float log = (float)k * LN2 + (f + ff * tail);
    return (log1p_terms){.log1p = log, .inverse = inverse, .excess = k == 0 ? ff * (inverse + tail) : log + (inverse - 1.0f)};
}

static inline expm1_terms expm1_split(float y)
{
    float scale, e = exp_split(-at_most(y, 87.0f), &scale);
    return (expm1_terms){.exp = scale + scale * e, .one_minus = (1.0f - scale) - scale * e};
}

#else

static inline double real_exp(double x) { return exp(x); }
static inline double exp_within(double x) { return exp(x); }
static inline double at_most(double x, double high) { return x < high ? x : high; }
static inline double held_within(double x, double limit) { return x > limit ? limit : x < -limit ? -limit : x; }
static inline double real_log(double x) { return log(x); }
static inline double log_near(double u, double small) { return small > -0.5 && small < 1 ? log1p(small) : log(u); }

static inline log_terms log_split_near(double u, double small)
{
    log_terms t = {.log = log_near(u, small)};
    t.less = t.log - small;
    return t;
}

static inline log1p_terms log1p_split(double r)
{
    log1p_terms t = {.log1p = log1p(r), .inverse = 1 / (1 + r)};
    t.excess = t.log1p - r * t.inverse;
    if (r < 0.03125) {                                   /* sum over n >= 2 of (-1)^n (1 - 1/n) r^n */
        double sum = 0;
        for (int n = 14; n >= 2; n--) sum = (1 - 1.0 / n) - r * sum;
        t.excess = r * r * sum;
    }
    return t;
}

static inline expm1_terms expm1_split(double y) { return (expm1_terms){.exp = exp(-y), .one_minus = -expm1(-y)}; }

#endif

/* log Gamma and digamma as what is left of Stirling's formula, in double (the few entries that need it).
 *   correction = log Gamma(z) - [(z - 1/2) log z - z + log(2 pi) / 2],   digamma_less_log = psi(z) - log z
 * Series in 1/z^2 (Abramowitz & Stegun 6.1.40, 6.3.18) from z = 10 on; below it z is raised by 10 steps of
 * Gamma(z + 1) = z Gamma(z). Needs z > 0; absolute error below 1e-14 of max(1, |log z|). */
typedef struct stirling { double correction, digamma_less_log; } stirling;

static inline stirling stirling_series(double z)
{
    double i = 1 / z, q = i * i;
    return (stirling){
        .correction = i * (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q * (1.0 / 1188 -
                      q * (691.0 / 360360 - q / 156)))))),
        .digamma_less_log = -0.5 * i - q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 -
                            q * (1.0 / 132 - q * (691.0 / 32760 - q / 12))))))};
}

static inline stirling stirling_at(double z)
{
    if (z >= 10) return stirling_series(z);
    double y = z, product = 1, inverses = 0;
    for (int k = 0; k < 10; k++, y += 1) {
        product *= y;
        inverses += 1 / y;
    }
    stirling s = stirling_series(y);
    double log_y = log(y), log_z = log(z);
    return (stirling){.correction = (y - 0.5) * log_y - (z - 0.5) * log_z - 10 + s.correction - log(product),
                      .digamma_less_log = log_y - log_z + s.digamma_less_log - inverses};
}

/* The same in real, for vector code: of z >= 9, and of any z > 0 given log z. */
typedef struct real_stirling { real correction, digamma_less_log; } real_stirling;

static inline real_stirling stirling_large(real z)
{
    real i = 1 / z, q = i * i;
    return (real_stirling){
        .correction = i * ((real)(1.0 / 12) - q * ((real)(1.0 / 360) - q * ((real)(1.0 / 1260) - q * ((real)(1.0 / 1680) -
                      q * ((real)(1.0 / 1188) - q * (real)(691.0 / 360360)))))),
        .digamma_less_log = (real)-0.5 * i - q * ((real)(1.0 / 12) - q * ((real)(1.0 / 120) - q * ((real)(1.0 / 252) -
                            q * ((real)(1.0 / 240) - q * ((real)(1.0 / 132) - q * (real)(691.0 / 32760))))))};
}

static inline real_stirling stirling_small(real z, real log_z)
{
    bool raise = z < 10;
    real product = 1, inverses = 0, y = raise ? z + 10 : z;
    for (int k = 0; k < 10; k++) {
        product *= z + (real)k;
        inverses += 1 / (z + (real)k);
    }
    real_stirling s = stirling_large(y);
    real log_y = real_log(y), log_product = real_log(raise ? product : 1);
    s.correction += raise ? (y - (real)0.5) * log_y - (z - (real)0.5) * log_z - 10 - log_product : 0;
    s.digamma_less_log += raise ? log_y - log_z - inverses : 0;
    return s;
}

/* log(a / b), with a - b known exactly: keeps the digits where a is near b. */
static inline double log_ratio(double a, double b, double a_less_b)
{
    double q = a_less_b / b;
    return fabs(q) < 0.5 ? log1p(q) : log(a / b);
}

#endif
