/* amx_spread.c: see spread_rows.h. */
#include "spread_rows.h"

#if defined(ISO_HAVE_AMX) && !defined(ISO_REAL_DOUBLE)

#include "amx.h"

#include <string.h>

static bool pays(const iso_batch_csr *x)
{
    enum { ONE_IN = 13 };            /* numbers must not be zero: about where both ways take as long */
    return x->indptr[x->n_rows] - x->indptr[0] >= x->n_rows * x->n_cols / ONE_IN;
}

/* Numbers from a row to the next: an odd count of cache lines, so that a tile's rows do not share places in the first cache. */
static int64_t width_of(int64_t n_cols)
{
    int64_t lines = iso_layer_padded(n_cols) / PAIR;
    return (lines + !(lines % 2)) * PAIR;
}

static int64_t size(int64_t n_rows, int64_t n_cols) { return iso_layer_padded(n_rows) * width_of(n_cols); }

static void spread(const iso_batch_csr *x, const real *values, int64_t r0, int64_t r1, iso_bf16 *to)
{
    const int64_t width = width_of(x->n_cols), end = r1 < x->n_rows ? r1 : iso_layer_padded(x->n_rows);
    memset(to + r0 * width, 0, (size_t)((end - r0) * width) * sizeof *to);
    for (int64_t r = r0; r < r1; r++) {
        iso_bf16 *row = to + r * width;
        const int32_t *col = x->indices;
        for (int64_t i = x->indptr[r], last = x->indptr[r + 1]; i < last; i += PAIR) {
            _Alignas(64) iso_bf16 some[PAIR];
            const int64_t n = last - i < PAIR ? last - i : PAIR;
            _mm512_store_si512(some, in_a_row(load(values + i, n), load(values + i + TILE, n - TILE)));
            if (n == PAIR) for (int k = 0; k < PAIR; k++) row[col[i + k]] = some[k];
            else for (int k = 0; k < n; k++) row[col[i + k]] = some[k];
        }
    }
}

static void forward(const iso_bf16 *rows, int64_t n_rows, int64_t n_cols, int64_t c, int64_t n, const real *w, int64_t H, iso_bf16 *half, real *y, bool add)
{
    const int64_t wide = iso_layer_padded(H), deep = iso_layer_padded(n);
    lay_pairs(w, n, H, H, deep, nearest, half);
    tiles_on();
    product(iso_layer_padded(n_rows), wide, &(strips){rows + c, width_of(n_cols), 1, deep, {0}}, half, 2 * wide, &(sums){y, H, n_rows, H, add, NULL});
    _tile_release();
}

static void lay_gradient_pairs(const real *d, int64_t n_rows, int64_t H, iso_bf16 *pairs) { lay_pairs_apart(d, n_rows, H, nearest, pairs); }

static void backward(const iso_bf16 *rows, int64_t n_rows, int64_t n_cols, int64_t c, int64_t n, const iso_bf16 *pairs, int64_t H, iso_bf16 *half, real *dw, bool add)
{
    const int64_t width = width_of(n_cols), B = iso_layer_padded(n_rows), N = iso_layer_padded(n), wide = iso_layer_padded(H);
    for (int64_t g = 0; g < N; g += PAIR)
        for (int64_t r = 0; r < B; r += PAIR) {
            __m512i row[PAIR], v[TILE];
            for (int i = 0; i < PAIR; i++) {
                const iso_bf16 *from = rows + (r + i) * width + c + g;
                _mm_prefetch(from + 2 * PAIR, _MM_HINT_T0);          /* rows lie so far apart that no CPU does it */
                row[i] = _mm512_loadu_si512(from);
            }
            for (int odd = 0; odd < 2; odd++) {
                turn(row, odd, v);
                for (int i = 0; i < TILE; i++) _mm512_storeu_si512(half + (g + 2 * i + odd) * B + r, v[i]);
            }
        }
    tiles_on();
    product(N, wide, &(strips){half, B, 1, B, {0}}, pairs, 2 * wide, &(sums){dw, H, n, H, add, NULL});
    _tile_release();
}

const iso_spread iso_spread_by_tiles = {pays, size, spread, forward, lay_gradient_pairs, backward};

#else

const iso_spread iso_spread_by_tiles = {0};

#endif
