/* run_folder.c: see run_folder.h. */
#include "run_folder.h"

#include "cells_in.h"

#include <string.h>
#include <sys/stat.h>

/* All cells, unless obs column isolario_split says which. */
static iso_status read_split(iso_run_cells *r, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *c = iso_frame_column(&r->obs, "isolario_split");
    int32_t *codes = NULL, n = 0;
    char **names = NULL;
    ALLOC(r->is_train, r->obs.n_rows, sizeof *r->is_train);
    if (c) TRY(iso_column_factor(&r->obs, c, &codes, &names, &n, err));
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        r->is_train[i] = !c || (codes[i] >= 0 && strcmp(names[codes[i]], "train") == 0);
done:
    iso_free_texts(names, n);
    iso_free(codes);
    return st;
}

iso_status iso_run_open(iso_env *env, const iso_options *o, iso_run_cells *r, iso_error *err)
{
    iso_status st = ISO_OK;
    char *path = NULL;
    int64_t L, L_variance;
    iso_frame again = {0};
    struct stat s;
    *r = (iso_run_cells){0};
    FAIL_IF(!(r->folder = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    FAIL_IF(stat(r->folder, &s) != 0 || !S_ISDIR(s.st_mode), ISO_EUSAGE,
            "%s: not a run folder; this command needs the folder that fit wrote, for its latent.h5ad", r->folder);
    TRY(iso_input_model(env, o, 0, &r->model, err));
    FAIL_IF(!(path = iso_sprintf("%s/latent.h5ad", r->folder)), ISO_EMEMORY, "out of memory");
    TRY(iso_h5ad_read_embedding(env, path, "X_isolario", &r->obs, &r->mu, &L, err));
    FAIL_IF(L != r->model->v.c.n_latent, ISO_EDATA,
            "%s: X_isolario has %lld dimensions, the model %d; are they of one run?", path, (long long)L,
            r->model->v.c.n_latent);
    if (!r->model->v.c.autoencoder) {
        TRY(iso_h5ad_read_embedding(env, path, "X_isolario_var", &again, &r->variance, &L_variance, err));
        FAIL_IF(L_variance != L || again.n_rows != r->obs.n_rows, ISO_EDATA, "%s: X_isolario_var and X_isolario differ in shape", path);
    }
    TRY(read_split(r, err));
    iso_free(path);
    FAIL_IF(!(path = iso_sprintf("%s/heads.safetensors", r->folder)), ISO_EMEMORY, "out of memory");
    TRY(iso_heads_read(path, r->model, &r->heads, err));
done:
    iso_frame_clear(&again);
    iso_free(path);
    if (st) iso_run_close(r);
    return st;
}

void iso_run_close(iso_run_cells *r)
{
    iso_free(r->folder);
    iso_model_free(r->model);
    iso_heads_clear(&r->heads);
    iso_frame_clear(&r->obs);
    iso_free(r->mu);
    iso_free(r->variance);
    iso_free(r->is_train);
    *r = (iso_run_cells){0};
}

/* "a, b, c": the columns of obs, for a message. */
static void list_columns(const iso_frame *obs, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (int k = 0; k < obs->n_columns && at + 1 < size; k++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", k ? ", " : "", obs->columns[k].name);
}

iso_status iso_run_groups(const iso_run_cells *r, const char *key, iso_groups *g, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *c = iso_frame_column(&r->obs, key);
    int64_t L = r->model->v.c.n_latent;
    char known[400];
    *g = (iso_groups){0};
    list_columns(&r->obs, known, sizeof known);
    FAIL_IF(!c, ISO_EUSAGE, "%s/latent.h5ad has no obs column \"%s\" (--key); it has: %s", r->folder, key, known);
    TRY(iso_column_factor(&r->obs, c, &g->codes, &g->names, &g->n, err));
    ALLOC(g->sizes, g->n, sizeof *g->sizes);
    ALLOC(g->means, g->n * L, sizeof *g->means);
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        if (g->codes[i] >= 0) g->sizes[g->codes[i]]++;
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        for (int64_t d = 0; g->codes[i] >= 0 && d < L; d++)
            g->means[g->codes[i] * L + d] += r->mu[i * L + d] / (float)g->sizes[g->codes[i]];
done:
    if (st) iso_groups_clear(g);
    return st;
}

void iso_groups_clear(iso_groups *g)
{
    iso_free_texts(g->names, g->n);
    iso_free(g->codes);
    iso_free(g->sizes);
    iso_free(g->means);
    *g = (iso_groups){0};
}
