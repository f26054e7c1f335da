/* isolario.h: the public API of Isolario, a variational autoencoder system for biology.
 *
 * Intended usage (error checks left out):
 *
 *     iso_env *env = iso_env_new(0);                              // threads: 0 = all cores
 *     iso_options *o = iso_options_new();
 *     iso_options_set(o, "likelihood", "nb", &err);
 *     iso_dataset *d;  iso_dataset_read(env, "cells.h5ad", o, &d, &err);
 *     iso_model *m;    iso_model_fit(env, d, o, &m, &err);
 *     iso_model_save(m, "model.safetensors", &err);
 *
 * or, as the shell command does it, one call a command:
 *
 *     iso_command_run(env, "fit", o, &err);
 *
 * Rules that hold for every function:
 *   - Nothing here prints, exits, aborts or keeps global state. A function that can fail returns an
 *     iso_status and fills *err (which may be NULL) with what failed, on which thing, and what to do.
 *   - `new`/`read`/`load`/`fit` give ownership to the caller; `free` accepts NULL.
 *   - Functions that share an iso_env must not run at the same time; different iso_env are independent.
 *   - Matrices are row-major, one row a cell. Likelihoods are in nats per cell, all constants included. */
#ifndef ISOLARIO_H
#define ISOLARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ISO_VERSION "0.1.0"

#if defined(__GNUC__)
#define ISO_EXPORT __attribute__((visibility("default")))
#define ISO_RESULT_USED __attribute__((warn_unused_result))
#else
#define ISO_EXPORT
#define ISO_RESULT_USED
#endif

/* ------------------------------------------------------------------------------------ results */

/* Values are the exit codes of the program. */
typedef enum iso_status {
    ISO_OK = 0,
    ISO_EUSAGE = 1,       /* unknown option, value out of range, missing argument */
    ISO_EDATA = 2,        /* the input is damaged or not what the model needs */
    ISO_EIO = 3,          /* a file could not be opened, read or written */
    ISO_ENUMERIC = 4,     /* training diverged and could not be saved; collapse if asked to fail on it */
    ISO_EMEMORY = 5,      /* not enough memory */
    ISO_EINTERRUPT = 130  /* stopped by iso_env_interrupt */
} iso_status;

typedef struct iso_error {
    iso_status status;
    char where[64];       /* source file and line */
    char msg[1024];       /* one or more sentences for the user, no newline at the end */
} iso_error;

/* -------------------------------------------------------------------------------- environment */

typedef struct iso_env iso_env;

typedef enum iso_log_level { ISO_LOG_WARN, ISO_LOG_INFO, ISO_LOG_PROGRESS } iso_log_level;

/* Receives whole messages without newline, from the thread that called the API. For ISO_LOG_PROGRESS,
 * fraction is in 0..1 and eta_s is the estimated time left in seconds (negative: not known yet). */
typedef void iso_log_fn(void *arg, iso_log_level level, const char *msg, double fraction, double eta_s);

/* threads: 0 = all cores this process may use. NULL when out of memory. Results do not depend on it. */
ISO_EXPORT iso_env *iso_env_new(int threads);
ISO_EXPORT void iso_env_free(iso_env *env);
/* fn NULL (the default): silent. */
ISO_EXPORT void iso_env_set_log(iso_env *env, iso_log_fn *fn, void *arg);
/* Ask the running call to stop at the next safe point; may be called from a signal handler. */
ISO_EXPORT void iso_env_interrupt(iso_env *env);

/* ------------------------------------------------------------------------------------- options */

typedef struct iso_options iso_options;

typedef enum iso_option_type { ISO_FLAG, ISO_INT, ISO_REAL, ISO_TEXT, ISO_CHOICE, ISO_LIST } iso_option_type;

/* One row of the options table (src/base/options.def). Names use '_'; the shell flag has '-'. */
typedef struct iso_option_info {
    const char *name;
    char letter;              /* one-letter flag, or 0 */
    const char *group;        /* heading in help */
    iso_option_type type;
    const char *preset;       /* default value as text; NULL: not set */
    double min, max;          /* inclusive range for ISO_INT and ISO_REAL */
    const char *choices;      /* "a|b|c" for ISO_CHOICE */
    const char *metavar;      /* word for the value in help */
    const char *commands;     /* space-separated commands that take it, or "*" for all */
    const char *help;
} iso_option_info;

/* Rows of the table; NULL past the last. */
ISO_EXPORT const iso_option_info *iso_option_row(int i);
/* Row by name, '-' and '_' alike, with or without leading "--"; NULL: unknown. */
ISO_EXPORT const iso_option_info *iso_option_find(const char *name);

/* All options at their defaults. NULL when out of memory. */
ISO_EXPORT iso_options *iso_options_new(void);
ISO_EXPORT void iso_options_free(iso_options *o);
/* Set by name ('-' and '_' alike; messages write the name as a shell flag if it is given as one, "--batch-key").
 * value NULL: back to the default. Flags take "true"/"false". ISO_LIST values are comma-separated; a comma within an
 * item is written "\,". ISO_EUSAGE for an unknown name (names the nearest), a bad value or one out of range: then
 * the option keeps what it had. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_options_set(iso_options *o, const char *name, const char *value,
                                                      iso_error *err);
/* Add one item, taken as it is, commas included, to the end of an ISO_LIST. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_options_append(iso_options *o, const char *name, const char *item,
                                                         iso_error *err);
/* Value as text, NULL when not set or unknown; lent until the next set. */
ISO_EXPORT const char *iso_options_get(const iso_options *o, const char *name);
/* Whether the user set it, as opposed to its default. */
ISO_EXPORT bool iso_options_given(const iso_options *o, const char *name);

/* ------------------------------------------------------------------------------------ commands */

typedef struct iso_command_info {
    const char *name;
    const char *group;        /* heading in help */
    const char *usage;        /* what follows the name: "CELLS [-o run]" */
    int min_inputs, max_inputs;   /* positional arguments */
    const char *summary;      /* one line */
    const char *details;      /* for `help NAME`: one paragraph a line; "term<TAB>text" lines make a list */
    const char *examples;     /* one shell line each, without the program's name */
} iso_command_info;

/* Rows of the command table; NULL past the last. */
ISO_EXPORT const iso_command_info *iso_command_row(int i);
/* Run one command, as the shell does. Positional arguments are the option "inputs" (a list).
 * ISO_EUSAGE for an unknown command (names the nearest), too few or many inputs, or an option it does not take.
 * `command_line` (may be NULL) is recorded in the outputs for provenance. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_command_run(iso_env *env, const char *name, const iso_options *o,
                                                      const char *command_line, iso_error *err);

/* ------------------------------------------------------------------------------------- data */

typedef struct iso_dataset iso_dataset;

/* Read cells x genes or images with annotations from any known format (sniffed). Options used: layer, labels.
 * ISO_EDATA when damaged or not understood, with file, cell and gene named. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_dataset_read(iso_env *env, const char *path, const iso_options *o,
                                                       iso_dataset **out, iso_error *err);
ISO_EXPORT void iso_dataset_free(iso_dataset *d);
ISO_EXPORT int64_t iso_dataset_n_cells(const iso_dataset *d);
ISO_EXPORT int64_t iso_dataset_n_genes(const iso_dataset *d);

/* Counts from arrays, which are copied: cell i has values[indptr[i]] .. values[indptr[i + 1] - 1] of the genes
 * indices[..], in any order. `name` is what messages call the data; cells [n_cells], genes [n_genes]: names, or NULL for
 * numbers from 0. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_dataset_from_counts(const char *name, int64_t n_cells, int64_t n_genes,
                                                              const int64_t *indptr, const int32_t *indices,
                                                              const float *values, const char *const *cells,
                                                              const char *const *genes, iso_dataset **out,
                                                              iso_error *err);
/* Images from an array: pixels [n, channels, height, width] are lent, and must stay as they are until the data set is
 * freed. images [n], channel_names [channels]: names, or NULL for numbers from 0. ISO_EDATA when a pixel is NaN or
 * infinite. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_dataset_from_images(const char *name, int64_t n, int64_t channels,
                                                              int64_t height, int64_t width, const float *pixels,
                                                              const char *const *images,
                                                              const char *const *channel_names, iso_dataset **out,
                                                              iso_error *err);
/* Add a column to obs, copied; one value a cell or image. Categories: code -1 is a missing value. Numbers: NaN is.
 * Whole numbers serve as categories and as numbers. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_dataset_add_categories(iso_dataset *d, const char *column,
                                                                 const int32_t *codes, int32_t n_categories,
                                                                 const char *const *categories, iso_error *err);
ISO_EXPORT ISO_RESULT_USED iso_status iso_dataset_add_integers(iso_dataset *d, const char *column,
                                                               const int64_t *values, iso_error *err);
ISO_EXPORT ISO_RESULT_USED iso_status iso_dataset_add_numbers(iso_dataset *d, const char *column,
                                                              const double *values, iso_error *err);

/* ------------------------------------------------------------------------------------- models */

typedef struct iso_model iso_model;

/* Train on d. Which options matter: those whose `commands` name "fit". */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_fit(iso_env *env, const iso_dataset *d, const iso_options *o,
                                                    iso_model **out, iso_error *err);
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_save(iso_env *env, const iso_model *m, const char *path,
                                                     iso_error *err);
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_load(iso_env *env, const char *path, iso_model **out,
                                                     iso_error *err);
ISO_EXPORT void iso_model_free(iso_model *m);
ISO_EXPORT int iso_model_n_latent(const iso_model *m);
ISO_EXPORT int64_t iso_model_n_genes(const iso_model *m);

/* mean, variance [n_cells, n_latent] of q(z|x); either may be NULL. Genes are matched by name. Images, unless the model was trained without
 * augment, are turned and flipped to a standard attitude before. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_embed(iso_env *env, iso_model *m, const iso_dataset *d, float *mean,
                                                      float *variance, iso_error *err);
/* Per cell, nats; any may be NULL: ELBO and reconstruction log-likelihood (mean of n_draws draws of z) and
 * importance-sampled log p(x) (n_samples samples; 0 = skip). */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_score(iso_env *env, iso_model *m, const iso_dataset *d, int n_draws,
                                                      int n_samples, uint64_t seed, double *elbo, double *log_p,
                                                      double *reconstruction, iso_error *err);
/* z [n, n_latent] -> expression [n, n_genes]: the fraction of a cell's counts for each gene (sums to 1), for
 * count likelihoods; the mean for Gaussian ones. Covariates: averaged over the training set's categories. For models
 * of counts. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_decode(iso_env *env, iso_model *m, int64_t n, const float *z,
                                                       float *expression, iso_error *err);

/* The same for models of images: pixels [n, channels, height, width] in the units of the images it was fitted to. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_decode_images(iso_env *env, iso_model *m, int64_t n, const float *z,
                                                              float *pixels, iso_error *err);
/* mean [n_images, n_latent] of the means of q(z|x turned) over all ways to turn and flip an image: tells kinds of cells best, but decodes to
 * a rounder cell than iso_model_embed's, which is of one attitude. Without augment they are the same. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_embed_invariant(iso_env *env, iso_model *m, const iso_dataset *d, float *mean, iso_error *err);
/* Images decoded again, from their posterior means: without noise. Pixels as above, one image of d each. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_reconstruct(iso_env *env, iso_model *m, const iso_dataset *d,
                                                            float *pixels, iso_error *err);
/* n new cells, z drawn from the prior: counts [n, n_genes] drawn from the decoder's law; or, of a model of images,
 * pixels [n, channels, height, width]. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_sample(iso_env *env, iso_model *m, int64_t n, uint64_t seed, float *out,
                                                       iso_error *err);
/* What the model is, as JSON: the header of its file (docs/MODEL_FILE.md), with its genes or the sizes of its images,
 * its categories, and what training ended with. The caller frees it with iso_text_free. */
ISO_EXPORT ISO_RESULT_USED iso_status iso_model_describe(const iso_model *m, char **json, iso_error *err);
ISO_EXPORT void iso_text_free(char *text);

/* Version, compilers, features and the instruction set in use, for `--version`; lent. */
ISO_EXPORT const char *iso_version_long(void);

#ifdef __cplusplus
}
#endif
#endif
