/* eigen.c: cyclic Jacobi (Golub & Van Loan, Matrix Computations, section 8.5). */
#include "eigen.h"

#include <math.h>
#include <string.h>

enum { MAX_SWEEPS = 60 };

/* The rotation of rows and columns p, q that makes a[p, q] 0; v's rows p and q turn with it. */
static void rotate(double *a, double *v, int64_t n, int64_t p, int64_t q)
{
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int64_t k = 0; k < n; k++) {
        double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y, a[k * n + q] = s * x + c * y;
    }
    for (int64_t k = 0; k < n; k++) {
        double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y, a[q * n + k] = s * x + c * y;
    }
    for (int64_t k = 0; k < n; k++) {
        double x = v[p * n + k], y = v[q * n + k];
        v[p * n + k] = c * x - s * y, v[q * n + k] = s * x + c * y;
    }
}

static void swap_rows(double *v, int64_t n, int64_t a, int64_t b)
{
    for (int64_t k = 0; k < n; k++) {
        double t = v[a * n + k];
        v[a * n + k] = v[b * n + k], v[b * n + k] = t;
    }
}

void eigen_symmetric(double *a, int64_t n, double *values, double *vectors)
{
    memset(vectors, 0, (size_t)(n * n) * sizeof *vectors);
    for (int64_t i = 0; i < n; i++) vectors[i * n + i] = 1;
    for (int sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        double off = 0, all = 0;
        for (int64_t i = 0; i < n * n; i++) all += a[i] * a[i];
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) off += 2 * a[p * n + q] * a[p * n + q];
        if (off <= 1e-30 * all) break;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                if (a[p * n + q] != 0) rotate(a, vectors, n, p, q);
    }
    for (int64_t i = 0; i < n; i++) values[i] = a[i * n + i];
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t j = i + 1; j < n; j++)
            if (values[j] > values[best]) best = j;
        if (best == i) continue;
        double t = values[i];
        values[i] = values[best], values[best] = t;
        swap_rows(vectors, n, i, best);
    }
}
