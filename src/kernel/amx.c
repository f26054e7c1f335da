/* amx.c: the blocks of layer.h with AMX (amx.h). */
#include "layer.h"

#if defined(ISO_HAVE_AMX) && !defined(ISO_REAL_DOUBLE)

#include "amx.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux gives a process tiles on request, if the CPU has them; a thread that it has already, too. Not where lesser kernels are asked for. */
bool iso_tiles_usable(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return iso_kernels_best() == iso_kernel_table[0] && __builtin_cpu_supports("avx512bf16") && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* x [rows, cols] as it is, as the A of a product: to [padded rows, padded cols]. awake: tiles are on, and shall stay so. */
static inline void lay_rows(const float *x, int64_t rows, int64_t cols, in_parts p, bool awake, iso_bf16 *to)
{
    enum { OFTEN = 8 };              /* rows: a quarter of a microsecond */
    int64_t width = iso_layer_padded(cols);
    for (int64_t r = 0; r < iso_layer_padded(rows); r++, to += width) {
        if (awake && r % OFTEN == 0) stay_awake();
        for (int64_t c = 0; c < width; c += PAIR) {
            const float *from = x + r * cols + c;
            _mm_prefetch(from + PAGE, _MM_HINT_T0), _mm_prefetch(from + PAGE + TILE, _MM_HINT_T0);
            int64_t left = r < rows ? cols - c : 0;
            __m512 first = load(from, left), second = load(from + TILE, left - TILE);
            for (int k = 0; k < p.n; k++) _mm512_storeu_si512(to + c + k * p.apart, next_part(&first, &second));
        }
    }
}

/* Two rows of PAIR numbers, the first n0 and n1 of each. */
typedef struct two_rows { __m512 a[2], b[2]; } two_rows;
static inline two_rows read_two(const float *x, int64_t step, int64_t n0, int64_t n1)
{
    _mm_prefetch(x + PAIR * step, _MM_HINT_T0), _mm_prefetch(x + PAIR * step + TILE, _MM_HINT_T0);
    _mm_prefetch(x + (PAIR + 1) * step, _MM_HINT_T0), _mm_prefetch(x + (PAIR + 1) * step + TILE, _MM_HINT_T0);
    return (two_rows){{load(x, n0), load(x + TILE, n0 - TILE)}, {load(x + step, n1), load(x + step + TILE, n1 - TILE)}};
}

/* The same numbers of two rows side by side, in words: which 0, those of the rows' first halves; 1, of their second. */
static inline __m512i side_by_side(__m512i a, __m512i b, int which)
{
    const __m512i order = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i pairs = _mm512_or_si512(order, _mm512_slli_epi32(_mm512_add_epi32(order, _mm512_set1_epi32(PAIR)), 16));
    return _mm512_permutex2var_epi16(a, which ? _mm512_add_epi16(pairs, _mm512_set1_epi16(TILE)) : pairs, b);
}

/* A gradient d [rows, cols <= ISO_LAYER_COLUMNS], its rows `step` numbers apart: by_row as lay_rows, by_column its transpose as lay_rows,
 * (+)= sum [cols] of its rows. Row by row, and fetched ahead, as a row of a wide layer is far from the next. */
static inline void lay_gradient(const float *d, int64_t rows, int64_t cols, int64_t step, in_parts p, iso_bf16 *by_row, iso_bf16 *by_column, bool add, float *sum)
{
    int64_t width = iso_layer_padded(cols), height = iso_layer_padded(rows);
    float total[ISO_LAYER_COLUMNS] = {0};
    for (int64_t r = 0; r < height; r += PAIR)
        for (int64_t c = 0; c < width; c += PAIR) {
            __m512 low = _mm512_loadu_ps(total + c), high = _mm512_loadu_ps(total + c + TILE);
            two_rows all[TILE];
            for (int i = 0; i < TILE; i++) {
                int64_t even = r + 2 * i;
                all[i] = read_two(d + even * step + c, step, even < rows ? cols - c : 0, even + 1 < rows ? cols - c : 0);
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
                    left[i] = side_by_side(a, b, 0), right[i] = side_by_side(a, b, 1);
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

static inline __mmask32 the_first_of_row(int64_t left) { return (__mmask32)(left >= PAIR ? 0xffffffff : left > 0 ? (1u << left) - 1 : 0); }

/* PAIR rows of as many numbers, `step` apart, zeros from row n and column `left` on: of 16 bits if `half`, to row; else to first and second. Asks for
 * the rows after them. */
static inline void read_rows(const void *d, bool half, int64_t at, int64_t step, int64_t n, int64_t left, __m512i *row, __m512 *first, __m512 *second)
{
    for (int i = 0; i < PAIR; i++, at += step) {
        int64_t here = i < n ? left : 0;
        if (half) {
            const iso_bf16 *from = (const iso_bf16 *)d + at;
            _mm_prefetch(from + PAIR * step, _MM_HINT_T0);
            row[i] = _mm512_maskz_loadu_epi16(the_first_of_row(here), from);
        } else {
            const float *from = (const float *)d + at;
            _mm_prefetch(from + PAIR * step, _MM_HINT_T0), _mm_prefetch(from + PAIR * step + TILE, _MM_HINT_T0);
            first[i] = load(from, here), second[i] = load(from + TILE, here - TILE);
        }
    }
}

/* A gradient by column, d [rows, cols], of numbers of 16 bits if `half`: as_it_is (NULL: not wanted) as lay_rows, turned its transpose, rows
 * `step` apart, as lay_rows but for the order of numbers within each PAIR: 0, TILE, 1, TILE + 1, ...; (+)= sum [rows] of its columns. */
static inline void lay_gradient_by_column(const void *d, bool half, int64_t rows, int64_t cols, in_parts p, iso_bf16 *as_it_is, iso_bf16 *turned, int64_t step,
                                          bool add, float *sum)
{
    int64_t width = iso_layer_padded(cols), height = iso_layer_padded(rows);
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    for (int64_t r = 0; r < height; r += PAIR) {
        __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, also[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        for (int64_t c = 0; c < width; c += PAIR) {
            __m512i row[PAIR];
            __m512 first[PAIR], second[PAIR];
            if (r + PAIR <= rows && c + PAIR <= cols) read_rows(d, half, r * cols + c, cols, PAIR, PAIR, row, first, second);
            else read_rows(d, half, r * cols + c, cols, rows - r, cols - c, row, first, second);
            for (int k = 0; k < p.n; k++) {
                for (int i = 0; i < PAIR; i++) {
                    if (!half) row[i] = next_part(&first[i], &second[i]);
                    if (as_it_is) _mm512_storeu_si512(as_it_is + k * p.apart + (r + i) * width + c, row[i]);
                }
                for (int odd = 0; odd < 2; odd++) {
                    __m512i v[TILE];
                    turn(row, odd, v);
                    for (int i = 0; i < TILE; i++) {
                        _mm512_storeu_si512(turned + k * p.apart + (c + 2 * i + odd) * step + r, v[i]);
                        __m512 *to = i % 2 ? also : total;            /* two sums, as one would wait for itself */
                        to[0] = _mm512_add_ps(to[0], _mm512_castsi512_ps(_mm512_slli_epi32(v[i], 16)));
                        to[1] = _mm512_add_ps(to[1], _mm512_castsi512_ps(_mm512_and_si512(v[i], upper)));
                    }
                }
            }
        }
        for (int i = 0; sum && i < 2; i++) {
            __mmask16 wanted = the_first(rows - r - i * TILE);
            float *to = sum + r + i * TILE;
            total[i] = _mm512_add_ps(total[i], also[i]);
            if (add) total[i] = _mm512_add_ps(total[i], _mm512_maskz_loadu_ps(wanted, to));
            _mm512_mask_storeu_ps(to, wanted, total[i]);
        }
    }
}

/* -------------------------------------------------------------------------------------- the blocks, in n parts */

static in_parts parts_of(int n, int64_t rows, int64_t cols) { return (in_parts){n, rows * cols}; }
static in_parts of_x(int n, const iso_layer *l) { return parts_of(n, iso_layer_padded(l->B), iso_layer_padded(l->K)); }

static inline void lay_out(int n, const iso_layer *l, bool backward, int64_t r0, int64_t rows, iso_bf16 *x)
{
    const float *from = l->x + r0 * l->K;
    const int64_t width = iso_layer_padded(l->K);
    if (backward) lay_pairs(from, rows, l->K, l->K, iso_layer_padded(rows), of_x(n, l), x + r0 * width);
    else if (l->by_column) lay_transposed(from, rows, l->K, l->K, iso_layer_padded(l->B), of_x(n, l), x + 2 * r0);
    else lay_rows(from, rows, l->K, of_x(n, l), false, x + r0 * width);
}

/* PAIR by PAIR sums of y by column, the first rows x cols of them, with a bias for each row. */
static inline void put_by_column(const float *some, int64_t rows, int64_t cols, const float *bias, bool half, void *y, int64_t step)
{
    for (int64_t r = 0; r < rows; r++, some += PAIR) {
        __m512 add = _mm512_set1_ps(bias ? bias[r] : 0), first = _mm512_add_ps(_mm512_loadu_ps(some), add), second = _mm512_add_ps(_mm512_loadu_ps(some + TILE), add);
        if (half) _mm512_mask_storeu_epi16((iso_bf16 *)y + r * step, the_first_of_row(cols), in_a_row(first, second));
        else {
            _mm512_mask_storeu_ps((float *)y + r * step, the_first(cols), first);
            _mm512_mask_storeu_ps((float *)y + r * step + TILE, the_first(cols - TILE), second);
        }
    }
}

/* y^T = w x^T: PAIR columns of y at a time, whose weights are laid out as they lie, while x stays in the first cache. */
static inline void forward_by_column(int n, const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    _Alignas(64) float some[PAIR * PAIR];
    int64_t B = iso_layer_padded(l->B), K = iso_layer_padded(l->K);
    in_parts of_w = parts_of(n, PAIR, K);
    for (int64_t m = 0; m < b->n; m += PAIR) {
        int64_t c = b->c + m, rows = b->n - m < PAIR ? b->n - m : PAIR;
        lay_rows(l->w + c * l->K, rows, l->K, of_w, true, b->half);
        for (int64_t r = 0; r < l->B; r += PAIR) {
            int64_t cols = l->B - r < PAIR ? l->B - r : PAIR, at = c * l->B + r;
            product_in(PAIR, PAIR, &(strips){b->half, K, 1, K, {0}}, of_w, x + 2 * r, 2 * B, of_x(n, l), &(sums){some, PAIR, PAIR, PAIR, false, NULL});
            put_by_column(some, rows, cols, l->bias ? l->bias + c : NULL, n == 1, n == 1 ? (void *)((iso_bf16 *)l->y + at) : (void *)(l->y + at), l->B);
        }
    }
}

static inline void forward_by_row(int n, const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    float bias[ISO_LAYER_COLUMNS] = {0};
    for (int64_t i = 0; l->bias && i < b->n; i++) bias[i] = l->bias[b->c + i];
    int64_t K = iso_layer_padded(l->K), N = iso_layer_padded(b->n);
    in_parts of_w = parts_of(n, K, N);
    lay_transposed(l->w + b->c * l->K, b->n, l->K, l->K, N, of_w, b->half);
    product_in(iso_layer_padded(l->B), N, &(strips){x, K, 1, K, {0}}, of_x(n, l), b->half, 2 * N, of_w, &(sums){l->y + b->c, l->N, l->B, b->n, false, bias});
}

static inline void forward(int n, const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    tiles_on();
    if (l->by_column) forward_by_column(n, l, b, x);
    else forward_by_row(n, l, b, x);
    _tile_release();
}

/* x [rows, cols] of 16 bits, as lay_rows. */
static inline void copy_rows(const iso_bf16 *x, int64_t rows, int64_t cols, iso_bf16 *to)
{
    int64_t width = iso_layer_padded(cols);
    memset(to, 0, (size_t)(iso_layer_padded(rows) * width) * sizeof *to);
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * width, x + r * cols, (size_t)cols * sizeof *to);
}

/* Rows of 16 bits that tiles can read where they are: nothing is read beside them. */
static bool in_place(int n, const iso_layer *l, const iso_layer_block *b) { return l->by_column && n == 1 && l->B % PAIR == 0 && b->n % TILE == 0; }

static inline void backward(int n, const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x)
{
    int64_t B = iso_layer_padded(l->B), K = iso_layer_padded(l->K), N = iso_layer_padded(b->n), step = N > ISO_LAYER_COLUMNS ? N + PAIR : N;     /* an odd count of lines */
    in_parts of_d = parts_of(n, B, step), of_w = parts_of(n, N, K);
    iso_bf16 *by_row = b->half, *by_column = by_row + n * of_d.apart, *w = by_column + n * of_d.apart;
    const iso_bf16 *d = in_place(n, l, b) ? (const iso_bf16 *)l->d + b->c * l->B : by_column;
    const void *from = l->by_column && n == 1 ? (const void *)((const iso_bf16 *)l->d + b->c * l->B) : (const void *)(l->d + b->c * l->B);
    const bool rows_wanted = b->dx || b->dbias, columns_wanted = b->dw && d == by_column;
    if (!l->by_column) lay_gradient(l->d + b->c, l->B, b->n, l->N, of_d, by_row, by_column, l->add_bias, b->dbias);
    else if (rows_wanted) lay_gradient_by_column(from, n == 1, b->n, l->B, of_d, columns_wanted ? by_column : NULL, by_row, step, l->add_bias, b->dbias);
    else if (columns_wanted && n == 1) copy_rows((const iso_bf16 *)from, b->n, l->B, by_column);
    else if (columns_wanted) lay_rows((const float *)from, b->n, l->B, of_d, false, by_column);
    if (b->dx && l->by_column) lay_pairs_apart(l->w + b->c * l->K, b->n, l->K, of_w, w);
    else if (b->dx) lay_pairs(l->w + b->c * l->K, b->n, l->K, l->K, N, of_w, w);
    tiles_on();
    if (b->dx) product_in(B, K, &(strips){by_row, step, 1, N, {0}}, of_d, w, 2 * K, of_w, &(sums){b->dx, K, B, K, b->add_x, NULL});
    if (b->dw) product_in(N, K, &(strips){d, B, 1, B, {0}}, of_d, x, 2 * K, of_x(n, l), &(sums){b->dw, l->K, b->n, l->K, b->add_w, NULL});
    _tile_release();
}

static void half_lay_out(const iso_layer *l, bool backward, int64_t r0, int64_t rows, iso_bf16 *x) { lay_out(1, l, backward, r0, rows, x); }
static void half_forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { forward(1, l, b, x); }
static void half_backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { backward(1, l, b, x); }
static void whole_lay_out(const iso_layer *l, bool backward, int64_t r0, int64_t rows, iso_bf16 *x) { lay_out(ISO_LAYER_PARTS, l, backward, r0, rows, x); }
static void whole_forward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { forward(ISO_LAYER_PARTS, l, b, x); }
static void whole_backward(const iso_layer *l, const iso_layer_block *b, const iso_bf16 *x) { backward(ISO_LAYER_PARTS, l, b, x); }

const iso_layer_way iso_layer_half_by_tiles = {half_lay_out, half_forward, half_backward, .long_runs = true};
const iso_layer_way iso_layer_whole_by_tiles = {whole_lay_out, whole_forward, whole_backward, .long_runs = false};

#else

bool iso_tiles_usable(void) { return false; }
const iso_layer_way iso_layer_half_by_tiles = {0}, iso_layer_whole_by_tiles = {0};

#endif
