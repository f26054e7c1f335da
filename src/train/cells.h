/* cells.h: cells ready for a model: sparse counts with what the encoder, the decoder and the law need of each, and
 * minibatches of them. */
#ifndef ISO_CELLS_H
#define ISO_CELLS_H

#include "core/graph.h"
#include "io/dataset.h"

/* Images instead of counts. The model sees (pixel - low) * scale of each channel, channels last, mirrored at the lower and right border
 * to its own height and width. */
typedef struct iso_pictures {
    const float *pixels;                          /* [n, channels, height, width] */
    int64_t channels, height, width, to_height, to_width;
    const float *low, *scale;                     /* [channels] */
    bool augment;                                 /* in training: turned and flipped at random, another way each epoch; embedded: in their standard attitude */
} iso_pictures;
/* One image as the model sees it: out [to_height, to_width, channels]. way: 0 as it is; 1 .. 7 flipped and turned (1 .. 3 where it is not
 * square). */
void iso_picture(const iso_pictures *p, int64_t cell, int way, real *out);
/* How many ways there are: 8, or 4. */
int iso_picture_ways(const iso_pictures *p);
/* The way that turns it to its standard attitude, which is the same however it was turned before: its light (all channels, as scaled) lies to
 * the right of its middle and below, and where it is square rather to the right. */
int iso_picture_attitude(const iso_pictures *p, int64_t cell);

/* Everything is lent. */
typedef struct iso_cells {
    const iso_csr *x;                             /* of images: [n, P] without entries */
    const iso_pictures *pictures;                 /* NULL: counts */
    const real *log_library;                      /* [n] log of the cell's total, or of its size factor */
    const float *input_scale;                     /* [n] the encoder sees log1p(x * scale); NULL = 1 */
    bool raw_input;                               /* the encoder sees x itself (continuous data) */
    int n_codes;
    const int32_t *codes[ISO_MAX_COVARIATES];     /* [n] each: covariates, then the label */
    int n_continuous;
    const real *continuous;                       /* [n, n_continuous] */
} iso_cells;

/* Buffers for one minibatch of at most max_cells cells; nothing is allocated while filling unless a batch holds more
 * entries than any before it. */
typedef struct iso_batcher iso_batcher;
iso_status iso_batcher_new(const iso_cells *c, int64_t max_cells, iso_batcher **out, iso_error *err);
void iso_batcher_free(iso_batcher *b);
/* From now on images are augmented as (seed, epoch) and the image say; where the cells ask for it. */
void iso_batcher_augment(iso_batcher *b, uint64_t seed, uint32_t epoch);
/* From now on images stand that way (iso_picture), or ISO_STANDARD: in their standard attitude, where the cells ask for it, else as they are. */
enum { ISO_AS_IT_LIES = 0, ISO_STANDARD = -1 };
void iso_batcher_turn(iso_batcher *b, int way);
/* The cells index[0..n-1]. The batch is lent until the next fill. */
iso_status iso_batcher_fill(iso_batcher *b, iso_env *env, const iso_kernels *k, const int64_t *index, int64_t n,
                            iso_batch **batch, iso_error *err);

/* Batchers that work ahead: the cells index[0..n-1] for training, while `then`, which the next call will ask for, is gathered by an idle
 * thread; n_then 0: nothing is. The batch is lent until the next call. Free waits for what is under way, on env. */
typedef struct iso_feeder iso_feeder;
iso_status iso_feeder_new(const iso_cells *c, int64_t max_cells, iso_feeder **out, iso_error *err);
void iso_feeder_free(iso_feeder *f, iso_env *env);
void iso_feeder_augment(iso_feeder *f, uint64_t seed, uint32_t epoch);       /* as iso_batcher_augment; before a call that nothing was gathered for */
iso_status iso_feeder_next(iso_feeder *f, iso_env *env, const iso_kernels *k, const int64_t *index, int64_t n, const int64_t *then, int64_t n_then,
                           iso_batch **batch, iso_error *err);

#endif
