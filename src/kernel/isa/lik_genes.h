/* lik_genes.h: what lik_genes.c does to a gene's row of CELLS cells, in plain C and with the vectors of lanes.h. Rows are in real, or in bfloat16 if
 * `half`; what is of cells lies in the order place(half, cell). See lik_genes.c for the law. */
#ifndef ISO_LIK_GENES_H
#define ISO_LIK_GENES_H

#include "lik_nb.h"

#if defined(__AVX512F__) && !defined(ISO_REAL_DOUBLE)
#include "lanes.h"
enum { CELLS = RUN };
#else
enum { CELLS = 64, LANES = 16 };
#endif

enum { COUNTS = 32, UPPER = 16 };                 /* counts in a gene's tables, two registers of floats; of the second, which few genes need */
#define LEAST ((real)-1e30)                       /* a logit of which there is nothing: sums with others stay finite */

enum { STRANGE = 255 };                           /* what stands for a count that is not in the tables */
/* What there is among a row's counts. Where there is none, much need not be done. */
typedef enum row_kind { NONE_COUNTED, SOME_COUNTED, SOME_STRANGE } row_kind;

enum { GENES_TOGETHER = 4 };                      /* whose tables are made at once */
enum { LINE = 64 };                               /* of the caches; a vector that crosses it is two accesses */

/* has_upper: of the first of those together. */
typedef struct gene_terms { _Alignas(LINE) real T[COUNTS]; real S[COUNTS], theta, log_theta, inv_theta; bool has_upper; } gene_terms;

/* What is kept for cells while their genes go by. top, scale: mu = exp(h - top) scale, log mu = h - top + log_scale. Where there is no cell: mu = 0. */
typedef struct cell_terms {
    _Alignas(LINE) real top[CELLS];
    real scale[CELLS], log_scale[CELLS], log_scale_less_top[CELLS];
    real loss[CELLS], sum[CELLS];                 /* sum: of dloss/dlog mu */
    real product[CELLS], exponent[CELLS];         /* loss lacks the logarithm of 2^exponent product */
} cell_terms;

static inline real exp_of(real x) { return exp_within(x < EXP_LEAST ? EXP_LEAST : x); }

#ifndef ISO_REAL_DOUBLE
enum { LOGS = 32 };                               /* mantissas that are multiplied, below 2 each */
static inline void multiply_in(real Z, real *product, real *exponent)
{
    float m;
    *exponent += (float)log_split(Z, &m);
    *product *= m + 0 * Z;                        /* NaN stays */
}
static inline real log_of_product(real product, real exponent) { return real_log(product) + exponent * LN2; }
#else
enum { LOGS = 1 };
static inline void multiply_in(real Z, real *product, real *exponent) { *product *= Z, (void)exponent; }
static inline real log_of_product(real product, real exponent) { (void)exponent; return log(product); }
#endif

#if defined(__AVX512F__) && !defined(ISO_REAL_DOUBLE)

#define LOG2_E 1.44269504f

LANES_INLINE int place(bool half, int cell) { return lanes_place(half, cell); }

/* Each number and all before it in its vector. */
LANES_INLINE void add_up(lanes x[SIDE])
{
    const __m512i order = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    _Pragma("GCC unroll 4") for (int by = 1; by < LANES; by *= 2)
        EACH x[k] = _mm512_add_ps(x[k], _mm512_maskz_permutexvar_ps((__mmask16)(0xffffu << by), _mm512_sub_epi32(order, _mm512_set1_epi32(by)), x[k]));
}

/* Half of the tables of GENES_TOGETHER genes, of which theta, log_theta and inv_theta are there, and the lower half when the upper is made. Returns whether
 * there is an upper half now. */
LANES_INLINE bool gene_tables(gene_terms gene[GENES_TOGETHER], bool upper)
{
    static const float i_of[COUNTS] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};
    const lanes i = _mm512_loadu_ps(i_of + (upper ? UPPER : 0));
    lanes sum[SIDE], S[SIDE], T[SIDE];
    EACH sum[k] = _mm512_add_ps(i, all(1));
    lanes_inverse(sum, false, T);
    EACH sum[k] = _mm512_add_ps(all(gene[k].theta), i);
    lanes_inverse(sum, false, S);
    EACH S[k] = _mm512_mul_ps(S[k], i);
    EACH T[k] = _mm512_mul_ps(_mm512_mul_ps(sum[k], all(real_min(gene[k].inv_theta, 1))), T[k]);
    lanes_log(T, T);
    EACH T[k] = _mm512_maskz_sub_ps(upper ? 0xffff : 0xfffe, T[k], all(real_min(gene[k].log_theta, 0)));         /* nothing for x = 0 */
    add_up(S), add_up(T);
    if (upper) EACH S[k] = _mm512_add_ps(S[k], all(gene[k].S[UPPER - 1])), T[k] = _mm512_add_ps(T[k], all(gene[k].T[UPPER - 1]));
    EACH _mm512_store_ps(gene[k].S + (upper ? UPPER : 0), S[k]), _mm512_store_ps(gene[k].T + (upper ? UPPER : 0), T[k]);
    return upper;
}

LANES_INLINE bool has_above(const uint8_t x[CELLS], uint8_t least) { return _mm512_cmpge_epu8_mask(_mm512_loadu_si512(x), _mm512_set1_epi8((char)least)) != 0; }

LANES_INLINE lanes look_up(const float table[COUNTS], __m512i at) { return _mm512_permutex2var_ps(_mm512_load_ps(table), at, _mm512_load_ps(table + LANES)); }

static inline real sum_of(const real x[LANES]) { return _mm512_reduce_add_ps(_mm512_loadu_ps(x)); }

/* Entries of a cell from i on, but of `last`, of genes below `end`: counts below COUNTS, each to its gene's row of `to`; the others 0. Row `spare` is
 * written to. Returns the first entry of another gene, and whether there are others. Sixteen at a time, as there are about as many in a block and a
 * loop that ends with the last of them is guessed wrong. */
LANES_INLINE int64_t cell_counts(const int32_t *indices, const float *values, int64_t i, int64_t last, int32_t first, int32_t end, int spare, uint8_t *to, bool *others)
{
    _Static_assert(CELLS == 1 << 6, "rows of `to`");
    for (;;) {
        const __mmask16 here = (__mmask16)(last - i >= LANES ? 0xffff : (1u << (last - i)) - 1);
        const __m512i gene = _mm512_maskz_loadu_epi32(here, indices + i);
        const __mmask16 ours = _mm512_mask_cmplt_epi32_mask(here, gene, _mm512_set1_epi32(end));
        const lanes value = _mm512_maskz_loadu_ps(ours, values + i);
        const __m512i whole = _mm512_cvttps_epi32(value);
        const __mmask16 common = _mm512_mask_cmplt_epu32_mask(_mm512_cmpeq_ps_mask(_mm512_cvtepi32_ps(whole), value), whole, _mm512_set1_epi32(COUNTS));
        uint32_t row[LANES], count[LANES];
        _mm512_storeu_si512(row, _mm512_slli_epi32(_mm512_mask_sub_epi32(_mm512_set1_epi32(spare), ours, gene, _mm512_set1_epi32(first)), 6));
        _mm512_storeu_si512(count, _mm512_maskz_mov_epi32(common, whole));
        *others |= (common & ours) != ours;
        for (int k = 0; k < LANES; k++) to[row[k]] = (uint8_t)count[k];
        i += __builtin_popcount(ours);
        if (ours != 0xffff) return i;
    }
}

/* exp(h - top) of a row. */
LANES_INLINE void row_exp(const void *row, bool half, const lanes top[SIDE], lanes e[SIDE])
{
    lanes x[SIDE];
    lanes_read(row, half, x);
    EACH x[k] = _mm512_sub_ps(x[k], top[k]);
    if (!half) EACH x[k] = _mm512_max_ps(all(EXP_LEAST), x[k]);                      /* NaN stays */
    EACH x[k] = _mm512_mul_ps(x[k], all(LOG2_E));
    lanes_exp2(x, half, e);
}

/* Rows of m genes: top grows to their largest logit, and total, of exp(h - top), by theirs. */
LANES_INLINE void rows_total(const void *const *rows, int64_t m, bool half, real top_[CELLS], real total_[CELLS])
{
    lanes before[SIDE], top[SIDE], total[SIDE], x[SIDE];
    lanes_load(top_, before), lanes_load(total_, total);
    EACH top[k] = before[k];
    for (int64_t i = 0; i < m; i++) {
        lanes_read(rows[i], half, x);
        EACH top[k] = _mm512_max_ps(x[k], top[k]);
    }
    lanes_store(top, top_);
    EACH before[k] = _mm512_mul_ps(_mm512_max_ps(all(EXP_LEAST), _mm512_sub_ps(before[k], top[k])), all(LOG2_E));
    lanes_exp2(before, false, x);
    EACH total[k] = _mm512_mul_ps(total[k], x[k]);
    for (int64_t i = 0; i < m; i++) {
        row_exp(rows[i], half, top, x);
        EACH total[k] = _mm512_add_ps(total[k], x[k]);
    }
    lanes_store(total, total_);
}

/* d = d - exp(h - top) factor, to where h is. */
LANES_INLINE void row_softmax_back(void *h, const void *d_row, bool half, const real top_[CELLS], const real factor_[CELLS])
{
    lanes top[SIDE], factor[SIDE], e[SIDE], d[SIDE];
    lanes_load(top_, top), lanes_load(factor_, factor);
    row_exp(h, half, top, e);
    lanes_read(d_row, half, d);
    EACH d[k] = _mm512_fnmadd_ps(e[k], factor[k], d[k]);
    lanes_write(d, half, h);
}

LANES_INLINE row_kind kind_of(const uint8_t x[CELLS])
{
    const __m512i counts = _mm512_loadu_si512(x);
    _Static_assert(CELLS == 64, "bytes of a vector");
    if (_mm512_cmpeq_epi8_mask(counts, _mm512_set1_epi8((char)STRANGE))) return SOME_STRANGE;
    return _mm512_test_epi8_mask(counts, counts) ? SOME_COUNTED : NONE_COUNTED;
}

/* 2^x - 1 and so on are as rough as bfloat16 allows if half. Logits h and dropout in; gradients by them, d but for softmax and dropout, out. nb: no dropout.
 * d_theta: += sums over every LANES-th cell. Strange counts add to nothing, and d and dropout stay there. */
LANES_INLINE void row_law(cell_terms *cells, const gene_terms *gene, real d_theta[LANES], const uint8_t x[CELLS], bool half, const void *h, void *dropout, void *d, bool zinb,
                          row_kind kind)
{
    const bool counts = kind != NONE_COUNTED;
    const lanes theta = all(gene->theta);
    const lanes less_log2_theta = all(gene->log_theta * -LOG2_E), less_theta_log2_e = all(gene->theta * -LOG2_E);
    lanes log_mu[SIDE], e[SIDE], r[SIDE], log1p[SIDE], inverse[SIDE], d_t[SIDE], d_mu[SIDE], count[SIDE], loss[SIDE], of_cell[SIDE];
    __m512i at[SIDE];
    __mmask16 usual[SIDE], counted[SIDE], zero[SIDE];
    lanes_read(h, half, log_mu);
    EACH log_mu[k] = _mm512_add_ps(log_mu[k], _mm512_load_ps(cells->log_scale_less_top + k * LANES));
    EACH e[k] = _mm512_fmadd_ps(log_mu[k], all(LOG2_E), less_log2_theta);
    lanes_exp2(e, half, r);
    lanes_log1p(r, half, log1p, inverse, d_t);
    if (counts) {
        EACH at[k] = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(x + k * LANES)));
        if (kind == SOME_STRANGE) {
            EACH usual[k] = _mm512_cmpneq_epi32_mask(at[k], _mm512_set1_epi32(STRANGE));
            EACH at[k] = _mm512_maskz_mov_epi32(usual[k], at[k]);
        }
        EACH counted[k] = _mm512_test_epi32_mask(at[k], at[k]), zero[k] = _mm512_testn_epi32_mask(at[k], at[k]);
        EACH count[k] = _mm512_cvtepi32_ps(at[k]);
        EACH loss[k] = _mm512_fmadd_ps(count[k], log_mu[k], look_up(gene->T, at[k]));
        EACH loss[k] = _mm512_fmsub_ps(_mm512_add_ps(count[k], theta), log1p[k], loss[k]);
        EACH d_mu[k] = _mm512_fmsub_ps(r[k], theta, count[k]);
        EACH d_mu[k] = _mm512_mul_ps(d_mu[k], inverse[k]);
        EACH d_t[k] = _mm512_fmadd_ps(d_t[k], theta, look_up(gene->S, at[k]));
        EACH r[k] = _mm512_mul_ps(r[k], inverse[k]);
        EACH d_t[k] = _mm512_fnmadd_ps(count[k], r[k], d_t[k]);
    } else {
        EACH loss[k] = _mm512_mul_ps(theta, log1p[k]);
        EACH d_mu[k] = _mm512_mul_ps(_mm512_mul_ps(r[k], theta), inverse[k]);
        EACH d_t[k] = _mm512_mul_ps(d_t[k], theta);
    }
    if (zinb) {
        lanes odds[SIDE], w[SIDE], up[SIDE], down[SIDE], one[SIDE], p[SIDE], Z[SIDE], pi[SIDE];
        EACH e[k] = _mm512_mul_ps(log1p[k], less_theta_log2_e);
        EACH e[k] = _mm512_max_ps(all(-126), e[k]);
        lanes_exp2_less_1(e, half, w, p);
        lanes_read(dropout, half, pi);
        EACH e[k] = _mm512_mul_ps(pi[k], all(-LOG2_E));
        EACH e[k] = _mm512_max_ps(all(-DROPOUT_MAX * LOG2_E), e[k]);
        EACH e[k] = _mm512_min_ps(all(DROPOUT_MAX * LOG2_E), e[k]);
        lanes_exp2(e, half, odds);
        EACH p[k] = _mm512_mul_ps(p[k], odds[k]);                                    /* -odds (1 - e^-y) */
        EACH w[k] = _mm512_mul_ps(w[k], odds[k]);
        EACH up[k] = _mm512_add_ps(odds[k], all(1));
        EACH down[k] = _mm512_add_ps(w[k], all(1));
        EACH Z[k] = _mm512_mul_ps(up[k], down[k]);
        lanes_inverse(Z, half, one);
        EACH e[k] = _mm512_mul_ps(p[k], one[k]);
        EACH p[k] = _mm512_mul_ps(one[k], down[k]);
        EACH w[k] = _mm512_mul_ps(w[k], _mm512_mul_ps(one[k], up[k]));
        if (counts) {
            EACH Z[k] = _mm512_mul_ps(p[k], _mm512_mask_mov_ps(down[k], counted[k], odds[k]));
            EACH e[k] = _mm512_mask_mov_ps(e[k], counted[k], p[k]);
            EACH d_mu[k] = _mm512_mask_mul_ps(d_mu[k], zero[k], d_mu[k], w[k]);
            EACH d_t[k] = _mm512_mask_mul_ps(d_t[k], zero[k], d_t[k], w[k]);
            EACH loss[k] = _mm512_maskz_mov_ps(counted[k], loss[k]);
        } else {
            EACH Z[k] = _mm512_mul_ps(p[k], down[k]);
            EACH d_mu[k] = _mm512_mul_ps(d_mu[k], w[k]);
            EACH d_t[k] = _mm512_mul_ps(d_t[k], w[k]);
        }
        if (kind == SOME_STRANGE) {
            EACH e[k] = _mm512_mask_mov_ps(pi[k], usual[k], e[k]);
            EACH Z[k] = _mm512_mask_mov_ps(all(1), usual[k], Z[k]);
        }
        lanes_write(e, half, dropout);
        lanes_load(cells->product, of_cell);
        EACH of_cell[k] = _mm512_mul_ps(of_cell[k], _mm512_getmant_ps(Z[k], _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src));
        lanes_store(of_cell, cells->product), lanes_load(cells->exponent, of_cell);
        EACH of_cell[k] = _mm512_add_ps(of_cell[k], _mm512_getexp_ps(Z[k]));
        lanes_store(of_cell, cells->exponent);
    }
    if (kind == SOME_STRANGE) {
        lanes_read(d, half, e);
        EACH e[k] = _mm512_mask_mov_ps(e[k], usual[k], d_mu[k]);
        lanes_write(e, half, d);
        EACH d_mu[k] = _mm512_maskz_mov_ps(usual[k], d_mu[k]), d_t[k] = _mm512_maskz_mov_ps(usual[k], d_t[k]), loss[k] = _mm512_maskz_mov_ps(usual[k], loss[k]);
    } else lanes_write(d_mu, half, d);
    if (counts || !zinb) {
        lanes_load(cells->loss, of_cell);
        EACH loss[k] = _mm512_add_ps(loss[k], of_cell[k]);
        lanes_store(loss, cells->loss);
    }
    lanes_load(cells->sum, of_cell);
    EACH d_mu[k] = _mm512_add_ps(d_mu[k], of_cell[k]);
    lanes_store(d_mu, cells->sum);
    lanes sum = _mm512_loadu_ps(d_theta);
    EACH sum = _mm512_add_ps(sum, d_t[k]);
    _mm512_storeu_ps(d_theta, sum);
}

#else

static inline int place(bool half, int cell) { return (void)half, cell; }

static inline bool gene_tables(gene_terms gene[GENES_TOGETHER], bool upper)
{
    for (int k = 0; k < GENES_TOGETHER; k++, gene++) {
        gene->S[0] = gene->T[0] = 0;
        for (int x = 1; x < COUNTS; x++) {
            const real i = (real)(x - 1);
            gene->S[x] = gene->S[x - 1] + i / (gene->theta + i);
            gene->T[x] = gene->T[x - 1] + (real_log((gene->theta + i) * real_min(gene->inv_theta, 1) / (real)x) - real_min(gene->log_theta, 0));
        }
    }
    return (void)upper, true;
}

static inline bool has_above(const uint8_t x[CELLS], uint8_t least) { return (void)x, (void)least, false; }

static inline real sum_of(const real x[LANES])
{
    real sum = 0;
    for (int i = 0; i < LANES; i++) sum += x[i];
    return sum;
}

static inline int64_t cell_counts(const int32_t *indices, const float *values, int64_t i, int64_t last, int32_t first, int32_t end, int spare, uint8_t *to, bool *others)
{
    for (; i < last && indices[i] < end; i++) {
        const bool common = values[i] >= 0 && values[i] < COUNTS && (float)(int32_t)values[i] == values[i];
        to[(indices[i] - first) * CELLS] = (uint8_t)(common ? (int32_t)values[i] : 0);
        *others |= !common;
    }
    return (void)spare, i;
}

static inline void row_read(const void *from, bool half, real *restrict x)
{
    const iso_bf16 *narrow = from;
    if (half) for (int c = 0; c < CELLS; c++) x[c] = (real)widened(narrow[c]);
    else memcpy(x, from, CELLS * sizeof *x);
}

static inline void row_write(const real *restrict x, bool half, void *to)
{
    iso_bf16 *restrict narrow = to;
    if (half) for (int c = 0; c < CELLS; c++) narrow[c] = narrowed_result(x[c]);
    else memcpy(to, x, CELLS * sizeof *x);
}

static inline void rows_total(const void *const *rows, int64_t m, bool half, real top[CELLS], real total[CELLS])
{
    real before[CELLS], h[CELLS];
    memcpy(before, top, sizeof before);
    for (int64_t i = 0; i < m; i++) {
        row_read(rows[i], half, h);
        for (int c = 0; c < CELLS; c++) top[c] = real_max(h[c], top[c]);
    }
    for (int c = 0; c < CELLS; c++) total[c] *= exp_of(before[c] - top[c]);
    for (int64_t i = 0; i < m; i++) {
        row_read(rows[i], half, h);
        for (int c = 0; c < CELLS; c++) total[c] += exp_of(h[c] - top[c]);
    }
}

static inline void row_softmax_back(void *h_row, const void *d_row, bool half, const real top[CELLS], const real factor[CELLS])
{
    real h[CELLS], d[CELLS];
    row_read(h_row, half, h), row_read(d_row, half, d);
    for (int c = 0; c < CELLS; c++) d[c] -= exp_of(h[c] - top[c]) * factor[c];
    row_write(d, half, h_row);
}

static inline row_kind kind_of(const uint8_t x[CELLS]) { return (void)x, SOME_STRANGE; }

static inline void row_law(cell_terms *cells, const gene_terms *gene, real d_theta[LANES], const uint8_t x_row[CELLS], bool half, const void *h_row, void *dropout_row, void *d_row,
                           bool zinb, row_kind kind)
{
    real h[CELLS], dropout[CELLS], d[CELLS], y[CELLS], d_t[CELLS], rest[CELLS], kept[CELLS];
    uint8_t x[CELLS];
    (void)kind;
    row_read(h_row, half, h), row_read(d_row, half, kept);
    for (int c = 0; c < CELLS; c++) x[c] = x_row[c] == STRANGE ? 0 : x_row[c];
    for (int c = 0; c < CELLS; c++) {
        real r = exp_of(h[c] - cells->top[c]) * cells->scale[c] * gene->inv_theta;
        log1p_terms l = log1p_split(r);
        y[c] = gene->theta * l.log1p;
        rest[c] = x[c] * (l.log1p - (h[c] - cells->top[c] + cells->log_scale[c])) - gene->T[x[c]];
        d[c] = (r * gene->theta - x[c]) * l.inverse;
        d_t[c] = gene->theta * l.excess + gene->S[x[c]] - x[c] * (r * l.inverse);
    }
    if (zinb) {
        row_read(dropout_row, half, dropout);
        for (int c = 0; c < CELLS; c++) {
            const bool counted = x[c] > 0, usual = x_row[c] != STRANGE;
            expm1_terms e = expm1_split(y[c]);
            real odds = odds_of(dropout[c]), w = odds * e.exp, up = 1 + odds, down = 1 + w, one = 1 / (up * down), p = one * down, by = counted ? 1 : w * one * up;
            real Z = p * (counted ? odds : down) + shadow_of(dropout[c]);
            multiply_in(usual ? Z : 1, &cells->product[c], &cells->exponent[c]);
            d[c] *= by, d_t[c] *= by;
            dropout[c] = !usual ? dropout[c] : counted ? p : -odds * e.one_minus * one;
            y[c] = counted ? y[c] : 0, rest[c] = counted ? rest[c] : 0;
        }
        row_write(dropout, half, dropout_row);
    }
    for (int c = 0; c < CELLS; c++) {
        const bool usual = x_row[c] != STRANGE;
        cells->loss[c] += usual ? y[c] + rest[c] : 0, cells->sum[c] += usual ? d[c] : 0, d_theta[c % LANES] += usual ? d_t[c] : 0;
        d[c] = usual ? d[c] : kept[c];
    }
    row_write(d, half, d_row);
}

#endif

#endif
