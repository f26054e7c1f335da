/* picture.c: an image as the model sees it: scaled, channels last, mirrored up to its size, turned. */
#include "cells.h"

/* Where a line of n that goes on as in a mirror has its i-th one, i >= 0. */
static int64_t mirrored(int64_t i, int64_t n)
{
    i %= 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

int iso_picture_ways(const iso_pictures *p) { return p->to_height == p->to_width ? 8 : 4; }

void iso_picture(const iso_pictures *p, int64_t cell, int way, real *out)
{
    int64_t H = p->to_height, W = p->to_width, C = p->channels;
    for (int64_t c = 0; c < C; c++) {
        const float *plane = p->pixels + (cell * C + c) * p->height * p->width;
        for (int64_t y = 0; y < H; y++)
            for (int64_t x = 0; x < W; x++) {
                int64_t v = way & 1 ? W - 1 - x : x, u = way & 2 ? H - 1 - y : y;
                if (way & 4) { int64_t t = u; u = v, v = t; }
                out[(y * W + x) * C + c] = (real)((plane[mirrored(u, p->height) * p->width + mirrored(v, p->width)] - p->low[c]) * p->scale[c]);
            }
    }
}
