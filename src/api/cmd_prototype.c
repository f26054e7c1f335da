/* cmd_prototype.c: `prototype RUN`: the typical cell of each group, decoded: the peak of its density; beside it z = 0, which is
 * said to be what it is. */
#include "commands.h"
#include "gene_table.h"
#include "picture_out.h"
#include "run_place.h"

#include <string.h>

/* One line for each column: what z = 0 is, and the real cell that is nearest to each prototype. */
static iso_status tell(iso_env *env, const iso_run_cells *r, const iso_options *o, const iso_groups *g, const float *z, const int64_t *nearest,
                       iso_error *err)
{
    iso_status st = ISO_OK;
    iso_judge j = {0};
    iso_place *places = NULL;
    ALLOC(places, g->n + 1, sizeof *places);
    TRY(iso_run_judge(env, r, o, &j, err));
    TRY(iso_run_judge_places(env, r, &j, z, g->n + 1, places, err));
    iso_info(env, "origin (z = 0): the average of all cells, not a cell; %s (p = %.3g)", iso_place_names[places[0].is], places[0].p_value);
    for (int32_t k = 0; k < g->n; k++)
        if (nearest[k] >= 0)
            iso_info(env, "%s: nearest cell %s; %s (p = %.3g)", g->names[k], r->obs.index[nearest[k]], iso_place_names[places[k + 1].is],
                     places[k + 1].p_value);
done:
    iso_free(places);
    iso_judge_clear(&j);
    return st;
}

iso_status iso_cmd_prototype(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_groups g = {0};
    float *z = NULL;
    int64_t *nearest = NULL;
    const char **headings = NULL;
    (void)command_line;
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_run_groups(&r, iso_opt_text(o, "key"), &g, err));
    int64_t L = r.model->v.c.n_latent;
    ALLOC(z, (g.n + 1) * L, sizeof *z);                     /* the first point stays at 0 */
    ALLOC(nearest, g.n, sizeof *nearest);
    ALLOC(headings, g.n + 1, sizeof *headings);
    TRY(iso_run_prototypes(env, &r, &g, z + L, nearest, err));
    headings[0] = "origin";
    for (int32_t k = 0; k < g.n; k++) headings[k + 1] = g.names[k];
    if (r.model->images.channels) TRY(iso_decoded_write(env, r.model, z, g.n + 1, headings, false, 0, o, "prototypes.npz", err));
    else TRY(iso_gene_table(env, r.model, z, g.n + 1, headings, o, err));
    TRY(tell(env, &r, o, &g, z, nearest, err));
done:
    iso_free(headings);
    iso_free(nearest);
    iso_free(z);
    iso_groups_clear(&g);
    iso_run_close(&r);
    return st;
}
