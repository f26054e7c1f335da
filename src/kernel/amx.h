/* amx.h: AMX, the tiles of 16 x 16 sums of newer Intel CPUs: rounding, laying out and products, for the files that are compiled for it.
 *
 * A tile product adds A [16, 32] B [32, 16] to sums [16, 16]; A's rows are as in memory, B's are pairs of rows, interleaved. Four
 * tiles of sums are held at once, so that each tile that is read serves two products. Everything is padded to 32 with zeros.
 * Source: Intel Architecture Instruction Set Extensions Programming Reference, chapter 3; all CPUs with tiles have AVX512-BF16
 * and AMX-BF16. */
#ifndef ISO_AMX_H
#define ISO_AMX_H

#include "layer.h"

#include <immintrin.h>

enum { TILE = 16, PAIR = 32 };           /* rows and columns of sums; of two tiles side by side, and what a product sums over */
enum { PAGE = 4096 / sizeof(float) };    /* how far weights are fetched ahead, which the CPU itself does within a page alone */

/* On, on this thread, until _tile_release. */
static inline void tiles_on(void)
{
    static const struct { uint8_t palette, start, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } all_alike = {
        .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&all_alike);
}

/* -------------------------------------------------------------------------------------- rounding and laying out */

/* The first `left` of 16. */
static inline __mmask16 the_first(int64_t left) { return (__mmask16)(left >= TILE ? 0xffff : left > 0 ? (1 << left) - 1 : 0); }
static inline __m512 load(const float *x, int64_t left) { return _mm512_maskz_loadu_ps(the_first(left), x); }

static inline __m512i in_a_row(__m512 first, __m512 second) { return (__m512i)_mm512_cvtne2ps_pbh(second, first); }

/* first[0], second[0], first[1], ... */
static inline __m512i in_pairs(__m512 first, __m512 second)
{
    const __m512i low = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), high = _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(16)), 16);
    return _mm512_permutexvar_epi16(_mm512_or_si512(low, high), in_a_row(first, second));
}

/* v [16, 16] numbers of 32 bits, transposed. */
static inline void transpose(__m512i v[TILE])
{
    __m512i t[TILE];
    for (int i = 0; i < TILE; i += 2) {
        t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < TILE; i += 4) {
        v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* x [rows, cols], rows `step` apart, as the B of a product over its rows: pairs of rows, to [deep / 2, padded cols, 2], zeros from row `rows` on. */
static inline void lay_pairs(const float *x, int64_t rows, int64_t cols, int64_t step, int64_t deep, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < deep; r += 2, to += 2 * width)
        for (int64_t c = 0; c < width; c += TILE) {
            const float *from = x + r * step + c;
            _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + step + PAGE, _MM_HINT_T0);
            _mm512_storeu_si512(to + 2 * c, in_pairs(load(from, r < rows ? cols - c : 0), load(from + step, r + 1 < rows ? cols - c : 0)));
        }
}

/* x [rows, cols], rows `step` apart, as the B of a product over its columns: to [padded cols / 2, padded rows, 2]. */
static inline void lay_transposed(const float *x, int64_t rows, int64_t cols, int64_t step, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(rows);
    for (int64_t r = 0; r < width; r += TILE)
        for (int64_t c = 0; c < iso_layer_padded(cols); c += PAIR) {
            __m512i v[TILE];
            for (int i = 0; i < TILE; i++) {
                const float *from = x + (r + i) * step + c;
                _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + PAGE + TILE, _MM_HINT_T0);
                int64_t left = r + i < rows ? cols - c : 0;
                v[i] = in_a_row(load(from, left), load(from + TILE, left - TILE));
            }
            transpose(v);
            for (int i = 0; i < TILE; i++) _mm512_storeu_si512(to + ((c / 2 + i) * width + r) * 2, v[i]);
        }
}

/* -------------------------------------------------------------------------------------- products */

/* The rows of A: a row is `runs` pieces of `run` numbers, a multiple of 32, at from[0], from[1], ...; the next row's lie `step` further on. */
enum { RUNS = 4 };
typedef struct strips { const iso_bf16 *at; int64_t step, runs, run, from[RUNS]; } strips;

/* Where sums go: [rows, cols] of C, rows `step` apart, added to what is there if `add`, else to the row `bias`, if that is not NULL. */
typedef struct sums { float *C; int64_t step, rows, cols; bool add; const float *bias; } sums;

/* A tile at (m, n) of which not all is wanted. */
static inline void put(const sums *s, int64_t m, int64_t n, const float *tile)
{
    __mmask16 wanted = the_first(s->cols - n);
    for (int64_t i = 0; i < TILE && m + i < s->rows; i++) {
        float *c = s->C + (m + i) * s->step + n;
        __m512 sum = _mm512_loadu_ps(tile + i * TILE);
        if (s->add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(wanted, c));
        _mm512_mask_storeu_ps(c, wanted, sum);
    }
}

static inline bool all_there(const sums *s, int64_t m, int64_t n) { return m + TILE <= s->rows && n + TILE <= s->cols; }

#define START(tile, m, n)                                                                                                               \
    do {                                                                                                                                \
        if (s->add && all_there(s, m, n)) _tile_loadd(tile, s->C + (m) * s->step + (n), (size_t)s->step * sizeof(float));                \
        else if (s->bias) _tile_loadd(tile, s->bias + (n), 0);                                                                          \
        else _tile_zero(tile);                                                                                                          \
    } while (0)
#define STORE(tile, m, n)                                                                                                               \
    do {                                                                                                                                \
        if (all_there(s, m, n)) _tile_stored(tile, s->C + (m) * s->step + (n), (size_t)s->step * sizeof(float));                         \
        else {                                                                                                                          \
            _tile_stored(tile, part, TILE * sizeof(float));                                                                             \
            put(s, m, n, part);                                                                                                         \
        }                                                                                                                               \
    } while (0)

/* A [M, K] B [K / 2, N, 2], B's pairs of rows `b_step` apart; M, N, K are multiples of 32. */
static inline void product(int64_t M, int64_t N, const strips *A, const iso_bf16 *B, int64_t b_step, const sums *s)
{
    float part[TILE * TILE];
    size_t a_bytes = (size_t)A->step * sizeof *A->at, b_bytes = (size_t)b_step * sizeof *B;
    for (int64_t m = 0; m < M; m += PAIR)
        for (int64_t n = 0; n < N; n += PAIR) {
            const iso_bf16 *b = B + 2 * n;
            bool wide = n + TILE < s->cols, tall = m + TILE < s->rows;
            START(0, m, n);
            if (wide) START(1, m, n + TILE);
            if (tall) START(2, m + TILE, n);
            if (wide && tall) START(3, m + TILE, n + TILE);
            for (int64_t r = 0; r < A->runs; r++) {
                const iso_bf16 *a = A->at + m * A->step + A->from[r];
                for (int64_t k = 0; k < A->run; k += PAIR, b += TILE * b_step) {
                    _tile_loadd(6, b, b_bytes);
                    _tile_loadd(4, a + k, a_bytes);
                    _tile_dpbf16ps(0, 4, 6);
                    if (wide) {
                        _tile_loadd(7, b + 2 * TILE, b_bytes);
                        _tile_dpbf16ps(1, 4, 7);
                    }
                    if (!tall) continue;
                    _tile_loadd(5, a + k + TILE * A->step, a_bytes);
                    _tile_dpbf16ps(2, 5, 6);
                    if (wide) _tile_dpbf16ps(3, 5, 7);
                }
            }
            STORE(0, m, n);
            if (wide) STORE(1, m, n + TILE);
            if (tall) STORE(2, m + TILE, n);
            if (wide && tall) STORE(3, m + TILE, n + TILE);
        }
}

#undef START
#undef STORE

#endif
