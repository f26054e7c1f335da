/* run_input.c: see run_input.h. */
#include "run_input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct named { const char *name; int64_t row; } named;

static int by_name(const void *a, const void *b) { return strcmp(((const named *)a)->name, ((const named *)b)->name); }

iso_status iso_run_find_rows(const iso_run_cells *r, const iso_dataset *d, int64_t *rows, iso_error *err)
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

json_t *iso_run_record(const iso_run_cells *r)
{
    char *path = iso_sprintf("%s/run.json", r->folder);
    json_t *record = path ? json_load_file(path, 0, NULL) : NULL;
    iso_free(path);
    return record;
}

iso_status iso_run_read_input(iso_env *env, const iso_run_cells *r, const iso_options *o, const char *what, const char *without,
                              iso_run_reader *read, void *arg, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *record = iso_run_record(r);
    const json_t *input = json_object_get(record, "input");
    const char *recorded = json_string_value(json_object_get(input, "path"));
    char *given = NULL;
    iso_error why;
    if (iso_opt_list_n(o, "inputs") > 1) {
        FAIL_IF(!(given = iso_opt_list_item(o, "inputs", 1)), ISO_EMEMORY, "out of memory");
        TRY(read(arg, given, NULL, err));
    } else if (!recorded || access(recorded, R_OK) != 0) {
        iso_warn(env, "%s are not at hand%s%s: %s; name their file to have both", what, recorded ? ": no file " : "", recorded ? recorded : "", without);
    } else if (read(arg, recorded, json_string_value(json_object_get(input, "sha256")), &why) != ISO_OK) {
        FAIL_IF(why.status == ISO_EINTERRUPT, ISO_EINTERRUPT, "interrupted");
        iso_warn(env, "%s; %s", why.msg, without);
    }
done:
    iso_free(given);
    json_decref(record);
    return st;
}
