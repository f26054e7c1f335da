/* simulate.h: synthetic fluorescent cells, whose truth is known: a benchmark that anyone can make again. */
#ifndef ISO_SIMULATE_H
#define ISO_SIMULATE_H

#include "base/base.h"

typedef enum iso_morphology { ISO_FRAGMENTED, ISO_TUBULAR, ISO_NETWORK, ISO_MORPHOLOGIES } iso_morphology;
extern const char *const iso_morphology_names[ISO_MORPHOLOGIES];
enum { ISO_SIMULATED_CHANNELS = 3 };
extern const char *const iso_simulated_channels[ISO_SIMULATED_CHANNELS];      /* mitochondria, nucleus, membrane */

typedef struct iso_simulation {
    int64_t size;                         /* pixels a side */
    bool separate;                        /* a channel for each structure; else one that holds all */
    double photons, background;           /* expected photons of the brightest filament, and of darkness */
    uint64_t seed;
} iso_simulation;

/* What a cell was made of. */
typedef struct iso_simulated {
    iso_morphology morphology;            /* of the mitochondria; cells take turns */
    double angle, area, length;           /* of the cell's long axis, radians; pixels; of all filaments together, pixels */
    int64_t filaments;
} iso_simulated;

/* Cell number i: clean [channels, size, size], the expected photons, and noisy, those that a camera counts. A function of the seed and i. */
iso_simulated iso_simulate_cell(const iso_simulation *how, int64_t i, float *clean, float *noisy);

#endif
