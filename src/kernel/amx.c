/* amx.c: the blocks of layer.h with AMX (amx.h). */
#include "layer.h"

#if defined(ISO_HAVE_AMX) && !defined(ISO_REAL_DOUBLE)

#include "amx.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Linux gives a process tiles on request, if the CPU has them; a thread that it has already, too. */
bool iso_tiles_usable(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return __builtin_cpu_supports("avx512bf16") && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
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

/* Two rows of PAIR numbers of 16 bits, the first n0 and n1 of each, to *a and *b; adds them to *low and *high. */
static inline void read_whole(const void *from, int64_t step, int64_t n0, int64_t n1, __m512i *a, __m512i *b, __m512 *low, __m512 *high)
{
    const float *x = from;
    _mm_prefetch(x + PAIR * step, _MM_HINT_T0), _mm_prefetch(x + PAIR * step + TILE, _MM_HINT_T0);
    _mm_prefetch(x + (PAIR + 1) * step, _MM_HINT_T0), _mm_prefetch(x + (PAIR + 1) * step + TILE, _MM_HINT_T0);
    __m512 a0 = load(x, n0), a1 = load(x + TILE, n0 - TILE), b0 = load(x + step, n1), b1 = load(x + step + TILE, n1 - TILE);
    *low = _mm512_add_ps(_mm512_add_ps(*low, a0), b0), *high = _mm512_add_ps(_mm512_add_ps(*high, a1), b1);
    *a = in_a_row(a0, a1), *b = in_a_row(b0, b1);
}

static inline __m512 first_half(__m512i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(x)), 16)); }
static inline __m512 second_half(__m512i x) { return first_half(_mm512_zextsi256_si512(_mm512_extracti64x4_epi64(x, 1))); }
static inline __mmask32 the_first_of_a_row(int64_t left) { return (__mmask32)(left >= PAIR ? 0xffffffff : left > 0 ? (1u << left) - 1 : 0); }

static inline void read_half(const void *from, int64_t step, int64_t n0, int64_t n1, __m512i *a, __m512i *b, __m512 *low, __m512 *high)
{
    const iso_bf16 *x = from;
    _mm_prefetch(x + PAIR * step, _MM_HINT_T0), _mm_prefetch(x + (PAIR + 1) * step, _MM_HINT_T0);
    *a = _mm512_maskz_loadu_epi16(the_first_of_a_row(n0), x), *b = _mm512_maskz_loadu_epi16(the_first_of_a_row(n1), x + step);
    *low = _mm512_add_ps(_mm512_add_ps(*low, first_half(*a)), first_half(*b)), *high = _mm512_add_ps(_mm512_add_ps(*high, second_half(*a)), second_half(*b));
}

/* A gradient d [rows, cols <= ISO_LAYER_COLUMNS], of numbers of 16 bits if `half`, its rows `step` numbers apart: by_row as lay_rows, by_column its transpose as lay_rows,
 * (+)= sum [cols] of its rows. Row by row, and fetched ahead, as a row of a wide layer is far from
 * the next. */
static inline void lay_gradient(const void *d, bool half, int64_t rows, int64_t cols, int64_t step, iso_bf16 *by_row, iso_bf16 *by_column, bool add,
                                float *sum)
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
                int64_t at = even * step + c, n0 = even < rows ? cols - c : 0, n1 = even + 1 < rows ? cols - c : 0;
                __m512i a, b;
                if (half) read_half((const iso_bf16 *)d + at, step, n0, n1, &a, &b, &low, &high);
                else read_whole((const float *)d + at, step, n0, n1, &a, &b, &low, &high);
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

/* -------------------------------------------------------------------------------------- the blocks */

static void lay_out(const iso_layer *l, bool backward, iso_bf16 *x)
{
    if (backward) lay_pairs(l->x, l->B, l->K, l->K, iso_layer_padded(l->B), x);
    else lay_rows(l->x, l->B, l->K, x);
}

/* Rows of y, PAIR of them at a time, which are narrowed while they are in the first cache. */
static void half_product(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x, const float *bias)
{
    float some[PAIR * ISO_LAYER_COLUMNS];
    int64_t K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    for (int64_t m = 0; m < l->B; m += PAIR) {
        product(PAIR, N, &(strips){x + m * K, K, 1, K, {0}}, b->half, 2 * N, &(sums){some, N, PAIR, N, false, bias});
        for (int64_t r = m; r < m + PAIR && r < l->B; r++)
            for (int64_t c = 0; c < N; c += PAIR) {
                const float *from = some + (r - m) * N + c;
                _mm512_mask_storeu_epi16((iso_bf16 *)l->y + r * l->N + b->c + c, the_first_of_a_row(b->n - c),
                                         in_a_row(_mm512_loadu_ps(from), _mm512_loadu_ps(from + TILE)));
            }
    }
}

static void forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    float bias[ISO_LAYER_COLUMNS] = {0};
    for (int64_t i = 0; l->bias && i < b->n; i++) bias[i] = l->bias[b->c + i];
    int64_t K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    lay_transposed(l->w + b->c * l->K, b->n, l->K, l->K, b->half);
    tiles_on();
    if (l->half) half_product(l, b, x, bias);
    else product(iso_layer_padded(l->B), N, &(strips){x, K, 1, K, {0}}, b->half, 2 * N, &(sums){l->y + b->c, l->N, l->B, b->n, false, bias});
    _tile_release();
}

static void backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    int64_t B = iso_layer_padded(l->B), K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    iso_bf16 *by_row = b->half, *by_column = by_row + B * N, *w = by_column + B * N;
    float *dbias = l->dbias ? l->dbias + b->c : NULL;
    if (l->half) lay_gradient((const iso_bf16 *)l->d + b->c, true, l->B, b->n, l->N, by_row, by_column, l->add_bias, dbias);
    else lay_gradient(l->d + b->c, false, l->B, b->n, l->N, by_row, by_column, l->add_bias, dbias);
    if (b->dx) lay_pairs(l->w + b->c * l->K, b->n, l->K, l->K, N, w);
    tiles_on();
    if (b->dx) product(B, K, &(strips){by_row, N, 1, N, {0}}, w, 2 * K, &(sums){b->dx, K, B, K, b->add_x, NULL});
    if (b->dw) product(N, K, &(strips){by_column, B, 1, B, {0}}, x, 2 * K, &(sums){b->dw, l->K, b->n, l->K, b->add_w, NULL});
    _tile_release();
}

const iso_layer_way iso_layer_by_tiles = {lay_out, forward, backward};

#else

bool iso_tiles_usable(void) { return false; }
const iso_layer_way iso_layer_by_tiles = {0};

#endif
