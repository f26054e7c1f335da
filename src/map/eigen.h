/* eigen.h: dense symmetric eigenproblems of up to a thousand or so rows, for map/ alone. */
#ifndef ISO_EIGEN_H
#define ISO_EIGEN_H

#include <stdint.h>

/* a [n, n] symmetric, destroyed; work [3 n]. values [n] falling. vectors [n, rows]: row i holds the last `rows`
 * components of the i-th eigenvector; rows = n gives all of it, a small rows costs much less time. */
void eigen_symmetric(double *a, int64_t n, int64_t rows, double *values, double *vectors, double *work);

#endif
