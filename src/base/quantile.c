/* quantile.c: sorted numbers. */
#include "base.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void iso_sort(double *v, int64_t n) { qsort(v, (size_t)n, sizeof *v, ascending); }

double iso_quantile(double *v, int64_t n, double share)
{
    iso_sort(v, n);
    return v[(int64_t)(share * (double)(n - 1) + 0.5)];
}
