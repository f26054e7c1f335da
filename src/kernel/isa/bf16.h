/* bf16.h: bfloat16, the upper half of a float: 8 bits of mantissa. */
#ifndef ISO_BF16_H
#define ISO_BF16_H

#include "isa.h"
#include "vmath.h"

static inline float widened(iso_bf16 x) { return bits_float((uint32_t)x << 16); }

/* To the nearest, even where two are as near; NaN stays NaN. */
static inline iso_bf16 narrowed(real x)
{
    uint32_t b = float_bits((float)x), rounded = b + 0x7fffu + (b >> 16 & 1), quiet = b | 0x400000u;
    return (iso_bf16)(((b & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) >> 16);
}

/* The same for what is finite, infinite, or a NaN that came of arithmetic, in fewer instructions. */
static inline iso_bf16 narrowed_result(real x)
{
    uint32_t b = float_bits((float)x);
    return (iso_bf16)((b + 0x7fffu + (b >> 16 & 1)) >> 16);
}

#endif
