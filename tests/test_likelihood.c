/* The laws: scalar references, float loops at every CPU level, samplers, extremes. */
#include "likelihood_common.h"

#include "kernel/isa/vmath.h"

static iso_lik_point point_of(const golden_law *l, const golden_point *p)
{
    return (iso_lik_point){l->law->counts ? exp(p->mean) : p->mean, exp(p->dispersion), p->dropout};
}

static void reference_is_golden(void **state)
{
    (void)state;
    int ok = 1;
    for (const golden_law *l = golden; l->law; l++)
        for (int i = 0; i < l->n; i++)
            ok &= near(l->law->log_p(l->point[i].x, point_of(l, &l->point[i])), l->point[i].log_p, 1e-12, 1e-14,
                       "log p", l->law->name, i);
    assert_true(ok);
}

static void rows_are_golden(void **state)
{
    (void)state;
    assert_true(golden_rows_all(2e-6, 3e-7));
}

/* Largest errors as vmath.h states them, over floats spread through the range. */
static void polynomials(void **state)
{
    (void)state;
    enum { N = 200000 };
    static float x[N], e[N], l[N], y[N];
    double worst[7] = {0};
    for (int i = 0; i < N; i++) {
        x[i] = (float)(-87 + 175.0 * i / N);
        y[i] = (float)(i % 4 ? exp(-80 + 160.0 * i / N) : 0.25 + 2.0 * i / N);
    }
    for (int k = 0; iso_kernel_table[k]; k++) {
        if (!iso_kernel_table[k]->supported()) continue;
        iso_kernel_table[k]->vexp(x, e, N);
        iso_kernel_table[k]->vlog(y, l, N);
        for (int i = 0; i < N; i++) {
            double want = log((double)y[i]);
            worst[0] = fmax(worst[0], fabs((double)e[i] / exp((double)x[i]) - 1));
            worst[1] = fmax(worst[1], fabs((double)l[i] - want) / fmax(fabs(want), 0.25));
        }
        float odd[4] = {-1e4f, 1e4f, NAN, 0}, out[4];
        iso_kernel_table[k]->vexp(odd, out, 4);
        assert_true(out[0] == 0 && out[1] > 1e38f && isfinite(out[1]) && isnan(out[2]) && out[3] == 1);
        iso_kernel_table[k]->vlog(odd + 2, out, 1);
        assert_true(isnan(out[0]));
    }
    for (int i = 0; i < N; i++) {
        double r = (double)y[i], excess = log1p(r) - r / (1 + r);
        if (r < 1e-3) excess = r * r * (0.5 - r * (2. / 3 - r * (3. / 4 - r * 0.8)));
        log1p_terms t = log1p_split(y[i]);
        worst[2] = fmax(worst[2], fabs((double)t.log1p / log1p(r) - 1));
        worst[3] = fmax(worst[3], fabs((double)t.inverse * (1 + r) - 1));
        if (r > 1e-18) worst[4] = fmax(worst[4], fabs((double)t.excess / excess - 1));
        expm1_terms m = expm1_split(y[i]);
        if (r < 86) worst[5] = fmax(worst[5], fabs((double)m.exp / exp(-r) - 1));
        worst[6] = fmax(worst[6], fabs((double)m.one_minus / -expm1(-r) - 1));
    }
    print_message("largest errors: exp %.1e log %.1e; log1p %.1e %.1e %.1e; expm1 %.1e %.1e\n", worst[0], worst[1],
                  worst[2], worst[3], worst[4], worst[5], worst[6]);
    static const double stated[] = {1.5e-7, 1.5e-7, 2.5e-7, 1.5e-7, 1.5e-6, 1.5e-7, 1.5e-7};
    for (int i = 0; i < 7; i++) assert_true(worst[i] < stated[i]);
}

static void stirling_terms(void **state)
{
    (void)state;
    for (double z = 1e-9; z < 1e9; z *= 1.37) {
        stirling s = stirling_at(z);
        double want = iso_stirling_error(z), h = 1e-4 * z;
        assert_true(near(s.correction, want, 1e-13, 2e-14 * fmax(1, fabs(log(z))), "correction", "z", (int)log(z)));
        /* psi(z) - log z = derivative of the correction - 1 / (2 z) */
        double slope = (iso_stirling_error(z - 2 * h) - 8 * iso_stirling_error(z - h) + 8 * iso_stirling_error(z + h) -
                        iso_stirling_error(z + 2 * h)) / (12 * h);
        assert_true(near(s.digamma_less_log, slope - 0.5 / z, 1e-9, 1e-9, "digamma", "z", (int)log(z)));
    }
}

/* ------------------------------------------------------------------------ whole cells, against the scalar reference */

static double log_p_at(const cells *c, double x, double h, double d, double pi)
{
    if (c->law->log1p_data) x = log1p(x);                    /* x comes scaled */
    return c->law->log_p(x, (iso_lik_point){c->law->counts ? exp(h) : h, exp(d), pi});
}

/* Loss and gradients of cell b by the scalar reference in double and central differences. d_dispersion is added. */
static double cell_reference(const cells *c, int64_t b, double *d_mean, double *d_dropout, double *d_dispersion,
                             double *d_log_library)
{
    const double step = 1e-4;
    const real *h = c->mean + b * c->G, *pi = c->dropout + b * c->G,
               *t = c->dispersion + (c->D > 1 ? c->which[b] : 0) * c->G;
    double loss = 0, sum = 0, norm = 0, top = -HUGE_VAL, l = (double)c->log_library[b];
    double *x = memory(c->G, sizeof *x);
    for (int64_t j = c->indptr[b]; j < c->indptr[b + 1]; j++) x[c->indices[j]] = (double)c->values[j];
    for (int64_t g = 0; g < c->G; g++) top = fmax(top, (double)h[g]);
    for (int64_t g = 0; g < c->G; g++) norm += exp((double)h[g] - top);
    for (int64_t g = 0; g < c->G; g++) {
        double m = (double)h[g], d = (double)t[g], p = (double)pi[g];
        if (c->law->counts) m += l - top - log(norm);
        if (c->law->log1p_data) x[g] *= 1e4 / exp(l);
        loss -= log_p_at(c, x[g], m, d, p);
        d_mean[g] = -(log_p_at(c, x[g], m + step, d, p) - log_p_at(c, x[g], m - step, d, p)) / (2 * step);
        d_dispersion[g] -= (log_p_at(c, x[g], m, d + step, p) - log_p_at(c, x[g], m, d - step, p)) / (2 * step);
        d_dropout[g] = -(log_p_at(c, x[g], m, d, p + step) - log_p_at(c, x[g], m, d, p - step)) / (2 * step);
        sum += d_mean[g];
    }
    for (int64_t g = 0; c->law->counts && g < c->G; g++) d_mean[g] -= sum * exp((double)h[g] - top) / norm;
    *d_log_library = c->law->counts ? sum : 0;
    iso_free(x);
    return loss;
}

static int cells_agree(const iso_kernels *k, const iso_likelihood *law, int64_t B, int64_t G, int64_t D)
{
    int ok = 1;
    char where[64];
    snprintf(where, sizeof where, "%s %s", k->name, law->name);
    cells c = cells_random(law, B, G, D);
    double *d_mean = memory(G, sizeof(double)), *d_dropout = memory(G, sizeof(double)), d_log_library;
    double *d_dispersion = memory(D * G, sizeof(double));
    run_with(k, &c);
    for (int64_t b = 0; b < B; b++) {
        double loss = cell_reference(&c, b, d_mean, d_dropout, d_dispersion + (D > 1 ? c.which[b] : 0) * G,
                                     &d_log_library);
        double size = exp((double)c.log_library[b]);
        ok &= near((double)c.loss[b], loss, 1e-6, 0, "loss", where, (int)b);
        ok &= near((double)c.d_log_library[b], d_log_library, 2e-6, 2e-7 * size, "d log library", where, (int)b);
        for (int64_t g = 0; g < G; g++) {
            ok &= near((double)c.d_mean[b * G + g], d_mean[g], 1e-5, 1e-5, "d mean", where, (int)g);
            if (law->has_dropout)
                ok &= near((double)c.d_dropout[b * G + g], d_dropout[g], 2e-6, 2e-7, "d dropout", where, (int)g);
        }
    }
    for (int64_t i = 0; law->has_dispersion && i < D * G; i++)
        ok &= near((double)c.d_dispersion[i], d_dispersion[i], 1e-5, 1e-5, "d dispersion", where, (int)i);
    iso_free(d_mean), iso_free(d_dropout), iso_free(d_dispersion);
    cells_free(&c);
    return ok;
}

static void cells_are_the_reference(void **state)
{
    (void)state;
    int ok = 1;
    for (int k = 0; iso_kernel_table[k]; k++)
        for (int i = 0; iso_kernel_table[k]->supported() && iso_likelihoods[i] && iso_likelihoods[i]->rows; i++) {
            ok &= cells_agree(iso_kernel_table[k], iso_likelihoods[i], 3, 1037, 1);
            ok &= cells_agree(iso_kernel_table[k], iso_likelihoods[i], 5, 67, 2);
        }
    assert_true(ok);
}

/* In place, values only, cut into several calls: the same bits. */
static void same_bits(void **state)
{
    (void)state;
    for (int i = 0; iso_likelihoods[i] && iso_likelihoods[i]->rows; i++) {
        cells c = cells_random(iso_likelihoods[i], 7, 531, 3), v = cells_random(iso_likelihoods[i], 7, 531, 3);
        size_t matrix = (size_t)(c.B * c.G) * sizeof(real), column = (size_t)c.B * sizeof(real);
        run(&c);
        v.a.d_mean = v.a.d_dropout = v.a.d_dispersion = v.a.d_log_library = NULL;
        run(&v);
        assert_memory_equal(v.loss, c.loss, column);
        v.a.d_mean = v.mean;                                    /* in place */
        v.a.d_dropout = v.dropout;
        v.a.d_dispersion = v.d_dispersion;
        for (int64_t b = 0; b < v.B; b++) v.law->rows(iso_kernels_best())(&v.a, b, b + 1);
        assert_memory_equal(v.loss, c.loss, column);
        assert_memory_equal(v.mean, c.d_mean, matrix);
        if (v.law->has_dropout) assert_memory_equal(v.dropout, c.d_dropout, matrix);
        for (int64_t j = 0; v.law->has_dispersion && j < v.D * v.G; j++)
            assert_true(near((double)v.d_dispersion[j], (double)c.d_dispersion[j], 1e-6, 1e-5, "in parts", v.law->name,
                             (int)j));
        cells_free(&c);
        cells_free(&v);
    }
}

/* ------------------------------------------------------------------------------------------ the laws are laws */

static const iso_lik_point points[] = {{0.02, 0.7, -1}, {1.3, 0.2, 0.5}, {4, 1e7, -3}, {30, 5, -40}, {2.5, 1e-9, 3}};

static void mass_is_one(void **state)
{
    (void)state;
    for (int i = 0; iso_likelihoods[i] && iso_likelihoods[i]->rows; i++) {
        for (int k = 0; k < 4; k++) {
            const iso_likelihood *law = iso_likelihoods[i];
            double mass = 0, mean = 0, square = 0, step = law->counts ? 1 : sqrt(law->variance(points[k])) / 50;
            double from = law->counts ? 0 : points[k].mean - 600 * step;
            for (int j = 0; j < (law->counts ? 4000 : 1201); j++) {
                double x = from + j * step, p = exp(law->log_p(x, points[k])) * step;
                mass += p, mean += p * x, square += p * x * x;
            }
            assert_true(near(mass, 1, 0, 1e-9, "mass", law->name, k));
            assert_true(near(mean, law->mean(points[k]), 1e-8, 1e-9, "mean", law->name, k));
            assert_true(near(square - mean * mean, law->variance(points[k]), 1e-7, 0, "variance", law->name, k));
        }
    }
}

static void samples_follow(void **state)
{
    (void)state;
    enum { N = 20000 };
    static double x[N];
    for (int i = 0; iso_likelihoods[i] && iso_likelihoods[i]->rows; i++)
        for (int k = 0; k < 5; k++) {
            const iso_likelihood *law = iso_likelihoods[i];
            double m = law->mean(points[k]), v = law->variance(points[k]), mean = 0, var = 0, fourth = 0, zeros = 0;
            for (int j = 0; j < N; j++) {
                iso_rng r = iso_rng_start((iso_rng_key){.seed = 5, .stream = ISO_STREAM_TEST, .epoch = (uint32_t)k},
                                          (uint64_t)j);
                x[j] = law->sample(&r, points[k]);
                mean += x[j] / N, zeros += x[j] == 0;
            }
            for (int j = 0; j < N; j++) var += pow(x[j] - m, 2) / N, fourth += pow(x[j] - m, 4) / N;
            if (law->counts) {
                double p0 = exp(law->log_p(0, points[k]));
                assert_true(near(zeros / N, p0, 0, 5 * sqrt(p0 * (1 - p0) / N) + 1e-12, "zeros", law->name, k));
                if (law->has_dispersion && points[k].dispersion < 1e-3) continue;      /* one draw in 1e9 is not 0 */
            }
            assert_true(near(mean, m, 0, 5 * sqrt(v / N), "sample mean", law->name, k));
            assert_true(near(var, v, 0, 5 * sqrt((fourth - var * var) / N), "sample variance", law->name, k));
        }
}

/* -------------------------------------------------------------------------------------------------- extremes */

static void extremes_stay_finite(void **state)
{
    (void)state;
    static const double logits[] = {-1e4, -90, -88, -87, -50, 0, 50, 88, 1e4}, x[] = {0, 1, 2, 8, 9, 0.5, 1e-3, 2e6};
    static const double libraries[] = {-HUGE_VAL, -30, 0, 14.5, 60}, dispersions[] = {-1e4, -20, -7, 0, 7, 20, 1e4};
    enum { H = 9, X = 8, L = 5, T = 7 };
    for (int k = 0; iso_kernel_table[k]; k++)
        for (int i = 0; iso_kernel_table[k]->supported() && iso_likelihoods[i] && iso_likelihoods[i]->rows; i++)
            for (int sign = 0; sign < 2; sign++) {
                cells c = cells_new(iso_likelihoods[i], L * T, H * X, L * T);
                for (int b = 0; b < L * T; b++) {
                    c.log_library[b] = (real)libraries[b / T];
                    if (!c.law->counts && b / T == 0) c.log_library[b] = 0;
                    c.indptr[b + 1] = c.indptr[b];
                    c.which[b] = b;
                    for (int g = 0; g < H * X; g++) {
                        if (b % 5 > 0) put(&c, b, g, x[g % X]);                      /* every fifth cell is empty */
                        c.mean[b * H * X + g] = (real)(sign ? logits[g / X] : -logits[g / X] / 200);
                        c.dropout[b * H * X + g] = (real)logits[(g + b) % H];
                        c.dispersion[b * H * X + g] = (real)dispersions[b % T];
                    }
                }
                run_with(iso_kernel_table[k], &c);
                assert_true(all_finite(&c));
                c.mean[3] = (real)NAN;                                               /* but damage shows */
                run_with(iso_kernel_table[k], &c);
                assert_true(isnan(c.loss[0]) && !isnan(c.loss[1]));
                cells_free(&c);
            }
}

/* Beyond its range the dispersion counts as the range's end, and its gradient only leads back. */
static void dispersion_is_held(void **state)
{
    (void)state;
    for (int i = 0; iso_likelihoods[i] && iso_likelihoods[i]->rows; i++) {
        const iso_likelihood *law = iso_likelihoods[i];
        if (!law->has_dispersion) continue;
        const double end = law->counts ? 20 : 7;
        for (int side = -1; side <= 1; side += 2) {
            int back = 0, stuck = 0;
            cells out = cells_random(law, 4, 50, 1), at = cells_random(law, 4, 50, 1);
            for (int64_t g = 0; g < out.G; g++)
                out.dispersion[g] = (real)(side * 30), at.dispersion[g] = (real)(side * end);
            run(&out), run(&at);
            assert_memory_equal(out.loss, at.loss, (size_t)out.B * sizeof(real));
            assert_memory_equal(out.d_mean, at.d_mean, (size_t)(out.B * out.G) * sizeof(real));
            for (int64_t g = 0; g < out.G; g++) {
                bool leads_back = (side > 0) == (at.d_dispersion[g] > 0);
                assert_true(out.d_dispersion[g] == (leads_back ? at.d_dispersion[g] : 0));
                leads_back ? back++ : stuck++;
            }
            assert_true(back + stuck == 50 && back > 0);
            cells_free(&out), cells_free(&at);
        }
    }
}

static void names(void **state)
{
    (void)state;
    const iso_likelihood *law;
    iso_error err;
    for (int i = 0; iso_likelihoods[i] && iso_likelihoods[i]->rows; i++) {
        assert_int_equal(iso_likelihood_find(iso_likelihoods[i]->name, &law, &err), ISO_OK);
        assert_ptr_equal(law, iso_likelihoods[i]);
    }
    assert_int_equal(iso_likelihood_find("zimb", &law, &err), ISO_EUSAGE);
    assert_null(law);
    for (int i = 0; iso_likelihoods[i]; i++) assert_non_null(strstr(err.msg, iso_likelihoods[i]->name));
    assert_non_null(strstr(err.msg, "did you mean 'zinb'"));
    assert_int_equal(iso_likelihood_find(NULL, &law, NULL), ISO_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_is_golden), cmocka_unit_test(rows_are_golden), cmocka_unit_test(polynomials),
        cmocka_unit_test(stirling_terms), cmocka_unit_test(cells_are_the_reference), cmocka_unit_test(same_bits),
        cmocka_unit_test(mass_is_one), cmocka_unit_test(samples_follow), cmocka_unit_test(extremes_stay_finite),
        cmocka_unit_test(dispersion_is_held), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
