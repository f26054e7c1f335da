/* distance.c: exact Euclidean distances in linear time: along columns first, then along rows as the lower envelope of
 * parabolas. Source: Felzenszwalb & Huttenlocher 2012, doi:10.4086/toc.2012.v008a019. */
#include "image.h"

#include <math.h>

static const double FAR = 1e18; /* squared distance where there is no background */

/* Squared distance along one column to the nearest pixel that is not inside. */
static void column_distance(const uint8_t *inside, iso_area a, int64_t x, double *squared)
{
    int64_t since = a.height + a.width; /* pixels since the last background */
    bool seen = false;
    for (int64_t y = 0; y < a.height; y++) {
        since = inside[y * a.width + x] ? since + 1 : 0;
        seen = seen || since == 0;
        squared[y * a.width + x] = seen ? (double)(since * since) : FAR;
    }
    seen = false;
    for (int64_t y = a.height - 1; y >= 0; y--) {
        since = inside[y * a.width + x] ? since + 1 : 0;
        seen = seen || since == 0;
        double *s = &squared[y * a.width + x];
        if (seen && (double)(since * since) < *s) *s = (double)(since * since);
    }
}

/* The parabolas f[q] + (x - q)^2 of one row, n of them: least[x] is the lowest at x. apex, start: room for n and n + 1.
 */
static void row_minimum(const double *f, int64_t n, int64_t *apex, double *start, double *least)
{
    int64_t k = 0;
    apex[0] = 0, start[0] = -HUGE_VAL, start[1] = HUGE_VAL;
    for (int64_t q = 1; q < n; q++) {
        double meet;
        do {
            int64_t p = apex[k];
            meet = (f[q] + (double)(q * q) - f[p] - (double)(p * p)) / (double)(2 * (q - p));
        } while (meet <= start[k] && k-- > 0);
        k++;
        apex[k] = q, start[k] = meet, start[k + 1] = HUGE_VAL;
    }
    k = 0;
    for (int64_t x = 0; x < n; x++) {
        while (start[k + 1] < (double)x) k++;
        least[x] = f[apex[k]] + (double)((x - apex[k]) * (x - apex[k]));
    }
}

iso_status iso_distance(const uint8_t *inside, iso_area a, float *distance, iso_error *err)
{
    iso_status st = ISO_OK;
    double *squared = NULL, *start = NULL, *least = NULL;
    int64_t *apex = NULL;
    ALLOC(squared, a.height * a.width, sizeof *squared);
    ALLOC(start, a.width + 1, sizeof *start);
    ALLOC(least, a.width, sizeof *least);
    ALLOC(apex, a.width, sizeof *apex);
    for (int64_t x = 0; x < a.width; x++) column_distance(inside, a, x, squared);
    for (int64_t y = 0; y < a.height; y++) {
        row_minimum(squared + y * a.width, a.width, apex, start, least);
        for (int64_t x = 0; x < a.width; x++) distance[y * a.width + x] = (float)sqrt(least[x]);
    }
done:
    iso_free(squared);
    iso_free(start);
    iso_free(least);
    iso_free(apex);
    return st;
}
