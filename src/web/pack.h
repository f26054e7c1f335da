/* pack.h: all that a page needs to know of a latent space, as one block of bytes: the decoder, what places are judged by, and the
 * graph of ways. The block is the program's own business and changes with it; docs/EXPLORER.md tells of the files around it. */
#ifndef ISO_PACK_H
#define ISO_PACK_H

#include "map/place.h"
#include "map/route.h"
#include "model/vae.h"

typedef struct iso_chart {
    iso_vae v;                    /* unpacked: a decoder alone */
    int n_heads;
    iso_vae *heads;               /* [n_heads] other decoders: see map/spread.h */
    iso_judge judge;              /* unpacked: references of all batches together */
    iso_route_graph route;
    int64_t n_normaliser;         /* 0 for Gaussian laws */
    float *normaliser;            /* [cells, combinations] see iso_decode_gene */
} iso_chart;

/* *bytes [*n] is the caller's. */
iso_status iso_chart_pack(const iso_chart *c, uint8_t **bytes, int64_t *n, iso_error *err);
/* ISO_EDATA for a block that is not whole, or not of this version of the program. */
iso_status iso_chart_unpack(const uint8_t *bytes, int64_t n, iso_chart *out, iso_error *err);
void iso_chart_clear(iso_chart *c);

#endif
