/* The laws' loops for heads that lie genes first, at every CPU level: golden points, and what the loops for cells first say of the same cells. */
#include "likelihood_common.h"

enum { GROUPS = 2 };

/* Numbers [n] in real, or in bfloat16 where a pointer to real points to. */
static real *head_of(const iso_kernels *k, const real *x, int64_t n, bool half)
{
    real *head = memory(n, half ? sizeof(iso_bf16) : sizeof(real));
    if (half) k->to_bf16(x, (iso_bf16 *)head, n);
    else memcpy(head, x, (size_t)n * sizeof *x);
    return head;
}

/* Cells that share row `which` of dispersion, their genes in GROUPS ranges. */
static void run_some(const iso_kernels *k, cells *c, int64_t which, bool half)
{
    int64_t n = 0, entries = 0, G = c->G, *cell = memory(c->B, sizeof *cell), *indptr = memory(c->B + 1, sizeof *indptr);
    for (int64_t b = 0; b < c->B; b++)
        if (c->D == 1 || c->which[b] == which) cell[n++] = b, entries += c->indptr[b + 1] - c->indptr[b], indptr[n] = entries;
    if (n) {
        int32_t *indices = memory(entries + 1, sizeof *indices);
        float *values = memory(entries + 1, sizeof *values);
        real *own = memory((2 * n + 2) * G + (5 + 2 * GROUPS) * n, sizeof *own), *h = own, *pi = h + n * G, *library = pi + n * G, *top = library + n, *scale = top + n,
             *log_scale = scale + n, *factor = log_scale + n, *tops = factor + n, *sums = tops + GROUPS * n, *d_dispersion = sums + GROUPS * n;
        double *loss = memory(2 * GROUPS * n, sizeof *loss), *d = loss + GROUPS * n;
        int64_t *cursor = memory(n, sizeof *cursor);
        for (int64_t i = 0; i < n; i++) {
            const int64_t b = cell[i], from = c->indptr[b], m = c->indptr[b + 1] - from;
            memcpy(indices + indptr[i], c->indices + from, (size_t)m * sizeof *indices), memcpy(values + indptr[i], c->values + from, (size_t)m * sizeof *values);
            for (int64_t g = 0; g < G; g++) h[g * n + i] = c->mean[b * G + g], pi[g * n + i] = c->dropout[b * G + g];
            library[i] = c->log_library[b];
        }
        iso_lik_genes a = {.x = {n, G, indptr, indices, values}, .half = half, .mean = head_of(k, h, n * G, half), .dropout = head_of(k, pi, n * G, half),
                           .aside = head_of(k, h, n * G, half), .dispersion = c->dispersion + which * G, .d_dispersion = d_dispersion, .top = top, .scale = scale,
                           .log_scale = log_scale, .factor = factor};
        const int64_t first[GROUPS + 1] = {0, G / 3, G};
        for (int64_t j = 0; j < GROUPS; j++) k->lik_totals(&a, first[j], first[j + 1], tops + j * n, sums + j * n);
        k->lik_scales(&a, library, GROUPS, tops, sums);
        for (int64_t j = 0; j < GROUPS; j++) c->law->genes(k)(&a, first[j], first[j + 1], cursor, loss + j * n, d + j * n);
        for (int64_t i = 0; i < n; i++) {
            c->loss[cell[i]] = 0 * factor[i] + (real)(loss[i] + loss[n + i]), c->d_log_library[cell[i]] = (real)(d[i] + d[n + i]);
            factor[i] = (real)((d[i] + d[n + i]) / (double)factor[i]);
        }
        for (int64_t j = 0; j < GROUPS; j++) k->lik_softmax_back(&a, first[j], first[j + 1]);
        if (half) k->from_bf16((iso_bf16 *)a.mean, h, n * G), k->from_bf16((iso_bf16 *)a.dropout, pi, n * G);
        else memcpy(h, a.mean, (size_t)(n * G) * sizeof *h), memcpy(pi, a.dropout, (size_t)(n * G) * sizeof *pi);
        for (int64_t i = 0; i < n; i++)
            for (int64_t g = 0; g < G; g++) c->d_mean[cell[i] * G + g] = h[g * n + i], c->d_dropout[cell[i] * G + g] = c->law->has_dropout ? pi[g * n + i] : 0;
        memcpy(c->d_dispersion + which * G, d_dispersion, (size_t)G * sizeof *d_dispersion);
        void *all[] = {indices, values, own, loss, cursor, a.mean, a.dropout, a.aside};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) iso_free(all[i]);
    }
    iso_free(cell), iso_free(indptr);
}

static void run_genes(const iso_kernels *k, cells *c, bool half)
{
    for (int64_t w = 0; w < c->D; w++) run_some(k, c, w, half);
}

/* Every law that has such a loop, at every CPU level. */
#define EVERY_LOOP(k, l)                                                 \
    for (int k = 0; iso_kernel_table[k]; k++)                            \
        for (int l = 0; iso_kernel_table[k]->supported() && golden[l].law; l++) \
            if (golden[l].law->genes)

static void points_are_golden(void **state)
{
    (void)state;
    int ok = 1, loops = 0;
    EVERY_LOOP(k, l) {
        cells c = cells_golden(&golden[l]);
        run_genes(iso_kernel_table[k], &c, false);
        ok &= golden_agree(iso_kernel_table[k], &golden[l], &c, 31, 3e-6, 3e-7);
        cells_free(&c), loops++;
    }
    assert_true(ok && loops >= 2);
}

/* Whole blocks of cells, parts of one, and both; fewer genes than a block, and more. */
static const struct { int64_t B, G; } sizes[] = {{64, 200}, {3, 1037}, {128, 130}, {100, 67}, {1, 1}, {65, 300}};

/* What softmax takes from dloss/dlog mu of gene g of cell b. */
static double softmax_part(const cells *c, int64_t b, int64_t g)
{
    double sum = 0;
    for (int64_t i = 0; i < c->G; i++) sum += exp((double)(c->mean[b * c->G + i] - c->mean[b * c->G + g]));
    return fabs((double)c->d_log_library[b]) / sum;
}

static void cells_agree(const cells *got, const cells *want, double relative, double absolute, const char *where, int *ok)
{
    for (int64_t b = 0; b < want->B; b++) {
        *ok &= near((double)got->loss[b], (double)want->loss[b], fmax(relative / 10, 1e-6), absolute, "loss", where, (int)b);
        *ok &= near((double)got->d_log_library[b], (double)want->d_log_library[b], relative, absolute * exp((double)want->log_library[b]) / 10, "d log library", where, (int)b);
        for (int64_t i = b * want->G; i < (b + 1) * want->G; i++) {
            *ok &= near((double)got->d_mean[i], (double)want->d_mean[i], relative, absolute + relative * softmax_part(want, b, i - b * want->G), "d mean", where, (int)i);
            if (want->law->has_dropout) *ok &= near((double)got->d_dropout[i], (double)want->d_dropout[i], relative, absolute, "d dropout", where, (int)i);
        }
    }
    for (int64_t i = 0; i < want->D * want->G; i++)
        *ok &= near((double)got->d_dispersion[i], (double)want->d_dispersion[i], relative, absolute * (double)want->B, "d dispersion", where, (int)i);
}

static void cells_first_or_genes_first(void **state)
{
    (void)state;
    int ok = 1;
    EVERY_LOOP(k, l)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int half = 0; half < 2; half++) {
                char where[64];
                snprintf(where, sizeof where, "%s %s of %d, %s", iso_kernel_table[k]->name, golden[l].law->name, (int)sizes[s].B, half ? "bf16" : "real");
                const iso_kernels *kernels = iso_kernel_table[k];
                cells got = cells_random(golden[l].law, sizes[s].B, sizes[s].G, 1), want = cells_random(golden[l].law, sizes[s].B, sizes[s].G, 1);
                for (int64_t i = 0; half && i < want.B * want.G; i++) {
                    iso_bf16 x;
                    kernels->to_bf16(&want.mean[i], &x, 1), kernels->from_bf16(&x, &want.mean[i], 1);
                    kernels->to_bf16(&want.dropout[i], &x, 1), kernels->from_bf16(&x, &want.dropout[i], 1);
                }
                run_with(kernels, &want);
                run_genes(kernels, &got, half);
                /* in bf16 dloss/dlog mu and what softmax makes of it are rounded, each by 2^-8 of it */
                cells_agree(&got, &want, half ? 8e-3 : 5e-6, half ? 1e-4 : 5e-6, where, &ok);
                cells_free(&got), cells_free(&want);
            }
    assert_true(ok);
}

static void extremes_stay_finite(void **state)
{
    (void)state;
    static const double logits[] = {-1e30, -1e14, -1e4, -90, -88, -87, -50, 0, 50, 88, 1e4}, x[] = {0, 1, 2, 31, 32, 0.5, 1e-3, 2e6};
    static const double libraries[] = {-HUGE_VAL, -30, 0, 14.5, 60}, dispersions[] = {-1e4, -20, -7, 0, 7, 20, 1e4};
    enum { H = 11, X = 8, L = 5, T = 7, CELLS = 64 };
    EVERY_LOOP(k, l)
        for (int how = 0; how < 4 * T; how++) {
            const bool half = how & 1, sign = how & 2;
            cells c = cells_new(golden[l].law, CELLS, H * X, 1);
            for (int b = 0; b < CELLS; b++) {
                c.log_library[b] = (real)libraries[b % L];
                c.indptr[b + 1] = c.indptr[b];
                for (int g = 0; g < H * X; g++) {
                    if (b % 3 > 0) put(&c, b, g, x[(g + b) % X]);                        /* every third cell is empty */
                    c.mean[b * H * X + g] = (real)(sign ? logits[g / X] : g / X > 1 ? -logits[g / X] / 200 : 0);
                    c.dropout[b * H * X + g] = (real)logits[(g + b) % H];
                }
            }
            for (int g = 0; g < H * X; g++) c.dispersion[g] = (real)dispersions[(g + how / 4) % T];
            run_genes(iso_kernel_table[k], &c, half);
            assert_true(all_finite(&c));
            c.mean[3] = (real)NAN;                                                       /* but damage shows */
            c.dropout[5 * H * X + 3] = (real)NAN;                                           /* of a zero */
            run_genes(iso_kernel_table[k], &c, half);
            assert_true(isnan(c.loss[0]) && !isnan(c.loss[1]) && isnan(c.loss[5]) == c.law->has_dropout);
            cells_free(&c);
        }
}

/* Beyond its range the dispersion counts as the range's end, and its gradient only leads back. */
static void dispersion_is_held(void **state)
{
    (void)state;
    EVERY_LOOP(k, l)
        for (int side = -1; side <= 1; side += 2) {
            cells out = cells_random(golden[l].law, 64, 50, 1), at = cells_random(golden[l].law, 64, 50, 1);
            for (int64_t g = 0; g < out.G; g++) out.dispersion[g] = (real)(side * 30), at.dispersion[g] = (real)(side * 20);
            run_genes(iso_kernel_table[k], &out, false), run_genes(iso_kernel_table[k], &at, false);
            assert_memory_equal(out.loss, at.loss, (size_t)out.B * sizeof(real));
            for (int64_t g = 0; g < out.G; g++) assert_true(out.d_dispersion[g] == ((side > 0) == (at.d_dispersion[g] > 0) ? at.d_dispersion[g] : 0));
            cells_free(&out), cells_free(&at);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(points_are_golden), cmocka_unit_test(cells_first_or_genes_first), cmocka_unit_test(extremes_stay_finite),
                                       cmocka_unit_test(dispersion_is_held)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
