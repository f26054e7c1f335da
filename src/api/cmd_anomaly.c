/* cmd_anomaly.c: `anomaly RUN CELLS`: how far each cell lies from where the run's cells are, as a p-value, and whether a
 * mixture of the run's groups explains it. */
#include "cells_in.h"
#include "commands.h"
#include "run_place.h"
#include "strangeness.h"
#include "text_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ranked { double p; int64_t cell; } ranked;

static int by_p(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->p != y->p) return (x->p > y->p) - (x->p < y->p);
    return (x->cell > y->cell) - (x->cell < y->cell);
}

/* Benjamini & Hochberg 1995: q[i] = least over the cells at or after i in rising order of p of p n / rank. */
static iso_status false_discovery_rates(const double *p, int64_t n, double *q, iso_error *err)
{
    iso_status st = ISO_OK;
    ranked *order = NULL;
    double least = 1;
    ALLOC(order, n, sizeof *order);
    for (int64_t i = 0; i < n; i++) order[i] = (ranked){p[i], i};
    qsort(order, (size_t)n, sizeof *order, by_p);
    for (int64_t i = n - 1; i >= 0; i--) {
        least = fmin(least, order[i].p * (double)n / (double)(i + 1));
        q[order[i].cell] = least;
    }
done:
    iso_free(order);
    return st;
}

/* ------------------------------------------------------------------------------------- classes */

static const double TAIL = 0.01;

/* What is usual for a cell's depth: a straight line over log depth, and a bound on the distance from it. */
typedef struct usual { double intercept, slope, bound; } usual;

static double above(const usual *u, double depth, double y) { return y - u->intercept - u->slope * log(fmax(depth, 1)); }

/* From those of the run's n cells that have y: least squares, and the distance that a share `a` stays below. Training cells count too: a group's profile
 * is the sum of many. */
static iso_status find_usual(const double *depth, const double *y, int64_t n, double a, usual *u, iso_error *err)
{
    iso_status st = ISO_OK;
    double *rest = NULL, sx = 0, sy = 0, sxx = 0, sxy = 0;
    int64_t with = 0, at = 0;
    ALLOC(rest, n, sizeof *rest);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(y[i])) continue;
        double x = log(fmax(depth[i], 1));
        sx += x, sy += y[i], sxx += x * x, sxy += x * y[i], with++;
    }
    FAIL_IF(with == 0, ISO_EDATA, "no cell of the run has a mixture_fit");
    double spread = sxx - sx * sx / (double)with;
    *u = (usual){.slope = spread > 1e-9 ? (sxy - sx * sy / (double)with) / spread : 0};
    u->intercept = (sy - u->slope * sx) / (double)with;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(y[i])) rest[at++] = above(u, depth[i], y[i]);
    u->bound = iso_quantile(rest, with, a);
done:
    iso_free(rest);
    return st;
}

/* How the cells are explained [cells]; NULL: not to be had. */
typedef struct explained { iso_mixed *cell; usual second_usual, fit_usual; } explained;

static const double *reals_of(const iso_run_cells *r, const char *name)
{
    const iso_column *c = iso_frame_column(&r->obs, name);
    return c && c->kind == ISO_COL_REAL ? c->reals : NULL;
}

static iso_status explain(iso_env *env, const iso_run_cells *r, const iso_csr *x, explained *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_mixture m = {0};
    const double *second = reals_of(r, "mixture_weight"), *fit = reals_of(r, "mixture_fit"), *depth = reals_of(r, "mixture_depth");
    *out = (explained){0};
    TRY(iso_run_mixture(r, &m, err));
    if (m.K == 0 || !second || !fit || !depth || r->obs.n_rows == 0) goto done;
    TRY(find_usual(depth, second, r->obs.n_rows, 1 - TAIL, &out->second_usual, err));
    TRY(find_usual(depth, fit, r->obs.n_rows, TAIL, &out->fit_usual, err));
    ALLOC(out->cell, x->n_rows, sizeof *out->cell);
    TRY(iso_mixture_explain(env, &m, x, out->cell, err));
done:
    iso_mixture_clear(&m);
    return st;
}

static void print_class(FILE *f, const explained *e, int64_t i)
{
    const iso_mixed *m = &e->cell[i];
    bool strange = above(&e->fit_usual, m->depth, m->fit) < e->fit_usual.bound;
    bool mixture = above(&e->second_usual, m->depth, m->share[1]) > e->second_usual.bound;
    fprintf(f, "\t%.4f\t%.4f\t%s", m->share[1], m->fit, strange ? "never observed" : mixture ? "chimera" : "known");
}

/* --------------------------------------------------------------------------------------- the tables */

/* What is known of n cells. */
typedef struct judged {
    const iso_scored *s;
    int64_t n;
    double *log_q, *p, *fdr;
    explained mix;
    iso_strangeness strange;              /* of images */
    iso_usual usual;
} judged;

static void print_counts(FILE *f, const judged *j)
{
    fprintf(f, "cell\tlog_density\tp_value\tfdr\tmixture_weight\tmixture_fit\tclass\n");
    for (int64_t i = 0; i < j->n; i++) {
        iso_put_name(f, j->s->data->obs.index[i]);
        fprintf(f, "\t%.4f\t%.6g\t%.6g", j->log_q[i], j->p[i], j->fdr[i]);
        if (j->mix.cell) print_class(f, &j->mix, i);
        else fputs("\t\t\t", f);
        putc('\n', f);
    }
}

/* Images may be strange in three ways, and three times the least of their p-values is one for all (Bonferroni). */
static iso_status print_images(FILE *f, const judged *j, iso_error *err)
{
    iso_status st = ISO_OK;
    double *all = NULL, *fdr = NULL;
    bool known = j->usual.n > 0;
    ALLOC(all, j->n, sizeof *all);
    ALLOC(fdr, j->n, sizeof *fdr);
    for (int64_t i = 0; i < j->n; i++) {
        double least = fmin(iso_elbo_p(&j->usual, j->strange.elbo[i]), iso_unexplained_p(&j->usual, j->strange.unexplained[i]));
        all[i] = known ? fmin(1, 3 * fmin(j->p[i], least)) : j->p[i];
    }
    TRY(false_discovery_rates(all, j->n, fdr, err));
    fprintf(f, "cell\tlog_density\tp_value\telbo\telbo_p\tunexplained\tunexplained_p\tanomaly_p\tfdr\tclass\n");
    for (int64_t i = 0; i < j->n; i++) {
        iso_put_name(f, j->s->data->obs.index[i]);
        fprintf(f, "\t%.4f\t%.6g\t%.4f\t", j->log_q[i], j->p[i], j->strange.elbo[i]);
        if (known) fprintf(f, "%.6g", iso_elbo_p(&j->usual, j->strange.elbo[i]));
        fprintf(f, "\t%.5f\t", j->strange.unexplained[i]);
        if (known) fprintf(f, "%.6g", iso_unexplained_p(&j->usual, j->strange.unexplained[i]));
        fprintf(f, "\t%.6g\t%.6g\t%s\n", all[i], fdr[i], all[i] <= 5 * TAIL ? "never observed" : "known");
    }
done:
    iso_free(all);
    iso_free(fdr);
    return st;
}

iso_status iso_cmd_anomaly(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_support support = {0};
    iso_scored s = {0};
    iso_text_out t = {0};
    float *mu = NULL;
    judged j = {.s = &s};
    (void)command_line;
    TRY(iso_text_open(o, &t, err));
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_scored_open(env, o, &s, err));
    TRY(iso_run_support(env, &r, &support, err));
    int64_t n = j.n = s.data->x.n_rows, L = s.model->v.c.n_latent, low = 0;
    ALLOC(mu, n * L, sizeof *mu);
    ALLOC(j.log_q, n, sizeof *j.log_q);
    ALLOC(j.p, n, sizeof *j.p);
    ALLOC(j.fdr, n, sizeof *j.fdr);
    TRY(iso_embed(s.evaluator, NULL, n, mu, NULL, err));
    TRY(iso_density_log(env, &support.density, mu, n, NULL, j.log_q, err));
    const int32_t *batch = s.model->has_batch ? s.bound.cells.codes[0] : NULL;
    for (int64_t i = 0; i < n; i++) j.p[i] = iso_support_p(&support, batch ? batch[i] : -1, j.log_q[i]);
    for (int64_t i = 0; i < n; i++) low += j.p[i] <= 0.05;
    if (s.data->images) {
        TRY(iso_strangeness_of(env, s.model, &s.bound, s.evaluator, (uint64_t)iso_opt_int(o, "seed"), &j.strange, err));
        TRY(iso_usual_of(&r, &j.usual, err));
        TRY(print_images(t.file, &j, err));
    } else {
        TRY(false_discovery_rates(j.p, n, j.fdr, err));
        TRY(explain(env, &r, s.bound.x, &j.mix, err));
        print_counts(t.file, &j);
    }
    TRY(iso_text_commit(&t, err));
    iso_info(env, "%.1f %% of the cells lie where at most 5 %% of the reference do (%lld %s cells)", 100 * (double)low / (double)n,
             (long long)support.n[support.n_batches], support.held_out ? "held-out" : "training");
done:
    iso_text_discard(&t);
    iso_support_clear(&support);
    iso_scored_close(&s);
    iso_run_close(&r);
    iso_strangeness_clear(&j.strange);
    iso_strangeness_clear(&j.usual.sorted);
    iso_free(mu);
    iso_free(j.log_q);
    iso_free(j.p);
    iso_free(j.fdr);
    iso_free(j.mix.cell);
    return st;
}
