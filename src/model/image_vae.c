/* image_vae.c: the graph of the VAE of images.
 *
 *   x -> strided convolutions e1 .. eL -> q(z|x) -> z -> transposed convolutions dL .. d1 -> mean of x
 *
 * With a grid, a second, finer level of latent variables s at a quarter of the size, where d2 meets e2: its prior p(s|z) is what
 * d2 makes of z, its posterior q(s|x, z) sees e2 too, and s goes on with d2. A ladder of two levels (Sonderby et al. 2016,
 * arXiv:1602.02282). z is the map; s holds the details that no map can. */
#include "layers.h"
#include "op/conv.h"

#include <math.h>

enum { MOST_CHANNELS = 256, SMALLEST = 4, KERNEL = 16, NINE = 9, GRID_LEVEL = 2, MOST_LEVELS = 6 };
static const double MOMENTUM = 0.05;                   /* of the running variances */

int iso_image_levels(int height, int width)
{
    int n = 0;
    while (n < MOST_LEVELS && height % 2 == 0 && width % 2 == 0 && height / 2 >= SMALLEST && width / 2 >= SMALLEST) height /= 2, width /= 2, n++;
    return n;
}

/* Channels after l strided convolutions. */
static int channels_at(const iso_image_config *c, int l)
{
    int n = c->first_channels;
    for (int i = 1; i < l && n < MOST_CHANNELS; i++) n *= 2;
    return l == 0 ? c->channels : n < MOST_CHANNELS ? n : MOST_CHANNELS;
}

/* Whether in bfloat16 all convolutions are done by tiles, which know of numbers kept in it (iso_conv_in_tiles). */
static bool all_in_tiles(const iso_vae *v)
{
    return v->c.bf16 && iso_tiles_usable() && v->c.image.first_channels % 2 == 0 && v->c.image.grid % 2 == 0;
}

/* Then the features at the grid are kept in it, if convolutions lie on both sides. */
static bool half_at_grid(const iso_vae *v) { return all_in_tiles(v) && iso_image_levels(v->c.image.height, v->c.image.width) > GRID_LEVEL; }

/* A convolution, or its transpose, of images whose larger side is at level l. taps: 16 with stride 2, or 9 or 1 with stride 1.
 * half: in bfloat16, the sides that are kept in it, as they are read by none but convolutions and `add` (bits of op/conv.h). */
static int convolve(const iso_vae *v, const char *layer, const iso_op *op, int x, int l, int taps, int in, int out, bool relu, int half)
{
    char name[ISO_TENSOR_NAME];
    bool up = op == &iso_op_conv_transpose;
    double limit = iso_bound((double)taps * in / (up ? 4 : 1));
    snprintf(name, sizeof name, "%s.weight", layer);
    int w = iso_graph_param(v->g, name, up ? in : out, taps * (up ? out : in), limit);
    snprintf(name, sizeof name, "%s.bias", layer);
    iso_node how = {.i = {v->c.image.height >> l, v->c.image.width >> l, taps == KERNEL ? 2 : 1, relu, !v->c.bf16 ? 0 : ISO_CONV_BF16 | (all_in_tiles(v) ? half : 0)}};
    return iso_graph_op(v->g, op, &how, 3, (int[]){x, w, iso_graph_param(v->g, name, 1, out, limit)});
}

typedef struct encoded { int last, at_grid; } encoded;

static encoded encode(const iso_vae *v, int x)
{
    const iso_image_config *c = &v->c.image;
    encoded e = {x, -1};
    int levels = iso_image_levels(c->height, c->width), half = 0;
    for (int l = 0; l < levels; l++) {
        char layer[ISO_LAYER_NAME];
        half = half & ISO_CONV_HALF_Y ? ISO_CONV_HALF_X : 0;
        if (l + 1 < levels) half |= ISO_CONV_HALF_Y;
        snprintf(layer, sizeof layer, "encoder.conv%d", l + 1);
        e.last = convolve(v, layer, &iso_op_conv, e.last, l, KERNEL, channels_at(c, l), channels_at(c, l + 1), true, half);
        if (l + 1 == GRID_LEVEL) e.at_grid = e.last;
    }
    return e;
}

/* From level `from` to level `to`; the last step to pixels has no relu. half: ISO_CONV_HALF_Y if x is kept so, else 0; the result is, unless
 * it is pixels. */
static int rise(const iso_vae *v, int x, int from, int to, int half)
{
    for (int l = from; l > to; l--) {
        char layer[ISO_LAYER_NAME];
        if (l > 1) half |= ISO_CONV_HALF_X;
        snprintf(layer, sizeof layer, "decoder.conv%d", l);
        x = convolve(v, layer, &iso_op_conv_transpose, x, l - 1, KERNEL, channels_at(&v->c.image, l), channels_at(&v->c.image, l - 1), l > 1, half);
        half = half & ISO_CONV_HALF_X ? ISO_CONV_HALF_Y : 0;
    }
    return x;
}

/* What z alone makes: the features at the grid's level, or without a grid the image. */
static int from_z(const iso_vae *v, int z)
{
    const iso_image_config *c = &v->c.image;
    int levels = iso_image_levels(c->height, c->width), size = (c->height >> levels) * (c->width >> levels) * channels_at(c, levels);
    double limit = iso_bound(v->c.n_latent + iso_injected(&v->c));
    int x = iso_inject(v, "decoder.first", iso_linear(v, "decoder.first", z, v->c.n_latent, size, limit, true), size, limit);
    x = iso_graph_op(v->g, &iso_op_relu, NULL, 1, &x);
    return rise(v, x, levels, c->grid ? GRID_LEVEL : 0, 0);
}

static int grid_head(const iso_vae *v, const char *name, int features)
{
    return convolve(v, name, &iso_op_conv, features, GRID_LEVEL, 1, channels_at(&v->c.image, GRID_LEVEL), v->c.image.grid, false, half_at_grid(v) ? ISO_CONV_HALF_X : 0);
}

/* The image from the features of z and the grid s. */
static int with_grid(const iso_vae *v, int features, int s)
{
    int wide = channels_at(&v->c.image, GRID_LEVEL);
    bool half = half_at_grid(v);
    int x = convolve(v, "decoder.grid", &iso_op_conv, s, GRID_LEVEL, NINE, v->c.image.grid, wide, false, half ? ISO_CONV_HALF_Y : 0);
    x = iso_graph_op(v->g, &iso_op_add, &(iso_node){.i = {true, half}}, 2, (int[]){features, x});
    x = convolve(v, "decoder.mix", &iso_op_conv, x, GRID_LEVEL, NINE, wide, wide, true, (half ? ISO_CONV_HALF_X : 0) | ISO_CONV_HALF_Y);
    return rise(v, x, GRID_LEVEL, 0, ISO_CONV_HALF_Y);
}

/* The decoder's last output as a mean. */
static int mean_of(const iso_vae *v, int x)
{
    return v->c.likelihood->image->photons ? iso_graph_op(v->g, &iso_op_softplus, NULL, 1, &x) : x;
}

/* ------------------------------------------------------------------------------------- the law */

/* -log p under a law whose images have the height, width and channels of level-l features. added: to the loss of the cells. */
static int law_of(const iso_vae *v, const iso_likelihood *law, const char *state, int mean, int image, int height, int width, int channels,
                  bool added)
{
    int s = -1, bands = 1;
    for (int h = height, w = width, l = 0; law->image->haar && l < 4 && h % 2 == 0 && w % 2 == 0; l++) h /= 2, w /= 2, bands += 3;
    if (law->image->photons) s = iso_graph_state(v->g, ISO_PHOTONS_NAME, 2, channels, 1);
    else if (!(law->image->sigma > 0)) s = iso_graph_state(v->g, state, bands, channels, 0.05);
    iso_node how = {.pointer = law, .i = {height, width, added}, .r = {MOMENTUM}};
    return iso_graph_op(v->g, &iso_op_image_likelihood, &how, 3, (int[]){mean, image, s});
}

enum { FEATURE_LAYERS = 2, FEATURES = 8 };

/* The response of a fixed random convolution (its weights are state that starts as normal noise). */
static int respond(const iso_vae *v, int x, int l, int in, int out)
{
    char name[ISO_TENSOR_NAME];
    snprintf(name, sizeof name, "features.conv%d.weight", l + 1);
    int w = iso_graph_state(v->g, name, out, KERNEL * in, (double)NAN);
    iso_node how = {.i = {v->c.image.height >> l, v->c.image.width >> l, 2, true}};
    return iso_graph_op(v->g, &iso_op_conv, &how, 3, (int[]){x, w, -1});
}

static int likelihood(const iso_vae *v, int mean, int image)
{
    const iso_image_config *c = &v->c.image;
    int sum = law_of(v, v->c.likelihood, ISO_IMAGE_VARIANCE_NAME, mean, image, c->height, c->width, c->channels, false);
    int in = c->channels, a = mean, b = image;
    for (int l = 0; v->c.likelihood->image->features && l < FEATURE_LAYERS; l++) {
        char state[ISO_TENSOR_NAME];
        int out = FEATURES << l;
        snprintf(state, sizeof state, "features.conv%d.variance", l + 1);
        a = respond(v, a, l, in, out), b = respond(v, b, l, in, out), in = out;
        int more = law_of(v, v->c.likelihood, state, a, b, c->height >> (l + 1), c->width >> (l + 1), out, true);
        sum = iso_graph_op(v->g, &iso_op_add, NULL, 2, (int[]){sum, more});
    }
    return sum;
}

/* -------------------------------------------------------------------------------------- all of it */

/* The image that an encoded one is decoded to, z and grid at their posterior means or drawn. */
static int through(iso_vae *v, encoded e, int z, bool drawn)
{
    int features = from_z(v, z);
    if (!v->c.image.grid) return mean_of(v, features);
    int both = iso_graph_op(v->g, &iso_op_add, &(iso_node){.i = {false, half_at_grid(v)}}, 2, (int[]){features, e.at_grid});
    int mu = grid_head(v, "encoder.grid_mean", both), s = mu;
    if (drawn && !v->c.autoencoder) {
        int raw = grid_head(v, "encoder.grid_log_variance", both);
        v->grid_mu = mu;
        v->grid_kl = iso_graph_op(v->g, &iso_op_normal_kl, NULL, 4,
                                  (int[]){mu, raw, grid_head(v, "prior.grid_mean", features), grid_head(v, "prior.grid_log_variance", features)});
        s = iso_graph_op(v->g, &iso_op_reparameterize, NULL, 2, (int[]){mu, raw});
    }
    return mean_of(v, with_grid(v, features, s));
}

static void from_image(iso_vae *v, int image)
{
    encoded e = encode(v, image);
    int size = (int)v->g->nodes[e.last >= 0 ? e.last : 0].cols;
    v->mu = iso_linear(v, "encoder.mean", e.last, size, v->c.n_latent, iso_bound(size), true);
    v->z = v->mu;
    if (!v->c.autoencoder) {
        v->raw = iso_linear(v, "encoder.log_variance", e.last, size, v->c.n_latent, iso_bound(size), true);
        v->z = iso_graph_op(v->g, &iso_op_reparameterize, NULL, 2, (int[]){v->mu, v->raw});
        v->kl = iso_graph_op(v->g, &iso_op_gaussian_kl, NULL, 4, (int[]){v->mu, v->raw, -1, -1});
    }
    v->reconstruction = likelihood(v, through(v, e, v->z, true), image);
    v->loss = iso_graph_op(v->g, &iso_op_elbo, NULL, 4, (int[]){v->reconstruction, v->kl, -1, v->grid_kl});
    v->reconstructed = through(v, e, v->mu, false);
}

void iso_image_vae_nodes(iso_vae *v)
{
    int image = iso_graph_input(v->g, ISO_SLOT_IMAGE, v->c.n_genes);
    if (!v->c.decoder_only) from_image(v, image);
    int features = from_z(v, iso_graph_input(v->g, ISO_SLOT_Z, v->c.n_latent)), grid = -1, drawn = -1;
    if (v->c.image.grid) {
        int mu = grid_head(v, "prior.grid_mean", features);
        grid = with_grid(v, features, mu), drawn = grid;
        if (!v->c.autoencoder) {
            int raw = grid_head(v, "prior.grid_log_variance", features);
            drawn = with_grid(v, features, iso_graph_op(v->g, &iso_op_reparameterize, NULL, 2, (int[]){mu, raw}));
        }
    }
    v->decoded = v->logits = mean_of(v, v->c.image.grid ? grid : features);
    v->sharp = v->c.image.grid ? mean_of(v, drawn) : v->decoded;
    v->given = likelihood(v, v->decoded, image);
}
