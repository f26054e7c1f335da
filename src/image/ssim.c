/* ssim.c: structural similarity; see quality.h. */
#include "quality.h"

#include <math.h>

enum { RADIUS = 5, WINDOW = 2 * RADIUS + 1, MOMENTS = 5 };     /* moments: a, b, aa, bb, ab */
static const double SIGMA = 1.5, K1 = 0.01, K2 = 0.03;

static void window_of(double *w)
{
    double sum = 0;
    for (int k = 0; k < WINDOW; k++) sum += w[k] = exp(-0.5 * (k - RADIUS) * (k - RADIUS) / (SIGMA * SIGMA));
    for (int k = 0; k < WINDOW; k++) w[k] /= sum;
}

/* The weighted moments of a column of WINDOW pixels that starts at (y, x). */
static void column(const float *a, const float *b, int64_t width, int64_t y, int64_t x, const double *w, double *m)
{
    for (int i = 0; i < MOMENTS; i++) m[i] = 0;
    for (int k = 0; k < WINDOW; k++) {
        double p = (double)a[(y + k) * width + x], q = (double)b[(y + k) * width + x];
        m[0] += w[k] * p, m[1] += w[k] * q, m[2] += w[k] * p * p, m[3] += w[k] * q * q, m[4] += w[k] * p * q;
    }
}

static double similarity(const double *m, double range)
{
    double c1 = K1 * range * K1 * range, c2 = K2 * range * K2 * range;
    double va = m[2] - m[0] * m[0], vb = m[3] - m[1] * m[1], cov = m[4] - m[0] * m[1];
    return (2 * m[0] * m[1] + c1) * (2 * cov + c2) / ((m[0] * m[0] + m[1] * m[1] + c1) * (va + vb + c2));
}

iso_status iso_ssim(const float *a, const float *b, iso_area area, double range, double *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t rows = area.height - 2 * RADIUS, columns = area.width - 2 * RADIUS;
    double w[WINDOW], *line = NULL, sum = 0;
    FAIL_IF(rows < 1 || columns < 1, ISO_EDATA, "structural similarity needs images of at least %d x %d pixels", WINDOW, WINDOW);
    ALLOC(line, area.width * MOMENTS, sizeof *line);
    window_of(w);
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < area.width; x++) column(a, b, area.width, y, x, w, line + x * MOMENTS);
        for (int64_t x = 0; x < columns; x++) {
            double m[MOMENTS] = {0};
            for (int k = 0; k < WINDOW; k++)
                for (int i = 0; i < MOMENTS; i++) m[i] += w[k] * line[(x + k) * MOMENTS + i];
            sum += similarity(m, range);
        }
    }
    *out = sum / (double)(rows * columns);
done:
    iso_free(line);
    return st;
}
