/* krylov.h: the leading eigenvectors of a large symmetric operator, for map/ alone. */
#ifndef ISO_KRYLOV_H
#define ISO_KRYLOV_H

#include "base/base.h"

enum { KRYLOV_WIDTH = 4 };           /* vectors that are multiplied at a time */

/* out = S q for KRYLOV_WIDTH vectors side by side: q, out [n, KRYLOV_WIDTH]. S is positive semidefinite; the sums must
 * not depend on the number of threads. */
typedef void krylov_product_fn(void *arg, iso_env *env, const double *q, double *out);

typedef struct krylov_operator {
    int64_t n;
    krylov_product_fn *product;
    void *arg;
} krylov_operator;

/* The k <= n largest eigenvalues, falling, and their eigenvectors, orthonormal: values [k], vectors [n, k]. */
iso_status krylov_leading(iso_env *env, const krylov_operator *s, int k, uint64_t seed, double *values, double *vectors,
                          iso_error *err);

#endif
