/* train.h: fitting a VAE, scoring cells with it, and telling whether its latent space is alive. */
#ifndef ISO_TRAIN_H
#define ISO_TRAIN_H

#include "cells.h"
#include "model/vae.h"

/* ------------------------------------------------------------------------------------ training */

/* guard: a gradient counts as so many times its usual size (its root mean square) at most; 0 = off. */
typedef struct iso_adam { double learning_rate, beta1, beta2, epsilon, weight_decay, guard; } iso_adam;

typedef struct iso_train_options {
    int max_epochs;
    int64_t batch_size;
    iso_adam adam;
    double lr_warmup;             /* share of the steps over which the rate rises from 0 to that of its schedule */
    bool cosine;                  /* the rate falls to 0 along half a cosine; else constant */
    double gradient_clip;         /* norm of the mean gradient; 0 = off */
    double kl_weight;             /* beta, the target */
    double kl_warmup;             /* fraction of the planned steps over which the weight rises from 0 to its target */
    int kl_cycles; /* > 0: that many cycles, the weight rising in the first half of each (Fu et al. 2019) */
    double free_bits;             /* nats in total; 0 = off */
    int free_bits_groups;
    bool early_stopping;
    int patience;                 /* epochs without a better validation ELBO, counted after the warm-up */
    uint64_t seed;
    bool keep_best;               /* end with the parameters of the best validation ELBO */
} iso_train_options;

typedef struct iso_epoch {
    int epoch;                    /* from 1 */
    double train_elbo, train_reconstruction, train_kl;                     /* nats a cell, as seen in training */
    double validation_elbo, validation_reconstruction, validation_kl;      /* evaluation mode; NaN without validation */
    double kl_weight, learning_rate, gradient_norm, seconds;
} iso_epoch;

typedef struct iso_history {
    iso_epoch *epochs;
    int n, best;                  /* best: index of the epoch whose parameters were kept */
    bool stopped_early, interrupted;
    int roll_backs;
    double seconds;
    double final_kl_weight;
} iso_history;

/* KL weight and learning rate at step t (from 0) of `total`. */
double iso_kl_weight_at(const iso_train_options *o, int64_t t, int64_t total);
double iso_learning_rate_at(const iso_train_options *o, int64_t t, int64_t total);

/* Trains v on the cells train[0..n_train-1]; validation may be empty. each_epoch (may be NULL) sees every epoch as it
 * ends. names (may be NULL): cell and gene names for messages. ISO_ENUMERIC if it diverges ten times in a row. An
 * interrupt after the first epoch ends training with what the last whole epoch reached (history.interrupted); before,
 * ISO_EINTERRUPT. */
typedef void iso_epoch_fn(void *arg, const iso_epoch *e);
typedef struct iso_train_names { char *const *cells, *const *genes; } iso_train_names;
iso_status iso_train(iso_env *env, iso_vae *v, const iso_cells *c, const int64_t *train, int64_t n_train,
                     const int64_t *validation, int64_t n_validation, const iso_train_options *o, iso_train_names names,
                     iso_epoch_fn *each_epoch, void *arg, iso_history *h, iso_error *err);
void iso_history_clear(iso_history *h);

/* Trains a decoder alone (built with decoder_only and decoder_loss) to decode cells train[0..n_train-1] from their places mu,
 * variance [*, L] (NULL: none), a new z = mu + sigma eps each epoch; o's epochs, batch size, rate, gradient clip and seed are heeded. The
 * cells are drawn with replacement, once, at most 25,600 of them (bagging; Breiman 1996), so that decoders of other seeds differ where there are few. */
iso_status iso_train_decoder(iso_env *env, iso_vae *v, const iso_cells *c, const int64_t *train, int64_t n_train, const float *mu,
                             const float *variance, const iso_train_options *o, iso_error *err);

/* ------------------------------------------------------------------------------------- scoring */

typedef struct iso_evaluator iso_evaluator;
iso_status iso_evaluator_new(iso_env *env, iso_vae *v, const iso_cells *c, iso_evaluator **out, iso_error *err);
void iso_evaluator_free(iso_evaluator *e);
const iso_vae *iso_evaluator_model(const iso_evaluator *e);
iso_env *iso_evaluator_env(const iso_evaluator *e);

/* Per-cell results for cells index[0..n-1] (NULL index: 0..n-1); each array may be NULL. Nats. */
typedef struct iso_cell_scores {
    double *elbo, *reconstruction, *kl;   /* [n] means over the draws */
    float *mu, *variance;                 /* [n, L] */
    double *log_p;                        /* [n] importance-sampled log p(x), NaN for an autoencoder */
} iso_cell_scores;
/* draws: of z for elbo and reconstruction (0 = none: mu and variance alone); samples: for log_p.
 * log p = log mean_s exp(log p(x|z_s) + log p(z_s) - log q(z_s|x)), Burda et al. 2016, eq. 8. */
iso_status iso_evaluate(iso_evaluator *e, const int64_t *index, int64_t n, int draws, int samples, uint64_t seed,
                        const iso_cell_scores *out, iso_error *err);
/* Where cells lie: mean and variance [n, L] (each may be NULL) of q(z|x). Of images of a model that was trained on turned ones, x is
 * turned to its standard attitude (iso_picture_attitude): how a cell happens to lie in its image then has no say in where it lies on the map. */
iso_status iso_embed(iso_evaluator *e, const int64_t *index, int64_t n, float *mu, float *variance, iso_error *err);
/* Of such images, too: mean [n, L] of cells 0..n-1, that of the means of q(z|x turned) over all ways to turn and flip x. It tells kinds of cells
 * better than one attitude, which changes all at once where light lies as much to either side; but it decodes to a rounder cell. Of others,
 * iso_embed's mean. The second: in new memory, or NULL for others. */
iso_status iso_embed_invariant(iso_evaluator *e, int64_t n, float *mean, iso_error *err);
iso_status iso_new_invariant(iso_evaluator *e, int64_t n, float **mean, iso_error *err);
/* -log p(x_i | z_i) of cells index[i] for z given [n, L]; loss [n]. */
iso_status iso_evaluate_given(iso_evaluator *e, const int64_t *index, int64_t n, const float *z, double *loss,
                              iso_error *err);

/* Images alone: each image as decoded from its posterior means, out [n, P] as the model sees images. */
iso_status iso_evaluate_reconstructed(iso_evaluator *e, const int64_t *index, int64_t n, float *out, iso_error *err);

/* Decoding z [n, L] with covariate categories codes[k] (per covariate slot; NULL = average over all categories of every
 * covariate with equal weight): expression [n, G]; dropout logits [n, G] and log dispersion [n, G] may be NULL. */
iso_status iso_decode(iso_env *env, iso_vae *v, const float *z, int64_t n, const int32_t *const *codes,
                      float *expression, float *dropout, float *log_dispersion, iso_error *err);

/* Images alone: the same with the grid of details drawn from its prior p(s|z), sharp where its mean is soft. covariates as there. */
iso_status iso_decode_sharp(iso_env *env, iso_vae *v, const float *z, int64_t n, const int32_t *const *codes, uint64_t seed, float *out,
                            iso_error *err);

/* The same in three steps, for those who decode often. heads: dropout and log dispersion will be asked for too. */
typedef struct iso_decoder iso_decoder;
iso_status iso_decoder_new(iso_env *env, iso_vae *v, bool heads, iso_decoder **out, iso_error *err);
iso_status iso_decoder_run(iso_decoder *d, const float *z, int64_t n, const int32_t *const *codes, float *expression,
                           float *dropout, float *log_dispersion, iso_error *err);
void iso_decoder_free(iso_decoder *d);

/* decode_gene.c: one gene at many places, without the others. What it takes of them is the logarithm of the sum of exp(logit) over
 * all genes, for each place and each combination of categories that iso_decode averages over: normaliser [n, combinations],
 * which does not depend on the gene. Gaussian laws need none (NULL). */
int64_t iso_decode_combinations(const iso_vae_config *c);
iso_status iso_decode_normaliser(iso_env *env, iso_vae *v, const float *z, int64_t n, float *normaliser, iso_error *err);
iso_status iso_decode_gene(iso_env *env, const iso_vae *v, int64_t gene, const float *z, int64_t n, const float *normaliser,
                           float *out, iso_error *err);

/* ----------------------------------------------------------------------------------- diagnosis */

typedef enum iso_verdict { ISO_HEALTHY, ISO_PARTLY_COLLAPSED, ISO_COLLAPSED, ISO_PRIOR_HOLE, ISO_OVERFIT } iso_verdict;

typedef struct iso_diagnosis {
    int n_latent, active_units;           /* active: variance of mu over cells > 0.01 (Burda et al. 2016) */
    double *kl_per_dim, *var_mu;          /* [L] */
    double kl, mutual_information, kl_aggregate;          /* their sum is kl (Hoffman & Johnson 2016) */
    double mutual_information_cap;        /* log n: what n cells can show of it */
    bool capped; /* it is near the cap: then it is a lower bound, and kl_aggregate an upper one */
    double kl_aggregate_least;            /* lower bound of kl_aggregate, from the moments of q(z) */
    double nll, shuffle_loss;             /* -log p(x|z), and its rise when z is dealt to other cells */
    double train_elbo, held_out_elbo;
    iso_verdict verdict;
    char text[512], cure[512];            /* sentences; cure empty when healthy */
} iso_diagnosis;
extern const char *const iso_verdict_names[];

/* From held-out cells; `more` cells (training ones; may be none) make the mixture q(z) finer. At most 5,000 in all are
 * used. train_elbo: of training cells in evaluation mode, scaled to the held-out cells' depth. */
iso_status iso_diagnose(iso_evaluator *e, const int64_t *held_out, int64_t n, const int64_t *more, int64_t n_more,
                        double train_elbo, double held_out_elbo, uint64_t seed, iso_diagnosis *out, iso_error *err);
/* Fills verdict, text and cure from the rest. grid: of a model with a grid, whose -log p(x|z), with the grid left to its prior, is that of
 * details too sharp for z; what z is worth is then measured against the ELBO. */
void iso_diagnosis_judge(iso_diagnosis *d, bool grid);
void iso_diagnosis_clear(iso_diagnosis *d);

#endif
