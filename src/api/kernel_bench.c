/* kernel_bench.c: `bench ops`. Each kernel runs on one thread, in the fastest build that this CPU supports and in the
 * baseline build, which is the reference of all. The roofline: no kernel is faster than its arithmetic at the rate of a
 * large product, or than its memory traffic at the rate of a large copy (Williams, Waterman & Patterson 2009). */
#include "kernel_bench.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <string.h>

enum { PEAK = 768, COPY = 1 << 24, REPEATS = 7 };
static const double DENSITY = 0.07, LONG_ENOUGH_S = 0.01;

typedef struct bench {
    iso_env *env;                            /* of one thread */
    int64_t B, G, H;
    int64_t *indptr, *cursor;
    int32_t *indices;
    float *counts;
    real *values, *w, *dw, *hidden, *logits, *dropout, *work_logits, *work_dropout, *dispersion, *d_dispersion, *loss,
        *library, *made, *scratch;
    uint32_t *moments;
    iso_batch_csr x;
} bench;

/* ------------------------------------------------------------------------------------ the data */

static iso_status bench_open(bench *b, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = b->B * b->G, weights = b->G * b->H;
    iso_rng r = iso_rng_start((iso_rng_key){0, ISO_STREAM_TEST, 0}, 0);
    ALLOC(b->indptr, b->B + 1, sizeof *b->indptr);
    ALLOC(b->cursor, b->B, sizeof *b->cursor);
    ALLOC(b->indices, n, sizeof *b->indices);
    ALLOC(b->counts, n, sizeof *b->counts);
    ALLOC(b->values, n, sizeof *b->values);
    ALLOC(b->w, weights, sizeof *b->w);
    ALLOC(b->dw, weights, sizeof *b->dw);
    ALLOC(b->made, 2 * weights, sizeof *b->made);
    ALLOC(b->moments, weights, sizeof *b->moments);
    ALLOC(b->hidden, b->B * b->H, sizeof *b->hidden);
    ALLOC(b->logits, n, sizeof *b->logits);
    ALLOC(b->dropout, n, sizeof *b->dropout);
    ALLOC(b->work_logits, n, sizeof *b->work_logits);
    ALLOC(b->work_dropout, n, sizeof *b->work_dropout);
    ALLOC(b->dispersion, b->G, sizeof *b->dispersion);
    ALLOC(b->d_dispersion, b->G, sizeof *b->d_dispersion);
    ALLOC(b->loss, b->B, sizeof *b->loss);
    ALLOC(b->library, b->B, sizeof *b->library);
    ALLOC(b->scratch, ISO_LIK_SCRATCH * b->G, sizeof *b->scratch);
    int64_t nnz = 0;
    for (int64_t i = 0; i < b->B; i++) {
        b->library[i] = 6;
        for (int64_t g = 0; g < b->G; g++) {
            if (iso_rng_uniform(&r) > DENSITY) continue;
            b->indices[nnz] = (int32_t)g;
            b->counts[nnz] = 1 + (float)iso_rng_poisson(&r, 1 + 3 * iso_rng_gamma(&r, 0.3));
            b->values[nnz] = (real)b->counts[nnz];
            nnz++;
        }
        b->indptr[i + 1] = nnz;
    }
    for (int64_t i = 0; i < weights; i++) b->w[i] = (real)(0.1 * iso_rng_normal(&r)), b->dw[i] = b->w[i];
    for (int64_t i = 0; i < b->B * b->H; i++) b->hidden[i] = (real)iso_rng_uniform(&r);
    for (int64_t i = 0; i < n; i++) b->logits[i] = (real)iso_rng_normal(&r), b->dropout[i] = (real)(iso_rng_normal(&r) - 1);
    b->x = (iso_batch_csr){b->B, b->G, b->indptr, b->indices, b->counts};
done:
    return st;
}

static void bench_close(bench *b)
{
    void *all[] = {b->indptr, b->cursor, b->indices, b->counts, b->values, b->w, b->dw, b->made, b->moments, b->hidden, b->logits, b->dropout,
                   b->work_logits, b->work_dropout, b->dispersion, b->d_dispersion, b->loss, b->library, b->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) iso_free(all[i]);
}

/* ---------------------------------------------------------------------------------- the kernels */

typedef void run_fn(bench *b, const iso_kernels *k);

static bool is_baseline(const iso_kernels *k) { return strcmp(k->name, "baseline") == 0; }

static void product(bench *b, const iso_kernels *k, bool ta, bool tb, int64_t M, int64_t N, int64_t K, const real *A, int64_t lda, const real *B,
                    int64_t ldb, real *C)
{
    if (is_baseline(k)) k->gemm(ta, tb, M, N, K, 1, A, lda, B, ldb, 0, C, N);
    else iso_gemm(b->env, ta, tb, M, N, K, 1, A, lda, B, ldb, 0, C, N, NULL);
}

static void forward_product(bench *b, const iso_kernels *k) { product(b, k, false, true, b->B, b->G, b->H, b->hidden, b->H, b->w, b->H, b->work_logits); }
static void data_product(bench *b, const iso_kernels *k) { product(b, k, false, false, b->B, b->H, b->G, b->logits, b->G, b->w, b->H, b->made); }
static void weight_product(bench *b, const iso_kernels *k) { product(b, k, true, false, b->G, b->H, b->B, b->logits, b->G, b->hidden, b->H, b->dw); }

static void sparse_forward(bench *b, const iso_kernels *k) { k->csr_linear(&b->x, b->values, b->w, NULL, b->H, b->made, 0, b->B, 0, b->G); }
static void sparse_weights(bench *b, const iso_kernels *k)
{
    enum { COLUMNS = 128 };
    for (int64_t r = 0; r < b->B; r++) b->cursor[r] = -1;
    for (int64_t c = 0; c < b->G; c += COLUMNS)
        k->csr_linear_dw(&b->x, b->values, b->hidden, b->H, b->cursor, b->dw + c * b->H, false, c, b->G - c < COLUMNS ? b->G : c + COLUMNS);
}

static void rows_of(bench *b, iso_lik_rows_fn *rows, bool dropout)
{
    int64_t bytes = b->B * b->G * (int64_t)sizeof(real);
    memcpy(b->work_logits, b->logits, (size_t)bytes);
    if (dropout) memcpy(b->work_dropout, b->dropout, (size_t)bytes);
    iso_lik_args a = {.x = b->x, .log_library = b->library, .mean = b->work_logits, .dropout = dropout ? b->work_dropout : NULL,
                      .dispersion = b->dispersion, .loss = b->loss, .d_mean = b->work_logits, .d_dropout = dropout ? b->work_dropout : NULL,
                      .d_dispersion = b->d_dispersion, .scratch = b->scratch};
    rows(&a, 0, b->B);
}

static void nb(bench *b, const iso_kernels *k) { rows_of(b, k->nb_rows, false); }
static void zinb(bench *b, const iso_kernels *k) { rows_of(b, k->zinb_rows, true); }
static void poisson(bench *b, const iso_kernels *k) { rows_of(b, k->poisson_rows, false); }
static void exponential(bench *b, const iso_kernels *k) { k->vexp(b->logits, b->work_logits, b->B * b->G); }
static void logarithm(bench *b, const iso_kernels *k) { k->vlog(b->logits, b->work_logits, b->B * b->G); }
static void squares(bench *b, const iso_kernels *k) { b->loss[0] = (real)k->sum_squares(b->w, b->G * b->H); }
static void adam(bench *b, const iso_kernels *k)
{
    int64_t n = b->G * b->H;
    k->adam(&(iso_adam_step){(real)1e-3, (real)1e-6, (real)0.9, (real)0.999, (real)1e-2, (real)1e-6, 1, 30, 1}, 0, n, b->dw, b->w, &(iso_moments){.both = b->moments});
}

/* Arithmetic and bytes, each a multiple of the sizes that stand behind it. The arithmetic of the likelihoods is what
 * their polynomials add up to for a zero. */
typedef enum size_of { PER_PRODUCT, PER_ENTRY, PER_VALUE, PER_WEIGHT } size_of;       /* B G H, nnz H, B G, G H */
static const struct { const char *name; run_fn *run; size_of size; double flops, bytes; } kernels[] = {
    {"product, forward", forward_product, PER_PRODUCT, 2, 0},
    {"product, gradient of its input", data_product, PER_PRODUCT, 2, 0},
    {"product, gradient of its weights", weight_product, PER_PRODUCT, 2, 0},
    {"csr_linear", sparse_forward, PER_ENTRY, 2, 0},
    {"csr_linear, gradient of its weights", sparse_weights, PER_ENTRY, 2, 0},
    {"nb", nb, PER_VALUE, 60, 3 * sizeof(real)},
    {"zinb", zinb, PER_VALUE, 120, 6 * sizeof(real)},
    {"poisson", poisson, PER_VALUE, 20, 3 * sizeof(real)},
    {"exp", exponential, PER_VALUE, 14, 2 * sizeof(real)},
    {"log", logarithm, PER_VALUE, 20, 2 * sizeof(real)},
    {"adam", adam, PER_WEIGHT, 12, 5 * sizeof(real)},
    {"sum of squares", squares, PER_WEIGHT, 2, sizeof(real)},
};
enum { N_KERNELS = sizeof kernels / sizeof *kernels };

static double count(const bench *b, size_of size)
{
    switch (size) {
    case PER_PRODUCT: return (double)b->B * (double)b->G * (double)b->H;
    case PER_ENTRY: return (double)b->indptr[b->B] * (double)b->H;
    case PER_VALUE: return (double)b->B * (double)b->G;
    case PER_WEIGHT: return (double)b->G * (double)b->H;
    }
    return 0;
}

/* Least seconds of a call, over several runs that are long enough to be timed. */
static double seconds_of(bench *b, run_fn *run, const iso_kernels *k)
{
    double best = 0;
    int64_t n = 1;
    run(b, k);
    for (int r = 0; r < REPEATS;) {
        double start = iso_now_s();
        for (int64_t i = 0; i < n; i++) run(b, k);
        double s = iso_now_s() - start;
        if (s < LONG_ENOUGH_S) {
            n *= 2;
            continue;
        }
        if (r++ == 0 || s / (double)n < best) best = s / (double)n;
    }
    return best;
}

/* ---------------------------------------------------------------------------------- the roofline */

typedef struct roof { real *a, *b, *c; } roof;

static double peak_flops(iso_env *env, roof *r)
{
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        double start = iso_now_s();
        iso_gemm(env, false, false, PEAK, PEAK, PEAK, 1, r->a, PEAK, r->b, PEAK, 0, r->c, PEAK, NULL);
        double rate = 2.0 * PEAK * PEAK * PEAK / (iso_now_s() - start);
        if (rate > best) best = rate;
    }
    return best;
}

static double peak_bytes(roof *r)
{
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        double start = iso_now_s();
        for (int64_t k = 0; k < COPY; k++) r->a[k] = r->b[k] + (real)0.5 * r->c[k];
        double rate = 3.0 * sizeof(real) * COPY / (iso_now_s() - start);
        if (rate > best) best = rate;
    }
    return best;
}

iso_status iso_bench_kernels(iso_env *env, const iso_options *o, FILE *f, iso_error *err)
{
    iso_status st = ISO_OK;
    bench b = {.B = iso_opt_int(o, "batch_size"), .G = iso_opt_int(o, "n_genes"), .H = iso_opt_int(o, "n_hidden")};
    roof r = {0};
    const iso_kernels *best = iso_kernels_best(), *baseline = best;
    for (int i = 0; iso_kernel_table[i]; i++) baseline = iso_kernel_table[i];
    FAIL_IF(!(b.env = iso_env_new(1)), ISO_EMEMORY, "out of memory");
    ALLOC(r.a, COPY, sizeof *r.a);
    ALLOC(r.b, COPY, sizeof *r.b);
    ALLOC(r.c, COPY, sizeof *r.c);
    TRY(bench_open(&b, err));
    double flops = peak_flops(b.env, &r), bytes = peak_bytes(&r);
    fprintf(f, "# one thread, %s; %.1f GFLOP/s (product of %d), %.1f GB/s (triad of %d MB); %lld cells, %lld genes, %lld units\n", best->name,
            flops / 1e9, PEAK, bytes / 1e9, (int)(3 * COPY * sizeof(real) >> 20), (long long)b.B, (long long)b.G, (long long)b.H);
    fprintf(f, "kernel\tms\treference_ms\ttimes_faster\tGFLOP_s\tGB_s\tof_roofline\n");
    for (int i = 0; i < N_KERNELS; i++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        double n = count(&b, kernels[i].size), s = seconds_of(&b, kernels[i].run, best), reference = seconds_of(&b, kernels[i].run, baseline);
        double least = n * kernels[i].flops / flops, traffic = n * kernels[i].bytes / bytes;
        fprintf(f, "%s\t%.4f\t%.4f\t%.1f\t%.1f\t%.1f\t%.2f\n", kernels[i].name, 1e3 * s, 1e3 * reference, reference / s,
                n * kernels[i].flops / s / 1e9, n * kernels[i].bytes / s / 1e9, (least > traffic ? least : traffic) / s);
    }
done:
    bench_close(&b);
    iso_free(r.a);
    iso_free(r.b);
    iso_free(r.c);
    iso_env_free(b.env);
    return st;
}
