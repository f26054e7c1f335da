/* eigen.h: small dense symmetric eigenproblems, for map/ alone. */
#ifndef ISO_EIGEN_H
#define ISO_EIGEN_H

#include <stdint.h>

/* a [n, n] symmetric (destroyed): values [n] falling, vectors [n, n], one a row. Jacobi rotations, to machine precision;
 * for n of a few hundred at most. */
void eigen_symmetric(double *a, int64_t n, double *values, double *vectors);

#endif
