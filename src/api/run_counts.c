/* run_counts.c: see run_counts.h. */
#include "run_counts.h"

#include "cells_in.h"
#include "io/csr.h"

typedef struct job { iso_env *env; const iso_run_cells *r; const char *layer; iso_csr *out; } job;

static iso_status read_counts(void *arg, const char *path, const char *sha256, iso_error *err)
{
    iso_status st = ISO_OK;
    const job *w = arg;
    const iso_run_cells *r = w->r;
    iso_dataset *d = NULL;
    iso_bound bound = {0};
    int64_t *rows = NULL;
    uint8_t *keep = NULL;
    (void)sha256;                                            /* names of cells and genes tell well enough */
    TRY(iso_dataset_open(w->env, path, w->layer, &d, err));
    ALLOC(rows, r->obs.n_rows, sizeof *rows);
    ALLOC(keep, d->x.n_rows, sizeof *keep);
    TRY(iso_run_find_rows(r, d, rows, err));
    for (int64_t i = 0; i < r->obs.n_rows; i++) keep[rows[i]] = 1;
    TRY(iso_dataset_keep(d, keep, err));                     /* cells that the run left out may not bind: empty ones */
    TRY(iso_run_find_rows(r, d, rows, err));
    TRY(iso_bind(w->env, r->model, d, &bound, err));
    TRY(csr_take_rows(bound.x, rows, r->obs.n_rows, w->out, err));
done:
    iso_bound_clear(&bound);
    iso_dataset_free(d);
    iso_free(rows);
    iso_free(keep);
    return st;
}

iso_status iso_run_counts(iso_env *env, const iso_run_cells *r, const iso_options *o, const char *without, iso_csr *out, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *record = iso_run_record(r);
    const iso_likelihood *law = r->model->v.c.likelihood;
    job w = {env, r, iso_opt_text(o, "layer"), out};
    *out = (iso_csr){0};
    if (!w.layer) w.layer = json_string_value(json_object_get(json_object_get(record, "options"), "layer"));
    if (!law->counts && !law->log1p_data) goto done;
    TRY(iso_run_read_input(env, r, o, "the cells' counts", without, read_counts, &w, err));
done:
    json_decref(record);
    return st;
}
