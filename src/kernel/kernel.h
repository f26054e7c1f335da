/* kernel.h: the inner loops, one table of function pointers a CPU level.
 *
 * Every file in kernel/isa/ is compiled once per instruction set (baseline, avx2, avx512); KERNEL(name) gives the
 * copies different names and isa/table.c collects them. The baseline build is plain C and is the reference that
 * tests hold the others to. Kernels know no graph, no file, no thread: they work on the range they are given, and
 * the same range gives the same bits. No kernel allocates. */
#ifndef ISO_KERNEL_H
#define ISO_KERNEL_H

#include "base/base.h"
#include "base/rng.h"

/* One minibatch of sparse rows; columns ascend within a row. */
typedef struct iso_batch_csr {
    int64_t n_rows, n_cols;
    const int64_t *indptr;        /* [n_rows + 1] */
    const int32_t *indices;       /* [nnz] */
    const float *values;          /* [nnz] counts */
} iso_batch_csr;

/* bfloat16: the upper half of a float's bits. */
typedef uint16_t iso_bf16;

/* Steps elements from..from+n-1 of the flat parameters by their gradient g [n], as soon as it is known and while both are in cache. Threads may call it
 * at once for stretches that do not meet. Returns the sum of squares of g. */
typedef struct iso_stepper iso_stepper;
struct iso_stepper { double (*step)(const iso_stepper *s, int64_t from, int64_t n, const real *g); };

/* One step of Adam, the t-th: torch.optim.Adam with L2 added to the gradient. */
typedef struct iso_adam_step {
    real scale;                   /* the gradient is multiplied by it first */
    real rate;                    /* learning rate / (1 - beta1^t) */
    real beta1, beta2, epsilon, weight_decay;
    real inverse_root;            /* 1 / sqrt(1 - beta2^t) */
    real guard;                   /* a gradient counts as guard sqrt(v) at most, v as it was, unless v is 0; 0: as it is */
    uint32_t salt;                /* of chance in rounding moments: another for each step */
} iso_adam_step;

/* Means of g and g^2: m and v; or, if that is not NULL, both in a word: m in its upper half, v in its lower, as bfloat16. */
typedef struct iso_moments { real *m, *v; uint32_t *both; } iso_moments;
static inline iso_moments iso_moments_from(const iso_moments *x, int64_t i)
{
    return x->both ? (iso_moments){.both = x->both + i} : (iso_moments){.m = x->m + i, .v = x->v + i};
}

/* Arguments of a likelihood's loop; see likelihood/likelihood.h for what each head means. */
typedef struct iso_lik_args {
    iso_batch_csr x;              /* counts (or continuous values) of the batch */
    const real *log_library;      /* [B] log of the cell's total (gaussian_log1p: of its data); NULL for gaussian */
    const real *mean;             /* [B, G] logits of the softmax over genes (counts), or the mean itself (Gaussian) */
    const real *dropout;          /* [B, G] zero-inflation logits, NULL unless the law has that head */
    const real *dispersion; /* [n_dispersion, G] log theta (NB) or log sigma (Gaussian); NULL if the law has none */
    const int32_t *dispersion_row;/* [B] row of `dispersion` for each cell; NULL = row 0 for all */
    real *loss;                   /* [B] -log p(x|z), nats, constants included */
    /* Gradients of loss[b] at unit upstream; d_mean NULL = values only. d_mean may be the same memory as mean, and
     * d_dropout as dropout. */
    real *d_mean;                 /* [B, G] */
    real *d_dropout;              /* [B, G] */
    real *d_dispersion;           /* ADDED to: rows as `dispersion`. Calls that run at once need memory of their own */
    real *d_log_library;          /* [B] or NULL; 0 for Gaussian laws */
    real *scratch;                /* [ISO_LIK_SCRATCH * G] for this call alone */
} iso_lik_args;
enum { ISO_LIK_SCRATCH = 7 };

typedef void iso_lik_rows_fn(const iso_lik_args *a, int64_t row0, int64_t row1);

/* Arguments of the loops of a law for heads that lie genes first, which go over a range of genes of all cells (kernel/isa/lik_genes.c). The caller
 * runs totals, scales, the law, divides for factor, and runs softmax_back; ranges of genes may run at once. */
typedef struct iso_lik_genes {
    iso_batch_csr x;
    bool half;                    /* mean, dropout and aside are numbers of bfloat16, where pointers to real point to */
    real *mean, *dropout;         /* [G, B] as in iso_lik_args; in the end the gradients by them */
    real *aside;                  /* [G, B] scratch */
    const real *dispersion;       /* [G] */
    real *d_dispersion;           /* [G] */
    real *top;                    /* [B] the largest logit of a cell */
    real *scale, *log_scale;      /* [B] mu = exp(h - top) scale, log mu = h - top + log_scale */
    real *factor;                 /* [B] the sum of exp(h - top); then that of dloss/dlog mu over it */
} iso_lik_genes;

/* Of genes g0..g1-1 alone: top [B], sum [B] of exp(h - top). */
typedef void iso_lik_totals_fn(const iso_lik_genes *a, int64_t g0, int64_t g1, real *top, real *sum);
/* loss, sum [B]: of genes g0..g1-1 alone, the cells' losses and their derivatives by log library. cursor [B]: scratch. */
typedef void iso_lik_genes_fn(const iso_lik_genes *a, int64_t g0, int64_t g1, int64_t *cursor, double *loss, double *sum);
/* top, scale, log_scale and factor [B] from what totals left for each of the groups, tops and sums [groups, B]. */
typedef void iso_lik_scales_fn(const iso_lik_genes *a, const real *log_library, int64_t groups, const real *tops, const real *sums);
typedef void iso_lik_back_fn(const iso_lik_genes *a, int64_t g0, int64_t g1);

/* Products with a side so short that the other matrix goes by once, laid out in rows; not where that, of rows of B, is more work than it saves. */
enum { ISO_GEMM_SHORT = 32, ISO_GEMM_DEEP = 512 };
static inline bool iso_gemm_is_narrow(bool tb, int64_t M, int64_t N, int64_t K)
{
    return K <= ISO_GEMM_DEEP && (N <= ISO_GEMM_SHORT || K <= ISO_GEMM_SHORT || (M <= ISO_GEMM_SHORT && !tb));
}

enum { ISO_TILE = 128 };         /* points whose distances are taken at once */
enum { ISO_LANES = 16 };         /* points of a layout that move at once */
typedef struct iso_layout_curve { real a, b; } iso_layout_curve;      /* likeness 1 / (1 + a distance^2b) */

/* out [p, p] (+)= L in [q, q] L^T, squares of vectors [length] whose rows and columns lie row and col numbers apart. */
typedef void iso_lift_fn(int64_t length, const real *in, int64_t in_row, int64_t in_col, real *out, int64_t out_row, int64_t out_col, bool add);
/* Winograd's filters with m outputs and r taps a side, hence n = m + r - 1 points: taps [r, r], inputs [n, n] and products [n, n],
 * outputs [m, m]; those with un- are the adjoints. untaps heeds `add`; unread always adds, the others never. */
typedef struct iso_winograd { int64_t outputs; iso_lift_fn *taps, *untaps, *read, *unread, *write, *unwrite; } iso_winograd;

/* A variance is exp(raw) + the floor, raw held to +- the limit (op/posterior.h). */
#define ISO_VARIANCE_FLOOR 1e-4
#define ISO_RAW_LIMIT 20

typedef struct iso_kernels {
    const char *name;             /* "baseline", "avx2", "avx512" */
    bool (*supported)(void);

    /* y[r, :] = bias + sum over the entries of row r in columns col0..col1-1 of value w[col, :], for rows row0..row1-1. values [nnz],
     * w [G, H], bias [H] or NULL. */
    void (*csr_linear)(const iso_batch_csr *x, const real *values, const real *w, const real *bias, int64_t H, real *y,
                       int64_t row0, int64_t row1, int64_t col0, int64_t col1);
    /* dw[c, :] (+)= sum over the entries of column c of value dy[row, :], for columns col0..col1-1, which dw [col1 - col0, H] is of. cursor
     * [rows]: -1, or the first entry not before col0; left as the first not before col1. */
    void (*csr_linear_dw)(const iso_batch_csr *x, const real *values, const real *dy, int64_t H, int64_t *cursor, real *dw, bool accumulate,
                          int64_t col0, int64_t col1);
    /* A step on elements first.. of flat arrays: p, and the moments, by the gradient g. Returns the sum of squares of g. */
    double (*adam)(const iso_adam_step *a, int64_t first, int64_t n, const real *g, real *p, const iso_moments *moments);
    /* out [rows, n]: a row as iso_normal of its item, but for the last bits. */
    void (*normal)(iso_rng_key key, const int64_t *items, int64_t rows, int64_t n, real *out);
    /* mask [n]: 0 where 16 random bits lie below threshold, else keep. Number c takes the half c / 16 % 8 of what iso_philox gives at
     * (item, c % 16 + c / 128 * 16). */
    void (*dropout_mask)(iso_rng_key key, uint64_t item, int64_t n, int32_t threshold, real keep, real *mask);
    double (*sum_squares)(const real *x, int64_t n);
    /* Plain C product, the reference of kernel/gemm.c: C = alpha op(A) op(B) + beta C, row-major. Fast where iso_gemm_is_narrow. */
    void (*gemm)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
                 const real *B, int64_t ldb, real beta, real *C, int64_t ldc);
    /* The same with A and B in bfloat16, sums in real, alpha 1; reference of iso_gemm_bf16. */
    void (*gemm_bf16)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const iso_bf16 *A, int64_t lda, const iso_bf16 *B, int64_t ldb,
                      real beta, real *C, int64_t ldc);
    /* n numbers: to = a, or 0 where `where` (NULL: nowhere) is not above 0, + b (NULL: 0), then max(., 0) if relu; to may be one of them. */
    void (*add_bf16)(int64_t n, const iso_bf16 *a, const iso_bf16 *where, const iso_bf16 *b, bool relu, iso_bf16 *to);
    void (*to_bf16)(const real *x, iso_bf16 *y, int64_t n);   /* to nearest, ties to even; NaN stays NaN */
    void (*from_bf16)(const iso_bf16 *x, real *y, int64_t n);
    /* x [rows, n], its rows `step` apart: sum [n] = (+ sum if add) sum of the rows; NULL: not wanted. y: x in bfloat16
     * [rows, n], or NULL. */
    void (*sum_rows)(const real *x, int64_t rows, int64_t n, int64_t step, bool add, real *sum, iso_bf16 *y);
    void (*add_to_rows)(const real *bias, int64_t rows, int64_t n, int64_t step, real *x);    /* x [rows, n] += bias [n] */
    /* Squared distances d2 [ISO_TILE] of q [d] to the points of a tile [d, ISO_TILE]; returns the least of them. Needs
     * finite values whose squares are. */
    float (*tile_distances)(const float *q, const float *tile, int64_t d, float *d2);
    /* A step of ISO_LANES points x, y [ISO_LANES] of a layout: each is drawn to a point of its own, ox[l], oy[l], and then
     * pushed away from n_repel others, ox, oy [1 + n_repel, ISO_LANES], all times its rate [ISO_LANES]. */
    void (*layout_step)(const iso_layout_curve *c, const real *rate, int n_repel, const real *ox, const real *oy, real *x,
                        real *y);
    /* Pixels [n, channels]. to (+)= from + bias [channels] (NULL: none), then max(., 0) if relu; to may be from. */
    void (*pixels_finish)(int64_t n, int64_t channels, const real *from, const real *bias, bool relu, bool add, real *to);
    /* to = d where out (NULL: everywhere) is above 0, else 0; sums [channels] += the sum of that over pixels. NULL: not wanted. */
    void (*pixels_unfinish)(int64_t n, int64_t channels, const real *d, const real *out, real *to, real *sums);
    const iso_winograd (*winograd)[2]; /* [2][2]: with 2 and 4 outputs, of 2 and of 3 taps */
    /* Columns of x, y, d and dx [n, cols], rows `step` apart; all else [cols]. The mean, and the sum of squared distances from it;
     * y = (x - mean) scale + shift, then, if relu, 0 where that is not above 0; the sums of d, and of d (x - mean); dx (+)= of_d d + of_x (x - mean)
     * + shift. On the way back, if y is not NULL, d is 0 where y is not above 0. */
    void (*norm_moments)(const real *x, int64_t n, int64_t cols, int64_t step, real *mean, real *squares);
    void (*norm)(const real *x, int64_t n, int64_t cols, int64_t step, const real *mean, const real *scale, const real *shift, bool relu, real *y);
    void (*norm_sums)(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, real *sum, real *sum_of_products);
    void (*norm_back)(const real *x, const real *d, const real *y, int64_t n, int64_t cols, int64_t step, const real *mean, const real *of_d, const real *of_x,
                      const real *shift, bool add, real *dx);
    /* The divergence of op/normal_kl.c, of laws as in op/posterior.h, and its gradient by each of the four, times up. */
    void (*normal_kl)(int64_t n, const real *mu, const real *raw, const real *mu0, const real *raw0, real *out);
    void (*normal_kl_backward)(int64_t n, const real *mu, const real *raw, const real *mu0, const real *raw0, const real *up, real *d_mu,
                               real *d_raw, real *d_mu0, real *d_raw0);
    /* Element-wise, for tests of the polynomials: y = exp(x), y = log(x). */
    void (*vexp)(const real *x, real *y, int64_t n);
    void (*vlog)(const real *x, real *y, int64_t n);

    iso_lik_rows_fn *poisson_rows, *nb_rows, *zinb_rows, *gaussian_rows, *gaussian_log1p_rows;
    iso_lik_totals_fn *lik_totals;
    iso_lik_scales_fn *lik_scales;
    iso_lik_genes_fn *nb_genes, *zinb_genes;
    bool genes_first;             /* these are faster than nb_rows and zinb_rows */
    iso_lik_back_fn *lik_softmax_back;
} iso_kernels;

#define ISO_CAT2(a, b) a##_##b
#define ISO_CAT(a, b) ISO_CAT2(a, b)
#define KERNEL(name) ISO_CAT(name, ISO_ISA)      /* ISO_ISA is set by the build: baseline, avx2, avx512 */

/* Fastest first, the baseline last; ends with NULL. */
extern const iso_kernels *const iso_kernel_table[];
/* The fastest this CPU supports; the environment variable ISOLARIO_ISA names another. */
const iso_kernels *iso_kernels_best(void);

/* C [M, N] = alpha op(A) op(B) + beta C + bias [N] (NULL: none) on each row, row-major, on the threads of env: cut into blocks that depend on the shape
 * alone, each block one single-threaded oneDNN call (float) or plain C (double, or where oneDNN is missing). */
void iso_gemm(iso_env *env, bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda,
              const real *B, int64_t ldb, real beta, real *C, int64_t ldc, const real *bias);

/* The same on the calling thread, without bias. */
void iso_gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, real alpha, const real *A, int64_t lda, const real *B, int64_t ldb,
                     real beta, real *C, int64_t ldc);

/* iso_gemm_serial of A and B in bfloat16, alpha 1, sums in real: a product of two bfloat16 is exact in float. iso_bf16_is_fast: this CPU has
 * instructions for it (AVX512-BF16, AMX), else the plain loop of the kernels does it. Layers use layer.h. */
void iso_gemm_bf16(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const iso_bf16 *A, int64_t lda, const iso_bf16 *B, int64_t ldb,
                   real beta, real *C, int64_t ldc);
bool iso_bf16_is_fast(void);
bool iso_tiles_usable(void);             /* AMX: the CPU has it, and the system lets this process use it */

/* A convolution of images [height, width, in], channels last, to [iso_conv_height, iso_conv_width, out]: weights [out, size, size, in],
 * at every stride-th pixel, with (size - 1) / 2 zeros before the first and as many after the last.
 * bf16: if iso_conv_in_tiles, images, weights and gradients are rounded to bfloat16 as they enter the products; else they are not.
 * half_x, half_y: then the images of the larger, of the smaller side, and the gradients by them, are kept in numbers of bfloat16, where
 * pointers to real point to. */
typedef struct iso_conv { int64_t height, width, in, out, size, stride; bool bf16, half_x, half_y; } iso_conv;
bool iso_conv_in_tiles(const iso_conv *c);
int64_t iso_conv_height(const iso_conv *c);
int64_t iso_conv_width(const iso_conv *c);
/* Numbers of scratch for n images, for gather and scatter or for backward. */
int64_t iso_conv_work(const iso_conv *c, int64_t n, bool backward);
/* n images. y = conv(x) + bias [out], then max(., 0) if relu. */
void iso_conv_gather(iso_env *env, const iso_conv *c, int64_t n, const real *x, const real *w, const real *bias, bool relu, real *y, real *work);
/* Its adjoint, the transposed convolution: x = conv^T(y) + bias [in], then max(., 0) if relu. */
void iso_conv_scatter(iso_env *env, const iso_conv *c, int64_t n, const real *y, const real *w, const real *bias, bool relu, real *x, real *work);

/* The gradients of gather, or of scatter if transposed. */
typedef struct iso_conv_gradient {
    bool transposed, add_x, add_w, add_bias;  /* add: to what is there */
    const real *x, *w;                        /* what was convolved; the weights */
    const real *d, *out;                      /* gradient by the result; the result itself if it was relu'd, else NULL */
    real *dx, *dw, *dbias;                    /* NULL: not wanted */
} iso_conv_gradient;
void iso_conv_backward(iso_env *env, const iso_conv *c, int64_t n, const iso_conv_gradient *g, real *work);

#endif
