/* cmd_simulate.c: `simulate cells`: synthetic fluorescent cells with their truth, into an archive or a folder. */
#include "commands.h"
#include "image/simulate.h"
#include "io/csv.h"
#include "io/npz_write.h"
#include "io/tiff_write.h"
#include "text_out.h"

#include <string.h>

enum { LABEL, AREA, ANGLE, FILAMENTS, LENGTH, COLUMNS };

typedef struct made {
    iso_simulation how;
    iso_images set;                       /* set.obs: names and what cells are made of */
    float *clean;                         /* as set.pixels */
} made;

static void one_cell(void *arg, int64_t i)
{
    made *m = arg;
    int64_t size = m->set.channels * m->set.height * m->set.width;
    iso_simulated s = iso_simulate_cell(&m->how, i, m->clean + i * size, m->set.pixels + i * size);
    iso_column *c = m->set.obs.columns;
    c[AREA].reals[i] = s.area, c[ANGLE].reals[i] = s.angle, c[FILAMENTS].ints[i] = s.filaments, c[LENGTH].reals[i] = s.length;
}

static iso_status new_columns(iso_frame *obs, int64_t n, iso_error *err)
{
    static const struct { const char *name; iso_column_kind kind; } rows[COLUMNS] = {
        [LABEL] = {"label", ISO_COL_STRING}, [AREA] = {"area", ISO_COL_REAL}, [ANGLE] = {"angle", ISO_COL_REAL},
        [FILAMENTS] = {"filaments", ISO_COL_INT}, [LENGTH] = {"length", ISO_COL_REAL}};
    iso_status st = ISO_OK;
    obs->n_rows = n;
    ALLOC(obs->columns, COLUMNS, sizeof *obs->columns);
    ALLOC(obs->index, n, sizeof *obs->index);
    FAIL_IF(!(obs->index_name = iso_strdup("name")), ISO_EMEMORY, "out of memory");
    for (int64_t i = 0; i < n; i++) FAIL_IF(!(obs->index[i] = iso_sprintf("cell-%lld", (long long)i)), ISO_EMEMORY, "out of memory");
    for (int k = 0; k < COLUMNS; k++, obs->n_columns++) {
        iso_column *c = &obs->columns[k];
        c->kind = rows[k].kind;
        FAIL_IF(!(c->name = iso_strdup(rows[k].name)), ISO_EMEMORY, "out of memory");
        if (c->kind == ISO_COL_STRING) ALLOC(c->strings, n, sizeof *c->strings);
        if (c->kind == ISO_COL_INT) ALLOC(c->ints, n, sizeof *c->ints);
        if (c->kind == ISO_COL_REAL) ALLOC(c->reals, n, sizeof *c->reals);
    }
done:
    return st;
}

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

static iso_status write_archive(const made *m, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_npz *z = NULL;
    const iso_images *s = &m->set;
    const int64_t shape[4] = {s->n, s->channels, s->height, s->width};
    char *table = iso_sprintf("%.*s.csv", (int)strlen(path) - 4, path);
    FAIL_IF(!table, ISO_EMEMORY, "out of memory");
    TRY(iso_npz_create(path, &z, err));
    TRY(iso_npz_pixels(z, "images", s->kind, 4, shape, s->pixels, err));
    TRY(iso_npz_array(z, "clean", "f4", 4, shape, m->clean, err));
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

static iso_status write_folder(const made *m, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_images *s = &m->set;
    char *file = NULL;
    TRY(iso_make_dir(path, err));
    for (int64_t i = 0; i < s->n; i++) {
        iso_free(file);
        FAIL_IF(!(file = iso_sprintf("%s/%s.tif", path, s->obs.index[i])), ISO_EMEMORY, "out of memory");
        TRY(iso_tiff_write(file, s, s->pixels + i * s->channels * s->height * s->width, err));
    }
    iso_free(file);
    FAIL_IF(!(file = iso_sprintf("%s/labels.csv", path)), ISO_EMEMORY, "out of memory");
    TRY(write_table(&s->obs, file, err));
done:
    iso_free(file);
    return st;
}

iso_status iso_cmd_simulate(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    char *what = iso_opt_list_item(o, "inputs", 0);
    const char *path;
    made m = {.how = {.size = iso_opt_int(o, "size"), .separate = iso_opt_flag(o, "separate"), .photons = iso_opt_real(o, "photons"),
                      .background = iso_opt_real(o, "background"), .seed = (uint64_t)iso_opt_int(o, "seed")}};
    int64_t n = iso_opt_int(o, "n_cells");
    (void)command_line;
    FAIL_IF(!what, ISO_EMEMORY, "out of memory");
    FAIL_IF(strcmp(what, "cells") != 0, ISO_EUSAGE, "simulate \"%s\": what can be simulated is \"cells\"", what);
    TRY(iso_output_path(o, "cells.npz", &path, err));
    m.set = (iso_images){.n = n, .height = m.how.size, .width = m.how.size, .kind = ISO_PIXEL_U16};
    int64_t channels = m.how.separate ? ISO_SIMULATED_CHANNELS : 1;
    ALLOC(m.set.channel_names, channels, sizeof(char *));
    for (; m.set.channels < channels; m.set.channels++)
        FAIL_IF(!(m.set.channel_names[m.set.channels] = iso_strdup(m.how.separate ? iso_simulated_channels[m.set.channels] : "fluorescence")), ISO_EMEMORY,
                "out of memory");
    ALLOC(m.set.pixels, n * channels * m.how.size * m.how.size, sizeof *m.set.pixels);
    ALLOC(m.clean, n * channels * m.how.size * m.how.size, sizeof *m.clean);
    TRY(new_columns(&m.set.obs, n, err));
    iso_parallel(env, n, one_cell, &m);
    for (int64_t i = 0; i < n; i++)
        FAIL_IF(!(m.set.obs.columns[LABEL].strings[i] = iso_strdup(iso_morphology_names[i % ISO_MORPHOLOGIES])), ISO_EMEMORY, "out of memory");
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".npz") == 0) TRY(write_archive(&m, path, err));
    else TRY(write_folder(&m, path, err));
    iso_info(env, "wrote %s: %lld cells of %lld x %lld pixels", path, (long long)n, (long long)m.how.size, (long long)m.how.size);
done:
    iso_free(what);
    iso_free(m.clean);
    iso_images_clear(&m.set);
    return st;
}
