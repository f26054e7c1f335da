/* explorer.h: the questions that a reader of the map asks, each about one place: what is expressed there, what is it, what is
 * near, how does one get there. The same code runs in the program and, as WebAssembly, in the page. */
#ifndef ISO_EXPLORER_H
#define ISO_EXPLORER_H

#include "map/lift.h"
#include "pack.h"
#include "train/train.h"

typedef struct iso_explorer {
    iso_env *env;                 /* lent */
    iso_chart chart;
    iso_lift lift;
    iso_decoder *decoder;
    iso_decoder **heads;          /* [chart.n_heads] */
    float *state, *others;        /* [G], [heads, G] room for what one place decodes to */
} iso_explorer;

/* bytes [n]: see pack.h; xy [n_cells, 2], z [n_cells, n_latent]: the cells, lent until it is closed. */
iso_status iso_explorer_open(iso_env *env, const uint8_t *bytes, int64_t n, const float *xy, const float *z, int64_t n_cells, iso_explorer *out,
                             iso_error *err);
void iso_explorer_close(iso_explorer *e);
/* What z [n, n_latent] decodes to: out [n, G] shares of a cell's counts, Gaussian means, or images [height, width, channels]. */
iso_status iso_explorer_decode(iso_explorer *e, const float *z, int64_t n, float *out, iso_error *err);
/* How much the decoders differ at z [n, n_latent]: out [n, G], see map/spread.h; 0 where there is one alone. */
iso_status iso_explorer_spread(iso_explorer *e, const float *z, int64_t n, float *out, iso_error *err);
iso_status iso_explorer_judge(iso_explorer *e, const float *z, iso_place *out, iso_error *err);
/* A point of the picture to z [n_latent] and its p-value. */
iso_status iso_explorer_lift(iso_explorer *e, float x, float y, float *z, double *p, iso_error *err);
/* Decoded expression of one gene at every cell's z: out [n_cells], counts per 10,000, or Gaussian means. */
iso_status iso_explorer_gene(iso_explorer *e, int64_t gene, float *out, iso_error *err);
/* n points z [n, n_latent] from a to b [n_latent], along the data or straight, and their p-values [n]. */
iso_status iso_explorer_path(iso_explorer *e, const float *a, const float *b, bool along_data, int64_t n, float *z, double *p, iso_error *err);

#endif
