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

/* A product that nobody reads, with tiles on: tiles that rest for a microsecond take another to wake. */
static inline void stay_awake(void) { _tile_dpbf16ps(0, 6, 7); }

/* -------------------------------------------------------------------------------------- rounding and laying out */

/* A number as a sum of n numbers of 16 bits, the nearest to it, to what is left of it, and so on; three hold all bits of a float.
 * Each has a plane of its own, `apart` numbers after the last. */
typedef struct in_parts { int n; int64_t apart; } in_parts;
static const in_parts nearest = {1, 0};

/* The first `left` of 16. */
static inline __mmask16 the_first(int64_t left) { return (__mmask16)(left >= TILE ? 0xffff : left > 0 ? (1 << left) - 1 : 0); }
static inline __m512 load(const float *x, int64_t left) { return _mm512_maskz_loadu_ps(the_first(left), x); }

static inline __m512i in_a_row(__m512 first, __m512 second) { return (__m512i)_mm512_cvtne2ps_pbh(second, first); }
static inline __m512 first_of_row(__m512i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(x)), 16)); }
static inline __m512 second_of_row(__m512i x) { return first_of_row(_mm512_zextsi256_si512(_mm512_extracti64x4_epi64(x, 1))); }

/* in_a_row, and leaves what is left of them. */
static inline __m512i next_part(__m512 *first, __m512 *second)
{
    __m512i row = in_a_row(*first, *second);
    *first = _mm512_sub_ps(*first, first_of_row(row)), *second = _mm512_sub_ps(*second, second_of_row(row));
    return row;
}

/* Numbers in a row interleaved: first[0], second[0], first[1], ... */
static inline __m512i interleaved(__m512i row)
{
    const __m512i low = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), high = _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(16)), 16);
    return _mm512_permutexvar_epi16(_mm512_or_si512(low, high), row);
}
static inline __m512i in_pairs(__m512 first, __m512 second) { return interleaved(in_a_row(first, second)); }

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

/* The same numbers of two rows, of the first in the lower half of a word: odd, those of odd columns. */
static inline __m512i in_words(__m512i low, __m512i high, bool odd)
{
    const __mmask32 upper = 0xaaaaaaaa;
    return odd ? _mm512_mask_blend_epi16(upper, _mm512_srli_epi32(low, 16), high) : _mm512_mask_blend_epi16(upper, low, _mm512_slli_epi32(high, 16));
}

/* row [PAIR, PAIR] numbers of 16 bits, transposed: odd, the odd rows of that; numbers in each in the order 0, TILE, 1, TILE + 1, ... */
static inline void turn(const __m512i row[PAIR], bool odd, __m512i v[TILE])
{
    for (int i = 0; i < TILE; i++) v[i] = in_words(row[i], row[i + TILE], odd);
    transpose(v);
}

/* x [rows, cols], rows `step` apart, as the B of a product over its rows: pairs of rows, to [deep / 2, padded cols, 2], zeros from row `rows` on. */
static inline void lay_pairs(const float *x, int64_t rows, int64_t cols, int64_t step, int64_t deep, in_parts p, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < deep; r += 2, to += 2 * width)
        for (int64_t c = 0; c < width; c += TILE) {
            const float *from = x + r * step + c;
            _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + step + PAGE, _MM_HINT_T0);
            __m512 even = load(from, r < rows ? cols - c : 0), odd = load(from + step, r + 1 < rows ? cols - c : 0);
            for (int k = 0; k < p.n; k++) _mm512_storeu_si512(to + 2 * c + k * p.apart, interleaved(next_part(&even, &odd)));
        }
}

/* w as lay_pairs, [padded rows / 2, padded cols, 2], but of pairs of rows that lie TILE apart, as in what `turn` made. */
static inline void lay_pairs_apart(const float *w, int64_t rows, int64_t cols, in_parts p, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < iso_layer_padded(rows); r += r % PAIR == TILE - 1 ? TILE + 1 : 1, to += 2 * width)
        for (int64_t c = 0; c < width; c += TILE) {
            const float *from = w + r * cols + c;
            _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + TILE * cols + PAGE, _MM_HINT_T0);
            __m512 low = load(from, r < rows ? cols - c : 0), high = load(from + TILE * cols, r + TILE < rows ? cols - c : 0);
            for (int k = 0; k < p.n; k++) _mm512_storeu_si512(to + 2 * c + k * p.apart, interleaved(next_part(&low, &high)));
        }
}

/* x [rows, cols], rows `step` apart, as the B of a product over its columns: to the first padded rows of [padded cols / 2, width, 2]. */
static inline void lay_transposed(const float *x, int64_t rows, int64_t cols, int64_t step, int64_t width, in_parts p, iso_bf16 *to)
{
    for (int64_t r = 0; r < iso_layer_padded(rows); r += TILE)
        for (int64_t c = 0; c < iso_layer_padded(cols); c += PAIR) {
            __m512i v[TILE];
            __m512 first[TILE], second[TILE];
            for (int i = 0; i < TILE; i++) {
                const float *from = x + (r + i) * step + c;
                _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + PAGE + TILE, _MM_HINT_T0);
                int64_t left = r + i < rows ? cols - c : 0;
                first[i] = load(from, left), second[i] = load(from + TILE, left - TILE);
            }
            for (int k = 0; k < p.n; k++) {
                for (int i = 0; i < TILE; i++) v[i] = next_part(&first[i], &second[i]);
                transpose(v);
                for (int i = 0; i < TILE; i++) _mm512_storeu_si512(to + k * p.apart + ((c / 2 + i) * width + r) * 2, v[i]);
            }
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

/* Of numbers in three parts: which parts are multiplied, so that each follows one of which it keeps a tile. The three products left out are
 * 2^-24 of a product and less. Of numbers in one part: the first term. */
typedef struct term { int a, b; } term;
enum { TERMS = 6 };
static const term terms[TERMS] = {{0, 0}, {0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}};

/* A [M, K] B [K / 2, N, 2], B's pairs of rows `b_step` apart, in one part or three; M, N, K are multiples of 32. */
static inline void product_in(int64_t M, int64_t N, const strips *A, in_parts a_parts, const iso_bf16 *B, int64_t b_step, in_parts b_parts, const sums *s)
{
    const int n_terms = a_parts.n == 1 ? 1 : TERMS;
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
                for (int64_t k = 0; k < A->run; k += PAIR, b += TILE * b_step)
                    for (int t = 0; t < n_terms; t++) {
                        const iso_bf16 *at_a = a + k + terms[t].a * a_parts.apart, *at_b = b + terms[t].b * b_parts.apart;
                        bool new_a = t == 0 || terms[t].a != terms[t - 1].a, new_b = t == 0 || terms[t].b != terms[t - 1].b;
                        if (new_b) _tile_loadd(6, at_b, b_bytes);
                        if (new_a) _tile_loadd(4, at_a, a_bytes);
                        _tile_dpbf16ps(0, 4, 6);
                        if (wide) {
                            if (new_b) _tile_loadd(7, at_b + 2 * TILE, b_bytes);
                            _tile_dpbf16ps(1, 4, 7);
                        }
                        if (!tall) continue;
                        if (new_a) _tile_loadd(5, at_a + TILE * A->step, a_bytes);
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

static inline void product(int64_t M, int64_t N, const strips *A, const iso_bf16 *B, int64_t b_step, const sums *s)
{
    product_in(M, N, A, nearest, B, b_step, nearest, s);
}

#undef START
#undef STORE

#endif
