/* noise.c: normal numbers and the mask of dropout, LANES counters of the generator of base/rng.h at once. */
#include "isa.h"
#include "vmath.h"

#include <string.h>

enum { LANES = 16, HALVES = 8, PARTS = LANES * sizeof(uint64_t) / REGISTER_BYTES };         /* halves: numbers of 16 bits in what one counter gives */

/* 32 bits in lanes of 64, so that a product is whole. */
typedef uint64_t wide __attribute__((vector_size(REGISTER_BYTES)));

/* iso_philox at counters first .. first + LANES - 1: words [4, LANES]. */
static void philox(iso_rng_key key, uint64_t item, uint32_t first, uint64_t words[4][LANES])
{
    for (size_t part = 0; part < PARTS; part++) {
        enum { N = REGISTER_BYTES / sizeof(uint64_t) };
        wide c0, c1, c2, c3;
        const wide low = (wide){0} + 0xFFFFFFFFu;
        uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32) ^ (key.stream * 0x85EBCA6Bu);
        for (size_t l = 0; l < N; l++) c0[l] = first + (uint32_t)(part * N + l);
        c1 = (wide){0} + (uint32_t)item, c2 = (wide){0} + (item >> 32), c3 = (wide){0} + key.epoch;
        for (int round = 0; round < 10; round++) {
            wide p0 = c0 * 0xD2511F53u, p1 = c2 * 0xCD9E8D57u;
            c0 = (p1 >> 32) ^ c1 ^ k0;
            c1 = p1 & low;
            c2 = (p0 >> 32) ^ c3 ^ k1;
            c3 = p0 & low;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        memcpy(words[0] + part * N, &c0, sizeof c0);
        memcpy(words[1] + part * N, &c1, sizeof c1);
        memcpy(words[2] + part * N, &c2, sizeof c2);
        memcpy(words[3] + part * N, &c3, sizeof c3);
    }
}

void KERNEL(dropout_mask)(iso_rng_key key, uint64_t item, int64_t n, int32_t threshold, real keep, real *mask)
{
    for (int64_t i = 0; i < n; i += LANES * HALVES) {
        uint64_t words[4][LANES];
        real some[LANES * HALVES];
        int64_t left = n - i < LANES * HALVES ? n - i : LANES * HALVES;
        philox(key, item, (uint32_t)(i / HALVES), words);
        for (int h = 0; h < HALVES; h++)
            for (int l = 0; l < LANES; l++) some[h * LANES + l] = (int32_t)(words[h / 2][l] >> (h % 2 * 16) & 0xFFFF) < threshold ? 0 : keep;
        memcpy(mask + i, some, (size_t)left * sizeof *mask);
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

/* As iso_normal, but for the last bits. */
void KERNEL(normal)(iso_rng_key key, uint64_t item, int64_t n, real *out)
{
    for (int64_t i = 0; i < n; i += LANES * 4) {
        uint64_t words[4][LANES];
        real made[4][LANES], some[LANES * 4];
        int64_t left = n - i < LANES * 4 ? n - i : LANES * 4;
        philox(key, item, (uint32_t)(i / 4), words);
        for (int h = 0; h < 4; h += 2)
            for (int l = 0; l < LANES; l++) {
                real radius = real_sqrt(-2 * real_log(((real)(uint32_t)words[h][l] + (real)0.5) * (real)0x1p-32)), cosine, sine;
                turn((uint32_t)words[h + 1][l], &cosine, &sine);
                made[h][l] = radius * cosine, made[h + 1][l] = radius * sine;
            }
        for (int l = 0; l < LANES; l++)
            for (int h = 0; h < 4; h++) some[l * 4 + h] = made[h][l];
        memcpy(out + i, some, (size_t)left * sizeof *out);
    }
}
