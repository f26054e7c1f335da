/* run_folder.h: what a finished run holds of its cells, for the commands that speak of groups and of single cells. */
#ifndef ISO_RUN_FOLDER_H
#define ISO_RUN_FOLDER_H

#include "heads.h"

/* The first input, a run folder: its model, and its latent.h5ad: obs, posterior means and variances [obs.n_rows,
 * n_latent], and which cells it was trained on. */
typedef struct iso_run_cells {
    char *folder;
    iso_model *model;
    iso_frame obs;
    float *mu, *variance;                 /* variance NULL: an autoencoder's */
    bool *is_train;
    iso_heads heads;                      /* none: fitted without */
} iso_run_cells;
iso_status iso_run_open(iso_env *env, const iso_options *o, iso_run_cells *r, iso_error *err);
void iso_run_close(iso_run_cells *r);

/* The groups of obs column --key. */
typedef struct iso_groups {
    int32_t *codes, n;
    char **names;
    int64_t *sizes;
    float *means; /* [n, n_latent] */
} iso_groups;
iso_status iso_run_groups(const iso_run_cells *r, const char *key, iso_groups *g, iso_error *err);
void iso_groups_clear(iso_groups *g);

#endif
