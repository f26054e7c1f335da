/* lanes.h: SIDE vectors of 16 floats side by side, for AVX-512: arithmetic of which each step goes through all of them before the next.
 *
 * A chain of dependent steps, exp of log of exp, takes some two hundred cycles, and a CPU looks less far ahead than it would have to for enough
 * other work in the next turns of a loop. Side by side, there are SIDE steps at a time that do not wait for each other.
 * Errors as measured over millions of numbers; tests/test_likelihood_genes.c holds what is made of them. */
#ifndef ISO_LANES_H
#define ISO_LANES_H

#include <immintrin.h>
#include <stdint.h>

enum { LANES = 16, SIDE = 4, RUN = SIDE * LANES };
#define EACH _Pragma("GCC unroll 4") for (int k = 0; k < SIDE; k++)
#define LANES_INLINE static inline __attribute__((always_inline))
typedef __m512 lanes;

LANES_INLINE lanes all(float x) { return _mm512_set1_ps(x); }

/* RUN numbers, of bfloat16 if half: then numbers 2i and 2i + 1 are halves of a word, and come to lie LANES apart. The place of number i: */
LANES_INLINE int lanes_place(bool half, int i) { return half ? (i & ~31) | (i & 1) << 4 | (i & 31) >> 1 : i; }

LANES_INLINE void lanes_read(const void *from, bool half, lanes x[SIDE])
{
    EACH {
        if (!half) x[k] = _mm512_loadu_ps((const float *)from + k * LANES);
        else {
            __m512i pairs = _mm512_loadu_si512((const __m512i *)from + k / 2);
            x[k] = _mm512_castsi512_ps(k % 2 ? _mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)) : _mm512_slli_epi32(pairs, 16));
        }
    }
}

/* bfloat16: to the nearest. */
LANES_INLINE void lanes_write(const lanes x[SIDE], bool half, void *to)
{
    __m512i rounded[SIDE];
    EACH rounded[k] = _mm512_add_epi32(_mm512_castps_si512(x[k]), _mm512_set1_epi32(0x8000));
    EACH {
        if (!half) _mm512_storeu_ps((float *)to + k * LANES, x[k]);
        else if (k % 2 == 0) _mm512_storeu_si512((__m512i *)to + k / 2, _mm512_mask_mov_epi16(rounded[k + 1], 0x55555555, _mm512_srli_epi32(rounded[k], 16)));
    }
}

LANES_INLINE void lanes_load(const float *from, lanes x[SIDE]) { EACH x[k] = _mm512_loadu_ps(from + k * LANES); }
LANES_INLINE void lanes_store(const lanes x[SIDE], float *to) { EACH _mm512_storeu_ps(to + k * LANES, x[k]); }

/* x = n + f with n whole, and y = (2^f - 1) / f: relative error of 1 + f y 1e-7. NaN stays. Where x is so low that n is no whole number, or f not small,
 * 2^n is 0; but a product may come unrounded (a * b - n in one instruction), and must not be lower than -2^22. */
LANES_INLINE void lanes_exp2_split(const lanes x[SIDE], lanes n[SIDE], lanes f[SIDE], lanes y[SIDE])
{
    const lanes round = all(12582912.0f);                    /* 1.5 * 2^23: adding it rounds to a whole number */
    EACH n[k] = _mm512_add_ps(x[k], round);
    EACH n[k] = _mm512_sub_ps(n[k], round);
    EACH f[k] = _mm512_sub_ps(x[k], n[k]);
    EACH y[k] = _mm512_fmadd_ps(f[k], all(1.559467816e-4f), all(1.34066439e-3f));
    EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(9.617692973e-3f));
    EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(5.550310551e-2f));
    EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(0.2402265278f));
    EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(0.693147215f));
}

/* 2^x. Rough: relative error 4e-6, none where x is whole, and any x; else as lanes_exp2_split. */
LANES_INLINE void lanes_exp2(const lanes x[SIDE], bool rough, lanes y[SIDE])
{
    lanes n[SIDE], f[SIDE];
    if (rough) {
        EACH f[k] = _mm512_reduce_ps(x[k], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);              /* x less the whole number below it */
        EACH y[k] = _mm512_fmadd_ps(f[k], all(0.0135563295f), all(0.052031826f));
        EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(0.24137951f));
        EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(0.6930323f));
        EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(1));
        EACH y[k] = _mm512_scalef_ps(y[k], x[k]);                    /* by 2 to the whole number below x */
        return;
    }
    lanes_exp2_split(x, n, f, y);
    EACH y[k] = _mm512_fmadd_ps(f[k], y[k], all(1));
    EACH y[k] = _mm512_scalef_ps(y[k], n[k]);
}

/* 2^x, and 2^x - 1, which if rough is right to 4e-6 of x up to 1 alone. */
LANES_INLINE void lanes_exp2_less_1(const lanes x[SIDE], bool rough, lanes y[SIDE], lanes less_1[SIDE])
{
    lanes n[SIDE], f[SIDE], scale[SIDE];
    if (rough) {
        lanes_exp2(x, true, y);
        EACH less_1[k] = _mm512_sub_ps(y[k], all(1));
        return;
    }
    lanes_exp2_split(x, n, f, y);
    EACH f[k] = _mm512_mul_ps(f[k], y[k]);
    EACH scale[k] = _mm512_scalef_ps(all(1), n[k]);
    EACH y[k] = _mm512_fmadd_ps(scale[k], f[k], scale[k]);
    EACH less_1[k] = _mm512_fmadd_ps(scale[k], f[k], _mm512_sub_ps(scale[k], all(1)));
}

/* 1 / x, relative error 7e-8, 6e-5 if rough; x: finite, of size 1e-37 to 1e37. */
LANES_INLINE void lanes_inverse(const lanes x[SIDE], bool rough, lanes y[SIDE])
{
    lanes r[SIDE], rest[SIDE];
    EACH r[k] = _mm512_rcp14_ps(x[k]);
    if (rough) {
        EACH y[k] = r[k];
        return;
    }
    EACH rest[k] = _mm512_fnmadd_ps(r[k], x[k], all(1));
    EACH y[k] = _mm512_fmadd_ps(r[k], rest[k], r[k]);
}

/* (log(1 + f) - f) / f^2 for f of -1/4 to 1/2, error 3e-6 / (1 + |f|); if rough 1e-4, and 8e-6 / |f|. */
LANES_INLINE void lanes_log_tail(const lanes f[SIDE], bool rough, lanes tail[SIDE])
{
    if (rough) {
        EACH tail[k] = _mm512_fmadd_ps(f[k], all(-0.108862296f), all(0.20650542f));
        EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(-0.2559468f));
        EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(0.33340806f));
        EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(-0.49988165f));
        return;
    }
    EACH tail[k] = _mm512_fmadd_ps(f[k], all(-0.0670839844f), all(0.140644747f));
    EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(-0.172748254f));
    EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(0.200948082f));
    EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(-0.249856182f));
    EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(0.333310755f));
    EACH tail[k] = _mm512_fmadd_ps(f[k], tail[k], all(-0.5f));
}

/* x = 2^exponent (1 + f), f of -1/4 to 1/2. */
LANES_INLINE void lanes_log_split(const lanes x[SIDE], lanes exponent[SIDE], lanes f[SIDE])
{
    EACH exponent[k] = _mm512_getexp_ps(_mm512_mul_ps(x[k], all(4.0f / 3)));
    EACH f[k] = _mm512_sub_ps(_mm512_getmant_ps(x[k], _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src), all(1));
}

/* log x, error 4e-7 of max(|log x|, 1/4); x > 0 and finite. */
LANES_INLINE void lanes_log(const lanes x[SIDE], lanes y[SIDE])
{
    lanes exponent[SIDE], f[SIDE], tail[SIDE];
    lanes_log_split(x, exponent, f);
    lanes_log_tail(f, false, tail);
    EACH y[k] = _mm512_fmadd_ps(_mm512_mul_ps(f[k], f[k]), tail[k], f[k]);
    EACH y[k] = _mm512_fmadd_ps(exponent[k], all(0.693147180559945f), y[k]);
}

/* Of r >= 0, as log1p_split (vmath.h): log(1 + r), relative error 3e-7, 8e-6 if rough; 1 / (1 + r); and the first less r / (1 + r), 3e-6; if rough, that
 * is right to 2e-4, and to 1e-7 r. */
LANES_INLINE void lanes_log1p(const lanes r[SIDE], bool rough, lanes log1p[SIDE], lanes inverse[SIDE], lanes excess[SIDE])
{
    lanes u[SIDE], exponent[SIDE], f[SIDE], ff[SIDE], tail[SIDE];
    __mmask16 small[SIDE];
    EACH u[k] = _mm512_add_ps(r[k], all(1));
    lanes_log_split(u, exponent, f);
    EACH small[k] = _mm512_cmp_ps_mask(u[k], all(1.5f), _CMP_LT_OQ);
    EACH f[k] = _mm512_mask_mov_ps(f[k], small[k], r[k]);
    lanes_inverse(u, false, inverse);
    lanes_log_tail(f, rough, tail);
    EACH ff[k] = _mm512_mul_ps(f[k], f[k]);
    EACH log1p[k] = _mm512_fmadd_ps(ff[k], tail[k], f[k]);
    EACH log1p[k] = _mm512_fmadd_ps(exponent[k], all(0.693147180559945f), log1p[k]);
    if (rough) {
        EACH excess[k] = _mm512_fnmadd_ps(r[k], inverse[k], log1p[k]);
        return;
    }
    EACH excess[k] = _mm512_sub_ps(inverse[k], all(1));
    EACH excess[k] = _mm512_add_ps(log1p[k], excess[k]);
    EACH tail[k] = _mm512_add_ps(inverse[k], tail[k]);
    EACH excess[k] = _mm512_mask_mul_ps(excess[k], small[k], ff[k], tail[k]);
}

#endif
