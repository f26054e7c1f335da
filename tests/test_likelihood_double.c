/* The laws in double: golden values to full precision, every gradient against central differences. */
#include "likelihood_common.h"

static void golden_values(void **state)
{
    (void)state;
    assert_true(golden_rows_all(1e-10, 1e-14));
}

static double total(cells *c)
{
    iso_lik_args a = c->a;
    double sum = 0;
    c->a.d_mean = NULL;
    c->law->rows(iso_kernels_best())(&c->a, 0, c->B);
    for (int64_t b = 0; b < c->B; b++) sum += (double)c->loss[b];
    c->a = a;
    return sum;
}

/* Signed differences: 4-point, error of order h^4; and rounding of the total, divided by h. */
static int gradient_agrees(cells *c, real *x, const real *d, int64_t n, const char *what)
{
    int ok = 1;
    const double h = 1e-3, rounding = 1e-12 * fabs(total(c));
    for (int64_t i = 0; i < n; i++) {
        const real at = x[i];
        double f[4];
        for (int s = 0; s < 4; s++) {
            static const double step[] = {-2, -1, 1, 2};
            x[i] = at + (real)(h * step[s]);
            f[s] = total(c);
        }
        x[i] = at;
        double difference = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
        ok &= near((double)d[i], difference, 1e-7, 1e-8 + rounding, what, c->law->name, (int)i);
    }
    return ok;
}

static int gradients_of(const iso_likelihood *law, int64_t B, int64_t G, int64_t D)
{
    cells c = cells_random(law, B, G, D);
    run(&c);
    int ok = gradient_agrees(&c, c.mean, c.d_mean, B * G, "mean");
    if (law->has_dropout) ok &= gradient_agrees(&c, c.dropout, c.d_dropout, B * G, "dropout");
    if (law->has_dispersion) ok &= gradient_agrees(&c, c.dispersion, c.d_dispersion, D * G, "dispersion");
    if (law->counts) ok &= gradient_agrees(&c, c.log_library, c.d_log_library, B, "log library");
    for (int64_t b = 0; !law->counts && b < B; b++) ok &= c.d_log_library[b] == 0;
    cells_free(&c);
    return ok;
}

static void gradients(void **state)
{
    (void)state;
    int ok = 1;
    for (int i = 0; iso_likelihoods[i] && iso_likelihoods[i]->rows; i++) {
        ok &= gradients_of(iso_likelihoods[i], 5, 37, 1);      /* one row of dispersion */
        ok &= gradients_of(iso_likelihoods[i], 6, 13, 3);      /* a row a category */
        ok &= gradients_of(iso_likelihoods[i], 4, 9, 4);       /* a row a cell */
        ok &= gradients_of(iso_likelihoods[i], 2, 600, 1);     /* more than one block of genes, and of counts */
        ok &= gradients_of(iso_likelihoods[i], 3, 1, 1);
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_values), cmocka_unit_test(gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
