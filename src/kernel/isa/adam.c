/* adam.c: one Adam step on a flat range.
 * Source: Kingma & Ba 2015, algorithm 1, with eps outside the bias-corrected root and the L2 term added to the gradient
 * ("coupled"), as torch.optim.Adam and so scvi-tools do. The guard is ours. */
#include "isa.h"
#include "vmath.h"

#include <math.h>

#ifdef ISO_REAL_DOUBLE
#define SQRT sqrt
static inline real rough_root(real x) { return sqrt(x); }
#else
#define SQRT sqrtf
/* sqrt(x) within 0.2 %: a guess from the bits of x, and one step of Newton's. */
static inline float rough_root(float x)
{
    float y = bits_float(0x5f3759dfu - (float_bits(x) >> 1));
    return x * (y * (1.5f - 0.5f * x * y * y));
}
#endif

/* g within +-guard sqrt(v); v = 0 says nothing yet. */
static inline real guarded(real g, real v, real guard)
{
    real most = guard * rough_root(v), size = real_abs(g), kept = size < most ? size : most;
    kept = v > 0 ? kept : size;
    return g < 0 ? -kept : kept;
}

/* Elements from..n-1, with or without a guard, which is known when this is compiled. */
static inline void step(const iso_adam_step *a, int64_t from, int64_t n, const real *restrict g, real *restrict p, real *restrict m,
                        real *restrict v, bool guard)
{
    const iso_adam_step s = *a;
    for (int64_t i = from; i < n; i++) {
        real gi = g[i] * s.scale;
        if (guard) gi = guarded(gi, v[i], s.guard);
        gi += s.weight_decay * p[i];
        m[i] = s.beta1 * m[i] + (1 - s.beta1) * gi;
        v[i] = s.beta2 * v[i] + (1 - s.beta2) * gi * gi;
        p[i] -= s.rate * m[i] / (SQRT(v[i]) * s.inverse_root + s.epsilon);
    }
}

#if defined(__AVX512F__) && !defined(ISO_REAL_DOUBLE)
#include <immintrin.h>

/* The same with a quotient that starts from 14 bits, because the CPU's root and quotient wait for each other. Adds the squares of g to
 * *squares; returns where it ended. */
static inline int64_t step_vectors(const iso_adam_step *a, int64_t n, const real *restrict g, real *restrict p, real *restrict m, real *restrict v,
                                   double *squares)
{
    const __m512 scale = _mm512_set1_ps(a->scale), guard = _mm512_set1_ps(a->guard > 0 ? a->guard : HUGE_VALF), decay = _mm512_set1_ps(a->weight_decay),
                 beta1 = _mm512_set1_ps(a->beta1), rest1 = _mm512_set1_ps(1 - a->beta1), beta2 = _mm512_set1_ps(a->beta2),
                 rest2 = _mm512_set1_ps(1 - a->beta2), inverse_root = _mm512_set1_ps(a->inverse_root), epsilon = _mm512_set1_ps(a->epsilon),
                 rate = _mm512_set1_ps(a->rate), two = _mm512_set1_ps(2);
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    __m512 sum = _mm512_setzero_ps();
    enum { PAGE = 4096 / sizeof(real) };       /* ahead: the CPU itself fetches ahead within a page alone */
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __builtin_prefetch(p + i + PAGE, 1), __builtin_prefetch(m + i + PAGE, 1), __builtin_prefetch(v + i + PAGE, 1);
        __m512 gi = _mm512_loadu_ps(g + i), pi = _mm512_loadu_ps(p + i), vi = _mm512_loadu_ps(v + i);
        sum = _mm512_fmadd_ps(gi, gi, sum);
        gi = _mm512_mul_ps(gi, scale);
        __m512 most = _mm512_mul_ps(guard, _mm512_mul_ps(vi, _mm512_rsqrt14_ps(vi)));        /* NaN for v = 0, and then min gives its second */
        __m512i kept = _mm512_castps_si512(_mm512_min_ps(most, _mm512_abs_ps(gi)));
        gi = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(sign, _mm512_castps_si512(gi), kept, 0xca));
        gi = _mm512_fmadd_ps(decay, pi, gi);
        __m512 mi = _mm512_fmadd_ps(beta1, _mm512_loadu_ps(m + i), _mm512_mul_ps(rest1, gi));
        vi = _mm512_fmadd_ps(beta2, vi, _mm512_mul_ps(rest2, _mm512_mul_ps(gi, gi)));
        __m512 below = _mm512_fmadd_ps(_mm512_sqrt_ps(vi), inverse_root, epsilon), q = _mm512_rcp14_ps(below);
        q = _mm512_mul_ps(q, _mm512_fnmadd_ps(below, q, two));
        _mm512_storeu_ps(m + i, mi);
        _mm512_storeu_ps(v + i, vi);
        _mm512_storeu_ps(p + i, _mm512_fnmadd_ps(_mm512_mul_ps(rate, mi), q, pi));
    }
    float lanes[16];
    _mm512_storeu_ps(lanes, sum);
    for (int l = 0; l < 16; l++) *squares += (double)lanes[l];
    return i;
}
#else
static inline int64_t step_vectors(const iso_adam_step *a, int64_t n, const real *g, real *p, real *m, real *v, double *squares)
{
    (void)a, (void)n, (void)g, (void)p, (void)m, (void)v, (void)squares;
    return 0;
}
#endif

double KERNEL(adam)(const iso_adam_step *a, int64_t n, const real *restrict g, real *restrict p, real *restrict m, real *restrict v)
{
    enum { RUN = 1024 };         /* stays in the first cache for its squares; in lanes of float they stay exact enough */
    double squares = 0;
    for (int64_t i = 0; i < n; i += RUN) {
        int64_t run = n - i < RUN ? n - i : RUN, done = step_vectors(a, run, g + i, p + i, m + i, v + i, &squares);
        squares += KERNEL(sum_squares)(g + i + done, run - done);
        if (a->guard > 0) step(a, done, run, g + i, p + i, m + i, v + i, true);
        else step(a, done, run, g + i, p + i, m + i, v + i, false);
    }
    return squares;
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
