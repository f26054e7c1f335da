/* spread.c: see spread.h. */
#include "spread.h"

#include <math.h>

typedef struct job {
    const float *states;          /* [n, G] of the model */
    const float *heads;           /* [heads, n, G] */
    int64_t n, G;
    int n_heads;
    bool counts;
    float *spread;                /* [n, G] or NULL */
    double *mean;                 /* [n] */
} job;

static double value_of(const job *j, float state) { return j->counts ? log((double)state + 1e-12) : (double)state; }

static void spread_of_place(void *arg, int64_t i)
{
    const job *j = arg;
    double all = j->n_heads + 1;
    j->mean[i] = 0;
    for (int64_t g = 0; g < j->G; g++) {
        double own = value_of(j, j->states[i * j->G + g]), sum = own, square = own * own, share = (double)j->states[i * j->G + g];
        for (int k = 0; k < j->n_heads; k++) {
            float state = j->heads[(k * j->n + i) * j->G + g];
            double x = value_of(j, state);
            sum += x, square += x * x, share += (double)state;
        }
        double sd = sqrt(fmax(0, (square - sum * sum / all) / (all - 1)));
        if (j->spread) j->spread[i * j->G + g] = (float)sd;
        j->mean[i] += sd * (j->counts ? share / all : 1 / (double)j->G);
    }
}

void iso_spread(iso_env *env, const float *states, const float *heads, int n_heads, int64_t n, int64_t G, bool counts, float *spread, double *mean)
{
    iso_parallel(env, n, spread_of_place, &(job){states, heads, n, G, n_heads, counts, spread, mean});
}
