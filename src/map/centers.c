/* centers.c: see centers.h. */
#include "centers.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { TRIALS = 5, DRAW_CENTERS = 50 };

typedef struct chooser {
    const double *x;              /* [n, d] */
    int64_t n, d;
    double *near, *tried, *kept;  /* [n] squared distances to the nearest centre: so far; with the one that is tried; with the best tried */
    double sum;                   /* of near */
} chooser;

/* c->tried: near, if point `from` were a centre too; returns its sum. */
static double try_center(const chooser *c, int64_t from)
{
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double far = 0;
        for (int64_t a = 0; a < c->d; a++) {
            double u = c->x[i * c->d + a] - c->x[from * c->d + a];
            far += u * u;
        }
        c->tried[i] = fmin(far, c->near[i]);
        sum += c->tried[i];
    }
    return sum;
}

/* A point, with chance in proportion to its squared distance from the centres so far. */
static int64_t draw_far_point(const chooser *c, iso_rng *rng)
{
    int64_t i = 0;
    double left = iso_rng_uniform(rng) * c->sum;
    while (i < c->n - 1 && (left -= c->near[i]) > 0) i++;
    return i;
}

static void swap(double **a, double **b)
{
    double *c = *a;
    *a = *b, *b = c;
}

/* Of `trials` points the one that leaves the least sum of distances; before the first centre, any. */
static int64_t take_center(chooser *c, bool first, int trials, iso_rng *rng)
{
    int64_t best = 0;
    double least = HUGE_VAL;
    for (int t = 0; t < trials; t++) {
        int64_t i = first ? (int64_t)(iso_rng_uniform(rng) * (double)c->n) : draw_far_point(c, rng);
        double sum = try_center(c, i);
        if (sum >= least) continue;
        swap(&c->tried, &c->kept);
        least = sum, best = i;
    }
    swap(&c->near, &c->kept);
    c->sum = least;
    return best;
}

iso_status iso_centers(const double *x, int64_t n, int64_t d, int64_t K, uint64_t seed, double *centers, double *left, iso_error *err)
{
    iso_status st = ISO_OK;
    chooser c = {.x = x, .n = n, .d = d};
    iso_rng rng = iso_rng_start((iso_rng_key){seed, ISO_STREAM_MAP, DRAW_CENTERS}, 0);
    ALLOC(c.near, n, sizeof *c.near);
    ALLOC(c.tried, n, sizeof *c.tried);
    ALLOC(c.kept, n, sizeof *c.kept);
    for (int64_t i = 0; i < n; i++) c.near[i] = HUGE_VAL;
    for (int64_t k = 0; k < K; k++) {
        int64_t i = take_center(&c, k == 0, k == 0 ? 1 : TRIALS, &rng);
        memcpy(centers + k * d, x + i * d, (size_t)d * sizeof *centers);
    }
    *left = c.sum / (double)n;
done:
    iso_free(c.near);
    iso_free(c.tried);
    iso_free(c.kept);
    return st;
}
