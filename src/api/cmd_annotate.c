/* cmd_annotate.c: `annotate CELLS SELECTIONS`: names given to cells on the page come back into their file. */
#include "commands.h"
#include "selections.h"
#include "text_out.h"

#include <sys/stat.h>

/* Through whatever links and names. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static void tell(iso_env *env, const char *path, const iso_column *c, int64_t n)
{
    int64_t named = 0;
    for (int64_t i = 0; i < n; i++) named += c->codes[i] >= 0;
    iso_info(env, "wrote %s: obs column \"%s\" has %d categor%s for %lld of %lld cells", path, c->name, (int)c->n_categories,
             c->n_categories == 1 ? "y" : "ies", (long long)named, (long long)n);
}

iso_status iso_cmd_annotate(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_frame obs = {0};
    iso_column column = {0};
    char *cells = iso_opt_list_item(o, "inputs", 0), *table = iso_opt_list_item(o, "inputs", 1);
    const char *path;
    (void)command_line;
    FAIL_IF(!cells || !table, ISO_EMEMORY, "out of memory");
    TRY(iso_output_path(o, "annotated.h5ad", &path, err));
    FAIL_IF(is_same_file(cells, path), ISO_EUSAGE, "%s: would be written over itself; choose another --output", cells);
    TRY(iso_h5ad_read_obs(env, cells, &obs, err));
    TRY(iso_selections_read(table, cells, &obs, iso_opt_text(o, "column"), &column, err));
    TRY(iso_h5ad_add_column(env, cells, path, &column, obs.n_rows, err));
    tell(env, path, &column, obs.n_rows);
done:
    iso_column_clear(&column, obs.n_rows);
    iso_frame_clear(&obs);
    iso_free(cells);
    iso_free(table);
    return st;
}
