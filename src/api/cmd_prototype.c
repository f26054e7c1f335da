/* cmd_prototype.c: `prototype RUN`: decode z = 0, and the mean latent position of each group. */
#include "commands.h"
#include "gene_table.h"
#include "run_folder.h"

#include <string.h>

iso_status iso_cmd_prototype(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_groups g = {0};
    float *z = NULL;
    const char **headings = NULL;
    (void)command_line;
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_run_groups(&r, iso_opt_text(o, "key"), &g, err));
    int64_t L = r.model->v.c.n_latent;
    ALLOC(z, (g.n + 1) * L, sizeof *z);                     /* the first point stays at 0 */
    ALLOC(headings, g.n + 1, sizeof *headings);
    memcpy(z + L, g.means, (size_t)(g.n * L) * sizeof *z);
    headings[0] = "origin";
    for (int32_t k = 0; k < g.n; k++) headings[k + 1] = g.names[k];
    TRY(iso_gene_table(env, r.model, z, g.n + 1, headings, o, err));
done:
    iso_free(headings);
    iso_free(z);
    iso_groups_clear(&g);
    iso_run_close(&r);
    return st;
}
