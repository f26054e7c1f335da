/* special.c: see laws.h. Series: Abramowitz & Stegun 6.1.40. */
#include "laws.h"

#include <math.h>

double iso_stirling_error(double z)
{
    if (z < 12) {
        int sign;                                   /* lgamma itself writes a global */
        return lgamma_r(z, &sign) - (z - 0.5) * log(z) + z - 0.918938533204672742;
    }
    const double q = 1 / (z * z);
    return (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q * (1.0 / 1188 - q * 691 / 360360))))) / z;
}

double iso_log_ratio(double a, double b, double a_less_b)
{
    double q = a_less_b / b;
    return fabs(q) < 0.5 ? log1p(q) : log(a / b);
}

double iso_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
