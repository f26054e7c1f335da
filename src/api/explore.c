/* explore.c: see explore.h. Gathers what the sections need, and has each write its part of map.json. */
#include "explore.h"

#include "web/pack.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- arrays */

iso_status iso_explore_add(iso_explore *x, const char *name, const char *type, size_t size, int64_t rows, int64_t cols, void *out,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = 0;
    void *values = NULL;
    FAIL_IF(!iso_mul(rows, cols ? cols : 1, &n), ISO_EDATA, "the array %s is too large", name);
    ALLOC(values, n, size);
    if (x->n_arrays == x->room) {
        iso_explore_array *more = iso_realloc(x->arrays, x->room, 2 * x->room + 16, sizeof *more);
        FAIL_IF(!more, ISO_EMEMORY, "out of memory");
        x->arrays = more, x->room = 2 * x->room + 16;
    }
    iso_explore_array *a = &x->arrays[x->n_arrays++];
    *a = (iso_explore_array){.type = type, .rows = rows, .cols = cols, .bytes = n * (int64_t)size, .values = values};
    snprintf(a->name, sizeof a->name, "%s", name);
    memcpy(out, &values, sizeof values);
    values = NULL;
done:
    iso_free(values);
    return st;
}

static void write_arrays(const iso_explore *x, json *j)
{
    js_key(j, "arrays");
    js_open(j, '{');
    for (int i = 0; i < x->n_arrays; i++) {
        const iso_explore_array *a = &x->arrays[i];
        char file[sizeof a->name + 8];
        snprintf(file, sizeof file, "%s.bin", a->name);
        js_key(j, a->name);
        js_open(j, '{');
        js_key(j, "file");
        js_string(j, file);
        js_key(j, "dtype");
        js_string(j, a->type);
        js_key(j, "shape");
        js_open(j, '[');
        js_integer(j, a->rows);
        if (a->cols) js_integer(j, a->cols);
        js_close(j, ']');
        js_close(j, '}');
    }
    js_close(j, '}');
}

/* -------------------------------------------------------------------------------------- the whole */

const char *iso_explore_title(const iso_explore *x)
{
    const char *name = *x->run.model->summary.input ? x->run.model->summary.input : x->run.folder, *slash = strrchr(name, '/');
    return slash && slash[1] ? slash + 1 : name;
}

/* What the page's own program needs: see web/pack.h. */
static iso_status pack_place(iso_explore *x, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_chart c = {.v = x->run.model->v, .n_heads = x->run.heads.n, .heads = x->run.heads.v, .judge = x->judge};
    const iso_vae_config *config = &c.v.c;
    uint8_t *bytes = NULL, *place;
    int64_t n;
    if (config->likelihood->counts) {
        c.n_normaliser = x->run.obs.n_rows * iso_decode_combinations(config);
        ALLOC(c.normaliser, c.n_normaliser, sizeof *c.normaliser);
        TRY(iso_decode_normaliser(x->env, &x->run.model->v, x->run.mu, x->run.obs.n_rows, c.normaliser, err));
    }
    TRY(iso_run_route_graph(x->env, &x->run, &x->judge.support, ISO_ROUTE_NODES, &c.route, err));
    TRY(iso_chart_pack(&c, &bytes, &n, err));
    TRY(iso_explore_add(x, "place", ISO_UINT8, n, 0, &place, err));
    memcpy(place, bytes, (size_t)n);
done:
    iso_free(bytes);
    iso_free(c.normaliser);
    iso_route_graph_clear(&c.route);
    return st;
}

static iso_explore_section *const sections[] = {iso_explore_cells, iso_explore_groups, iso_explore_raster, iso_explore_statistics,
                                                iso_explore_counts, iso_explore_images};

static iso_status write_map(iso_explore *x, FILE *f, iso_error *err)
{
    iso_status st = ISO_OK;
    json j = {f, false};
    const iso_model *m = x->run.model;
    char program[64];
    snprintf(program, sizeof program, "isolario %s", ISO_VERSION);
    js_open(&j, '{');
    js_key(&j, "format");
    js_string(&j, "isolario-map");
    js_key(&j, "version");
    js_integer(&j, 1);
    js_key(&j, "title");
    js_string(&j, iso_explore_title(x));
    js_key(&j, "program");
    js_string(&j, program);
    js_key(&j, "n_cells");
    js_integer(&j, x->run.obs.n_rows);
    js_key(&j, "n_latent");
    js_integer(&j, m->v.c.n_latent);
    js_key(&j, "n_genes");
    js_integer(&j, m->n_genes);
    js_key(&j, "genes");
    js_open(&j, '[');
    for (int64_t g = 0; !m->images.channels && g < m->n_genes; g++) js_string(&j, m->genes[g]);
    js_close(&j, ']');
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) TRY(sections[i](x, &j, err));
    TRY(pack_place(x, err));
    write_arrays(x, &j);
    js_close(&j, '}');
done:
    return st;
}

/* The picture; and --key, or the labels that the run was given, or its clusters. */
static iso_status read_picture(iso_explore *x, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_frame again = {0};
    int64_t cols;
    char *path = iso_sprintf("%s/latent.h5ad", x->run.folder);
    FAIL_IF(!path, ISO_EMEMORY, "out of memory");
    TRY(iso_h5ad_read_embedding(x->env, path, "X_umap", &again, &x->xy, &cols, err));
    FAIL_IF(cols != 2 || again.n_rows != x->run.obs.n_rows, ISO_EDATA, "%s: X_umap is not a picture of the run's cells", path);
    const char *labels = json_string_value(json_object_get(json_object_get(x->record, "options"), "labels_key"));
    x->key = iso_opt_text(x->options, "key");
    if (!iso_options_given(x->options, "key") && labels && iso_frame_column(&x->run.obs, labels)) x->key = labels;
    TRY(iso_run_groups(&x->run, x->key, &x->groups, err));
done:
    iso_frame_clear(&again);
    iso_free(path);
    return st;
}

iso_status iso_explore_open(iso_env *env, const iso_options *o, bool per_gene, iso_explore *x, iso_error *err)
{
    iso_status st = ISO_OK;
    FILE *f = NULL;
    *x = (iso_explore){.env = env, .options = o, .per_gene = per_gene};
    TRY(iso_run_open(env, o, &x->run, err));
    x->record = iso_run_record(&x->run);                     /* a run may lack it */
    TRY(read_picture(x, err));
    TRY(iso_run_counts(env, &x->run, o, "the page colours by decoded genes alone", &x->counts, err));
    TRY(iso_run_judge(env, &x->run, o, &x->judge, err));
    TRY(iso_lift_new(x->xy, x->run.mu, x->run.obs.n_rows, x->run.model->v.c.n_latent, &x->lift, err));
    FAIL_IF(!(f = open_memstream(&x->map, &x->map_bytes)), ISO_EMEMORY, "out of memory");
    TRY(write_map(x, f, err));
    bool failed = ferror(f) != 0;
    failed |= fclose(f) != 0;
    f = NULL;
    FAIL_IF(failed, ISO_EMEMORY, "out of memory");
done:
    if (f) fclose(f);
    return st;
}

void iso_explore_close(iso_explore *x)
{
    for (int i = 0; i < x->n_arrays; i++) iso_free(x->arrays[i].values);
    iso_free(x->arrays);
    iso_lift_clear(&x->lift);
    iso_judge_clear(&x->judge);
    iso_csr_clear(&x->counts);
    iso_csr_clear(&x->by_gene);
    iso_groups_clear(&x->groups);
    json_decref(x->record);
    iso_free(x->xy);
    iso_run_close(&x->run);
    free(x->map);                 /* open_memstream's */
    *x = (iso_explore){0};
}
