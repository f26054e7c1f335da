/* spread.h: how much several decoders of one latent space differ. */
#ifndef ISO_SPREAD_H
#define ISO_SPREAD_H

#include "base/base.h"

/* What the model decodes n places to, states [n, G], and what n_heads other decoders do, heads [n_heads, n, G]. spread [n, G] (NULL: not
 * wanted): the standard deviation over all decoders of the log share of each gene (counts), or of Gaussian means themselves; mean [n]: its
 * mean over a cell's counts, or over genes. */
void iso_spread(iso_env *env, const float *states, const float *heads, int n_heads, int64_t n, int64_t G, bool counts, float *spread, double *mean);

#endif
