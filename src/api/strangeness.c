/* strangeness.c: see strangeness.h. */
#include "strangeness.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 256 };

/* Shares of images first .. of the pictures, decoded [.., P]. */
typedef struct shares { const iso_pictures *pictures; const float *decoded; int64_t first, P; double *out; bool lost; } shares;

static double share_of(const real *x, const float *decoded, int64_t pixels, int64_t channels)
{
    double error = 0, spread = 0;
    for (int64_t c = 0; c < channels; c++) {
        double mean = 0;
        for (int64_t i = c; i < pixels * channels; i += channels) mean += (double)x[i] / (double)pixels;
        for (int64_t i = c; i < pixels * channels; i += channels) {
            double e = (double)x[i] - (double)decoded[i], d = (double)x[i] - mean;
            error += e * e, spread += d * d;
        }
    }
    return spread > 0 ? error / spread : 1;
}

static void one_share(void *arg, int64_t i)
{
    shares *s = arg;
    real *x = iso_calloc(s->P, sizeof *x);
    if (!x) {
        s->lost = true;
        return;
    }
    iso_picture(s->pictures, s->first + i, 0, x);
    s->out[s->first + i] = share_of(x, s->decoded + i * s->P, s->P / s->pictures->channels, s->pictures->channels);
    iso_free(x);
}

iso_status iso_strangeness_of(iso_env *env, iso_model *m, const iso_bound *b, iso_evaluator *e, uint64_t seed, iso_strangeness *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = b->x->n_rows, L = m->v.c.n_latent;
    shares s = {.pictures = &b->pictures, .P = m->v.c.n_genes};
    float *decoded = NULL, *mu = NULL;
    *out = (iso_strangeness){0};
    ALLOC(out->elbo, n, sizeof *out->elbo);
    ALLOC(out->unexplained, n, sizeof *out->unexplained);
    ALLOC(decoded, AT_ONCE * s.P, sizeof *decoded);
    ALLOC(mu, n * L, sizeof *mu);
    s.decoded = decoded, s.out = out->unexplained;
    TRY(iso_evaluate(e, NULL, n, 1, 0, seed, &(iso_cell_scores){.elbo = out->elbo, .mu = mu}, err));
    for (int64_t k; s.first < n; s.first += k) {
        const int32_t *codes[ISO_MAX_COVARIATES] = {0};
        k = n - s.first < AT_ONCE ? n - s.first : AT_ONCE;
        for (int c = 0; c < m->v.c.n_categorical; c++) codes[c] = b->codes[c] + s.first;
        TRY(iso_decode(env, &m->v, mu + s.first * L, k, m->v.c.n_categorical ? codes : NULL, decoded, NULL, NULL, err));
        iso_parallel(env, k, one_share, &s);
        FAIL_IF(s.lost, ISO_EMEMORY, "out of memory");
    }
done:
    iso_free(decoded);
    iso_free(mu);
    if (st) iso_strangeness_clear(out);
    return st;
}

void iso_strangeness_clear(iso_strangeness *s)
{
    iso_free(s->elbo);
    iso_free(s->unexplained);
    *s = (iso_strangeness){0};
}

/* --------------------------------------------------------------------------------------- the usual ones */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static iso_status take_sorted(const iso_run_cells *r, const double *values, bool held_out, int64_t n, double **out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t at = 0;
    ALLOC(*out, n, sizeof **out);
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        if (!(held_out && r->is_train[i])) (*out)[at++] = values[i];
    qsort(*out, (size_t)n, sizeof **out, by_value);
done:
    return st;
}

iso_status iso_usual_of(const iso_run_cells *r, iso_usual *u, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *elbo = iso_frame_column(&r->obs, "elbo"), *share = iso_frame_column(&r->obs, "unexplained");
    int64_t n = r->obs.n_rows, held_out = 0;
    *u = (iso_usual){0};
    if (!elbo || !share || elbo->kind != ISO_COL_REAL || share->kind != ISO_COL_REAL) goto done;
    for (int64_t i = 0; i < n; i++) held_out += !r->is_train[i];
    u->n = held_out ? held_out : n;
    TRY(take_sorted(r, elbo->reals, held_out > 0, u->n, &u->sorted.elbo, err));
    TRY(take_sorted(r, share->reals, held_out > 0, u->n, &u->sorted.unexplained, err));
done:
    if (st) iso_strangeness_clear(&u->sorted);
    return st;
}

/* How many of the sorted values lie below x, or not above it. */
static int64_t count(const double *sorted, int64_t n, double x, bool with_equal)
{
    int64_t low = 0;
    while (low < n) {
        int64_t mid = low + (n - low) / 2;
        if (sorted[mid] < x || (with_equal && sorted[mid] == x)) low = mid + 1;
        else n = mid;
    }
    return low;
}

double iso_elbo_p(const iso_usual *u, double elbo) { return (double)(count(u->sorted.elbo, u->n, elbo, true) + 1) / (double)(u->n + 1); }

double iso_unexplained_p(const iso_usual *u, double unexplained)
{
    return (double)(u->n - count(u->sorted.unexplained, u->n, unexplained, false) + 1) / (double)(u->n + 1);
}
