/* embed.c: where cells lie in the latent space. */
#include "train.h"

iso_status iso_embed(iso_evaluator *e, const int64_t *index, int64_t n, float *mu, float *variance, iso_error *err)
{
    iso_evaluator_turn(e, true);
    iso_status st = iso_evaluate(e, index, n, 0, 0, 0, &(iso_cell_scores){.mu = mu, .variance = variance}, err);
    iso_evaluator_turn(e, false);
    return st;
}
