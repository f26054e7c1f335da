/* place.h: what can be said of a place in a latent space, with the evidence for it. */
#ifndef ISO_PLACE_H
#define ISO_PLACE_H

#include "mixture.h"
#include "rules.h"
#include "support.h"

typedef enum iso_place_class { ISO_PLACE_OBSERVED, ISO_PLACE_CHIMERA, ISO_PLACE_RULE, ISO_PLACE_UNSEEN } iso_place_class;
extern const char *const iso_place_names[];                /* by class */

typedef struct iso_place {
    iso_place_class is;
    double log_density, p_value;
    iso_mixed mixed;              /* groups -1 without a mixture */
    double disagreement;          /* of several decoders, if there are (api/heads.h); else 0 */
    bool uncertain;               /* it is larger than for 99 % of held-out cells */
    int rule;                     /* of judge->rules, a contradicted one; -1: none */
} iso_place;

/* What a place is judged by. */
typedef struct iso_judge {
    iso_support support;
    iso_mixture mixture;          /* K = 0: none */
    double most_second, least_fit; /* of held-out cells, decoded: 95 % have a second share as low, 95 % a fit as high */
    iso_rules rules;
    double most_disagreement;     /* of several decoders: 99 % of held-out cells have no more; 0: there is one decoder */
} iso_judge;

/* Sets what is usual for the mixture, and the rules' levels, from what held-out cells decode to, states [n, G]: shares of counts.
 * Support, mixture and rules are there. */
iso_status iso_judge_calibrate(iso_env *env, iso_judge *j, const float *states, int64_t n, iso_error *err);
void iso_judge_clear(iso_judge *j);
/* Places z [n, n_latent] that decode to states [n, G] (shares of counts; NULL for Gaussian data, which then have no mixture).
 * Where cells are (p above 5 %) a place is observed. Elsewhere it contradicts a rule that the user gave; or is a chimera, if its
 * state is like a mixture of two groups and the mixture explains it as well as held-out cells are explained; or contradicts a
 * learned rule; or was never observed. */
iso_status iso_judge_places(iso_env *env, const iso_judge *j, const float *z, const float *states, int64_t n, iso_place *out, iso_error *err);

#endif
