/* crop.c: squares around cells; see image.h. */
#include "image.h"

#include <math.h>

/* First row or column of a square of that size around x. */
static int64_t start_of(double x, int64_t size) { return (int64_t)floor(x + 0.5) - size / 2; }

void iso_crop(const float *plane, iso_area a, double y, double x, int64_t size, float *out)
{
    int64_t top = start_of(y, size), left = start_of(x, size);
    for (int64_t v = 0; v < size; v++)
        for (int64_t u = 0; u < size; u++)
            out[v * size + u] = plane[iso_mirror(top + v, a.height) * a.width + iso_mirror(left + u, a.width)];
}

void iso_crop_mask(const int32_t *labels, iso_area a, int32_t label, double y, double x, int64_t size, uint8_t *out)
{
    int64_t top = start_of(y, size), left = start_of(x, size);
    for (int64_t v = 0; v < size; v++)
        for (int64_t u = 0; u < size; u++) {
            int64_t row = top + v, column = left + u;
            bool there = row >= 0 && row < a.height && column >= 0 && column < a.width;
            out[v * size + u] = there && labels[row * a.width + column] == label;
        }
}
