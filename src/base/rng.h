/* rng.h: counter-based random numbers (Philox4x32-10).
 *
 * A draw is a pure function of (seed, stream, epoch, item, index): no state, so it does not depend on threads,
 * on how a batch is split, or on the device. `item` is a cell's index in its data set, so a cell gets the same
 * noise wherever in a batch it stands.
 * Source: Salmon et al. 2011, doi:10.1145/2063384.2063405. */
#ifndef ISO_RNG_H
#define ISO_RNG_H

#include "base.h"

typedef struct iso_rng_key {
    uint64_t seed;
    uint32_t stream;      /* which use: see iso_stream */
    uint32_t epoch;       /* epoch, draw number, ... */
} iso_rng_key;

/* Streams below 256 are named here; the engine gives node i of a graph stream 256 + i. */
enum iso_stream { ISO_STREAM_INIT = 1, ISO_STREAM_SPLIT, ISO_STREAM_SHUFFLE, ISO_STREAM_SAMPLE, ISO_STREAM_EVAL,
                  ISO_STREAM_MAP, ISO_STREAM_TEST, ISO_STREAM_HEAD, ISO_STREAM_AUGMENT, ISO_STREAM_SIMULATE };

/* Four 32-bit words at counter (item, index); index counts groups of four. */
void iso_philox(iso_rng_key key, uint64_t item, uint32_t index, uint32_t out[4]);
/* n uniforms in (0, 1): never exactly 0 or 1. */
void iso_uniform(iso_rng_key key, uint64_t item, int64_t n, real *out);
/* n standard normals (Box-Muller). */
void iso_normal(iso_rng_key key, uint64_t item, int64_t n, real *out);
/* order = a permutation of 0..n-1 (Fisher-Yates). */
void iso_permutation(iso_rng_key key, int64_t n, int64_t *order);

/* A stream of numbers for one item, for samplers that need an unknown number of draws. */
typedef struct iso_rng {
    iso_rng_key key;
    uint64_t item;
    uint32_t index;
    int left;
    uint32_t words[4];
} iso_rng;
iso_rng iso_rng_start(iso_rng_key key, uint64_t item);
uint32_t iso_rng_u32(iso_rng *r);
double iso_rng_uniform(iso_rng *r);                     /* (0, 1), 53 bits */
double iso_rng_normal(iso_rng *r);
double iso_rng_gamma(iso_rng *r, double shape);         /* scale 1; Marsaglia & Tsang 2000 */
double iso_rng_poisson(iso_rng *r, double mean);        /* exact for any mean >= 0 */

#endif
