/* picture.c: an image as the model sees it: scaled, channels last, mirrored up to its size, turned. */
#include "cells.h"

#include <math.h>

/* Where a line of n that goes on as in a mirror has its i-th one, i >= 0. */
static int64_t mirrored(int64_t i, int64_t n)
{
    i %= 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

int iso_picture_ways(const iso_pictures *p) { return p->to_height == p->to_width ? 8 : 4; }

int iso_picture_attitude(const iso_pictures *p, int64_t cell)
{
    double right = 0, down = 0;             /* first moments of light about the middle */
    for (int64_t c = 0; c < p->channels; c++) {
        const float *plane = p->pixels + (cell * p->channels + c) * p->height * p->width;
        double x_sum = 0, y_sum = 0;
        for (int64_t y = 0; y < p->height; y++) {
            double row = 0;
            for (int64_t x = 0; x < p->width; x++) {
                row += (double)plane[y * p->width + x];
                x_sum += (double)plane[y * p->width + x] * (double)(2 * x + 1 - p->width);
            }
            y_sum += row * (double)(2 * y + 1 - p->height);
        }
        right += x_sum * (double)p->scale[c], down += y_sum * (double)p->scale[c];
    }
    if (iso_picture_ways(p) == 4 || fabs(right) >= fabs(down)) return (right < 0 ? 1 : 0) | (down < 0 ? 2 : 0);
    return 4 | (down < 0 ? 1 : 0) | (right < 0 ? 2 : 0);
}

/* A line of pixels at every step-th place of a line of n that starts at `from`, or comes from its end: to every C-th of out. */
static void line_of(const float *from, int64_t n, int64_t step, bool back, int64_t to_n, float low, float scale, real *out, int64_t C)
{
    for (int64_t i = to_n; i-- > n;) out[(back ? to_n - 1 - i : i) * C] = (real)((from[mirrored(i, n) * step] - low) * scale);
    real *to = back ? out + (to_n - 1) * C : out;
    for (int64_t i = 0, way = back ? -C : C; i < n; i++, to += way) *to = (real)((from[i * step] - low) * scale);
}

void iso_picture(const iso_pictures *p, int64_t cell, int way, real *out)
{
    int64_t H = p->to_height, W = p->to_width, C = p->channels, h = p->height, w = p->width;
    bool turn = way & 4;
    for (int64_t c = 0; c < C; c++) {
        const float *plane = p->pixels + (cell * C + c) * h * w;
        for (int64_t y = 0; y < H; y++) {
            int64_t u = mirrored(way & 2 ? H - 1 - y : y, turn ? w : h);
            line_of(turn ? plane + u : plane + u * w, turn ? h : w, turn ? w : 1, way & 1, W, p->low[c], p->scale[c], out + y * W * C + c, C);
        }
    }
}
