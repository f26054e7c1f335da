/* heads.h: more decoders of one latent space, trained like the model's own from other first weights and on other draws of the cells.
 * Where they disagree more than on data, what is decoded is not known. Source: deep ensembles (Lakshminarayanan, Pritzel & Blundell 2017). */
#ifndef ISO_HEADS_H
#define ISO_HEADS_H

#include "model.h"

typedef struct iso_heads {
    int n;
    iso_vae *v;                   /* [n] decoders alone */
} iso_heads;

/* --n-heads of them on the training cells of f, whose posterior means and variances are mu, variance [cells, n_latent] (variance NULL:
 * none); --head-epochs each. */
iso_status iso_heads_train(iso_env *env, const iso_fitted *f, const iso_options *o, const float *mu, const float *variance, iso_heads *out,
                           iso_error *err);
void iso_heads_clear(iso_heads *h);
iso_status iso_heads_write(const char *path, const iso_heads *h, iso_error *err);
/* Of model m; a path where there is no file: none. */
iso_status iso_heads_read(const char *path, const iso_model *m, iso_heads *out, iso_error *err);

/* How much the model and its heads differ at z [n, n_latent], of which the model makes states [n, genes]: spread [n, genes] (NULL: not
 * wanted), the standard deviation over decoders of the log share of each gene (of Gaussian means themselves), and its mean over a cell's
 * counts (over genes), mean [n]. All 0 without heads. */
iso_status iso_heads_spread(iso_env *env, const iso_model *m, const iso_heads *h, const float *z, const float *states, int64_t n, float *spread,
                            double *mean, iso_error *err);

#endif
