/* noise.c: normal numbers and the mask of dropout, LANES counters of the generator of base/rng.h at once. */
#include "isa.h"
#include "vmath.h"

#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { LANES = 16, HALVES = 8, WIDE = REGISTER_BYTES / sizeof(uint64_t), PARTS = LANES / WIDE };       /* halves: numbers of 16 bits in what one counter gives */

/* 32 bits in lanes of 64, so that a product is whole. */
typedef uint64_t wide __attribute__((vector_size(REGISTER_BYTES)));
typedef uint32_t narrow __attribute__((vector_size(REGISTER_BYTES / 2)));

/* The product of the lower halves; compilers make three instructions of what is one. */
static inline wide times(wide a, uint32_t b)
{
#if defined(__AVX512F__)
    return (wide)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
    return (wide)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
    return (a & 0xFFFFFFFFu) * b;
#endif
}

/* iso_philox at LANES places: words [4, LANES]. Two parts go side by side, as a round waits for the one before. What is above 32 bits of a lane is left
 * there: no product reads it. */
typedef struct places { wide item[PARTS], counter[PARTS]; } places;
static inline void philox(iso_rng_key key, const places *at, uint32_t words[4][LANES])
{
    enum { SIDE = 2 };
    for (size_t part = 0; part < PARTS; part += SIDE) {
        wide c[4][SIDE];
        uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32) ^ (key.stream * 0x85EBCA6Bu);
        for (size_t j = 0; j < SIDE; j++) {
            c[0][j] = at->counter[part + j], c[1][j] = at->item[part + j];
            c[2][j] = c[1][j] >> 32, c[3][j] = (wide){0} + key.epoch;
        }
        for (int round = 0; round < 10; round++) {
#pragma GCC unroll 2
            for (size_t j = 0; j < SIDE; j++) {
                const wide p0 = times(c[0][j], 0xD2511F53u), p1 = times(c[2][j], 0xCD9E8D57u);
                c[0][j] = (p1 >> 32) ^ c[1][j] ^ k0, c[2][j] = (p0 >> 32) ^ c[3][j] ^ k1;
                c[1][j] = p1, c[3][j] = p0;
            }
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        for (size_t j = 0; j < SIDE; j++)
            for (int w = 0; w < 4; w++) {
                const narrow some = __builtin_convertvector(c[w][j], narrow);
                memcpy(words[w] + (part + j) * WIDE, &some, sizeof some);
            }
    }
}

/* The LANES x HALVES numbers of a mask that words give. */
static inline void masked(uint32_t words[4][LANES], int32_t threshold, real keep, real *restrict mask)
{
    for (int h = 0; h < HALVES; h++)
        _Pragma("GCC unroll 1")                              /* else GCC takes it apart instead of making vectors of it */
        for (int l = 0; l < LANES; l++) mask[h * LANES + l] = (int32_t)(words[h / 2][l] >> (h % 2 * 16) & 0xFFFF) < threshold ? 0 : keep;
}

void KERNEL(dropout_mask)(iso_rng_key key, uint64_t item, int64_t n, int32_t threshold, real keep, real *mask)
{
    static const uint64_t order[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int64_t i = 0; i < n; i += LANES * HALVES) {
        uint32_t words[4][LANES];
        real some[LANES * HALVES];
        places at;
        for (int j = 0; j < PARTS; j++) {
            memcpy(&at.counter[j], order + j * WIDE, sizeof at.counter[j]);
            at.item[j] = (wide){0} + item, at.counter[j] += (uint64_t)i / HALVES;
        }
        philox(key, &at, words);
        const bool whole = n - i >= LANES * HALVES;
        masked(words, threshold, keep, whole ? mask + i : some);
        if (!whole) memcpy(mask + i, some, (size_t)(n - i) * sizeof *mask);
    }
}

/* Cosine and sine of 2 pi (w + 1/2) / 2^32: series around the nearest quarter turn, to the last bit of `real`. */
static inline void turn(uint32_t w, real *cosine, real *sine)
{
    enum { TERMS = sizeof(real) == 4 ? 5 : 10 };
    uint32_t quarter = (w + 0x20000000u) >> 30;
    real a = ((real)(int32_t)(w - (quarter << 30)) + (real)0.5) * (real)(6.283185307179586477 * 0x1p-32), square = a * a, c = 1, s = 1;
    for (int k = TERMS; k > 0; k--) {
        c = 1 - square * (real)(1.0 / ((2 * k - 1) * (2 * k))) * c;
        s = 1 - square * (real)(1.0 / ((2 * k) * (2 * k + 1))) * s;
    }
    s *= a;
    real across = quarter & 1 ? s : c, along = quarter & 1 ? c : s;
    *cosine = ((quarter + 1) & 2) ? -across : across;
    *sine = quarter & 2 ? -along : along;
}

/* As iso_normal of each item, but for the last bits. Lanes go on with the next row, as a row may be short. */
void KERNEL(normal)(iso_rng_key key, const int64_t *items, int64_t rows, int64_t n, real *out)
{
    const int64_t each = (n + 3) / 4;                       /* counters a row, of four numbers each */
    for (int64_t row = 0, k = 0; row < rows;) {
        uint32_t words[4][LANES];
        real made[4][LANES], *to[LANES];
        int64_t left[LANES];
        uint64_t item[LANES] = {0}, counter[LANES] = {0};
        places at;
        int lanes = 0;
        for (; lanes < LANES && row < rows; lanes++) {
            item[lanes] = (uint64_t)items[row], counter[lanes] = (uint64_t)k;
            to[lanes] = out + row * n + 4 * k, left[lanes] = n - 4 * k;
            if (++k == each) k = 0, row++;
        }
        memcpy(at.item, item, sizeof item), memcpy(at.counter, counter, sizeof counter);
        philox(key, &at, words);
        for (int h = 0; h < 4; h += 2)
            for (int l = 0; l < LANES; l++) {
                real radius = real_sqrt(-2 * real_log(((real)words[h][l] + (real)0.5) * (real)0x1p-32)), cosine, sine;
                turn(words[h + 1][l], &cosine, &sine);
                made[h][l] = radius * cosine, made[h + 1][l] = radius * sine;
            }
        for (int l = 0; l < lanes; l++)
            for (int h = 0; h < 4 && h < left[l]; h++) to[l][h] = made[h][l];
    }
}
