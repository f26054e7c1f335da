/* eigen.c: Householder tridiagonalisation, then implicit QR steps with Wilkinson's shift
 * (Golub & Van Loan, Matrix Computations, 4th ed., algorithms 8.3.1 to 8.3.3).
 *
 * With a = Q T Q' and T = S diag(values) S', the eigenvectors are the columns of Q S. `vectors` starts as rows of the
 * identity and takes each reflection and each rotation from the right; it is stored transposed, so that every one of
 * them runs along memory. */
#include "eigen.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_STEPS = 60 };             /* for one eigenvalue; two or three are usual */

/* z [n, rows] = z (I - beta v v'), where v [n] is 0 before `from`. */
static void reflect(double *z, int64_t n, int64_t rows, int64_t from, const double *v, double beta)
{
    for (int64_t begin = 0; begin < rows; begin += 64) {
        int64_t width = rows - begin < 64 ? rows - begin : 64;
        double sum[64] = {0};
        for (int64_t j = from; j < n; j++)
            for (int64_t c = 0; c < width; c++) sum[c] += v[j] * z[j * rows + begin + c];
        for (int64_t j = from; j < n; j++)
            for (int64_t c = 0; c < width; c++) z[j * rows + begin + c] -= beta * v[j] * sum[c];
    }
}

/* a = H a H for H = I - beta v v', on rows and columns from `from`. w [n] is scratch. */
static void reflect_both(double *a, int64_t n, int64_t from, const double *v, double beta, double *w)
{
    double vw = 0;
    memset(w, 0, (size_t)n * sizeof *w);
    for (int64_t j = from; j < n; j++)
        for (int64_t i = from; i < n; i++) w[i] += v[j] * a[j * n + i];
    for (int64_t i = from; i < n; i++) vw += v[i] * w[i];
    for (int64_t i = from; i < n; i++) w[i] = beta * (w[i] - beta * vw / 2 * v[i]);
    for (int64_t j = from; j < n; j++)
        for (int64_t i = from; i < n; i++) a[j * n + i] -= v[j] * w[i] + w[j] * v[i];
}

/* diagonal [n] and off [n - 1] of the tridiagonal matrix; z takes the reflections. off and v have n places. */
static void tridiagonalize(double *a, int64_t n, int64_t rows, double *diagonal, double *off, double *z, double *v,
                           double *w)
{
    for (int64_t k = 0; k < n; k++) {
        double norm = 0;
        diagonal[k] = a[k * n + k];
        if (k + 1 == n) break;
        for (int64_t j = k + 1; j < n; j++) {
            v[j] = a[k * n + j];
            norm = hypot(norm, v[j]);
        }
        off[k] = v[k + 1] > 0 ? -norm : norm;
        v[k + 1] -= off[k];
        double beta = norm > 0 ? -1 / (off[k] * v[k + 1]) : 0;      /* = 2 / |v|^2 */
        if (!isfinite(beta) || k + 2 == n) beta = 0, off[k] += v[k + 1];    /* nothing below to remove */
        if (beta == 0) continue;
        reflect_both(a, n, k + 1, v, beta, w);
        reflect(z, n, rows, k + 1, v, beta);
    }
}

/* One QR step on rows lo..hi, which no zero in `off` divides. */
static void qr_step(double *d, double *off, int64_t lo, int64_t hi, int64_t rows, double *z)
{
    double half = (d[hi - 1] - d[hi]) / 2, e = off[hi - 1];
    double shift = d[hi] - e * e / (half + copysign(hypot(half, e), half));
    double x = d[lo] - shift, bulge = off[lo];
    for (int64_t k = lo; k < hi; k++) {
        double r = hypot(x, bulge), c = r > 0 ? x / r : 1, s = r > 0 ? bulge / r : 0;
        double top = d[k], bottom = d[k + 1], side = off[k];
        if (k > lo) off[k - 1] = r;
        d[k] = c * c * top + 2 * c * s * side + s * s * bottom;
        d[k + 1] = s * s * top - 2 * c * s * side + c * c * bottom;
        off[k] = x = c * s * (bottom - top) + (c * c - s * s) * side;
        if (k + 1 < hi) {
            bulge = s * off[k + 1];
            off[k + 1] *= c;
        }
        double *upper = z + k * rows, *lower = upper + rows;
        for (int64_t i = 0; i < rows; i++) {
            double u = upper[i], l = lower[i];
            upper[i] = c * u + s * l;
            lower[i] = c * l - s * u;
        }
    }
}

static void sort_falling(double *values, double *z, int64_t n, int64_t rows)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t j = i + 1; j < n; j++)
            if (values[j] > values[best]) best = j;
        if (best == i) continue;
        double t = values[i];
        values[i] = values[best], values[best] = t;
        for (int64_t c = 0; c < rows; c++) {
            t = z[i * rows + c];
            z[i * rows + c] = z[best * rows + c], z[best * rows + c] = t;
        }
    }
}

void eigen_symmetric(double *a, int64_t n, int64_t rows, double *values, double *vectors, double *work)
{
    double *off = work, largest = 0;
    memset(vectors, 0, (size_t)(n * rows) * sizeof *vectors);
    for (int64_t c = 0; c < rows; c++) vectors[(n - rows + c) * rows + c] = 1;
    tridiagonalize(a, n, rows, values, off, vectors, work + n, work + 2 * n);
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(values[i]) + (i + 1 < n ? fabs(off[i]) : 0));
    int64_t steps = MAX_STEPS * n;
    for (int64_t hi = n - 1; hi > 0 && steps > 0;) {
        int64_t lo = hi;
        while (lo > 0 && fabs(off[lo - 1]) > DBL_EPSILON * largest) lo--;
        if (lo == hi) hi--;
        else qr_step(values, off, lo, hi, rows, vectors), steps--;
    }
    sort_falling(values, vectors, n, rows);
}
