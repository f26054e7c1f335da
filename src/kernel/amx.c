/* amx.c: the blocks of layer.h with AMX, the tiles of 16 x 16 sums of newer Intel CPUs.
 *
 * A tile product adds A [16, 32] B [32, 16] to sums [16, 16]; A's rows are as in memory, B's are pairs of rows, interleaved. Four
 * tiles of sums are held at once, so that each tile that is read serves two products. Everything is padded to 32 with zeros.
 * Source: Intel Architecture Instruction Set Extensions Programming Reference, chapter 3; all CPUs with tiles have AVX512-BF16
 * and AMX-BF16. */
#include "layer.h"

#if defined(ISO_HAVE_AMX) && !defined(ISO_REAL_DOUBLE)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TILE = 16, PAIR = 32 };           /* rows and columns of sums; of two tiles side by side, and what a product sums over */
enum { PAGE = 4096 / sizeof(float) };    /* how far weights are fetched ahead, which the CPU itself does within a page alone */

/* -------------------------------------------------------------------------------------- does it work here? */

/* Linux gives a process tiles on request, if the CPU has them; a thread that it has already, too. */
bool iso_tiles_usable(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return __builtin_cpu_supports("avx512bf16") && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static void tiles_on(void)
{
    static const struct { uint8_t palette, start, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } all_alike = {
        .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&all_alike);
}

/* -------------------------------------------------------------------------------------- rounding and laying out */

static inline __m512 load(const float *x, int64_t left)
{
    return _mm512_maskz_loadu_ps((__mmask16)(left >= TILE ? 0xffff : left > 0 ? (1 << left) - 1 : 0), x);
}

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

/* x [rows, cols] as it is: to [padded rows, padded cols]. */
static void lay_rows(const float *x, int64_t rows, int64_t cols, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < iso_layer_padded(rows); r++, to += width)
        for (int64_t c = 0; c < width; c += PAIR) {
            const float *from = x + r * cols + c;
            int64_t left = r < rows ? cols - c : 0;
            _mm512_storeu_si512(to + c, in_a_row(load(from, left), load(from + TILE, left - TILE)));
        }
}

/* x [rows, cols] as the B of a product over its rows: pairs of rows, to [padded rows / 2, padded cols, 2]. */
static void lay_pairs(const float *x, int64_t rows, int64_t cols, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < iso_layer_padded(rows); r += 2, to += 2 * width)
        for (int64_t c = 0; c < width; c += TILE) {
            const float *from = x + r * cols + c;
            _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + cols + PAGE, _MM_HINT_T0);
            _mm512_storeu_si512(to + 2 * c, in_pairs(load(from, r < rows ? cols - c : 0), load(from + cols, r + 1 < rows ? cols - c : 0)));
        }
}

/* x [rows, cols] as the B of a product over its columns: to [padded cols / 2, padded rows, 2]. */
static void lay_transposed(const float *x, int64_t rows, int64_t cols, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(rows);
    for (int64_t r = 0; r < width; r += TILE)
        for (int64_t c = 0; c < iso_layer_padded(cols); c += PAIR) {
            __m512i v[TILE];
            for (int i = 0; i < TILE; i++) {
                const float *from = x + (r + i) * cols + c;
                _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + PAGE + TILE, _MM_HINT_T0);
                int64_t left = r + i < rows ? cols - c : 0;
                v[i] = in_a_row(load(from, left), load(from + TILE, left - TILE));
            }
            transpose(v);
            for (int i = 0; i < TILE; i++) _mm512_storeu_si512(to + ((c / 2 + i) * width + r) * 2, v[i]);
        }
}

/* A gradient d [rows, cols <= ISO_LAYER_COLUMNS], its rows `step` apart: by_row as lay_rows, by_column its transpose as lay_rows,
 * (+)= sum [cols] of its rows. Row by row, and fetched ahead, as a row of a wide layer is far from
 * the next. */
static void lay_gradient(const float *d, int64_t rows, int64_t cols, int64_t step, iso_bf16 *by_row, iso_bf16 *by_column, bool add, float *sum)
{
    int64_t width = iso_layer_padded(cols), height = iso_layer_padded(rows);
    float total[ISO_LAYER_COLUMNS] = {0};
    const __m512i first = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), next = _mm512_set1_epi16(TILE);
    const __m512i pairs = _mm512_or_si512(first, _mm512_slli_epi32(_mm512_add_epi32(first, _mm512_set1_epi32(PAIR)), 16));     /* of two rows of PAIR */
    for (int64_t r = 0; r < height; r += PAIR)
        for (int64_t c = 0; c < width; c += PAIR) {
            __m512 low = _mm512_loadu_ps(total + c), high = _mm512_loadu_ps(total + c + TILE);
            __m512i left[TILE], right[TILE];
            for (int i = 0; i < TILE; i++) {
                int64_t even = r + 2 * i;
                const float *from = d + even * step + c;
                _mm_prefetch(from + PAIR * step, _MM_HINT_T0), _mm_prefetch(from + PAIR * step + TILE, _MM_HINT_T0);
                _mm_prefetch(from + (PAIR + 1) * step, _MM_HINT_T0), _mm_prefetch(from + (PAIR + 1) * step + TILE, _MM_HINT_T0);
                int64_t n0 = even < rows ? cols - c : 0, n1 = even + 1 < rows ? cols - c : 0;
                __m512 a0 = load(from, n0), a1 = load(from + TILE, n0 - TILE), b0 = load(from + step, n1), b1 = load(from + step + TILE, n1 - TILE);
                low = _mm512_add_ps(_mm512_add_ps(low, a0), b0), high = _mm512_add_ps(_mm512_add_ps(high, a1), b1);
                __m512i a = in_a_row(a0, a1), b = in_a_row(b0, b1);
                _mm512_storeu_si512(by_row + even * width + c, a);
                _mm512_storeu_si512(by_row + (even + 1) * width + c, b);
                left[i] = _mm512_permutex2var_epi16(a, pairs, b), right[i] = _mm512_permutex2var_epi16(a, _mm512_add_epi16(pairs, next), b);
            }
            _mm512_storeu_ps(total + c, low);
            _mm512_storeu_ps(total + c + TILE, high);
            transpose(left);
            transpose(right);
            for (int i = 0; i < TILE; i++) {
                _mm512_storeu_si512(by_column + (c + i) * height + r, left[i]);
                _mm512_storeu_si512(by_column + (c + TILE + i) * height + r, right[i]);
            }
        }
    for (int64_t c = 0; sum && c < cols; c++) sum[c] = (add ? sum[c] : 0) + total[c];
}

/* -------------------------------------------------------------------------------------- products */

/* Sums of M x N tiles' numbers: which start with `from` (NULL: 0; step 0: the same row for all), and go to C, of which
 * [rows, cols] are there. */
typedef struct sums {
    const float *from;
    int64_t from_step;
    float *C;
    int64_t step, rows, cols;
    bool add;
} sums;

/* A tile at (m, n) of which not all is wanted, or which is added to what is there. */
static void put(const sums *s, int64_t m, int64_t n, const float *tile)
{
    for (int64_t i = 0; i < TILE && m + i < s->rows; i++)
        for (int64_t j = 0; j < TILE && n + j < s->cols; j++) {
            float *c = s->C + (m + i) * s->step + n + j;
            *c = (s->add ? *c : 0) + tile[i * TILE + j];
        }
}

#define START(tile, m, n)                                                                                                               \
    do {                                                                                                                                \
        if (s->from) _tile_loadd(tile, s->from + (m) * s->from_step + (n), (size_t)s->from_step * sizeof(float));                       \
        else _tile_zero(tile);                                                                                                          \
    } while (0)
#define STORE(tile, m, n)                                                                                                               \
    do {                                                                                                                                \
        if (!s->add && (m) + TILE <= s->rows && (n) + TILE <= s->cols)                                                                  \
            _tile_stored(tile, s->C + (m) * s->step + (n), (size_t)s->step * sizeof(float));                                            \
        else {                                                                                                                          \
            _tile_stored(tile, part, TILE * sizeof(float));                                                                             \
            put(s, m, n, part);                                                                                                         \
        }                                                                                                                               \
    } while (0)

/* A [M, K] B [K / 2, N, 2]; M, N, K are multiples of 32. */
static void product(int64_t M, int64_t N, int64_t K, const iso_bf16 *A, const iso_bf16 *B, const sums *s)
{
    float part[TILE * TILE];
    size_t a_step = (size_t)K * sizeof *A, b_step = 2 * (size_t)N * sizeof *B;
    for (int64_t m = 0; m < M; m += PAIR)
        for (int64_t n = 0; n < N; n += PAIR) {
            START(0, m, n);
            START(1, m, n + TILE);
            START(2, m + TILE, n);
            START(3, m + TILE, n + TILE);
            for (int64_t k = 0; k < K; k += PAIR) {
                const iso_bf16 *a = A + m * K + k, *b = B + k * N + 2 * n;
                _tile_loadd(6, b, b_step);
                _tile_loadd(4, a, a_step);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, b + 2 * TILE, b_step);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, a + TILE * K, a_step);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            STORE(0, m, n);
            STORE(1, m, n + TILE);
            STORE(2, m + TILE, n);
            STORE(3, m + TILE, n + TILE);
        }
}

/* -------------------------------------------------------------------------------------- the blocks */

static void lay_out(const iso_layer *l, bool backward, iso_bf16 *x)
{
    if (backward) lay_pairs(l->x, l->B, l->K, x);
    else lay_rows(l->x, l->B, l->K, x);
}

static void forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    float bias[ISO_LAYER_COLUMNS] = {0};
    for (int64_t i = 0; l->bias && i < b->n; i++) bias[i] = l->bias[b->c + i];
    lay_transposed(l->w + b->c * l->K, b->n, l->K, b->half);
    tiles_on();
    product(iso_layer_padded(l->B), iso_layer_padded(b->n), iso_layer_padded(l->K), x, b->half,
            &(sums){.from = bias, .C = l->y + b->c, .step = l->N, .rows = l->B, .cols = b->n});
    _tile_release();
}

static void backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    int64_t B = iso_layer_padded(l->B), K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    iso_bf16 *by_row = b->half, *by_column = by_row + B * N, *w = by_column + B * N;
    lay_gradient(l->d + b->c, l->B, b->n, l->N, by_row, by_column, l->add_bias, l->dbias ? l->dbias + b->c : NULL);
    if (b->dx) lay_pairs(l->w + b->c * l->K, b->n, l->K, w);
    tiles_on();
    if (b->dx) product(B, K, N, by_row, w, &(sums){.from = b->add_x ? b->dx : NULL, .from_step = K, .C = b->dx, .step = K, .rows = B, .cols = K});
    if (b->dw) product(N, K, B, by_column, x, &(sums){.C = b->dw, .step = l->K, .rows = b->n, .cols = l->K, .add = b->add_w});
    _tile_release();
}

const iso_layer_way iso_layer_by_tiles = {lay_out, forward, backward};

#else

bool iso_tiles_usable(void) { return false; }
const iso_layer_way iso_layer_by_tiles = {0};

#endif
