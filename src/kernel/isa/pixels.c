/* pixels.c: what is done to pixels [n, channels] on their way: bias and relu, and the way back. */
#include "isa.h"

void KERNEL(pixels_finish)(int64_t n, int64_t channels, const real *from, const real *bias, bool relu, bool add, real *to)
{
    for (int64_t p = 0; p < n; p++, from += channels, to += channels) {
        if (bias && add) for (int64_t k = 0; k < channels; k++) to[k] += from[k] + bias[k];
        else if (bias) for (int64_t k = 0; k < channels; k++) to[k] = from[k] + bias[k];
        else if (add) for (int64_t k = 0; k < channels; k++) to[k] += from[k];
        else if (to != from) for (int64_t k = 0; k < channels; k++) to[k] = from[k];
        if (relu) for (int64_t k = 0; k < channels; k++) to[k] = to[k] > 0 ? to[k] : 0;
    }
}

/* Pixels of few channels are summed several at a time. */
enum { TOGETHER = 64 };

void KERNEL(pixels_unfinish)(int64_t n, int64_t channels, const real *d, const real *out, real *to, real *sums)
{
    real few[TOGETHER] = {0};
    int64_t size = n * channels, wide = channels < TOGETHER ? TOGETHER / channels * channels : channels;
    real *add_to = channels < TOGETHER ? few : sums;
    for (int64_t i = 0; i < size; i += wide) {
        int64_t m = size - i < wide ? size - i : wide;
        const real *masked = out ? to + i : d + i;
        if (out) {
            for (int64_t k = 0; k < m; k++) {
                real dk = d[i + k];                         /* read in any case: no branch, so that it vectorises */
                to[i + k] = out[i + k] > 0 ? dk : 0;
            }
        } else if (to) for (int64_t k = 0; k < m; k++) to[i + k] = d[i + k];
        for (int64_t k = 0; sums && k < m; k++) add_to[k] += masked[k];
    }
    for (int64_t k = 0; sums && add_to == few && k < wide; k++) sums[k % channels] += few[k];
}
