/* adam.c: one Adam step on a flat range.
 * Source: Kingma & Ba 2015, algorithm 1, with eps outside the bias-corrected root and the L2 term added to the gradient
 * ("coupled"), as torch.optim.Adam and so scvi-tools do. The guard is ours.
 *
 * Moments may be kept in bfloat16, so that less memory goes by. They are then rounded up or down by chance, in proportion to
 * how near either is: v moves by a thousandth a step, less than its last bit, and would stand still if rounded to nearest. */
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

enum { GROUP = 16 };         /* elements that are rounded by one hash, each by other bits of it */

/* Of the group that begins with element i of the flat arrays. */
static inline uint32_t hash(uint32_t i, uint32_t salt)
{
    uint32_t x = (i ^ salt) * 0x9E3779B1u;
    x = (x ^ x >> 15) * 0x85EBCA77u;
    return x ^ x >> 13;
}

/* 16 bits by chance for each of a group: any bits, none twice, xor the hash. */
static const uint32_t mixed[GROUP] = {0x0000, 0x9E37, 0x3C6E, 0xDAA5, 0x78DD, 0x1715, 0xB54C, 0x5384, 0xF1BB, 0x8FF3, 0x2E2A, 0xCC62, 0x6A99, 0x08D1, 0xA708, 0x4540};

enum { UPPER = ~0xffff };
static inline uint32_t both_of(float m, float v, uint32_t chance) { return ((float_bits(m) + chance) & (uint32_t)UPPER) | (float_bits(v) + chance) >> 16; }

/* g within +-guard sqrt(v); v = 0 says nothing yet. */
static inline real guarded(real g, real v, real guard)
{
    real most = guard * rough_root(v), size = real_abs(g), kept = size < most ? size : most;
    kept = v > 0 ? kept : size;
    return g < 0 ? -kept : kept;
}

/* An element's parameter and moments, and those after a step along g. */
typedef struct element { real p, m, v; } element;
static inline element stepped(const iso_adam_step *s, bool guard, real g, element e)
{
    g *= s->scale;
    if (guard) g = guarded(g, e.v, s->guard);
    g += s->weight_decay * e.p;
    e.m = s->beta1 * e.m + (1 - s->beta1) * g;
    e.v = s->beta2 * e.v + (1 - s->beta2) * g * g;
    e.p -= s->rate * e.m / (SQRT(e.v) * s->inverse_root + s->epsilon);
    return e;
}

/* n elements, with or without a guard, which is known when this is compiled. */
static inline void step_whole(const iso_adam_step *a, int64_t n, const real *restrict g, real *restrict p, real *restrict m, real *restrict v, bool guard)
{
    const iso_adam_step s = *a;
    for (int64_t i = 0; i < n; i++) {
        element e = stepped(&s, guard, g[i], (element){p[i], m[i], v[i]});
        p[i] = e.p, m[i] = e.m, v[i] = e.v;
    }
}

/* n <= GROUP elements from `first` on, moments in words. */
static inline void step_group(const iso_adam_step *s, uint32_t first, int n, const real *restrict g, real *restrict p, uint32_t *restrict both, bool guard)
{
    const uint32_t all = hash(first, s->salt) >> 16;
    for (int i = 0; i < n; i++) {
        element e = stepped(s, guard, g[i], (element){p[i], (real)bits_float(both[i] & (uint32_t)UPPER), (real)bits_float(both[i] << 16)});
        p[i] = e.p, both[i] = both_of((float)e.m, (float)e.v, all ^ mixed[i]);
    }
}

static inline void step_words(const iso_adam_step *a, uint32_t first, int64_t n, const real *restrict g, real *restrict p, uint32_t *restrict both, bool guard)
{
    const iso_adam_step s = *a;
    int64_t i = 0;
    for (; i + GROUP <= n; i += GROUP) step_group(&s, first + (uint32_t)i, GROUP, g + i, p + i, both + i, guard);
    step_group(&s, first + (uint32_t)i, (int)(n - i), g + i, p + i, both + i, guard);
}

/* Elements that stay in the first cache for their squares; in lanes of float those stay exact enough. */
enum { RUN = 1024 };

#if defined(__AVX512F__) && !defined(ISO_REAL_DOUBLE)
#include <immintrin.h>

/* sqrt(x) and 1 / x: 14 bits, and if `fine` one step of Newton's; the CPU's own take as long as all else. */
static inline __m512 root(__m512 x, bool fine)
{
    __m512 y = _mm512_rsqrt14_ps(_mm512_max_ps(x, _mm512_set1_ps(1e-37f))), r = _mm512_mul_ps(x, y);
    return fine ? _mm512_fmadd_ps(_mm512_mul_ps(_mm512_set1_ps(0.5f), y), _mm512_fnmadd_ps(r, r, x), r) : r;
}
static inline __m512 inverse(__m512 x, bool fine)
{
    __m512 q = _mm512_rcp14_ps(x);
    return fine ? _mm512_mul_ps(q, _mm512_fnmadd_ps(x, q, _mm512_set1_ps(2))) : q;
}

/* g with the size of guard sqrt(v) where it is `far` from it, unless v = 0. Seldom called for. */
static inline __m512 brought_near(__m512 g, __m512 v, __mmask16 far, __m512 guard)
{
    far = _mm512_mask_cmp_ps_mask(far, v, _mm512_setzero_ps(), _CMP_GT_OQ);
    __m512i most = _mm512_castps_si512(_mm512_mul_ps(guard, root(v, false)));
    return _mm512_mask_mov_ps(g, far, _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(g), most, 0xca)));
}

/* The same, of as many whole groups as there are, RUN elements at most. Adds the squares of g to *squares; returns where it ended. What can be is taken
 * out of the loop: with h = sqrt(1 - beta2) g, v = beta2 v + h^2, m = beta1 m + (1 - beta1) / sqrt(1 - beta2) h, and the rate is within the divisor. */
static inline int64_t step_groups(const iso_adam_step *a, uint32_t first, int64_t n, const real *restrict g, real *restrict p, real *restrict m,
                                  real *restrict v, uint32_t *restrict both, bool half, double *squares)
{
    const float of_g = sqrtf(1 - a->beta2), rate = real_max(a->rate, 1e-30f), guard_of_h = a->guard > 0 ? a->guard * of_g : HUGE_VALF;
    const __m512 scale = _mm512_set1_ps(a->scale * of_g), decay = _mm512_set1_ps(a->weight_decay * of_g), guard = _mm512_set1_ps(guard_of_h),
                 limit = _mm512_set1_ps(guard_of_h * guard_of_h), beta1 = _mm512_set1_ps(a->beta1), rest1 = _mm512_set1_ps((1 - a->beta1) / of_g),
                 beta2 = _mm512_set1_ps(a->beta2), inverse_root = _mm512_set1_ps(a->inverse_root / rate),
                 epsilon = _mm512_set1_ps(a->epsilon / rate);
    const __m512i upper = _mm512_set1_epi32(UPPER), each = _mm512_loadu_si512(mixed);
    __m512 sum = _mm512_setzero_ps();
    uint32_t chance[RUN / GROUP];              /* of each group */
    for (uint32_t k = 0; half && k < RUN / GROUP; k++) chance[k] = hash(first + k * GROUP, a->salt) >> 16;
    enum { PAGE = 4096 / sizeof(real) };       /* ahead: the CPU itself fetches ahead within a page alone */
    int64_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        __m512 gi = _mm512_loadu_ps(g + i), pi = _mm512_loadu_ps(p + i), mi, vi;
        __builtin_prefetch(p + i + PAGE, 1);
        if (half) {
            __m512i word = _mm512_loadu_si512(both + i);
            mi = _mm512_castsi512_ps(_mm512_and_si512(word, upper)), vi = _mm512_castsi512_ps(_mm512_slli_epi32(word, 16));
            __builtin_prefetch(both + i + PAGE, 1);
        } else {
            mi = _mm512_loadu_ps(m + i), vi = _mm512_loadu_ps(v + i);
            __builtin_prefetch(m + i + PAGE, 1), __builtin_prefetch(v + i + PAGE, 1);
        }
        __m512 h = _mm512_mul_ps(gi, scale);
        __mmask16 far = _mm512_cmp_ps_mask(_mm512_mul_ps(h, h), _mm512_mul_ps(limit, vi), _CMP_GT_OQ);
        if (far) h = brought_near(h, vi, far, guard);
        sum = _mm512_fmadd_ps(gi, gi, sum);
        h = _mm512_fmadd_ps(decay, pi, h);
        mi = _mm512_fmadd_ps(rest1, h, _mm512_mul_ps(beta1, mi));
        vi = _mm512_fmadd_ps(h, h, _mm512_mul_ps(beta2, vi));
        __m512 q = inverse(_mm512_fmadd_ps(root(vi, !half), inverse_root, epsilon), !half);
        if (half) {
            __m512i by = _mm512_xor_si512(each, _mm512_set1_epi32((int)chance[i / GROUP]));
            __m512i m_by = _mm512_add_epi32(_mm512_castps_si512(mi), by), v_by = _mm512_add_epi32(_mm512_castps_si512(vi), by);
            _mm512_storeu_si512(both + i, _mm512_ternarylogic_epi32(upper, m_by, _mm512_srli_epi32(v_by, 16), 0xca));      /* upper ? m_by : v */
        } else _mm512_storeu_ps(m + i, mi), _mm512_storeu_ps(v + i, vi);
        _mm512_storeu_ps(p + i, _mm512_fnmadd_ps(mi, q, pi));
    }
    *squares += _mm512_reduce_add_pd(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(sum)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(sum, 1))));
    return i;
}
#else
static inline int64_t step_groups(const iso_adam_step *a, uint32_t first, int64_t n, const real *g, real *p, real *m, real *v, uint32_t *both, bool half,
                                  double *squares)
{
    (void)half, (void)a, (void)first, (void)n, (void)g, (void)p, (void)m, (void)v, (void)both, (void)squares;
    return 0;
}
#endif

static inline double run(const iso_adam_step *a, int64_t at, int64_t n, const real *g, real *p, const iso_moments *to, bool half)
{
    double squares = 0;
    uint32_t first = (uint32_t)at;
    int64_t done = step_groups(a, first, n, g, p, to->m, to->v, to->both, half, &squares);
    if (done == n) return squares;
    squares += KERNEL(sum_squares)(g + done, n - done);
    g += done, p += done, n -= done;
    if (half && a->guard > 0) step_words(a, first + (uint32_t)done, n, g, p, to->both + done, true);
    else if (half) step_words(a, first + (uint32_t)done, n, g, p, to->both + done, false);
    else if (a->guard > 0) step_whole(a, n, g, p, to->m + done, to->v + done, true);
    else step_whole(a, n, g, p, to->m + done, to->v + done, false);
    return squares;
}

double KERNEL(adam)(const iso_adam_step *a, int64_t first, int64_t n, const real *g, real *p, const iso_moments *moments)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i += RUN) {
        int64_t size = n - i < RUN ? n - i : RUN;
        iso_moments to = iso_moments_from(moments, i);
        squares += to.both ? run(a, first + i, size, g + i, p + i, &to, true) : run(a, first + i, size, g + i, p + i, &to, false);
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
