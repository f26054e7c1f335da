/* sparse.c: CSR x dense, the first layer of an encoder of counts, forward and weight gradient.
 * At 5-10 % density this is 10 to 20 times less work than the dense product. w is [G, H] so that a gene's weights are
 * one contiguous row. */
#include "entries.h"

#include <string.h>

/* One register; eight of them hold CHUNK outputs while a row's entries are summed. */
typedef real vec __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(real))));
enum { LANES = REGISTER_BYTES / sizeof(real), CHUNK = 8 * LANES };

/* y[0..CHUNK) += sum over n entries of value * rows[index][0..CHUNK); rows are H apart. */
static inline void gather_chunk(int64_t n, const int32_t *index, const real *values, const real *rows, int64_t H, real *y)
{
    vec *out = (vec *)y;
    vec s0 = out[0], s1 = out[1], s2 = out[2], s3 = out[3], s4 = out[4], s5 = out[5], s6 = out[6], s7 = out[7];
    for (int64_t e = 0; e < n; e++) {
        const vec *w = (const vec *)(rows + index[e] * H);
        real v = values[e];
        s0 += v * w[0], s1 += v * w[1], s2 += v * w[2], s3 += v * w[3];
        s4 += v * w[4], s5 += v * w[5], s6 += v * w[6], s7 += v * w[7];
    }
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3, out[4] = s4, out[5] = s5, out[6] = s6, out[7] = s7;
}

/* Its transpose: rows[index - first][0..CHUNK) += value * y[0..CHUNK) for n entries. */
static inline void scatter_chunk(int64_t n, const int32_t *index, int64_t first, const real *values, const real *y, int64_t H, real *rows)
{
    const vec *in = (const vec *)y;
    vec y0 = in[0], y1 = in[1], y2 = in[2], y3 = in[3], y4 = in[4], y5 = in[5], y6 = in[6], y7 = in[7];
    for (int64_t e = 0; e < n; e++) {
        vec *w = (vec *)(rows + (index[e] - first) * H);
        real v = values[e];
        w[0] += v * y0, w[1] += v * y1, w[2] += v * y2, w[3] += v * y3;
        w[4] += v * y4, w[5] += v * y5, w[6] += v * y6, w[7] += v * y7;
    }
}

/* Entries of row r from *cursor on that lie before column `end`: returns how many, and moves the cursor. */
static inline int64_t entries_before(const iso_batch_csr *x, int64_t r, int32_t end, int64_t *cursor)
{
    int64_t from = *cursor, to = from;
    while (to < x->indptr[r + 1] && x->indices[to] < end) to++;
    *cursor = to;
    return to - from;
}

/* Entries of row r from *cursor on that lie before column `end`: adds them to y, and moves the cursor. */
static void csr_row(const iso_batch_csr *x, const real *values, const real *w, int64_t H, int64_t r, int32_t end,
                    int64_t *cursor, real *y)
{
    const int32_t *index = x->indices + *cursor;
    const real *v = values + *cursor;
    int64_t n = entries_before(x, r, end, cursor), h = 0;
    for (; h + CHUNK <= H; h += CHUNK) gather_chunk(n, index, v, w + h, H, y + h);
    for (int64_t e = 0; h < H && e < n; e++)
        for (int64_t k = h; k < H; k++) y[k] += v[e] * w[index[e] * H + k];
}

/* All rows go through the columns together, BLOCK_BYTES of weights at a time, which stay in the second cache. A row's
 * sum has the same order whatever the rows. */
void KERNEL(csr_linear)(const iso_batch_csr *x, const real *values, const real *w, const real *bias, int64_t H, real *y,
                        int64_t row0, int64_t row1, int64_t col0, int64_t col1)
{
    enum { ROWS = 1024, BLOCK_BYTES = 96 << 10, LINE = 64 / sizeof(real) };
    int64_t cursor[ROWS], columns = BLOCK_BYTES / (H * (int64_t)sizeof(real));
    if (columns < 1) columns = 1;
    for (int64_t first = row0; first < row1; first += ROWS) {
        int64_t n = row1 - first < ROWS ? row1 - first : ROWS;
        for (int64_t r = 0; r < n; r++) {
            cursor[r] = entry_at(x, first + r, col0);
            for (int64_t h = 0; h < H; h++) y[(first + r) * H + h] = bias ? bias[h] : 0;
        }
        for (int64_t c = col0; c < col1; c += columns) {
            int32_t end = (int32_t)(col1 - c < columns ? col1 : c + columns);
            const real *next = w + end * H;                            /* the next block's weights come bit by bit meanwhile */
            int64_t left = (col1 - end < columns ? col1 - end : columns) * H, share = (left + n - 1) / n;
            for (int64_t r = 0; r < n; r++) {
                for (int64_t i = r * share; i < (r + 1) * share; i += LINE) __builtin_prefetch(next + i, 0, 2);
                csr_row(x, values, w, H, first + r, end, &cursor[r], y + (first + r) * H);
            }
        }
    }
}

/* Some columns, whose gradient stays in the first or second cache, row by row: the order of every sum is that of the rows. */
void KERNEL(csr_linear_dw)(const iso_batch_csr *x, const real *values, const real *dy, int64_t H, int64_t *cursor, real *dw, bool accumulate,
                           int64_t col0, int64_t col1)
{
    if (!accumulate) memset(dw, 0, (size_t)((col1 - col0) * H) * sizeof *dw);
    for (int64_t r = 0; r < x->n_rows; r++) {
        if (cursor[r] < 0) cursor[r] = entry_at(x, r, col0);
        const int32_t *index = x->indices + cursor[r];
        const real *v = values + cursor[r], *y = dy + r * H;
        int64_t n = entries_before(x, r, (int32_t)col1, &cursor[r]), h = 0;
        for (; h + CHUNK <= H; h += CHUNK) scatter_chunk(n, index, col0, v, y + h, H, dw + h);
        for (int64_t e = 0; h < H && e < n; e++)
            for (int64_t k = h; k < H; k++) dw[(index[e] - col0) * H + k] += v[e] * y[k];
    }
}
