/* layers.h: layers that the graphs of counts and of images share; for model/ alone. */
#ifndef ISO_LAYERS_H
#define ISO_LAYERS_H

#include "op/op.h"
#include "vae.h"

enum { ISO_LAYER_NAME = 64, ISO_TENSOR_NAME = 96 };      /* longest names of a layer, and of a layer's tensor */

/* A linear layer's bound in torch: weights and bias uniform in +-1/sqrt(fan_in). */
double iso_bound(double fan_in);
/* Categories of the covariates that the layers are told. */
int iso_injected(const iso_vae_config *c);
/* x + W x' of every covariate category. */
int iso_inject(const iso_vae *v, const char *layer, int x, int n_out, double limit);
int iso_linear(const iso_vae *v, const char *layer, int x, int n_in, int n_out, double limit, bool bias);
bool iso_linear_in_bf16(const iso_vae *v, int64_t n_in, int64_t n_out);
/* With a bias; what comes out is kept by column in training, a row for each, with bf16 in bfloat16: for a reader that knows (iso_kept_by_column). */
int iso_linear_by_column(const iso_vae *v, const char *layer, int x, int n_in, int n_out, double limit);
bool iso_kept_by_column(const iso_vae *v, int node);

/* image_vae.c: the nodes of a VAE of images. */
void iso_image_vae_nodes(iso_vae *v);

#endif
