/* blur.c: a Gaussian as two passes of a line; see image.h. */
#include "image.h"

#include <math.h>

int64_t iso_mirror(int64_t i, int64_t n)
{
    int64_t at = i % (2 * n);
    if (at < 0) at += 2 * n;
    return at < n ? at : 2 * n - 1 - at;
}

/* weights [2 radius + 1], which sum to 1 */
static void gaussian(double sigma, int64_t radius, double *weights)
{
    double sum = 0;
    for (int64_t i = -radius; i <= radius; i++)
        sum += weights[i + radius] = exp(-0.5 * (double)(i * i) / (sigma * sigma));
    for (int64_t i = 0; i <= 2 * radius; i++) weights[i] /= sum;
}

/* Blurs n pixels that are `step` apart. line: room for n + 2 radius. */
static void blur_line(float *pixels, int64_t n, int64_t step, const double *weights, int64_t radius, float *line)
{
    for (int64_t i = 0; i < n + 2 * radius; i++) line[i] = pixels[iso_mirror(i - radius, n) * step];
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k <= 2 * radius; k++) sum += weights[k] * (double)line[i + k];
        pixels[i * step] = (float)sum;
    }
}

iso_status iso_blur(float *plane, iso_area a, double sigma, iso_error *err)
{
    iso_status st = ISO_OK;
    double *weights = NULL;
    float *line = NULL;
    if (sigma <= 0) return ISO_OK;
    int64_t radius = (int64_t)ceil(4 * sigma), longest = a.height > a.width ? a.height : a.width;
    ALLOC(weights, 2 * radius + 1, sizeof *weights);
    ALLOC(line, longest + 2 * radius, sizeof *line);
    gaussian(sigma, radius, weights);
    for (int64_t y = 0; y < a.height; y++) blur_line(plane + y * a.width, a.width, 1, weights, radius, line);
    for (int64_t x = 0; x < a.width; x++) blur_line(plane + x, a.height, a.width, weights, radius, line);
done:
    iso_free(weights);
    iso_free(line);
    return st;
}
