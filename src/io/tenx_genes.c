/* tenx_genes.c: genes out of 10x features, which may also be antibodies, guides or peaks. */
#include "csr.h"
#include "readers.h"

#include <string.h>

/* Moves rows with to[i] >= 0 to row to[i]; the others are freed. */
static void keep_rows(iso_frame *f, const int32_t *to, int64_t n)
{
    for (int64_t i = 0; i < f->n_rows; i++) {
        if (to[i] < 0) iso_free(f->index[i]);
        char *name = f->index[i];
        f->index[i] = NULL;
        if (to[i] >= 0) f->index[to[i]] = name;
    }
    for (int k = 0; k < f->n_columns; k++) {
        iso_column *c = &f->columns[k];
        for (int64_t i = 0; i < f->n_rows; i++) {
            char *text = c->strings ? c->strings[i] : NULL;
            if (c->strings) c->strings[i] = NULL;
            if (to[i] < 0) iso_free(text);
            if (to[i] >= 0 && c->strings) c->strings[to[i]] = text;
            if (to[i] >= 0 && c->bools) c->bools[to[i]] = c->bools[i];
        }
    }
    f->n_rows = n;
}

iso_status tenx_keep_genes(iso_env *env, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *to = NULL, n = 0;
    const iso_column *types = iso_frame_column(&d->var, "feature_types");
    const char *other = NULL;
    if (!types || !types->strings) return ISO_OK;
    ALLOC(to, d->var.n_rows, sizeof *to);
    for (int64_t i = 0; i < d->var.n_rows; i++) {
        bool gene = types->strings[i] && !strcmp(types->strings[i], "Gene Expression");
        to[i] = gene ? n++ : -1;
        if (!gene) other = types->strings[i];
    }
    FAIL_IF(n == 0 && d->var.n_rows > 0, ISO_EDATA, "%s: none of the %lld features is of type \"Gene Expression\" (one is \"%s\")",
            d->path, (long long)d->var.n_rows, other ? other : "");
    if (n < d->var.n_rows) {
        iso_info(env, "%s: %lld features that are not genes (such as \"%s\") are left out", d->path,
                 (long long)(d->var.n_rows - n), other ? other : "");
        csr_keep_columns(&d->x, to, n);
        keep_rows(&d->var, to, n);
    }
done:
    iso_free(to);
    return st;
}
