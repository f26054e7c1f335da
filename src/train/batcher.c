/* batcher.c: gathers cells into a minibatch: their rows of the CSR matrix, what the encoder sees of them, and their
 * covariates. */
#include "cells.h"
#include "model/vae.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16 };        /* cells a block */

struct iso_batcher {
    const iso_cells *c;
    int64_t max_cells, cap_nnz;
    iso_batch batch;
    int64_t *indptr, *cells;
    int32_t *indices, *codes[ISO_MAX_COVARIATES];
    float *values;
    real *input_values, *library, *continuous, *cell_loss, *images;
    bool augment;
    iso_rng_key ways;                     /* which way an image is turned, if augmented; */
    int way;                              /* else this */
};

iso_status iso_batcher_new(const iso_cells *c, int64_t max_cells, iso_batcher **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_batcher *b = NULL;
    *out = NULL;
    ALLOC(b, 1, sizeof *b);
    b->c = c, b->max_cells = max_cells;
    ALLOC(b->indptr, max_cells + 1, sizeof *b->indptr);
    if (c->pictures) ALLOC(b->images, max_cells * c->x->n_cols, sizeof *b->images);
    ALLOC(b->cells, max_cells, sizeof *b->cells);
    ALLOC(b->library, max_cells, sizeof *b->library);
    ALLOC(b->cell_loss, max_cells, sizeof *b->cell_loss);
    if (c->n_continuous) ALLOC(b->continuous, max_cells * c->n_continuous, sizeof *b->continuous);
    for (int k = 0; k < c->n_codes; k++) ALLOC(b->codes[k], max_cells, sizeof *b->codes[k]);
    *out = b, b = NULL;
done:
    iso_batcher_free(b);
    return st;
}

static void free_entries(iso_batcher *b)
{
    iso_free(b->indices);
    iso_free(b->values);
    iso_free(b->input_values);
    b->indices = NULL;
    b->values = NULL;
    b->input_values = NULL;
    b->cap_nnz = 0;
}

void iso_batcher_free(iso_batcher *b)
{
    if (!b) return;
    free_entries(b);
    iso_free(b->indptr);
    iso_free(b->cells);
    iso_free(b->library);
    iso_free(b->cell_loss);
    iso_free(b->continuous);
    iso_free(b->images);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) iso_free(b->codes[k]);
    iso_free(b);
}

static iso_status make_room(iso_batcher *b, int64_t nnz, iso_error *err)
{
    iso_status st = ISO_OK;
    if (nnz <= b->cap_nnz) return ISO_OK;
    FAIL_IF(nnz > INT32_MAX, ISO_EUSAGE, "a minibatch with %lld counts is too large; lower --batch-size", (long long)nnz);
    free_entries(b);
    int64_t cap = nnz + nnz / 4 + 64;
    ALLOC(b->indices, cap, sizeof *b->indices);
    ALLOC(b->values, cap, sizeof *b->values);
    ALLOC(b->input_values, cap, sizeof *b->input_values);
    b->cap_nnz = cap;
done:
    return st;
}

typedef struct job { iso_batcher *b; const iso_kernels *k; const int64_t *index; int64_t n; } job;

void iso_batcher_augment(iso_batcher *b, uint64_t seed, uint32_t epoch)
{
    b->augment = b->c->pictures && b->c->pictures->augment;
    b->ways = (iso_rng_key){seed, ISO_STREAM_AUGMENT, epoch};
}

void iso_batcher_turn(iso_batcher *b, int way)
{
    bool turned = b->c->pictures && b->c->pictures->augment;
    b->augment = false;
    b->way = way == ISO_STANDARD && !turned ? ISO_AS_IT_LIES : way;
}

static int way_of(const iso_batcher *b, int64_t cell)
{
    if (!b->augment) return b->way == ISO_STANDARD ? iso_picture_attitude(b->c->pictures, cell) : b->way;
    iso_rng r = iso_rng_start(b->ways, (uint64_t)cell);
    return (int)(iso_rng_u32(&r) % (uint32_t)iso_picture_ways(b->c->pictures));
}

static void gather_block(void *arg, int64_t block)
{
    job *j = arg;
    iso_batcher *b = j->b;
    const iso_cells *c = b->c;
    int64_t r1 = (block + 1) * ROWS < j->n ? (block + 1) * ROWS : j->n;
    for (int64_t r = block * ROWS; r < r1; r++) {
        int64_t cell = j->index[r], from = c->x->indptr[cell], at = b->indptr[r], n = b->indptr[r + 1] - at;
        iso_fetch(b->indices + at, c->x->indices + from, (size_t)n * sizeof *b->indices);
        iso_fetch(b->values + at, c->x->values + from, (size_t)n * sizeof *b->values);
        real scale = c->input_scale ? (real)c->input_scale[cell] : 1, *in = b->input_values + at;
        for (int64_t e = 0; e < n; e++)
            in[e] = c->raw_input ? (real)b->values[at + e] : 1 + scale * (real)b->values[at + e];
        if (!c->raw_input) j->k->vlog(in, in, n);
        if (c->pictures) iso_picture(c->pictures, cell, way_of(b, cell), b->images + r * c->x->n_cols);
        b->cells[r] = cell;
        if (c->log_library) b->library[r] = c->log_library[cell];
        for (int k = 0; k < c->n_codes; k++) b->codes[k][r] = c->codes[k][cell];
        for (int k = 0; k < c->n_continuous; k++)
            b->continuous[r * c->n_continuous + k] = c->continuous[cell * c->n_continuous + k];
    }
}

iso_status iso_batcher_fill(iso_batcher *b, iso_env *env, const iso_kernels *k, const int64_t *index, int64_t n,
                            iso_batch **batch, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_cells *c = b->c;
    for (int64_t r = 0; r < n; r++)
        b->indptr[r + 1] = b->indptr[r] + c->x->indptr[index[r] + 1] - c->x->indptr[index[r]];
    TRY(make_room(b, b->indptr[n], err));
    job j = {b, k, index, n};
    iso_parallel(env, (n + ROWS - 1) / ROWS, gather_block, &j);
    b->batch = (iso_batch){.n = n,
                           .x = {n, c->x->n_cols, b->indptr, b->indices, b->values},
                           .input_values = b->input_values,
                           .cells = b->cells,
                           .inputs = {[ISO_SLOT_LIBRARY] = b->library, [ISO_SLOT_CONTINUOUS] = b->continuous, [ISO_SLOT_IMAGE] = b->images},
                           .cell_loss = b->cell_loss};
    for (int q = 0; q < c->n_codes; q++) b->batch.codes[q] = b->codes[q];
    *batch = &b->batch;
done:
    return st;
}
