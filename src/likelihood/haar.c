/* haar.c: see haar.h. Of each 2 x 2 square of pixels a b / c d: (a + b + c + d) / 2 goes to the upper left quarter, the differences in x,
 * in y and in both to the others; then the same for the upper left quarter. Source: Haar 1910; the layout is Mallat's (1989). */
#include "haar.h"

#include <string.h>

enum { MOST = 4 };

int iso_haar_levels(int64_t height, int64_t width)
{
    int n = 0;
    while (n < MOST && height % 2 == 0 && width % 2 == 0) height /= 2, width /= 2, n++;
    return n;
}

int iso_haar_band(int64_t height, int64_t width, int64_t row, int64_t column)
{
    int levels = iso_haar_levels(height, width);
    for (int l = 0; l < levels; l++) {
        bool low = row >= height >> (l + 1), right = column >= width >> (l + 1);
        if (low || right) return 3 * l + (low ? right ? 2 : 1 : 0);
    }
    return 3 * levels;
}

/* The four corners of square (y, x): in pixels, and as coefficients; offsets from the image's start. */
typedef struct square { int64_t pixel[4], coefficient[4]; } square;
static square square_at(int64_t h, int64_t w, int64_t stride, int64_t channels, int64_t y, int64_t x)
{
    int64_t p = 2 * y * stride + 2 * x * channels, c = y * stride + x * channels, down = h / 2 * stride, right = w / 2 * channels;
    return (square){{p, p + channels, p + stride, p + stride + channels}, {c, c + right, c + down, c + down + right}};
}

static void level(const real *from, real *to, int64_t h, int64_t w, int64_t stride, int64_t channels, bool inverse)
{
    for (int64_t y = 0; y < h / 2; y++)
        for (int64_t x = 0; x < w / 2; x++) {
            square s = square_at(h, w, stride, channels, y, x);
            const int64_t *in = inverse ? s.coefficient : s.pixel, *out = inverse ? s.pixel : s.coefficient;
            for (int64_t k = 0; k < channels; k++) {          /* the 4 x 4 matrix is its own inverse */
                real a = from[in[0] + k], b = from[in[1] + k], c = from[in[2] + k], d = from[in[3] + k];
                to[out[0] + k] = (a + b + c + d) / 2, to[out[1] + k] = (a - b + c - d) / 2;
                to[out[2] + k] = (a + b - c - d) / 2, to[out[3] + k] = (a - b - c + d) / 2;
            }
        }
}

static void copy_back(real *to, const real *from, int64_t h, int64_t row, int64_t stride)
{
    for (int64_t y = 0; y < h; y++) memcpy(to + y * stride, from + y * stride, (size_t)row * sizeof *to);
}

void iso_haar(real *x, int64_t height, int64_t width, int64_t channels, real *work)
{
    int levels = iso_haar_levels(height, width);
    for (int l = 0; l < levels; l++) {
        level(x, work, height >> l, width >> l, width * channels, channels, false);
        copy_back(x, work, height >> l, (width >> l) * channels, width * channels);
    }
}

void iso_haar_inverse(real *x, int64_t height, int64_t width, int64_t channels, real *work)
{
    int levels = iso_haar_levels(height, width);
    for (int l = levels - 1; l >= 0; l--) {
        level(x, work, height >> l, width >> l, width * channels, channels, true);
        copy_back(x, work, height >> l, (width >> l) * channels, width * channels);
    }
}
