/* entries.h: finding one's way in sparse rows. */
#ifndef ISO_ENTRIES_H
#define ISO_ENTRIES_H

#include "isa.h"

/* The first entry of row r at column col or after it. Halves what is left without branches, which would be guessed wrong every other time. */
static inline int64_t entry_at(const iso_batch_csr *x, int64_t r, int64_t col)
{
    int64_t low = x->indptr[r], n = x->indptr[r + 1] - low;
    while (n > 0) {
        int64_t half = (n + 1) / 2;
        low = x->indices[low + half - 1] < col ? low + half : low;
        n -= half;
    }
    return low;
}

#endif
