/* run_h5ad.c: latent.h5ad of a run: what scanpy needs to plot and to go on. */
#include "run.h"

#include <string.h>

enum { TRAIN, VALIDATION, TEST };
static const char *const split_names[] = {"train", "validation", "test"};

/* Names "0", "1", ... of the clusters; freed by iso_free_texts. */
static iso_status number_names(int32_t n, char ***names, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*names, n, sizeof **names);
    for (int32_t k = 0; k < n; k++) FAIL_IF(!((*names)[k] = iso_sprintf("%d", k)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

static void mark(int32_t *codes, const int64_t *cells, int64_t n, int32_t code)
{
    for (int64_t i = 0; i < n; i++) codes[cells[i]] = code;
}

#define SCALAR(name, value) (iso_h5ad_uns){.path = name, .reals = &(value), .n_reals = -1}
#define TEXT(name, value) (iso_h5ad_uns){.path = name, .text = value}

iso_status iso_run_write_h5ad(iso_env *env, const iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_model *m = r->fitted.model;
    const iso_split *p = &r->fitted.split;
    const iso_summary *s = &m->summary;
    int64_t n = r->data->obs.n_rows, L = m->v.c.n_latent;
    char **clusters = NULL, **continents = NULL, *path = NULL;
    int32_t *split = NULL;
    TRY(number_names(r->atlas.n_clusters, &clusters, err));
    TRY(number_names(r->landscape.n_continents, &continents, err));
    ALLOC(split, n, sizeof *split);
    mark(split, p->validation, p->n_validation, VALIDATION);
    mark(split, p->test, p->n_test, TEST);
    FAIL_IF(!(path = iso_run_path(r, "latent.h5ad")), ISO_EMEMORY, "out of memory");
    const iso_column all[] = {{.name = (char *)"leiden",
                                 .kind = ISO_COL_CATEGORY,
                                 .codes = r->atlas.clusters,
                                 .categories = clusters,
                                 .n_categories = r->atlas.n_clusters},
                                {.name = (char *)"isolario_split",
                                 .kind = ISO_COL_CATEGORY,
                                 .codes = split,
                                 .categories = (char **)split_names,
                                 .n_categories = 3},
                                {.name = (char *)"continent",
                                 .kind = ISO_COL_CATEGORY,
                                 .codes = r->landscape.continent,
                                 .categories = continents,
                                 .n_categories = r->landscape.n_continents},
                                {.name = (char *)"is_prototype", .kind = ISO_COL_BOOL, .bools = r->is_prototype},
                                {.name = (char *)"log_density", .kind = ISO_COL_REAL, .reals = r->landscape.log_density},
                                {.name = (char *)"p_value", .kind = ISO_COL_REAL, .reals = r->landscape.p_value},
                                {.name = (char *)"elbo", .kind = ISO_COL_REAL, .reals = r->strangeness.elbo},
                                {.name = (char *)"unexplained", .kind = ISO_COL_REAL, .reals = r->strangeness.unexplained},
                                {.name = (char *)"mixture_group",
                                 .kind = ISO_COL_CATEGORY,
                                 .codes = r->mixture_codes,
                                 .categories = r->labels ? r->label_names : clusters,
                                 .n_categories = r->n_mixture},
                                {.name = (char *)"mixture_weight", .kind = ISO_COL_REAL, .reals = r->mixture_second},
                                {.name = (char *)"mixture_fit", .kind = ISO_COL_REAL, .reals = r->mixture_fit},
                                {.name = (char *)"mixture_depth", .kind = ISO_COL_REAL, .reals = r->mixture_depth}};
    iso_column extra[sizeof all / sizeof *all];
    int n_extra = 0;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)           /* what this run has: not all have a map, mixtures, images */
        if (all[k].codes || all[k].reals || all[k].bools) extra[n_extra++] = all[k];
    bool ae = m->v.c.autoencoder, map = r->atlas.xy != NULL;
    const iso_h5ad_array arrays[] = {{"X_umap", 2, r->atlas.xy}, {"X_isolario", L, r->mu}, {"X_isolario_var", L, ae ? NULL : r->variance},
                                     {"X_isolario_invariant", L, r->invariant}};
    iso_h5ad_array obsm[sizeof arrays / sizeof *arrays];
    int n_obsm = 0;
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        if (arrays[k].values) obsm[n_obsm++] = arrays[k];
    const iso_h5ad_sparse obsp[] = {{"connectivities", &r->atlas.connectivities}, {"distances", &r->atlas.distances}};
    int64_t neighbors = iso_opt_int(r->options, "n_neighbors");
    double resolution = iso_opt_real(r->options, "resolution");
    double min_dist = iso_opt_real(r->options, "min_dist");
    const iso_h5ad_uns uns[] = {TEXT("neighbors/connectivities_key", "connectivities"),
                                TEXT("neighbors/distances_key", "distances"),
                                {.path = "neighbors/params/n_neighbors", .ints = &neighbors, .n_ints = -1},
                                TEXT("neighbors/params/method", "umap"),
                                TEXT("neighbors/params/metric", "euclidean"),
                                TEXT("neighbors/params/use_rep", r->invariant ? "X_isolario_invariant" : "X_isolario"),
                                SCALAR("leiden/params/resolution", resolution),
                                SCALAR("umap/params/min_dist", min_dist),
                                TEXT("isolario/version", ISO_VERSION),
                                TEXT("isolario/command", s->command),
                                TEXT("isolario/input", s->input),
                                TEXT("isolario/input_sha256", s->input_sha256),
                                TEXT("isolario/count_source", s->count_source),
                                TEXT("isolario/likelihood", m->v.c.likelihood->name),
                                TEXT("isolario/verdict", s->verdict),
                                TEXT("isolario/verdict_text", s->verdict_text),
                                SCALAR("isolario/validation_elbo", s->validation_elbo),
                                SCALAR("isolario/test_elbo", s->test_elbo),
                                {.path = "isolario/var_mu", .reals = r->fitted.diagnosis.var_mu, .n_reals = L},
                                {.path = "isolario/kl_per_dim", .reals = r->fitted.diagnosis.kl_per_dim, .n_reals = L}};
    /* Without a map its rows, which come first, are left out; for an autoencoder the last. */
    enum { N_MAP_UNS = 8 };
    int n_uns = sizeof uns / sizeof *uns;
    iso_h5ad_out out = {.obs = &r->data->obs,
                        .extra_obs = extra,
                        .n_extra_obs = n_extra,
                        .obsm = obsm,
                        .n_obsm = n_obsm,
                        .obsp = obsp,
                        .n_obsp = map ? 2 : 0,
                        .uns = map ? uns : uns + N_MAP_UNS,
                        .n_uns = n_uns - (map ? 0 : N_MAP_UNS) - (ae ? 2 : 0)};
    TRY(iso_h5ad_write(env, path, &out, err));
done:
    iso_free_texts(clusters, r->atlas.n_clusters);
    iso_free_texts(continents, r->landscape.n_continents);
    iso_free(split);
    iso_free(path);
    return st;
}
