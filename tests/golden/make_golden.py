"""Writes likelihood.h: log densities and their derivatives from mpmath with 50 digits.

    python tests/golden/make_golden.py > tests/golden/likelihood.h

Parameters are multiples of 1/8, so that float and double hold them exactly. The formulas are the textbook ones: with 50
digits nothing cancels.
"""
from itertools import product

from mpmath import digamma, exp, log, loggamma, mp, mpf, pi

mp.dps = 50


def softplus(a):
    return log(1 + exp(a))


def poisson(x, log_mu, _, __):
    mu = exp(log_mu)
    return x * log_mu - mu - loggamma(x + 1), x - mu, mpf(0), mpf(0)


def nb(x, log_mu, log_t, _):
    mu, t = exp(log_mu), exp(log_t)
    log_p = loggamma(x + t) - loggamma(t) - loggamma(x + 1) + t * log(t / (t + mu)) + x * log(mu / (t + mu))
    d_t = digamma(x + t) - digamma(t) + log(t / (t + mu)) + (mu - x) / (t + mu)
    return log_p, t * (x - mu) / (t + mu), t * d_t, mpf(0)


def zinb(x, log_mu, log_t, logit):
    log_p, d_mu, d_t, _ = nb(x, log_mu, log_t, 0)
    if x > 0:
        return log_p - softplus(logit), d_mu, d_t, -1 / (1 + exp(-logit))
    value = softplus(-logit + log_p) - softplus(-logit)
    nb_share = 1 / (1 + exp(logit - log_p))
    return value, nb_share * d_mu, nb_share * d_t, 1 / (1 + exp(logit)) - nb_share


def gaussian(x, mean, log_sigma, _):
    z = (x - mean) / exp(log_sigma)
    return -z * z / 2 - log_sigma - log(2 * pi) / 2, z / exp(log_sigma), z * z - 1, mpf(0)


MU = [-27.625, -5, 0, 3, 8.5, 14.5, 16.125]
THETA = [-18.375, -4, -0.5, 0, 2.5, 7, 18.375]
GRID = {
    poisson: product([0, 1, 2, 5, 8, 9, 30, 1000, 2000000, 0.5, 2.25, 13.5], MU, [0], [0]),
    nb: product([0, 1, 2, 3, 5, 8, 9, 30, 1000, 2000000, 0.5, 2.25, 13.5], MU, THETA, [0]),
    zinb: product([0, 1, 7, 20], [-27.625, -5, 0, 3, 8.5], [-18.375, -4, 0, 3, 18.375], [-12, -1.5, 0, 6, 25]),
    gaussian: product([0, 1, -2.5, 1000], [0, -3.125, 7], [-6.5, -1, 0, 3, 6.5], [0]),
}

print("""/* Written by make_golden.py: log p and its derivatives to log mu (Gaussian: to the mean), to log dispersion and to the
 * dropout logit, at x. mean: log mu (Gaussian: the mean). */
typedef struct golden_point {
    double x, mean, dispersion, dropout, log_p, d_mean, d_dispersion, d_dropout;
} golden_point;
""")
for law, grid in GRID.items():
    print(f"static const golden_point golden_{law.__name__}[] = {{")
    for point in grid:
        values = law(*map(mpf, point))
        text = ", ".join([f"{float(v):g}" if float(f"{float(v):g}") == v else repr(float(v)) for v in point]
                         + [repr(float(v)) for v in values])
        print(f"    {{{text}}},")
    print("};\n")
