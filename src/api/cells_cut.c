/* cells_cut.c: cuts cells out of a field, and measures them; see cells_cut.h. */
#include "cells_cut.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the table; those of mean intensities follow. */
enum { FIELD, LABEL, X, Y, AREA, MEANS };

void iso_crops_clear(iso_crops *c)
{
    iso_images_clear(&c->set);
    iso_free(c->masks);
    *c = (iso_crops){0};
}

/* --------------------------------------------------------------------------------- the growing set */

static iso_status name_columns(iso_crops *c, iso_error *err)
{
    iso_status st = ISO_OK;
    static const struct {
        const char *name;
        iso_column_kind kind;
    } rows[MEANS] = {
        [FIELD] = {"field", ISO_COL_STRING}, [LABEL] = {"label", ISO_COL_INT}, [X] = {"x", ISO_COL_REAL},
        [Y] = {"y", ISO_COL_REAL},           [AREA] = {"area", ISO_COL_INT},
    };
    iso_frame *obs = &c->set.obs;
    ALLOC(obs->columns, MEANS + c->set.channels, sizeof *obs->columns);
    FAIL_IF(!(obs->index_name = iso_strdup("name")), ISO_EMEMORY, "out of memory");
    for (int k = 0; k < MEANS + c->set.channels; k++) {
        iso_column *column = &obs->columns[obs->n_columns++];
        column->kind = k < MEANS ? rows[k].kind : ISO_COL_REAL;
        column->name = k < MEANS ? iso_strdup(rows[k].name) : iso_sprintf("mean_%s", c->set.channel_names[k - MEANS]);
        FAIL_IF(!column->name, ISO_EMEMORY, "out of memory");
    }
done:
    return st;
}

/* The first field says which channels there are. */
static iso_status take_channels(iso_crops *c, const iso_crops_how *how, const iso_images *fields, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(c->set.channel_names, fields->channels, sizeof *c->set.channel_names);
    c->set.channels = fields->channels, c->set.height = c->set.width = how->size;
    for (int64_t k = 0; k < fields->channels; k++)
        FAIL_IF(!(c->set.channel_names[k] = iso_strdup(fields->channel_names[k])), ISO_EMEMORY, "out of memory");
    TRY(name_columns(c, err));
done:
    return st;
}

static iso_status check_channels(const iso_crops *c, const iso_images *fields, const char *field, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(fields->channels != c->set.channels, ISO_EDATA,
            "%s: %lld channels, but the fields before it have %lld; give fields with the same ones", field,
            (long long)fields->channels, (long long)c->set.channels);
    for (int64_t k = 0; k < fields->channels; k++)
        FAIL_IF(strcmp(fields->channel_names[k], c->set.channel_names[k]) != 0, ISO_EDATA,
                "%s: channel %lld is \"%s\", but in the fields before it \"%s\"; bring the channels into one order",
                field, (long long)k, fields->channel_names[k], c->set.channel_names[k]);
done:
    return st;
}

/* One array of `size` bytes an element, longer. */
static iso_status grow_array(void *array, int64_t old, int64_t room, int64_t each, size_t size, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t values;
    void **at = array, *more = iso_mul(room, each, &values) ? iso_realloc(*at, old * each, values, size) : NULL;
    FAIL_IF(!more, ISO_EMEMORY, "out of memory for %lld crops", (long long)room);
    *at = more;
done:
    return st;
}

static iso_status make_room(iso_crops *c, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t old = c->set.n, plane = c->set.height * c->set.width, room = n > 2 * c->room ? n : 2 * c->room;
    if (n <= c->room) return ISO_OK;
    TRY(grow_array(&c->set.pixels, old, room, c->set.channels * plane, sizeof *c->set.pixels, err));
    TRY(grow_array(&c->masks, old, room, plane, 1, err));
    TRY(grow_array(&c->set.obs.index, old, room, 1, sizeof *c->set.obs.index, err));
    for (int k = 0; k < c->set.obs.n_columns; k++) {
        iso_column *column = &c->set.obs.columns[k];
        if (column->kind == ISO_COL_STRING)
            TRY(grow_array(&column->strings, old, room, 1, sizeof *column->strings, err));
        if (column->kind == ISO_COL_INT) TRY(grow_array(&column->ints, old, room, 1, sizeof *column->ints, err));
        if (column->kind == ISO_COL_REAL) TRY(grow_array(&column->reals, old, room, 1, sizeof *column->reals, err));
    }
    c->room = room;
done:
    return st;
}

/* --------------------------------------------------------------------------------------- labels */

/* The channel of that name, or of that number. */
static iso_status find_channel(const iso_images *fields, const char *wanted, const char *field, int64_t *channel,
                               iso_error *err)
{
    iso_status st = ISO_OK;
    char *end;
    for (*channel = 0; *channel < fields->channels; ++*channel)
        if (!strcmp(fields->channel_names[*channel], wanted)) return ISO_OK;
    *channel = strtoll(wanted, &end, 10);
    FAIL_IF(end == wanted || *end || *channel < 0 || *channel >= fields->channels, ISO_EDATA,
            "%s: has no channel \"%s\"; name one of its %lld, the first is \"%s\", or give a number from 0", field,
            wanted, (long long)fields->channels, fields->channel_names[0]);
done:
    return st;
}

/* labels of a mask, numbered without gaps; values [n]: what each was called. */
static iso_status number_labels(const float *mask, int64_t size, const char *field, int32_t *labels, int32_t *n,
                                int32_t **values, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *number = NULL, most = 0;
    for (int64_t i = 0; i < size; i++) {
        FAIL_IF(mask[i] < 0 || mask[i] != floorf(mask[i]), ISO_EDATA,
                "%s: its mask holds %g; a mask holds 0 for the background and 1, 2, ... for cells", field,
                (double)mask[i]);
        if ((int32_t)mask[i] > most) most = (int32_t)mask[i];
    }
    ALLOC(number, most + 1, sizeof *number);
    for (int64_t i = 0; i < size; i++) number[(int32_t)mask[i]] = 1;
    *n = 0;
    ALLOC(*values, most, sizeof **values);
    for (int32_t k = 1; k <= most; k++)
        if (number[k]) (*values)[*n] = k, number[k] = ++*n;
    number[0] = 0;
    for (int64_t i = 0; i < size; i++) labels[i] = number[(int32_t)mask[i]];
done:
    iso_free(number);
    return st;
}

/* Labels of nuclei that are found: their values are their numbers. */
static iso_status find_labels(const iso_images *fields, int64_t i, const iso_crops_how *how, int32_t *labels,
                              int32_t *n, int32_t **values, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t channel, plane = fields->height * fields->width;
    TRY(find_channel(fields, how->channel, fields->obs.index[i], &channel, err));
    TRY(iso_find_nuclei(fields->pixels + (i * fields->channels + channel) * plane,
                        (iso_area){fields->height, fields->width}, how->nuclei, labels, n, err));
    ALLOC(*values, *n, sizeof **values);
    for (int32_t k = 0; k < *n; k++) (*values)[k] = k + 1;
done:
    return st;
}

/* ---------------------------------------------------------------------------------------- cells */

static double mean_inside(const float *plane, const int32_t *labels, int64_t width, int32_t label, const iso_object *o)
{
    double sum = 0;
    for (int64_t y = o->top; y < o->bottom; y++)
        for (int64_t x = o->left; x < o->right; x++)
            if (labels[y * width + x] == label) sum += (double)plane[y * width + x];
    return sum / (double)o->pixels;
}

/* The cell of that label becomes the next crop; there is room for it. */
static iso_status add_cell(iso_crops *c, const iso_images *fields, int64_t i, const int32_t *labels, int32_t label,
                           int32_t value, const iso_object *o, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_area a = {fields->height, fields->width};
    const char *field = fields->obs.index[i];
    int64_t at = c->set.n, size = c->set.height, square = size * size, plane = a.height * a.width;
    iso_column *columns = c->set.obs.columns;
    c->set.n = c->set.obs.n_rows = at + 1;
    FAIL_IF(!(c->set.obs.index[at] = iso_sprintf("%s_%d", field, value)), ISO_EMEMORY, "out of memory");
    FAIL_IF(!(columns[FIELD].strings[at] = iso_strdup(field)), ISO_EMEMORY, "out of memory");
    columns[LABEL].ints[at] = value, columns[AREA].ints[at] = o->pixels;
    columns[X].reals[at] = o->x, columns[Y].reals[at] = o->y;
    for (int64_t k = 0; k < fields->channels; k++) {
        const float *pixels = fields->pixels + (i * fields->channels + k) * plane;
        iso_crop(pixels, a, o->y, o->x, size, c->set.pixels + (at * fields->channels + k) * square);
        columns[MEANS + k].reals[at] = mean_inside(pixels, labels, a.width, label, o);
    }
    iso_crop_mask(labels, a, label, o->y, o->x, size, c->masks + at * square);
    if (o->bottom - o->top > size || o->right - o->left > size) c->n_large++;
done:
    return st;
}

static iso_status add_cells(iso_crops *c, const iso_crops_how *how, const iso_images *fields, int64_t i,
                            const int32_t *labels, int32_t n_labels, const int32_t *values, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_object *objects = NULL;
    ALLOC(objects, n_labels, sizeof *objects);
    iso_measure_objects(labels, (iso_area){fields->height, fields->width}, n_labels, objects);
    for (int32_t k = 0; k < n_labels; k++) {
        if (objects[k].cut && !how->keep_edge) {
            c->n_edge++;
            continue;
        }
        TRY(make_room(c, c->set.n + 1, err));
        TRY(add_cell(c, fields, i, labels, k + 1, values[k], &objects[k], err));
    }
done:
    iso_free(objects);
    return st;
}

iso_status iso_crops_add(iso_crops *c, const iso_crops_how *how, const iso_images *fields, int64_t i,
                         const iso_images *masks, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *labels = NULL, *values = NULL, n_labels = 0;
    const char *field = fields->obs.index[i];
    int64_t size = fields->height * fields->width, before = c->set.n;
    if (!c->set.channel_names) TRY(take_channels(c, how, fields, err));
    TRY(check_channels(c, fields, field, err));
    if (fields->kind > c->set.kind) c->set.kind = fields->kind;
    FAIL_IF(masks && (masks->height != fields->height || masks->width != fields->width || masks->channels != 1 ||
                      masks->n != fields->n),
            ISO_EDATA,
            "%s: its mask has %lld images of %lld channels of %lld x %lld pixels; it must be like the field, with one "
            "channel",
            field, (long long)masks->n, (long long)masks->channels, (long long)masks->height, (long long)masks->width);
    ALLOC(labels, size, sizeof *labels);
    if (masks) TRY(number_labels(masks->pixels + i * size, size, field, labels, &n_labels, &values, err));
    else TRY(find_labels(fields, i, how, labels, &n_labels, &values, err));
    TRY(add_cells(c, how, fields, i, labels, n_labels, values, err));
    *n = c->set.n - before;
done:
    iso_free(labels);
    iso_free(values);
    return st;
}
