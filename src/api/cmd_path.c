/* cmd_path.c: `path RUN --from A --to B`: a way in z between two groups' means or two cells, along the data or straight,
 * decoded in steps. */
#include "commands.h"
#include "gene_table.h"
#include "route.h"

#include <string.h>

/* z of a group's mean or of a cell; a name that is both is the group. */
static iso_status find_point(const iso_run_cells *r, const iso_groups *g, const char *option, const char *key,
                             const char *name, float *z, iso_error *err)
{
    size_t bytes = (size_t)r->model->v.c.n_latent * sizeof *z;
    int64_t L = r->model->v.c.n_latent;
    char known[400];
    size_t at = 0;
    for (int32_t k = 0; k < g->n; k++)
        if (g->sizes[k] > 0 && strcmp(g->names[k], name) == 0) return memcpy(z, g->means + k * L, bytes), ISO_OK;
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        if (strcmp(r->obs.index[i], name) == 0) return memcpy(z, r->mu + i * L, bytes), ISO_OK;
    known[0] = 0;
    for (int32_t k = 0; k < g->n && at + 1 < sizeof known; k++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", k ? ", " : "", g->names[k]);
    return iso_fail(err, ISO_EUSAGE, "--%s \"%s\" is neither a group of \"%s\" (%s) nor a cell of %s/latent.h5ad",
                    option, name, key, known, r->folder);
}

enum { LOOKED_AT = 200 };                                   /* points of a way that are held against the density */
static const double SUPPORTED = 0.95;

/* The way in z [n, L], and how much of it lies in voids, said beside the straight line. */
static iso_status find_way(iso_env *env, const iso_run_cells *r, const iso_options *o, const float *a, const float *b, int64_t n, float *z,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    iso_support s = {0};
    int64_t L = r->model->v.c.n_latent;
    bool straight = strcmp(iso_opt_text(o, "route"), "straight") == 0;
    float *fine = NULL;
    double share, share_straight;
    ALLOC(fine, LOOKED_AT * L, sizeof *fine);
    TRY(iso_support_new(env, r, &s, err));
    iso_route_straight(a, b, L, LOOKED_AT, fine);
    TRY(iso_route_in_voids(env, &s, fine, LOOKED_AT, &share_straight, err));
    share = share_straight;
    iso_route_straight(a, b, L, n, z);
    if (!straight) {
        TRY(iso_route_data(env, r, &s, a, b, LOOKED_AT, fine, err));
        TRY(iso_route_in_voids(env, &s, fine, LOOKED_AT, &share, err));
        TRY(iso_route_data(env, r, &s, a, b, n, z, err));
        iso_info(env, "the path along the data lies in voids for %.0f %% of its length, the straight line for %.0f %%", 100 * share,
                 100 * share_straight);
    }
    if (1 - share < SUPPORTED)
        iso_warn(env, "cells support only %.0f %% of this path: what lies between was never observed, so do not read it as a trajectory",
                 100 * (1 - share));
done:
    iso_free(fine);
    iso_support_clear(&s);
    return st;
}

iso_status iso_cmd_path(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_groups g = {0};
    float *z = NULL, *begin = NULL, *end = NULL;
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
    ALLOC(headings, n, sizeof *headings);
    ALLOC(lent, n, sizeof *lent);
    TRY(find_point(&r, &g, "from", key, from, begin, err));
    TRY(find_point(&r, &g, "to", key, to, end, err));
    TRY(find_way(env, &r, o, begin, end, n, z, err));
    for (int64_t k = 0; k < n; k++) {
        snprintf(headings[k], sizeof headings[k], "%.4g", (double)k / (double)(n - 1));
        lent[k] = headings[k];
    }
    TRY(iso_gene_table(env, r.model, z, n, lent, o, err));
done:
    iso_free(lent);
    iso_free(headings);
    iso_free(z);
    iso_free(begin);
    iso_free(end);
    iso_groups_clear(&g);
    iso_run_close(&r);
    return st;
}
