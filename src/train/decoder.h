/* decoder.h: a plan that decodes, for train/ alone. */
#ifndef ISO_DECODER_H
#define ISO_DECODER_H

#include "train.h"

enum { ISO_DECODER_BATCH = 256 };

/* Opens a decoder for the values of some nodes of v->g. */
iso_status iso_decoder_open(iso_env *env, iso_vae *v, const int *nodes, int n_nodes, iso_decoder **out, iso_error *err);

/* Decodes z [n, L], some places at a time, with each combination of categories in turn, or once with the codes given (see
 * iso_decode): fn sees places at .. at + n - 1 of combination `which` of `combinations`, and asks the plan for values. */
typedef void iso_decoded_fn(void *arg, const iso_plan *p, int64_t at, int64_t n, int64_t which, int64_t combinations);
iso_status iso_decoder_each(iso_decoder *d, const float *z, int64_t n, const int32_t *const *codes, iso_decoded_fn *fn, void *arg,
                            iso_error *err);

#endif
