/* layer.h: a large dense layer, y = x w^T + b, in blocks of the columns of y.
 *
 * Columns are cut into a few groups, by the shape alone, and a group goes through its columns block by block: what a group needs beside
 * them stays in cache, which is why there are no more groups. A block reads its part of the weights, and of the gradient by y, from
 * memory once, and can step its weights (iso_stepper) before they leave the cache; with more threads than one they are stepped later (layer.c). */
#ifndef ISO_LAYER_H
#define ISO_LAYER_H

#include "kernel.h"

enum { ISO_LAYER_COLUMNS = 128, ISO_LAYER_RUN = 4 * ISO_LAYER_COLUMNS };    /* of y, a block; a block on the way back of a way of long runs */

typedef struct iso_layer {
    int64_t B, K, N;                 /* rows of x; columns of x; columns of y */
    bool bf16;                       /* x, w and d are rounded to bfloat16 as they enter the products; sums are real */
    const real *x, *w, *bias;        /* [B, K], [N, K], [N] or NULL */
    real *y;                         /* [B, N], forward */
    const real *d;                   /* [B, N], backward: the gradient by y */
    bool by_column;                  /* y and d are [N, B], a column of y in a row; with bf16 in numbers of bfloat16, where pointers to real point to */
    real *dx, *dw, *dbias;           /* backward: NULL = not wanted */
    bool add_x, add_w, add_bias;     /* backward: add to what is there */
    const iso_stepper *stepper;      /* backward: not NULL = steps w, which is elements step_from.. of its arrays; dw is not written */
    int64_t step_from;
    double *squares;                 /* with a stepper: the sum of squares of the gradient of w */
    real *work;                      /* [iso_layer_work] */
} iso_layer;

int64_t iso_layer_work(int64_t B, int64_t K, int64_t N);
bool iso_layer_does_forward(bool bf16);                        /* else iso_gemm does it */
void iso_layer_forward(iso_env *env, const iso_layer *l);
void iso_layer_backward(iso_env *env, const iso_layer *l);    /* with a stepper leaves work, iso_later, that uses work, x, d and w */

/* Columns of y as rows [n, B], in real: += a bias for each; (+)= sum [n] of each. */
void iso_layer_add_bias(const real *bias, int64_t n, int64_t B, real *y);
void iso_layer_sum_bias(const real *d, int64_t n, int64_t B, bool add, real *sum);

/* Into how many groups blocks are cut. */
enum { ISO_LAYER_GROUPS = 16 };      /* at most */
int64_t iso_layer_groups(int64_t blocks);

/* How blocks are done. Numbers of 16 bits are laid out in rows and columns padded to ISO_LAYER_PAD. */
enum { ISO_LAYER_PAD = 32 };
static inline int64_t iso_layer_padded(int64_t n) { return (n + ISO_LAYER_PAD - 1) / ISO_LAYER_PAD * ISO_LAYER_PAD; }

/* Columns c..c+n-1 of y. half: scratch for rounded numbers; wide [n, B]: for y or d by column; dw [n, K], dx [B, padded K]
 * and dbias [n]: where this block's gradients go, NULL: not now. */
typedef struct iso_layer_block { int64_t c, n; iso_bf16 *half; real *wide, *dw, *dx, *dbias; bool add_w, add_x; } iso_layer_block;

typedef struct iso_layer_way {
    /* x, once for all blocks, in numbers of 16 bits, as the forward product or the weights' gradient wants it, rows r0.. of it to their places; r0 is a
     * multiple of ISO_LAYER_PAD. NULL: x as it is. */
    void (*lay_out)(const iso_layer *l, bool backward, int64_t r0, int64_t rows, iso_bf16 *x);
    void (*forward)(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x);     /* NULL: not done */
    void (*backward)(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x);    /* dbias, and dw, dx of the block */
    bool long_runs;                   /* by column, a block is ISO_LAYER_RUN columns on the way back */
} iso_layer_way;

/* With AMX, if iso_tiles_usable: bfloat16; float32, each number as the sum of ISO_LAYER_PARTS of bfloat16 (Henry, Tang & Heinecke 2019,
 * arXiv:1904.06376), which is as exact. */
enum { ISO_LAYER_PARTS = 3 };
extern const iso_layer_way iso_layer_half_by_tiles, iso_layer_whole_by_tiles;

#endif
