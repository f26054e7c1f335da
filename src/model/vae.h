/* vae.h: the variational autoencoder of counts, or of images: its numbers, its graph, its nodes. */
#ifndef ISO_VAE_H
#define ISO_VAE_H

#include "core/graph.h"
#include "likelihood/likelihood.h"

typedef enum iso_dispersion {
    ISO_DISPERSION_GENE,
    ISO_DISPERSION_BATCH,
    ISO_DISPERSION_LABEL,
    ISO_DISPERSION_CELL
} iso_dispersion;

/* Slots of batch->inputs. */
enum { ISO_SLOT_LIBRARY, ISO_SLOT_CONTINUOUS, ISO_SLOT_Z, ISO_SLOT_IMAGE };

/* Images as the model sees them: [height, width, channels], of sides that can be halved iso_image_levels times. */
typedef struct iso_image_config {
    int height, width, channels;  /* channels 0: not of images */
    int first_channels;           /* of the first convolution; each further one has twice as many, at most 256 */
    int grid;                     /* channels of a grid of latent variables at a quarter of the size, for details; 0: none */
} iso_image_config;
int iso_image_levels(int height, int width);

typedef struct iso_vae_config {
    int64_t n_genes;              /* of images: height * width * channels */
    iso_image_config image;
    int n_latent, n_hidden;
    int n_layers;                 /* hidden layers of encoder and of decoder; 0 = linear encoder */
    double dropout;               /* encoder only */
    const iso_likelihood *likelihood;
    iso_dispersion dispersion;
    bool learned_library, linear_decoder, autoencoder, encode_covariates;
    bool batch_norm;
    bool bf16;                    /* of training alone, and not saved: products with large weights in bfloat16, sums in real */
    /* Categorical covariates, in the slots 0 .. n_categorical-1 of batch->codes; slot 0 is the batch if there is one.
     * Those with one category are ignored. The label, used by dispersion alone, has slot n_categorical. */
    int n_categorical, n_categories[ISO_MAX_COVARIATES];
    int n_labels;                 /* 0 = no labels */
    int n_continuous;
    /* Prior of the learned log library size by category of slot 0 (one row without batches). */
    const double *library_mean, *library_variance;
    /* For tests and teaching: a decoder that also sees the cell itself, which makes z superfluous; a dispersion held at
     * its first value. */
    bool decoder_sees_cell, fixed_dispersion;
    bool decoder_loss;            /* with decoder_only: `given`, too */
    bool decoder_only;            /* no encoder, no loss: only decoded, hidden and the given_ heads (of images: decoded, sharp and given); other nodes are -1 */
    int64_t max_elements; /* refuse to build more parameters and state than this (a damaged file); 0 = no limit */
} iso_vae_config;

typedef struct iso_vae {
    iso_vae_config c;
    iso_graph *g;
    int mu, raw, z, kl;           /* [B, L]; z = mu and kl = -1 for an autoencoder */
    int library_mu, library_raw, library, library_kl;      /* [B, 1]; -1 when observed */
    int library_prior_mean, library_prior_variance;        /* state [categories of slot 0, 1]; -1 when observed */
    int reconstruction, loss;     /* [1, 1] from the sampled z */
    int given;                    /* [1, 1] reconstruction from the z and library of the input slots */
    int decoded;                  /* [B, G] from the z of the input slot: share of a cell's counts, or Gaussian mean */
    int logits;                   /* [B, G] what its softmax is of; decoded itself for Gaussian laws */
    int hidden;                   /* [B, H] last hidden layer of that decoder */
    int given_dropout;            /* [B, G] dropout logits from the z of the input slot, or -1 */
    int given_dispersion;         /* [B, G] log dispersion per cell, or -1 */
    /* Of images; -1 otherwise. `decoded` and `given` have the grid at its prior's mean. */
    int reconstructed;            /* [B, G] from the posterior means of z and grid */
    int grid_mu, grid_kl;         /* [B, S] */
    int sharp;                    /* [B, G] from the z of the input slot, the grid drawn from its prior */
} iso_vae;

/* Builds the graph and gives the parameters their first values from `seed`. */
iso_status iso_vae_build(const iso_vae_config *c, uint64_t seed, iso_vae *v, iso_error *err);
void iso_vae_clear(iso_vae *v);
#define ISO_BATCH_NORM_EPS 1e-3      /* added to a variance */
/* Name of the dispersion's parameter, which has one row a category. */
#define ISO_DISPERSION_NAME "decoder.dispersion"
/* State of images' laws: running variances [bands, channels]; photons per unit and at zero [2, channels]. */
#define ISO_IMAGE_VARIANCE_NAME "decoder.variance"
#define ISO_PHOTONS_NAME "decoder.photons"

#endif
