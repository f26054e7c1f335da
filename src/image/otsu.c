/* otsu.c: a threshold between two classes of values. With values sorted, each place of the cut is tried: between-class
 * variance is n0 n1 (mean0 - mean1)^2 / n^2. Source: Otsu 1979, doi:10.1109/TSMC.1979.4310076. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

iso_status iso_otsu(const float *values, int64_t n, float *threshold, iso_error *err)
{
    iso_status st = ISO_OK;
    float *sorted = NULL;
    double sum = 0, low = 0, best = -1;
    ALLOC(sorted, n, sizeof *sorted);
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t i = 0; i < n; i++) sum += (double)sorted[i];
    *threshold = n ? sorted[n - 1] : 0;
    for (int64_t i = 1; i < n; i++) { /* the cut is before the i-th value */
        low += (double)sorted[i - 1];
        if (sorted[i] == sorted[i - 1]) continue;
        double n0 = (double)i, n1 = (double)(n - i), apart = low / n0 - (sum - low) / n1;
        if (n0 * n1 * apart * apart <= best) continue;
        best = n0 * n1 * apart * apart;
        *threshold = sorted[i - 1];
    }
done:
    iso_free(sorted);
    return st;
}
