/* contrast.h: models of one kind or another, reduced to what `compare` sets side by side. */
#ifndef ISO_CONTRAST_H
#define ISO_CONTRAST_H

#include "atlas.h"
#include "model.h"

/* Profiles y: log1p of counts per 10,000 (for continuous data the values themselves). */
typedef struct iso_contrast {
    const char *name;                     /* "vae", "ae", "pca" */
    int d;
    float *z;                             /* [cells, d] all cells */
    double elbo, log_p, reconstruction;   /* means over held-out cells, nats; NaN where there is none */
    float *held_out;                      /* [held out, genes] y decoded from the held-out cells' z */
    float *halfway;                       /* [genes] y decoded halfway between the two groups' mean z */
    iso_csr generated;                    /* as many cells as are held out, with their library sizes */
    double seconds;
} iso_contrast;
void iso_contrast_clear(iso_contrast *c);

/* The stage: data, which cells, and the two groups between whose means lies "halfway". */
typedef struct iso_contrast_stage {
    const iso_dataset *data;
    const iso_options *options;           /* resolved */
    bool counts;
    const int64_t *train, *held_out;
    int64_t n_train, n_held_out;
    const int32_t *groups;                /* [cells] -1: none */
    int32_t a, b;
} iso_contrast_stage;

/* A fitted VAE or autoencoder. */
iso_status iso_contrast_vae(iso_env *env, const iso_contrast_stage *s, iso_fitted *f, iso_contrast *out,
                            iso_error *err);
/* Principal components fitted on the training cells; generated as probabilistic PCA (Tipping & Bishop 1999) would. */
iso_status iso_contrast_pca(iso_env *env, const iso_contrast_stage *s, iso_contrast *out, iso_error *err);

/* y of one cell, dense [genes]. */
void iso_profile(const iso_csr *x, int64_t row, bool counts, float *y);

#endif
