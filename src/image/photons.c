/* photons.c: the gain and offset of a camera from images alone: the variance of shot noise is gain * (mean - offset).
 *
 * Noise is what remains of a pixel after its eight neighbours are taken off in such a way that slopes and straight edges vanish; in each
 * of BINS classes of equal brightness the median of its square is hardly touched by filaments. A line through the classes, heavier where the variance is
 * small, has the gain as its slope. A class in which pixels are as bright as any may be saturated, which hides noise: it is left out.
 * Sources: Immerkaer 1996, doi:10.1006/cviu.1996.0060 (the weights); Janesick 2007, "Photon Transfer"; Foi et al. 2008, doi:10.1109/TIP.2008.2001399. */
#include "image.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 24, MOST = 400000 };
static const double MEDIAN_OF_CHI2 = 0.454936;         /* with one degree of freedom */
static const double FULL = 0.01;                       /* share of a class's spots that may be as bright as any */
static const double CERTAIN = 3;                       /* a slope is at least so many standard errors */

typedef struct spot { double mean, square, brightest; } spot;

/* Of the nine pixels whose upper left one is p: squared noise, in units of the variance of one. */
static spot spot_at(const float *p, int64_t width)
{
    static const double weight[3][3] = {{1, -2, 1}, {-2, 4, -2}, {1, -2, 1}};
    spot s = {.brightest = -HUGE_VAL};
    double rest = 0;
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 3; x++) {
            double v = (double)p[y * width + x];
            rest += weight[y][x] * v, s.mean += v / 9, s.brightest = fmax(s.brightest, v);
        }
    s.square = rest * rest / 36;
    return s;
}

static int by_mean(const void *a, const void *b)
{
    double x = ((const spot *)a)->mean, y = ((const spot *)b)->mean;
    return (x > y) - (x < y);
}

/* Weighted least squares of variance = slope * mean + intercept; whether the slope is surely above 0. */
static bool fit_line(const double *mean, const double *variance, int n, double *slope, double *intercept)
{
    double w = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        double weight = 1 / (variance[i] * variance[i]);
        w += weight, x += weight * mean[i], y += weight * variance[i], xx += weight * mean[i] * mean[i], xy += weight * mean[i] * variance[i];
    }
    double d = w * xx - x * x;
    if (!(d > 0)) return false;
    *slope = (w * xy - x * y) / d;
    *intercept = (y - *slope * x) / w;
    double rest = 0;
    for (int i = 0; i < n; i++) rest += pow(1 - (*slope * mean[i] + *intercept) / variance[i], 2);
    return *slope > CERTAIN * sqrt(rest / (n - 2) * w / d) && isfinite(*slope) && isfinite(*intercept);
}

bool iso_photon_line(const float *pixels, iso_area a, int64_t n, int64_t stride, double *gain, double *offset)
{
    int64_t across = a.width - 2, spots_each = (a.height - 2) * across, all = n * spots_each, some = all < MOST ? all : MOST;
    double mean[BINS], variance[BINS], slope, intercept, most = -HUGE_VAL;
    int used = 0;
    if (a.width < 3 || a.height < 3 || some < 100 * BINS) return false;
    spot *s = iso_calloc(some, sizeof *s);
    double *square = iso_calloc(some, sizeof *square);
    for (int64_t i = 0; s && square && i < some; i++) {
        int64_t at = (int64_t)((double)i / (double)some * (double)all), y = at % spots_each / across, x = at % across;
        s[i] = spot_at(pixels + at / spots_each * stride + y * a.width + x, a.width);
        most = fmax(most, s[i].brightest);
    }
    if (s && square) {
        qsort(s, (size_t)some, sizeof *s, by_mean);
        for (int b = 0; b < BINS; b++) {
            int64_t from = b * some / BINS, to = (b + 1) * some / BINS;
            double sum = 0, full = 0;
            for (int64_t i = from; i < to; i++) square[i - from] = s[i].square, sum += s[i].mean, full += s[i].brightest >= most;
            double v = iso_quantile(square, to - from, 0.5) / MEDIAN_OF_CHI2;
            if (v > 0 && full <= FULL * (double)(to - from)) mean[used] = sum / (double)(to - from), variance[used] = v, used++;
        }
    }
    iso_free(s);
    iso_free(square);
    if (used < BINS / 4 || !fit_line(mean, variance, used, &slope, &intercept)) return false;
    *gain = slope, *offset = -intercept / slope;
    return true;
}
