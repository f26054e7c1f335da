/* run_counts.c: see run_counts.h. */
#include "run_counts.h"

#include "cells_in.h"
#include "io/csr.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct named { const char *name; int64_t row; } named;

static int by_name(const void *a, const void *b) { return strcmp(((const named *)a)->name, ((const named *)b)->name); }

/* The row of d of each of the run's cells; ISO_EDATA if one is missing. */
static iso_status find_rows(const iso_run_cells *r, const iso_dataset *d, int64_t *rows, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = d->obs.n_rows;
    named *list = NULL;
    ALLOC(list, n, sizeof *list);
    for (int64_t i = 0; i < n; i++) list[i] = (named){d->obs.index[i], i};
    qsort(list, (size_t)n, sizeof *list, by_name);
    for (int64_t i = 0; i < r->obs.n_rows; i++) {
        if (i < n && strcmp(d->obs.index[i], r->obs.index[i]) == 0) {          /* in the run's own order, as a rule */
            rows[i] = i;
            continue;
        }
        named key = {r->obs.index[i], 0}, *found = bsearch(&key, list, (size_t)n, sizeof *list, by_name);
        FAIL_IF(!found, ISO_EDATA, "%s lacks cell \"%s\" of the run; give the cells that it was made of", d->path, key.name);
        rows[i] = found->row;
    }
done:
    iso_free(list);
    return st;
}

static iso_status read_from(iso_env *env, const iso_run_cells *r, const char *path, const char *layer, iso_csr *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    iso_bound bound = {0};
    int64_t *rows = NULL;
    uint8_t *keep = NULL;
    TRY(iso_dataset_open(env, path, layer, &d, err));
    ALLOC(rows, r->obs.n_rows, sizeof *rows);
    ALLOC(keep, d->x.n_rows, sizeof *keep);
    TRY(find_rows(r, d, rows, err));
    for (int64_t i = 0; i < r->obs.n_rows; i++) keep[rows[i]] = 1;
    TRY(iso_dataset_keep(d, keep, err));                     /* cells that the run left out may not bind: empty ones */
    TRY(find_rows(r, d, rows, err));
    TRY(iso_bind(env, r->model, d, &bound, err));
    TRY(csr_take_rows(bound.x, rows, r->obs.n_rows, out, err));
done:
    iso_bound_clear(&bound);
    iso_dataset_free(d);
    iso_free(rows);
    iso_free(keep);
    return st;
}

json_t *iso_run_record(const iso_run_cells *r)
{
    char *path = iso_sprintf("%s/run.json", r->folder);
    json_t *record = path ? json_load_file(path, 0, NULL) : NULL;
    iso_free(path);
    return record;
}

iso_status iso_run_counts(iso_env *env, const iso_run_cells *r, const iso_options *o, const char *without, iso_csr *out, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *record = iso_run_record(r);
    const json_t *input = json_object_get(record, "input"), *options = json_object_get(record, "options");
    const char *recorded = json_string_value(json_object_get(input, "path")), *layer = iso_opt_text(o, "layer");
    const iso_likelihood *law = r->model->v.c.likelihood;
    char *given = NULL;
    iso_error why;
    *out = (iso_csr){0};
    if (!layer) layer = json_string_value(json_object_get(options, "layer"));
    if (!law->counts && !law->log1p_data) goto done;
    if (iso_opt_list_n(o, "inputs") > 1) {
        FAIL_IF(!(given = iso_opt_list_item(o, "inputs", 1)), ISO_EMEMORY, "out of memory");
        TRY(read_from(env, r, given, layer, out, err));
    } else if (!recorded || access(recorded, R_OK) != 0) {
        iso_warn(env, "the cells' counts are not at hand%s%s: %s; name their file to have both", recorded ? ": no file " : "",
                 recorded ? recorded : "", without);
    } else if (read_from(env, r, recorded, layer, out, &why) != ISO_OK) {
        FAIL_IF(why.status == ISO_EINTERRUPT, ISO_EINTERRUPT, "interrupted");
        iso_warn(env, "%s; %s", why.msg, without);
    }
done:
    iso_free(given);
    json_decref(record);
    return st;
}
