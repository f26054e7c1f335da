/* embed.c: where cells lie in the latent space. */
#include "train.h"

#include <string.h>

enum { CELLS = 1024 };        /* at a time */

/* Sums over the ways to turn an image, each [CELLS, L]. */
typedef struct sums { float *mu, *variance; double *mean, *square, *inside; } sums;

static iso_status add_ways(iso_evaluator *e, const int64_t *index, int64_t n, int ways, const sums *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t size = n * iso_evaluator_model(e)->c.n_latent;
    memset(s->mean, 0, (size_t)size * sizeof(double));
    memset(s->square, 0, (size_t)size * sizeof(double));
    memset(s->inside, 0, (size_t)size * sizeof(double));
    for (int way = 0; way < ways; way++) {
        iso_evaluator_turn(e, way);
        TRY(iso_evaluate(e, index, n, 0, 0, 0, &(iso_cell_scores){.mu = s->mu, .variance = s->variance}, err));
        for (int64_t i = 0; i < size; i++) {
            double mu = (double)s->mu[i];
            s->mean[i] += mu, s->square[i] += mu * mu, s->inside[i] += (double)s->variance[i];
        }
    }
done:
    iso_evaluator_turn(e, 0);
    return st;
}

iso_status iso_embed(iso_evaluator *e, const int64_t *index, int64_t n, float *mu, float *variance, iso_error *err)
{
    iso_status st = ISO_OK;
    int ways = iso_evaluator_ways(e);
    int64_t L = iso_evaluator_model(e)->c.n_latent, *chunk = NULL;
    sums s = {0};
    if (ways == 1) return iso_evaluate(e, index, n, 0, 0, 0, &(iso_cell_scores){.mu = mu, .variance = variance}, err);
    ALLOC(chunk, CELLS, sizeof *chunk);
    ALLOC(s.mu, CELLS * L, sizeof *s.mu);
    ALLOC(s.variance, CELLS * L, sizeof *s.variance);
    ALLOC(s.mean, CELLS * L, sizeof *s.mean);
    ALLOC(s.square, CELLS * L, sizeof *s.square);
    ALLOC(s.inside, CELLS * L, sizeof *s.inside);
    for (int64_t at = 0; at < n; at += CELLS) {
        int64_t m = n - at < CELLS ? n - at : CELLS;
        for (int64_t i = 0; i < m; i++) chunk[i] = index ? index[at + i] : at + i;
        TRY(add_ways(e, chunk, m, ways, &s, err));
        for (int64_t i = 0; i < m * L; i++) {
            double mean = s.mean[i] / ways, between = s.square[i] / ways - mean * mean;
            if (mu) mu[at * L + i] = (float)mean;
            if (variance) variance[at * L + i] = (float)(s.inside[i] / ways + (between > 0 ? between : 0));
        }
    }
done:
    iso_free(chunk);
    iso_free(s.mu);
    iso_free(s.variance);
    iso_free(s.mean);
    iso_free(s.square);
    iso_free(s.inside);
    return st;
}
