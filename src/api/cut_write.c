/* cut_write.c: crops as an archive or a folder; see cells_cut.h. */
#include "cells_cut.h"
#include "io/csv.h"
#include "io/npz_write.h"
#include "io/tiff_write.h"

#include <string.h>

static iso_status write_table(const iso_frame *obs, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out out = {0};
    TRY(iso_out_open(path, &out, err));
    iso_csv_write(out.file, obs);
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    return st;
}

iso_status iso_crops_write_npz(const iso_crops *c, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_npz *z = NULL;
    const iso_images *s = &c->set;
    const int64_t shape[4] = {s->n, s->channels, s->height, s->width}, mask_shape[3] = {s->n, s->height, s->width};
    char *table = iso_sprintf("%.*s.csv", (int)strlen(path) - 4, path);
    FAIL_IF(!table, ISO_EMEMORY, "out of memory");
    TRY(iso_npz_create(path, &z, err));
    TRY(iso_npz_pixels(z, "images", s->kind, 4, shape, s->pixels, err));
    TRY(iso_npz_array(z, "masks", "u1", 3, mask_shape, c->masks, err));
    TRY(iso_npz_texts(z, "channel_names", s->channels, s->channel_names, err));
    TRY(iso_npz_texts(z, "name", s->n, s->obs.index, err));
    for (int k = 0; k < s->obs.n_columns; k++) TRY(iso_npz_column(z, &s->obs.columns[k], s->n, err));
    TRY(write_table(&s->obs, table, err));
    TRY(iso_npz_commit(z, err));
done:
    iso_npz_free(z);
    iso_free(table);
    return st;
}

/* A name may come from a file, and must not lead out of the folder. */
static char *file_name(const char *folder, const char *name)
{
    char *path = iso_sprintf("%s/%s.tif", folder, name);
    for (char *c = path ? path + strlen(folder) + 1 : NULL; c && *c; c++)
        if (*c == '/') *c = '_';
    return path;
}

iso_status iso_crops_write_folder(const iso_crops *c, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_images *s = &c->set;
    int64_t image = s->channels * s->height * s->width;
    char *file = NULL;
    TRY(iso_make_dir(path, err));
    for (int64_t i = 0; i < s->n; i++) {
        iso_free(file);
        FAIL_IF(!(file = file_name(path, s->obs.index[i])), ISO_EMEMORY, "out of memory");
        TRY(iso_tiff_write(file, s, s->pixels + i * image, err));
    }
    iso_free(file);
    FAIL_IF(!(file = iso_sprintf("%s/cells.csv", path)), ISO_EMEMORY, "out of memory");
    TRY(write_table(&s->obs, file, err));
done:
    iso_free(file);
    return st;
}
