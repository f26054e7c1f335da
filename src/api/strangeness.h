/* strangeness.h: how badly a model of images takes an image: by the law, and by what the map alone makes of it. */
#ifndef ISO_STRANGENESS_H
#define ISO_STRANGENESS_H

#include "model.h"
#include "run_folder.h"

typedef struct iso_strangeness {
    double *elbo;         /* [images] nats, the mean of one draw: low for images that the law does not expect */
    double *unexplained;  /* [images] the share of the image that z does not explain: sum of (x - what z alone decodes to)^2 over the sum of
                           * (x - the channel's mean in this image)^2, as the model sees images. A grid of details is at its prior's mean: with it in
                           * hand strange images are drawn nearly as well as usual ones. May exceed 1; of constant images 1 */
} iso_strangeness;
/* e: of b's images, each taken as it lies. */
iso_status iso_strangeness_of(iso_env *env, iso_model *m, const iso_bound *b, iso_evaluator *e, uint64_t seed, iso_strangeness *out, iso_error *err);
void iso_strangeness_clear(iso_strangeness *s);

/* The same of a run's images, sorted, by which others are judged: of those held out of training, or of all if none were. n 0: the run's
 * latent.h5ad does not hold them. */
typedef struct iso_usual { iso_strangeness sorted; int64_t n; } iso_usual;
iso_status iso_usual_of(const iso_run_cells *r, iso_usual *u, iso_error *err);
/* Share of them that are as strange, the image itself counted. */
double iso_elbo_p(const iso_usual *u, double elbo);
double iso_unexplained_p(const iso_usual *u, double unexplained);

#endif
