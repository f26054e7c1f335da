/* model.h: a trained model with what it needs to meet new data: genes, categories, scaling; and data bound to it. */
#ifndef ISO_API_MODEL_H
#define ISO_API_MODEL_H

#include "io/images.h"
#include "train/train.h"

/* What a model of images knows of them; channels 0: a model of counts. */
typedef struct iso_image_terms {
    int64_t channels, height, width;      /* as in the files; the model's own sizes are in its configuration */
    char **names;                         /* [channels] */
    float *low, *scale;                   /* [channels] the model sees (pixel - low) * scale */
    double *gain, *offset;                /* [channels] photon: pixel = gain * photons + offset */
    bool augment;                         /* trained on turned images, and embeds them so: see iso_embed */
} iso_image_terms;

typedef struct iso_covariate { char *key; char **categories; int32_t n_categories; } iso_covariate;

/* What training ended with; goes into the model file and the report. Nats per cell; NaN where there was nothing to
 * measure. */
typedef struct iso_summary {
    int epochs, best_epoch;
    bool stopped_early;
    int64_t n_train, n_validation, n_test;
    double train_elbo, train_reconstruction, validation_elbo, validation_reconstruction, test_elbo, test_reconstruction,
        test_log_p;
    double final_kl_weight, seconds;
    int roll_backs, active_units;
    char verdict[32], verdict_text[512], cure[512];
    char input[512], input_sha256[65], count_source[64];
    char command[1024];
    uint64_t seed;
} iso_summary;

struct iso_model {
    iso_vae v;
    int64_t n_genes;
    char **genes;                         /* [n_genes] var index of the training data */
    iso_covariate covariates[ISO_MAX_COVARIATES]; /* injected ones, slot by slot; slot 0 is the batch if has_batch */
    int n_covariates;
    bool has_batch;
    iso_covariate label;                  /* for gene-label dispersion; key NULL = none */
    char *continuous[ISO_MAX_COVARIATES];
    int n_continuous;
    char *size_factor_key;                /* NULL = the cell's total */
    bool normalized_input;                /* the encoder sees log1p(x / total * median_library), else log1p(x) */
    double median_library;                /* of the training data's cells */
    double library_mean[1], library_variance[1];       /* of log totals over all cells, for sampling */
    double *prior_mean, *prior_variance;  /* [batches] of log totals, for a learned library */
    iso_image_terms images;
    iso_summary summary;
};

/* Data in a model's order of genes, with its covariates' codes. */
typedef struct iso_bound {
    iso_csr aligned;                      /* genes reordered; empty when the data's order is the model's already */
    const iso_csr *x;
    real *log_library;
    float *input_scale;
    int32_t *codes[ISO_MAX_COVARIATES];
    real *continuous;
    iso_pictures pictures;
    iso_cells cells;
} iso_bound;

/* -------------------------------------------------------------------------------------------- prepare.c */

/* Refuses what a count model cannot take, naming file, cell, gene and remedy: NaN, infinite, negative, non-integer
 * values (unless allow_noninteger), cells without counts (unless drop_empty, which removes them from d). counts =
 * false: only NaN and infinity. */
iso_status iso_check_counts(iso_env *env, iso_dataset *d, bool counts, bool allow_noninteger, bool drop_empty,
                            iso_error *err);
/* Keeps the rows keep[i] != 0 of x and obs. */
iso_status iso_dataset_keep(iso_dataset *d, const uint8_t *keep, iso_error *err);
/* One value, NaN when empty, for facts about the data. */
typedef struct iso_data_facts {
    int64_t cells, genes, nnz;
    double density, median_total, min_total, max_total, max_count;
} iso_data_facts;
iso_data_facts iso_describe(const iso_dataset *d);

/* ----------------------------------------------------------------------------------------------- bind.c */

/* A model for d as options say, untrained: genes, covariates, configuration, first weights. */
iso_status iso_model_new(iso_env *env, const iso_dataset *d, const iso_options *o, iso_model **out, iso_error *err);
/* d in the model's terms. Genes are matched by name; ISO_EDATA when fewer than half are found (says how many). Missing
 * genes count as 0 with a warning; unknown categories are an error that names them and the known ones. */
iso_status iso_bind(iso_env *env, const iso_model *m, const iso_dataset *d, iso_bound *b, iso_error *err);
void iso_bound_clear(iso_bound *b);

/* ----------------------------------------------------------------------------------------- image_terms.c */

/* What of d's images a model of them must know: sizes, scaling from percentiles, photons; and the sizes that the model sees. */
iso_status iso_image_terms_of(iso_env *env, const iso_dataset *d, const iso_options *o, iso_image_terms *t, iso_image_config *c, iso_error *err);
void iso_image_terms_clear(iso_image_terms *t);
/* The smallest sizes not below height and width that the network can halve often enough. */
void iso_image_sizes(int64_t height, int64_t width, iso_image_config *c);
/* The names of a model's values, "CHANNEL:ROW:COLUMN", in its order. */
iso_status iso_image_value_names(iso_model *m, const iso_image_config *c, iso_error *err);
/* Into the state of a photon law. */
void iso_image_set_photons(iso_model *m);
/* Refuses images that are not of the model's sizes and channels. */
iso_status iso_image_bind(const iso_model *m, const iso_dataset *d, iso_bound *b, iso_error *err);
/* Images as rows of numbers, as the model sees them, for what takes a matrix: [n, P]. Holds 8 bytes a number. */
iso_status iso_image_matrix(iso_env *env, const iso_bound *b, iso_csr *out, iso_error *err);
/* What the decoder gives, [height, width, channels] as the model sees images, as pixels [channels, height, width] in the files' units. */
void iso_image_pixels(const iso_model *m, const float *decoded, float *pixels);
/* The same of n images. */
void iso_many_pixels(const iso_model *m, const float *decoded, int64_t n, float *pixels);

/* ------------------------------------------------------------------------------------------------ fit.c */

/* Which cells train, validate, test: split_key's `test` cells, then a random validation_fraction of the rest. */
typedef struct iso_split { int64_t *train, *validation, *test, n_train, n_validation, n_test; } iso_split;
iso_status iso_split_cells(const iso_dataset *d, const iso_options *o, iso_split *s, iso_error *err);
void iso_split_clear(iso_split *s);

iso_train_options iso_training_options(const iso_options *o, int64_t n_train, bool images);
/* All of training: model, curves, diagnosis (kl_per_dim NULL for an autoencoder). d has been checked. */
typedef struct iso_fitted {
    iso_model *model;
    iso_bound bound;
    iso_split split;
    iso_history history;
    iso_diagnosis diagnosis;
} iso_fitted;
iso_status iso_fit(iso_env *env, const iso_dataset *d, const iso_options *o, iso_epoch_fn *each_epoch, void *arg,
                   iso_fitted *f, iso_error *err);
void iso_fitted_clear(iso_fitted *f);
/* Options after the preset: those the user gave, then the preset's, then defaults, some of which differ for images. Caller frees. */
iso_options *iso_resolve_options(const iso_options *o, bool images);

/* ----------------------------------------------------------------------------------------- model_file.c */

/* "run" folder or "model.safetensors": path of the model file; caller frees. */
iso_status iso_model_path(const char *run_or_file, char **path, iso_error *err);

#endif
