/* cells_in.c: see cells_in.h. */
#include "cells_in.h"

iso_status iso_read_cells(iso_env *env, const char *path, const iso_likelihood *law, const iso_options *o,
                          iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    if (iso_image_sniff(path)) {
        TRY(iso_images_dataset(env, path, iso_opt_text(o, "labels"), out, err));
        iso_info(env, "%s: %lld images of %lld channels of %lld x %lld pixels", path, (long long)(*out)->images->n,
                 (long long)(*out)->images->channels, (long long)(*out)->images->height, (long long)(*out)->images->width);
        goto done;
    }
    TRY(iso_dataset_open(env, path, iso_opt_text(o, "layer"), out, err));
    iso_info(env, "%s: %lld cells x %lld genes, counts from %s", path, (long long)iso_dataset_n_cells(*out),
             (long long)iso_dataset_n_genes(*out), (*out)->source);
    TRY(iso_check_counts(env, *out, law->counts || law->log1p_data, iso_opt_flag(o, "allow_noninteger"),
                         iso_opt_flag(o, "drop_empty"), err));
done:
    if (st) iso_dataset_free(*out), *out = NULL;
    return st;
}

iso_status iso_read_labels(const iso_dataset *d, const iso_options *o, int32_t **codes, char ***names, int32_t *n,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    const char *key = iso_opt_text(o, "labels_key");
    const iso_column *column = key ? iso_frame_column(&d->obs, key) : NULL;
    *codes = NULL, *names = NULL, *n = 0;
    FAIL_IF(key && !column, ISO_EUSAGE, "%s: no column \"%s\" in obs (--labels-key)", d->path, key);
    if (column) TRY(iso_column_factor(&d->obs, column, codes, names, n, err));
done:
    return st;
}

iso_status iso_input_model(iso_env *env, const iso_options *o, int i, iso_model **out, iso_error *err)
{
    iso_status st = ISO_OK;
    char *given = NULL, *path = NULL;
    FAIL_IF(!(given = iso_opt_list_item(o, "inputs", i)), ISO_EMEMORY, "out of memory");
    TRY(iso_model_path(given, &path, err));
    TRY(iso_model_load(env, path, out, err));
done:
    iso_free(given);
    iso_free(path);
    return st;
}

iso_status iso_scored_open(iso_env *env, const iso_options *o, iso_scored *s, iso_error *err)
{
    iso_status st = ISO_OK;
    char *path = NULL;
    *s = (iso_scored){0};
    TRY(iso_input_model(env, o, 0, &s->model, err));
    FAIL_IF(!(path = iso_opt_list_item(o, "inputs", 1)), ISO_EMEMORY, "out of memory");
    TRY(iso_read_cells(env, path, s->model->v.c.likelihood, o, &s->data, err));
    TRY(iso_bind(env, s->model, s->data, &s->bound, err));
    TRY(iso_evaluator_new(env, &s->model->v, &s->bound.cells, &s->evaluator, err));
done:
    iso_free(path);
    if (st) iso_scored_close(s);
    return st;
}

void iso_scored_close(iso_scored *s)
{
    iso_evaluator_free(s->evaluator);
    iso_bound_clear(&s->bound);
    iso_dataset_free(s->data);
    iso_model_free(s->model);
    *s = (iso_scored){0};
}
