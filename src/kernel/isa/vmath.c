/* vmath.c: the polynomials of vmath.h over arrays, for their tests. */
#include "isa.h"
#include "vmath.h"

void KERNEL(vexp)(const real *x, real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = real_exp(x[i]);
}

void KERNEL(vlog)(const real *x, real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = real_log(x[i]);
}
