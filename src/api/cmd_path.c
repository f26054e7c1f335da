/* cmd_path.c: `path RUN --from A --to B`: a way in z between two groups' prototypes or two cells, along the data or straight,
 * decoded in steps. */
#include "commands.h"
#include "gene_table.h"
#include "picture_out.h"
#include "positions.h"
#include "ways.h"

#include <string.h>

/* z of a group's prototype [groups, n_latent] or of a cell; a name that is both is the group. */
static iso_status find_point(const iso_run_cells *r, const iso_groups *g, const float *prototypes, const char *option, const char *key,
                             const char *name, float *z, iso_error *err)
{
    size_t bytes = (size_t)r->model->v.c.n_latent * sizeof *z;
    int64_t L = r->model->v.c.n_latent;
    char known[400];
    size_t at = 0;
    for (int32_t k = 0; k < g->n; k++)
        if (g->sizes[k] > 0 && strcmp(g->names[k], name) == 0) return memcpy(z, prototypes + k * L, bytes), ISO_OK;
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        if (strcmp(r->obs.index[i], name) == 0) return memcpy(z, r->mu + i * L, bytes), ISO_OK;
    known[0] = 0;
    for (int32_t k = 0; k < g->n && at + 1 < sizeof known; k++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", k ? ", " : "", g->names[k]);
    return iso_fail(err, ISO_EUSAGE, "--%s \"%s\" is neither a group of \"%s\" (%s) nor a cell of %s/latent.h5ad",
                    option, name, key, known, r->folder);
}

enum { LOOKED_AT = 200 };                                   /* points of a way that are held against the density */

/* The way in z [n, L], and how much of it lies in voids, said beside the straight line. */
static iso_status find_way(iso_env *env, const iso_run_cells *r, const iso_options *o, const float *a, const float *b, int64_t n, float *z,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    iso_support s = {0};
    iso_route_graph graph = {0};
    int64_t L = r->model->v.c.n_latent;
    float *fine = NULL;
    double share, share_straight;
    ALLOC(fine, LOOKED_AT * L, sizeof *fine);
    TRY(iso_run_support(env, r, &s, err));
    iso_route_straight(a, b, L, LOOKED_AT, fine);
    TRY(iso_share_in_voids(env, r, &s, fine, LOOKED_AT, &share_straight, err));
    share = share_straight;
    iso_route_straight(a, b, L, n, z);
    if (strcmp(iso_opt_text(o, "route"), "straight") != 0) {
        TRY(iso_run_route_graph(env, r, &s, ISO_ROUTE_NODES, &graph, err));
        TRY(iso_route_along(env, &graph, &s, a, b, LOOKED_AT, fine, err));
        TRY(iso_share_in_voids(env, r, &s, fine, LOOKED_AT, &share, err));
        TRY(iso_route_along(env, &graph, &s, a, b, n, z, err));
        iso_info(env, "the path along the data lies in voids for %.0f %% of its length, the straight line for %.0f %%", 100 * share,
                 100 * share_straight);
    }
    if (iso_opt_text(o, "positions")) TRY(iso_write_positions(env, r, fine, LOOKED_AT, iso_opt_text(o, "positions"), err));
    if (1 - share < ISO_WAY_SUPPORTED)
        iso_warn(env, "cells support only %.0f %% of this path: what lies between was never observed, so do not read it as a trajectory",
                 100 * (1 - share));
done:
    iso_free(fine);
    iso_route_graph_clear(&graph);
    iso_support_clear(&s);
    return st;
}

iso_status iso_cmd_path(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_groups g = {0};
    float *z = NULL, *begin = NULL, *end = NULL, *prototypes = NULL;
    int64_t *nearest = NULL;
    char (*headings)[16] = NULL;
    const char **lent = NULL, *key = iso_opt_text(o, "key"), *from = iso_opt_text(o, "from"),
               *to = iso_opt_text(o, "to");
    int64_t n = iso_opt_int(o, "steps");
    (void)command_line;
    FAIL_IF(!from || !to, ISO_EUSAGE,
            "path needs --from and --to, each a group of --key (now \"%s\") or the name of a cell", key);
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_run_groups(&r, key, &g, err));
    int64_t L = r.model->v.c.n_latent;
    ALLOC(z, n * L, sizeof *z);
    ALLOC(begin, L, sizeof *begin);
    ALLOC(end, L, sizeof *end);
    ALLOC(prototypes, g.n * L, sizeof *prototypes);
    ALLOC(nearest, g.n, sizeof *nearest);
    ALLOC(headings, n, sizeof *headings);
    ALLOC(lent, n, sizeof *lent);
    TRY(iso_run_prototypes(env, &r, &g, prototypes, nearest, err));
    TRY(find_point(&r, &g, prototypes, "from", key, from, begin, err));
    TRY(find_point(&r, &g, prototypes, "to", key, to, end, err));
    TRY(find_way(env, &r, o, begin, end, n, z, err));
    for (int64_t k = 0; k < n; k++) {
        snprintf(headings[k], sizeof headings[k], "%.4g", (double)k / (double)(n - 1));
        lent[k] = headings[k];
    }
    if (r.model->images.channels) TRY(iso_decoded_write(env, r.model, z, n, lent, false, n, o, "path.npz", err));
    else TRY(iso_gene_table(env, r.model, z, n, lent, o, err));
    if (iso_opt_text(o, "spread")) TRY(iso_spread_table(env, &r, z, n, lent, iso_opt_text(o, "spread"), err));
done:
    iso_free(lent);
    iso_free(headings);
    iso_free(z);
    iso_free(prototypes);
    iso_free(nearest);
    iso_free(begin);
    iso_free(end);
    iso_groups_clear(&g);
    iso_run_close(&r);
    return st;
}
