/* vae.c: the graph of the count VAE (Lopez et al. 2018, doi:10.1038/s41592-018-0229-2; layers as scvi-tools 1.4.2 has
 * them): encoder of log1p counts -> q(z|x) -> z -> decoder -> likelihood. */
#include "layers.h"

#include "op/likelihood_genes.h"

#include <math.h>
#include <string.h>

enum { LAYER = ISO_LAYER_NAME, NAME = ISO_TENSOR_NAME };

/* The counts through a sparse first layer. */
static int from_counts(const iso_vae *v, const char *layer, int n_out, double limit, bool bias)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s.weight", layer);
    int w = iso_graph_param(v->g, name, v->c.n_genes, n_out, limit);
    snprintf(name, sizeof name, "%s.bias", layer);
    int in[] = {w, bias ? iso_graph_param(v->g, name, 1, n_out, limit) : -1};
    return iso_graph_op(v->g, &iso_op_csr_linear, &(iso_node){.i = {iso_linear_in_bf16(v, v->c.n_genes, n_out)}}, 2, in);
}

static int batch_norm(const iso_vae *v, const char *layer, int x, int cols, bool relu)
{
    static const char *const parts[] = {"gamma", "beta", "running_mean", "running_variance"};
    char name[NAME];
    int in[5] = {x};
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "%s.%s", layer, parts[k]);
        in[k + 1] = k < 2 ? iso_graph_param(v->g, name, 1, cols, 0) : iso_graph_state(v->g, name, 1, cols, k == 3);
    }
    return iso_graph_op(v->g, relu ? &iso_op_batch_norm_relu : &iso_op_batch_norm, &(iso_node){.r = {0.01, ISO_BATCH_NORM_EPS}}, 5, in);
}

/* Batch norm, relu, dropout. */
static int activate(const iso_vae *v, const char *layer, int x, double dropout)
{
    x = v->c.batch_norm ? batch_norm(v, layer, x, v->c.n_hidden, true) : iso_graph_op(v->g, &iso_op_relu, NULL, 1, &x);
    return dropout > 0 ? iso_graph_op(v->g, &iso_op_dropout, &(iso_node){.r = {dropout}}, 1, &x) : x;
}

/* Hidden layers over the counts; returns the last, whose width goes to *width (0: no layer, heads read the counts). */
static int encoder_layers(const iso_vae *v, const char *encoder, int n_layers, int *width)
{
    char layer[LAYER];
    int cats = v->c.encode_covariates ? iso_injected(&v->c) : 0, x = -1, H = v->c.n_hidden;
    *width = 0;
    for (int l = 0; l < n_layers; l++) {
        snprintf(layer, sizeof layer, "%s.layer%d", encoder, l);
        double limit = iso_bound((l ? (double)H : (double)v->c.n_genes) + cats);
        x = l ? iso_linear(v, layer, x, H, H, limit, true) : from_counts(v, layer, H, limit, true);
        if (v->c.encode_covariates) x = iso_inject(v, layer, x, H, limit);
        x = activate(v, layer, x, v->c.dropout);
        *width = H;
    }
    return x;
}

/* One head of the encoder: mean, or log variance. */
static int encoder_head(const iso_vae *v, const char *name, int x, int width, int n_out)
{
    return width ? iso_linear(v, name, x, width, n_out, iso_bound(width), true)
                 : from_counts(v, name, n_out, iso_bound((double)v->c.n_genes), true);
}

static void encode(iso_vae *v)
{
    int width, h = encoder_layers(v, "encoder", v->c.n_layers, &width), L = v->c.n_latent;
    v->mu = encoder_head(v, "encoder.mean", h, width, L);
    v->z = v->mu, v->raw = v->kl = -1;
    if (v->c.autoencoder) return;
    v->raw = encoder_head(v, "encoder.log_variance", h, width, L);
    v->z = iso_graph_op(v->g, &iso_op_reparameterize, NULL, 2, (int[]){v->mu, v->raw});
    v->kl = iso_graph_op(v->g, &iso_op_gaussian_kl, NULL, 4, (int[]){v->mu, v->raw, -1, -1});
}

/* log library size: from the batch, or its own encoder with a normal prior by batch. */
static int library(iso_vae *v)
{
    if (!v->c.likelihood->counts && !v->c.likelihood->log1p_data) return -1;
    if (!v->c.learned_library) return iso_graph_input(v->g, ISO_SLOT_LIBRARY, 1);
    int width, h = encoder_layers(v, "library_encoder", 1, &width);
    int rows = v->c.n_categorical && v->c.n_categories[0] > 1 ? v->c.n_categories[0] : 1;
    v->library_mu = encoder_head(v, "library_encoder.mean", h, width, 1);
    v->library_raw = encoder_head(v, "library_encoder.log_variance", h, width, 1);
    v->library_prior_mean = iso_graph_state(v->g, "library_prior.mean", rows, 1, 0);
    v->library_prior_variance = iso_graph_state(v->g, "library_prior.variance", rows, 1, 1);
    v->library_kl = iso_graph_op(
        v->g, &iso_op_gaussian_kl, NULL, 4,
        (int[]){v->library_mu, v->library_raw, v->library_prior_mean, v->library_prior_variance});
    return v->library = iso_graph_op(v->g, &iso_op_reparameterize, NULL, 2, (int[]){v->library_mu, v->library_raw});
}

/* z -> hidden layers. Covariates enter at every layer, continuous ones at the first. */
static int decoder_layers(const iso_vae *v, int z)
{
    char layer[LAYER];
    int cats = iso_injected(&v->c), x = z, H = v->c.n_hidden;
    for (int l = 0; l < (v->c.n_layers ? v->c.n_layers : 1); l++) {
        snprintf(layer, sizeof layer, "decoder.layer%d", l);
        int n_in = l ? H : v->c.n_latent;
        double limit = iso_bound(n_in + cats + (l ? 0 : v->c.n_continuous));
        x = iso_inject(v, layer, iso_linear(v, layer, x, n_in, H, limit, true), H, limit);
        if (l == 0 && v->c.n_continuous) {
            int c = iso_linear(v, "decoder.continuous", iso_graph_input(v->g, ISO_SLOT_CONTINUOUS, v->c.n_continuous),
                           v->c.n_continuous, H, limit, false);
            x = iso_graph_op(v->g, &iso_op_add, NULL, 2, (int[]){x, c});
        }
        if (l == 0 && v->c.decoder_sees_cell)
            x = iso_graph_op(v->g, &iso_op_add, NULL, 2,
                             (int[]){x, from_counts(v, "decoder.cell", H, iso_bound((double)v->c.n_genes), false)});
        x = activate(v, layer, x, 0);
    }
    return x;
}

/* One head over genes: from the hidden layer, or straight from z in a linear decoder (as LinearSCVI: no bias,
 * covariates, batch norm; its loadings are the weights times gamma / sqrt(running variance)). by_column: none but the likelihood reads it. */
static int decoder_head(const iso_vae *v, const char *name, int x, bool by_column)
{
    int G = (int)v->c.n_genes;
    if (!v->c.linear_decoder && by_column) return iso_linear_by_column(v, name, x, v->c.n_hidden, G, iso_bound(v->c.n_hidden));
    if (!v->c.linear_decoder) return iso_linear(v, name, x, v->c.n_hidden, G, iso_bound(v->c.n_hidden), true);
    double limit = iso_bound(v->c.n_latent + iso_injected(&v->c) + v->c.n_continuous);
    int y = iso_inject(v, name, iso_linear(v, name, x, v->c.n_latent, G, limit, !v->c.batch_norm), G, limit);
    if (v->c.n_continuous) {
        char layer[LAYER];
        snprintf(layer, sizeof layer, "%s.continuous", name);
        int c = iso_linear(v, layer, iso_graph_input(v->g, ISO_SLOT_CONTINUOUS, v->c.n_continuous), v->c.n_continuous, G,
                       limit, false);
        y = iso_graph_op(v->g, &iso_op_add, NULL, 2, (int[]){y, c});
    }
    return v->c.batch_norm ? batch_norm(v, name, y, G, false) : y;
}

static int dispersion(const iso_vae *v, int hidden)
{
    const iso_vae_config *c = &v->c;
    if (!c->likelihood->has_dispersion) return -1;
    if (c->dispersion == ISO_DISPERSION_CELL) return decoder_head(v, "decoder.dispersion_head", hidden, false);
    int batches = c->n_categorical ? c->n_categories[0] : 1;
    int rows = c->dispersion == ISO_DISPERSION_BATCH   ? batches
               : c->dispersion == ISO_DISPERSION_LABEL ? c->n_labels
                                                       : 1;
    /* scvi-tools starts log theta at N(0, 1). Gaussian laws start at the law's own value, set in iso_vae_build. */
    double init = c->likelihood->counts ? -1 : 0;
    return c->fixed_dispersion ? iso_graph_state(v->g, ISO_DISPERSION_NAME, rows > 0 ? rows : 1, c->n_genes,
                                                 (double)c->likelihood->init_dispersion)
                               : iso_graph_param(v->g, ISO_DISPERSION_NAME, rows > 0 ? rows : 1, c->n_genes, init);
}

typedef struct heads { int hidden, mean, dropout, dispersion; } heads;
/* by_column: as of decoder_head. */
static heads decode(const iso_vae *v, int z, bool by_column)
{
    int h = v->c.linear_decoder ? z : decoder_layers(v, z);
    return (heads){h, decoder_head(v, "decoder.mean", h, by_column),
                   v->c.likelihood->has_dropout ? decoder_head(v, "decoder.dropout", h, by_column) : -1, dispersion(v, h)};
}

static int likelihood(const iso_vae *v, heads h, int log_library)
{
    iso_node how = {.pointer = v->c.likelihood};
    how.i[0] = v->c.dispersion == ISO_DISPERSION_LABEL ? v->c.n_categorical : 0;
    how.i[1] = v->c.likelihood->has_dispersion && v->c.dispersion == ISO_DISPERSION_CELL;
    how.i[2] = iso_kept_by_column(v, h.mean) ? v->g->nodes[h.mean].i[0] ? ISO_GENES_FIRST_BF16 : ISO_GENES_FIRST : ISO_CELLS_FIRST;
    return iso_graph_op(v->g, &iso_op_likelihood, &how, 4, (int[]){h.mean, h.dropout, h.dispersion, log_library});
}

/* From a cell to the loss. */
static void from_cell(iso_vae *v)
{
    encode(v);
    int log_library = library(v);
    const bool genes_first = iso_kernels_best()->genes_first && v->c.likelihood->genes && v->c.dispersion == ISO_DISPERSION_GENE;
    v->reconstruction = likelihood(v, decode(v, v->z, genes_first), log_library);
    v->loss = iso_graph_op(v->g, &iso_op_elbo, NULL, 4, (int[]){v->reconstruction, v->kl, v->library_kl, -1});
}

/* From a cell to the loss, and the decoder alone, from a given z. */
static void count_nodes(iso_vae *v)
{
    const iso_vae_config *c = &v->c;
    bool has_library = c->likelihood->counts || c->likelihood->log1p_data;
    if (!c->decoder_only) from_cell(v);
    heads h = decode(v, iso_graph_input(v->g, ISO_SLOT_Z, c->n_latent), false);
    if (!c->decoder_only || c->decoder_loss) v->given = likelihood(v, h, has_library ? iso_graph_input(v->g, ISO_SLOT_LIBRARY, 1) : -1);
    v->decoded = c->likelihood->counts ? iso_graph_op(v->g, &iso_op_softmax, NULL, 1, &h.mean) : h.mean;
    v->logits = h.mean, v->hidden = h.hidden, v->given_dropout = h.dropout;
    v->given_dispersion = c->dispersion == ISO_DISPERSION_CELL ? h.dispersion : -1;
}

static void set_first_values(iso_vae *v)
{
    iso_graph *g = v->g;
    for (int i = 0; i < g->n_params; i++) {
        const iso_named *t = &g->params[i];
        const char *dot = strrchr(t->name, '.');
        real value = dot && strcmp(dot, ".gamma") == 0           ? 1
                     : strcmp(t->name, ISO_DISPERSION_NAME) == 0 ? v->c.likelihood->init_dispersion
                                                                 : 0;
        for (int64_t e = 0; t->init == 0 && e < t->rows * t->cols; e++) g->param[t->offset + e] = value;
    }
    for (int i = 0; i < g->n_states; i++) {                    /* fixed random weights: those that were asked for as NaN */
        const iso_named *t = &g->states[i];
        if (isnan(t->init)) iso_normal((iso_rng_key){0, ISO_STREAM_INIT, (uint32_t)i}, 0, t->rows * t->cols, g->state + t->offset);
    }
    const iso_named *mean = iso_graph_find(g, "library_prior.mean", true),
                    *variance = iso_graph_find(g, "library_prior.variance", true);
    for (int64_t r = 0; mean && v->c.library_mean && r < mean->rows; r++) {
        g->state[mean->offset + r] = (real)v->c.library_mean[r];
        g->state[variance->offset + r] = (real)v->c.library_variance[r];
    }
}

iso_status iso_vae_build(const iso_vae_config *c, uint64_t seed, iso_vae *v, iso_error *err)
{
    iso_status st = ISO_OK;
    *v = (iso_vae){.c = *c, .mu = -1, .raw = -1, .z = -1, .kl = -1, .library_mu = -1, .library_raw = -1, .library = -1, .library_kl = -1,
                   .library_prior_mean = -1, .library_prior_variance = -1, .reconstruction = -1, .loss = -1, .given = -1,
                   .given_dropout = -1, .given_dispersion = -1, .reconstructed = -1, .grid_mu = -1, .grid_kl = -1, .sharp = -1, .hidden = -1};
    FAIL_IF(!(v->g = iso_graph_new()), ISO_EMEMORY, "out of memory");
    FAIL_IF(c->dispersion == ISO_DISPERSION_LABEL && c->n_labels < 1, ISO_EUSAGE,
            "dispersion gene-label needs labels: give --labels-key");
    if (c->image.channels) iso_image_vae_nodes(v);
    else count_nodes(v);

    FAIL_IF(c->max_elements && v->g->param_size + v->g->state_size > c->max_elements, ISO_EDATA,
            "the header asks for more parameters than the file holds; the file is damaged");
    TRY(iso_graph_finish(v->g, seed, err));
    set_first_values(v);
done:
    if (st) iso_vae_clear(v);
    return st;
}

void iso_vae_clear(iso_vae *v)
{
    iso_graph_free(v->g);
    v->g = NULL;
}
