/* likelihood_genes.h: the likelihood of heads that lie genes first. */
#ifndef ISO_LIKELIHOOD_GENES_H
#define ISO_LIKELIHOOD_GENES_H

#include "likelihood/likelihood.h"
#include "op.h"

typedef enum iso_lik_layout { ISO_CELLS_FIRST, ISO_GENES_FIRST, ISO_GENES_FIRST_BF16 } iso_lik_layout;

/* Numbers of scratch for a batch of `cells`. */
int64_t iso_likelihood_genes_work(int64_t cells, int64_t G);
/* Forward of op/likelihood.c in training: losses [B] of cells, nats, and what that op saves. */
void iso_likelihood_genes(const iso_args *a, real *loss);

#endif
