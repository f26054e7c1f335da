/* frechet.c: how far apart two clouds of points are, each taken as a normal law; see map.h. */
#include "eigen.h"
#include "map.h"

#include <math.h>

/* mean [d] and covariance [d, d] of x [n, d]. */
static void moments(const float *x, int64_t n, int64_t d, double *mean, double *cov)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++) mean[k] += (double)x[i * d + k] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < d; k++)
            for (int64_t l = 0; l <= k; l++)
                cov[k * d + l] += ((double)x[i * d + k] - mean[k]) * ((double)x[i * d + l] - mean[l]) / (double)(n - 1);
    for (int64_t k = 0; k < d; k++)
        for (int64_t l = 0; l < k; l++) cov[l * d + k] = cov[k * d + l];
}

/* out [d, d] = a b */
static void multiply(const double *a, const double *b, int64_t d, double *out)
{
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++) {
            double sum = 0;
            for (int64_t k = 0; k < d; k++) sum += a[i * d + k] * b[k * d + j];
            out[i * d + j] = sum;
        }
}

/* root [d, d]: the symmetric square root of a [d, d], which is destroyed; work [d * (d + 4)]. */
static void square_root(double *a, int64_t d, double *root, double *work)
{
    double *values = work, *vectors = work + d;
    eigen_symmetric(a, d, d, values, vectors, vectors + d * d);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++) {
            root[i * d + j] = 0;
            for (int64_t k = 0; k < d; k++) root[i * d + j] += sqrt(fmax(values[k], 0)) * vectors[k * d + i] * vectors[k * d + j];
        }
}

iso_status iso_frechet(const float *a, int64_t na, const float *b, int64_t nb, int64_t d, double *distance, iso_error *err)
{
    iso_status st = ISO_OK;
    double *room = NULL;
    *distance = (double)NAN;
    if (na < 2 || nb < 2) return ISO_OK;
    ALLOC(room, 2 * d + 4 * d * d + d * (d + 4), sizeof *room);
    double *ma = room, *mb = ma + d, *ca = mb + d, *cb = ca + d * d, *root = cb + d * d, *product = root + d * d, *work = product + d * d;
    moments(a, na, d, ma, ca);
    moments(b, nb, d, mb, cb);
    double sum = 0;
    for (int64_t k = 0; k < d; k++) sum += (ma[k] - mb[k]) * (ma[k] - mb[k]) + ca[k * d + k] + cb[k * d + k];
    square_root(ca, d, root, work);
    multiply(root, cb, d, product);
    multiply(product, root, d, ca);                      /* its eigenvalues are those of ca cb */
    eigen_symmetric(ca, d, 0, work, work + d, work + d);
    for (int64_t k = 0; k < d; k++) sum -= 2 * sqrt(fmax(work[k], 0));
    *distance = fmax(sum, 0);
done:
    iso_free(room);
    return st;
}
