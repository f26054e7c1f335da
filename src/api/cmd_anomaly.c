/* cmd_anomaly.c: `anomaly RUN CELLS`: how far each cell lies from where the run's cells are, as a p-value. */
#include "cells_in.h"
#include "commands.h"
#include "support.h"
#include "text_out.h"

#include <math.h>
#include <stdlib.h>

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

iso_status iso_cmd_anomaly(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_support support = {0};
    iso_scored s = {0};
    iso_text_out t = {0};
    float *mu = NULL;
    double *log_q = NULL, *p = NULL, *q = NULL;
    (void)command_line;
    TRY(iso_text_open(o, &t, err));
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_scored_open(env, o, &s, err));
    TRY(iso_support_new(env, &r, &support, err));
    int64_t n = s.data->x.n_rows, L = s.model->v.c.n_latent, low = 0;
    ALLOC(mu, n * L, sizeof *mu);
    ALLOC(log_q, n, sizeof *log_q);
    ALLOC(p, n, sizeof *p);
    ALLOC(q, n, sizeof *q);
    TRY(iso_evaluate(s.evaluator, NULL, n, 0, 0, 0, &(iso_cell_scores){.mu = mu}, err));
    TRY(iso_density_log(env, &support.density, mu, n, NULL, log_q, err));
    const int32_t *batch = s.model->has_batch ? s.bound.cells.codes[0] : NULL;
    for (int64_t i = 0; i < n; i++) p[i] = iso_support_p(&support, batch ? batch[i] : -1, log_q[i]);
    TRY(false_discovery_rates(p, n, q, err));
    fprintf(t.file, "cell\tlog_density\tp_value\tfdr\n");
    for (int64_t i = 0; i < n; i++) {
        iso_put_name(t.file, s.data->obs.index[i]);
        fprintf(t.file, "\t%.4f\t%.6g\t%.6g\n", log_q[i], p[i], q[i]);
        low += p[i] <= 0.05;
    }
    TRY(iso_text_commit(&t, err));
    iso_info(env, "%.1f %% of the cells lie where at most 5 %% of the reference do (%lld %s cells)", 100 * (double)low / (double)n,
             (long long)support.n[support.n_batches], support.held_out ? "held-out" : "training");
done:
    iso_text_discard(&t);
    iso_support_clear(&support);
    iso_scored_close(&s);
    iso_run_close(&r);
    iso_free(mu);
    iso_free(log_q);
    iso_free(p);
    iso_free(q);
    return st;
}
