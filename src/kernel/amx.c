/* amx.c: the blocks of layer.h with AMX (amx.h). */
#include "layer.h"

#if defined(ISO_HAVE_AMX) && !defined(ISO_REAL_DOUBLE)

#include "amx.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Linux gives a process tiles on request, if the CPU has them; a thread that it has already, too. Not where lesser kernels are asked for. */
bool iso_tiles_usable(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return iso_kernels_best() == iso_kernel_table[0] && __builtin_cpu_supports("avx512bf16") && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* x [rows, cols] as it is: to [padded rows, padded cols]. */
static inline void lay_rows(const float *x, int64_t rows, int64_t cols, in_parts p, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < iso_layer_padded(rows); r++, to += width)
        for (int64_t c = 0; c < width; c += PAIR) {
            const float *from = x + r * cols + c;
            int64_t left = r < rows ? cols - c : 0;
            __m512 first = load(from, left), second = load(from + TILE, left - TILE);
            for (int k = 0; k < p.n; k++) _mm512_storeu_si512(to + c + k * p.apart, next_part(&first, &second));
        }
}

/* Two rows of PAIR numbers, the first n0 and n1 of each: x as float, or as numbers of 16 bits. */
typedef struct two_rows { __m512 a[2], b[2]; } two_rows;
static inline two_rows read_whole(const float *x, int64_t step, int64_t n0, int64_t n1)
{
    _mm_prefetch(x + PAIR * step, _MM_HINT_T0), _mm_prefetch(x + PAIR * step + TILE, _MM_HINT_T0);
    _mm_prefetch(x + (PAIR + 1) * step, _MM_HINT_T0), _mm_prefetch(x + (PAIR + 1) * step + TILE, _MM_HINT_T0);
    return (two_rows){{load(x, n0), load(x + TILE, n0 - TILE)}, {load(x + step, n1), load(x + step + TILE, n1 - TILE)}};
}

static inline __mmask32 the_first_of_row(int64_t left) { return (__mmask32)(left >= PAIR ? 0xffffffff : left > 0 ? (1u << left) - 1 : 0); }
static inline two_rows read_half(const iso_bf16 *x, int64_t step, int64_t n0, int64_t n1)
{
    _mm_prefetch(x + PAIR * step, _MM_HINT_T0), _mm_prefetch(x + (PAIR + 1) * step, _MM_HINT_T0);
    __m512i a = _mm512_maskz_loadu_epi16(the_first_of_row(n0), x), b = _mm512_maskz_loadu_epi16(the_first_of_row(n1), x + step);
    return (two_rows){{first_of_row(a), second_of_row(a)}, {first_of_row(b), second_of_row(b)}};
}

/* A gradient d [rows, cols <= ISO_LAYER_COLUMNS], of numbers of 16 bits if `half`, its rows `step` numbers apart: by_row as lay_rows,
 * by_column its transpose as lay_rows, (+)= sum [cols] of its rows. Row by row, and fetched ahead, as a row of a wide layer is far from
 * the next. */
static inline void lay_gradient(const void *d, bool half, int64_t rows, int64_t cols, int64_t step, in_parts p, iso_bf16 *by_row, iso_bf16 *by_column,
                                bool add, float *sum)
{
    int64_t width = iso_layer_padded(cols), height = iso_layer_padded(rows);
    float total[ISO_LAYER_COLUMNS] = {0};
    const __m512i order = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), next = _mm512_set1_epi16(TILE);
    const __m512i pairs = _mm512_or_si512(order, _mm512_slli_epi32(_mm512_add_epi32(order, _mm512_set1_epi32(PAIR)), 16));     /* of two rows of PAIR */
    for (int64_t r = 0; r < height; r += PAIR)
        for (int64_t c = 0; c < width; c += PAIR) {
            __m512 low = _mm512_loadu_ps(total + c), high = _mm512_loadu_ps(total + c + TILE);
            two_rows all[TILE];
            for (int i = 0; i < TILE; i++) {
                int64_t even = r + 2 * i, at = even * step + c, n0 = even < rows ? cols - c : 0, n1 = even + 1 < rows ? cols - c : 0;
                all[i] = half ? read_half((const iso_bf16 *)d + at, step, n0, n1) : read_whole((const float *)d + at, step, n0, n1);
                low = _mm512_add_ps(_mm512_add_ps(low, all[i].a[0]), all[i].b[0]), high = _mm512_add_ps(_mm512_add_ps(high, all[i].a[1]), all[i].b[1]);
            }
            _mm512_storeu_ps(total + c, low);
            _mm512_storeu_ps(total + c + TILE, high);
            for (int k = 0; k < p.n; k++) {
                __m512i left[TILE], right[TILE];
                for (int i = 0; i < TILE; i++) {
                    __m512i a = next_part(&all[i].a[0], &all[i].a[1]), b = next_part(&all[i].b[0], &all[i].b[1]);
                    iso_bf16 *to = by_row + k * p.apart + (r + 2 * i) * width + c;
                    _mm512_storeu_si512(to, a);
                    _mm512_storeu_si512(to + width, b);
                    left[i] = _mm512_permutex2var_epi16(a, pairs, b), right[i] = _mm512_permutex2var_epi16(a, _mm512_add_epi16(pairs, next), b);
                }
                transpose(left);
                transpose(right);
                for (int i = 0; i < TILE; i++) {
                    iso_bf16 *to = by_column + k * p.apart + (c + i) * height + r;
                    _mm512_storeu_si512(to, left[i]);
                    _mm512_storeu_si512(to + TILE * height, right[i]);
                }
            }
        }
    for (int64_t c = 0; sum && c < cols; c++) sum[c] = (add ? sum[c] : 0) + total[c];
}

/* -------------------------------------------------------------------------------------- the blocks, in n parts */

static in_parts parts_of(int n, int64_t rows, int64_t cols) { return (in_parts){n, rows * cols}; }
static in_parts of_x(int n, const iso_layer *l) { return parts_of(n, iso_layer_padded(l->B), iso_layer_padded(l->K)); }

static inline void lay_out(int n, const iso_layer *l, bool backward, iso_bf16 *x)
{
    if (backward) lay_pairs(l->x, l->B, l->K, l->K, iso_layer_padded(l->B), of_x(n, l), x);
    else lay_rows(l->x, l->B, l->K, of_x(n, l), x);
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
                _mm512_mask_storeu_epi16((iso_bf16 *)l->y + r * l->N + b->c + c, the_first_of_row(b->n - c),
                                         in_a_row(_mm512_loadu_ps(from), _mm512_loadu_ps(from + TILE)));
            }
    }
}

static inline void forward(int n, const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    float bias[ISO_LAYER_COLUMNS] = {0};
    for (int64_t i = 0; l->bias && i < b->n; i++) bias[i] = l->bias[b->c + i];
    int64_t K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    in_parts of_w = parts_of(n, K, N);
    lay_transposed(l->w + b->c * l->K, b->n, l->K, l->K, of_w, b->half);
    tiles_on();
    if (l->half) half_product(l, b, x, bias);
    else product_in(iso_layer_padded(l->B), N, &(strips){x, K, 1, K, {0}}, of_x(n, l), b->half, 2 * N, of_w,
                    &(sums){l->y + b->c, l->N, l->B, b->n, false, bias});
    _tile_release();
}

static inline void backward(int n, const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    int64_t B = iso_layer_padded(l->B), K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    in_parts of_d = parts_of(n, B, N), of_w = parts_of(n, N, K);
    iso_bf16 *by_row = b->half, *by_column = by_row + n * of_d.apart, *w = by_column + n * of_d.apart;
    float *dbias = l->dbias ? l->dbias + b->c : NULL;
    if (l->half) lay_gradient((const iso_bf16 *)l->d + b->c, true, l->B, b->n, l->N, of_d, by_row, by_column, l->add_bias, dbias);
    else lay_gradient(l->d + b->c, false, l->B, b->n, l->N, of_d, by_row, by_column, l->add_bias, dbias);
    if (b->dx) lay_pairs(l->w + b->c * l->K, b->n, l->K, l->K, N, of_w, w);
    tiles_on();
    if (b->dx) product_in(B, K, &(strips){by_row, N, 1, N, {0}}, of_d, w, 2 * K, of_w, &(sums){b->dx, K, B, K, b->add_x, NULL});
    if (b->dw) product_in(N, K, &(strips){by_column, B, 1, B, {0}}, of_d, x, 2 * K, of_x(n, l), &(sums){b->dw, l->K, b->n, l->K, b->add_w, NULL});
    _tile_release();
}

static void half_lay_out(const iso_layer *l, bool backward, iso_bf16 *x) { lay_out(1, l, backward, x); }
static void half_forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { forward(1, l, b, x); }
static void half_backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { backward(1, l, b, x); }
static void whole_lay_out(const iso_layer *l, bool backward, iso_bf16 *x) { lay_out(ISO_LAYER_PARTS, l, backward, x); }
static void whole_forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { forward(ISO_LAYER_PARTS, l, b, x); }
static void whole_backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { backward(ISO_LAYER_PARTS, l, b, x); }

const iso_layer_way iso_layer_half_by_tiles = {half_lay_out, half_forward, half_backward};
const iso_layer_way iso_layer_whole_by_tiles = {whole_lay_out, whole_forward, whole_backward};

#else

bool iso_tiles_usable(void) { return false; }
const iso_layer_way iso_layer_half_by_tiles = {0}, iso_layer_whole_by_tiles = {0};

#endif
