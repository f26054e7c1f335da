/* likelihood_common.h: a batch of random cells for a law, and running a law's loop over it; for test_likelihood*.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "golden/likelihood.h"
#include "likelihood/laws.h"

#include <math.h>
#include <string.h>

typedef struct golden_law {
    const iso_likelihood *law;
    const golden_point *point;
    int n;
} golden_law;

#define GOLDEN(name) {&iso_likelihood_##name, golden_##name, (int)(sizeof golden_##name / sizeof golden_##name[0])}
static const golden_law golden[] = {GOLDEN(poisson), GOLDEN(nb), GOLDEN(zinb), GOLDEN(gaussian), {0}};

/* B cells, G genes, D rows of dispersion. */
typedef struct cells {
    const iso_likelihood *law;
    iso_lik_args a;
    int64_t B, G, D;
    int64_t *indptr;
    int32_t *indices, *which;
    float *values;
    real *mean, *dropout, *dispersion, *log_library, *d_mean, *d_dropout, *d_dispersion, *d_log_library, *loss;
} cells;

static void *memory(int64_t n, size_t size)
{
    void *p = iso_calloc(n, size);
    assert_non_null(p);
    return p;
}

static cells cells_new(const iso_likelihood *law, int64_t B, int64_t G, int64_t D)
{
    cells c = {.law = law, .B = B, .G = G, .D = D};
    c.indptr = memory(B + 1, sizeof *c.indptr);
    c.indices = memory(B * G, sizeof *c.indices);
    c.values = memory(B * G, sizeof *c.values);
    c.which = memory(B, sizeof *c.which);
    c.mean = memory(B * G, sizeof(real));
    c.dropout = memory(B * G, sizeof(real));
    c.dispersion = memory(D * G, sizeof(real));
    c.log_library = memory(B, sizeof(real));
    c.loss = memory(B, sizeof(real));
    c.d_mean = memory(B * G, sizeof(real));
    c.d_dropout = memory(B * G, sizeof(real));
    c.d_dispersion = memory(D * G, sizeof(real));
    c.d_log_library = memory(B, sizeof(real));
    c.a = (iso_lik_args){.x = {.n_rows = B, .n_cols = G, .indptr = c.indptr, .indices = c.indices, .values = c.values},
                         .log_library = c.log_library,
                         .mean = c.mean,
                         .dispersion = law->has_dispersion ? c.dispersion : NULL,
                         .dropout = law->has_dropout ? c.dropout : NULL,
                         .dispersion_row = D > 1 ? c.which : NULL,
                         .loss = c.loss,
                         .d_mean = c.d_mean,
                         .d_dropout = c.d_dropout,
                         .d_dispersion = c.d_dispersion,
                         .d_log_library = c.d_log_library,
                         .scratch = memory(ISO_LIK_SCRATCH * G, sizeof(real))};
    for (int64_t i = 0; i < ISO_LIK_SCRATCH * G; i++) c.a.scratch[i] = (real)NAN;    /* nothing may rely on it */
    for (int64_t b = 0; b < B; b++) c.which[b] = (int32_t)(b * 7 % D);
    return c;
}

static void cells_free(cells *c)
{
    void *all[] = {c->indptr,    c->indices,      c->values,        c->which,    c->mean,
                   c->dropout,   c->dispersion,   c->log_library,   c->loss,     c->d_mean,
                   c->d_dropout, c->d_dispersion, c->d_log_library, c->a.scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) iso_free(all[i]);
}

/* Sets the value of the next gene of cell b; cells and genes must come in order. */
static void put(cells *c, int64_t b, int64_t g, double x)
{
    if (c->indptr[b + 1] < c->indptr[b]) c->indptr[b + 1] = c->indptr[b];
    int64_t at = c->indptr[b + 1]++;
    c->indices[at] = (int32_t)g;
    c->values[at] = (float)x;
}

/* Mostly zeros; small, large and stored-zero counts, and values that are not whole; of every fourth gene none, of another only small counts. */
static cells cells_random(const iso_likelihood *law, int64_t B, int64_t G, int64_t D)
{
    static const double some[] = {1, 1, 1, 2, 1, 3, 5, 8, 9, 0, 23, 1.5, 400};
    cells c = cells_new(law, B, G, D);
    iso_rng r = iso_rng_start((iso_rng_key){.seed = 11, .stream = ISO_STREAM_TEST}, 0);
    for (int64_t b = 0; b < B; b++) {
        c.log_library[b] = (real)(4 + 4 * iso_rng_uniform(&r));
        c.indptr[b + 1] = c.indptr[b];
        for (int64_t g = 0; g < G; g++) {
            const bool counted = iso_rng_uniform(&r) < 0.25;
            const double x = counted ? some[iso_rng_u32(&r) % (sizeof some / sizeof some[0])] : 0;
            if (counted && g % 4 != 1) put(&c, b, g, g % 4 == 2 && (x > 30 || x != floor(x)) ? 30 : x);
            c.mean[b * G + g] = (real)(1.5 * iso_rng_normal(&r));
            c.dropout[b * G + g] = (real)(2 * iso_rng_normal(&r));
        }
    }
    for (int64_t i = 0; i < D * G; i++) c.dispersion[i] = (real)((law->counts ? 2 : 0.5) * iso_rng_normal(&r));
    return c;
}

static void run_with(const iso_kernels *k, cells *c)
{
    memset(c->d_dispersion, 0, (size_t)(c->D * c->G) * sizeof(real));
    c->law->rows(k)(&c->a, 0, c->B);
}

static inline void run(cells *c) { run_with(iso_kernels_best(), c); }

/* One golden point a cell, of one gene each: softmax is 1, so mu is the library. */
static cells cells_golden(const golden_law *l)
{
    cells c = cells_new(l->law, l->n, 1, l->n);
    for (int i = 0; i < l->n; i++) {
        const golden_point *p = &l->point[i];
        c.which[i] = i;
        c.indptr[i + 1] = c.indptr[i];
        if (p->x != 0) put(&c, i, 0, p->x);
        c.mean[i] = l->law->counts ? 0 : (real)p->mean;
        c.log_library[i] = l->law->counts ? (real)p->mean : 0;
        c.dropout[i] = (real)p->dropout;
        c.dispersion[i] = (real)p->dispersion;
    }
    return c;
}

static inline int all_finite(const cells *c)
{
    int ok = 1;
    for (int64_t b = 0; b < c->B; b++) ok &= isfinite(c->loss[b]) && isfinite(c->d_log_library[b]);
    for (int64_t i = 0; i < c->B * c->G; i++) ok &= isfinite(c->d_mean[i]) && isfinite(c->d_dropout[i]);
    for (int64_t i = 0; i < c->D * c->G; i++) ok &= isfinite(c->d_dispersion[i]);
    return ok;
}

static int near(double got, double want, double relative, double absolute, const char *what, const char *where, int i)
{
    if (fabs(got - want) <= relative * fabs(want) + absolute) return 1;
    print_error("%s, %s %d: %.17g, should be %.17g (off by %.2e)\n", what, where, i, got, want, got - want);
    return 0;
}

/* What a loop of one CPU level made of cells_golden, against the golden points. Absolute part: `rounding` in units of what goes into the
 * sum, which for counts up to `table` has a term for each. */
static int golden_agree(const iso_kernels *k, const golden_law *l, const cells *c, double table, double relative, double rounding)
{
    int ok = 1;
    for (int i = 0; i < l->n; i++) {
        const golden_point *p = &l->point[i];
        char where[64];
        snprintf(where, sizeof where, "%s %s point", k->name, l->law->name);
        double few = p->x <= table ? p->x : 0, z = l->law->counts ? 0 : fabs(p->d_dispersion);
        double size = l->law->counts ? fmin(exp(p->mean), 1) + p->x : z + fabs(p->mean);
        double mixed = l->law->has_dropout && p->x == 0;         /* the log of a sum that may lie near 1 */
        ok &= near((double)c->loss[i], -p->log_p, relative,
                   rounding * (few * (1 + fabs(p->mean)) + few + z + !l->law->counts * 8 + mixed), "loss", where, i);
        double d_mean = l->law->counts ? (double)c->d_log_library[i] : (double)c->d_mean[i];
        ok &= near(d_mean, -p->d_mean, relative, rounding * size, "d mean", where, i);
        if (l->law->has_dispersion)
            ok &= near((double)c->d_dispersion[i], -p->d_dispersion, relative, rounding * size, "d dispersion", where,
                       i);
        if (l->law->has_dropout)
            ok &= near((double)c->d_dropout[i], -p->d_dropout, relative, rounding * fmin(1, size), "d dropout", where,
                       i);
        if (l->law->counts) ok &= c->d_mean[i] == 0 || fabs((double)c->d_mean[i]) <= rounding * size;
    }
    return ok;
}

static int golden_rows(const iso_kernels *k, const golden_law *l, double relative, double rounding)
{
    cells c = cells_golden(l);
    run_with(k, &c);
    int ok = golden_agree(k, l, &c, 8, relative, rounding);
    cells_free(&c);
    return ok;
}

static inline int golden_rows_all(double relative, double rounding)
{
    int ok = 1;
    for (int k = 0; iso_kernel_table[k]; k++)
        for (int l = 0; iso_kernel_table[k]->supported() && golden[l].law; l++)
            ok &= golden_rows(iso_kernel_table[k], &golden[l], relative, rounding);
    return ok;
}
