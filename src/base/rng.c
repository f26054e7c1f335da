/* rng.c: Philox4x32-10 and the laws drawn from it. */
#include "rng.h"

#include <math.h>

void iso_philox(iso_rng_key key, uint64_t item, uint32_t index, uint32_t out[4])
{
    /* Counter: index, item (64 bits), epoch. Key: seed with the stream folded into its high word by an odd constant,
     * so that different (seed, stream) pairs of practical size give different keys. */
    uint32_t c0 = index, c1 = (uint32_t)item, c2 = (uint32_t)(item >> 32), c3 = key.epoch;
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32) ^ (key.stream * 0x85EBCA6Bu);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* 32 random bits to (0, 1): the midpoints of 2^23 (float) or 2^32 (double) equal cells, exact in `real`. */
static real unit(uint32_t u)
{
    return sizeof(real) == 4 ? ((real)(u >> 9) + (real)0.5) * (real)0x1p-23 : ((real)u + (real)0.5) * (real)0x1p-32;
}

void iso_uniform(iso_rng_key key, uint64_t item, int64_t n, real *out)
{
    uint32_t w[4];
    for (int64_t i = 0; i < n; i += 4) {
        iso_philox(key, item, (uint32_t)(i / 4), w);
        for (int64_t j = i; j < n && j < i + 4; j++) out[j] = unit(w[j - i]);
    }
}

void iso_normal(iso_rng_key key, uint64_t item, int64_t n, real *out)
{
    uint32_t w[4];
    for (int64_t i = 0; i < n; i += 4) {
        iso_philox(key, item, (uint32_t)(i / 4), w);
        for (int64_t j = i; j < n && j < i + 4; j += 2) {       /* Box & Muller 1958 */
            double radius = sqrt(-2 * log(((double)w[j - i] + 0.5) * 0x1p-32));
            double angle = 6.283185307179586477 * (((double)w[j - i + 1] + 0.5) * 0x1p-32);
            out[j] = (real)(radius * cos(angle));
            if (j + 1 < n) out[j + 1] = (real)(radius * sin(angle));
        }
    }
}

void iso_permutation(iso_rng_key key, int64_t n, int64_t *order)
{
    for (int64_t i = 0; i < n; i++) order[i] = i;
    iso_rng r = iso_rng_start(key, 0);
    for (int64_t i = n - 1; i > 0; i--) {
        uint64_t wide = (uint64_t)iso_rng_u32(&r) << 32;
        wide |= iso_rng_u32(&r);
        int64_t j = (int64_t)(wide % (uint64_t)(i + 1));        /* bias below 2^-40 for any n that fits in memory */
        int64_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

iso_rng iso_rng_start(iso_rng_key key, uint64_t item) { return (iso_rng){.key = key, .item = item}; }

uint32_t iso_rng_u32(iso_rng *r)
{
    if (r->left == 0) {
        iso_philox(r->key, r->item, r->index++, r->words);
        r->left = 4;
    }
    return r->words[4 - r->left--];
}

double iso_rng_uniform(iso_rng *r)
{
    uint64_t wide = (uint64_t)iso_rng_u32(r) << 32;
    wide |= iso_rng_u32(r);
    return ((double)(wide >> 12) + 0.5) * 0x1p-52;
}

double iso_rng_normal(iso_rng *r)
{
    double radius = sqrt(-2 * log(iso_rng_uniform(r)));
    return radius * cos(6.283185307179586477 * iso_rng_uniform(r));
}

double iso_rng_gamma(iso_rng *r, double shape)
{
    if (shape < 1)      /* boost: Gamma(a) = Gamma(a + 1) U^(1/a) */
        return exp(log(iso_rng_gamma(r, shape + 1)) + log(iso_rng_uniform(r)) / shape);
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = iso_rng_normal(r), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        if (log(iso_rng_uniform(r)) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

/* Small means by counting uniforms; large ones by halving through the gamma law of the middle arrival
 * (Ahrens & Dieter 1974): exact, O(log mean). */
double iso_rng_poisson(iso_rng *r, double mean)
{
    double count = 0;
    while (mean > 16) {
        double m = floor(mean * 7 / 8), x = iso_rng_gamma(r, m);
        if (x > mean) {          /* the m-th arrival is late: Binomial(m - 1, mean / x) arrivals came before */
            double p = mean / x;
            for (double i = 0; i < m - 1; i++) count += iso_rng_uniform(r) < p;
            return count;
        }
        count += m;
        mean -= x;
    }
    double limit = exp(-mean), product = iso_rng_uniform(r);
    while (product > limit) {
        count++;
        product *= iso_rng_uniform(r);
    }
    return count;
}
