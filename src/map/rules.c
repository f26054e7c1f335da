/* rules.c: see rules.h. */
#include "rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_RARE = 0.25, ALPHA = 0.01, LEAST_LEVEL = 0.2, QUANTILE = 0.999;

/* ------------------------------------------------------------------------------------ learning */

/* has [n, words]: a bit for each cell that has a count of candidate gene i. */
static iso_status mark_cells(const iso_csr *x, const int32_t *genes, int n, int64_t words, uint64_t **has, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *which = NULL;
    ALLOC(*has, n * words, sizeof **has);
    ALLOC(which, x->n_cols, sizeof *which);
    for (int i = 0; i < n; i++) which[genes[i]] = i + 1;
    for (int64_t c = 0; c < x->n_rows; c++)
        for (int64_t e = x->indptr[c]; e < x->indptr[c + 1]; e++)
            if (which[x->indices[e]]) (*has)[(which[x->indices[e]] - 1) * words + c / 64] |= UINT64_C(1) << c % 64;
done:
    iso_free(which);
    return st;
}

static int64_t count_both(const uint64_t *a, const uint64_t *b, int64_t words)
{
    int64_t n = 0;
    for (int64_t w = 0; w < words; w++) n += __builtin_popcountll(a[w] & b[w]);
    return n;
}

/* Chance that a binomial law of n draws of chance p gives k or fewer. */
static double binomial_tail(int64_t k, int64_t n, double p)
{
    double sum = 0, N = (double)n;
    if (p <= 0 || p >= 1) return 1;
    for (int64_t i = 0; i <= k; i++) {
        double I = (double)i;
        sum += exp(lgamma(N + 1) - lgamma(I + 1) - lgamma(N - I + 1) + I * log(p) + (N - I) * log1p(-p));
    }
    return fmin(1, sum);
}

static int by_expected(const void *a, const void *b)
{
    const iso_rule *x = a, *y = b;
    if (x->expected != y->expected) return (x->expected < y->expected) - (x->expected > y->expected);
    return x->gene[0] != y->gene[0] ? x->gene[0] - y->gene[0] : x->gene[1] - y->gene[1];
}

iso_status iso_rules_learn(iso_env *env, const iso_csr *x, const int32_t *genes, int n, int most, iso_rules *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t words = (x->n_rows + 63) / 64, cells = x->n_rows, tried = (int64_t)n * (n - 1) / 2;
    uint64_t *has = NULL;
    *out = (iso_rules){0};
    ALLOC(out->rule, tried, sizeof *out->rule);
    TRY(mark_cells(x, genes, n, words, &has, err));
    for (int i = 0; i < n; i++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        const uint64_t *a = has + i * words;
        for (int j = 0; j < i; j++) {
            const uint64_t *b = has + j * words;
            iso_rule r = {.gene = {genes[i], genes[j]}, .learned = true, .with = {count_both(a, a, words), count_both(b, b, words)}};
            r.together = count_both(a, b, words);
            r.expected = (double)r.with[0] * (double)r.with[1] / (double)cells;
            if ((double)r.together > LEAST_RARE * r.expected) continue;
            r.p = binomial_tail(r.together, cells, r.expected / (double)cells);
            if (r.p * (double)tried <= ALPHA) out->rule[out->n++] = r;
        }
    }
    qsort(out->rule, (size_t)out->n, sizeof *out->rule, by_expected);
    if (out->n > most) out->n = most;
done:
    iso_free(has);
    if (st) iso_rules_clear(out);
    return st;
}

void iso_rules_clear(iso_rules *r)
{
    iso_free(r->rule);
    *r = (iso_rules){0};
}

/* ------------------------------------------------------------------------------------- judging */

iso_status iso_rules_calibrate(iso_rules *r, const float *state, int64_t n, const float *top, int64_t G, iso_error *err)
{
    iso_status st = ISO_OK;
    double *both = NULL;
    ALLOC(both, n, sizeof *both);
    for (int i = 0; i < r->n; i++) {
        iso_rule *rule = &r->rule[i];
        double most[] = {(double)top[rule->gene[0]], (double)top[rule->gene[1]]};
        for (int64_t c = 0; c < n; c++) {
            const float *s = state + c * G;
            both[c] = most[0] > 0 && most[1] > 0 ? fmin((double)s[rule->gene[0]] / most[0], (double)s[rule->gene[1]] / most[1]) : 0;
        }
        iso_sort(both, n);
        double share = fmax(LEAST_LEVEL, n > 0 ? both[(int64_t)(QUANTILE * (double)(n - 1) + 0.5)] : 0);
        for (int k = 0; k < 2; k++) rule->level[k] = share * most[k];
    }
done:
    iso_free(both);
    return st;
}

int iso_rules_broken(const iso_rules *r, const float *state, bool learned)
{
    for (int i = 0; i < r->n; i++) {
        const iso_rule *rule = &r->rule[i];
        if (rule->learned == learned && (double)state[rule->gene[0]] > rule->level[0] && (double)state[rule->gene[1]] > rule->level[1]) return i;
    }
    return -1;
}
