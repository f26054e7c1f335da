/* explore_images.c: of a model of images, how what it decodes becomes a picture, and the cells' own images as thumbnails, if they are at hand. */
#include "explore.h"

#include "image/image.h"
#include "io/tensors.h"

#include <string.h>

enum { SIDE = 32, RGB = 3 };              /* SIDE: pixels of a thumbnail, at most */
static const int64_t MOST_IN_PAGE = 32 << 20, MOST_IN_FOLDER = 256 << 20;      /* bytes */

/* Squares of `box` pixels become one; every `every`-th cell has a thumbnail, `n` cells in all. */
typedef struct thumbnails { int64_t box, height, width, every, n; } thumbnails;

static thumbnails plan(const iso_explore *x)
{
    const iso_image_terms *t = &x->run.model->images;
    int64_t longer = t->height > t->width ? t->height : t->width, cells = x->run.obs.n_rows;
    thumbnails p = {.box = (longer + SIDE - 1) / SIDE};
    p.height = (t->height + p.box - 1) / p.box, p.width = (t->width + p.box - 1) / p.box;
    int64_t most = (x->per_gene ? MOST_IN_FOLDER : MOST_IN_PAGE) / (p.height * p.width * RGB);
    p.every = cells > most ? (cells + most - 1) / most : 1;
    p.n = (cells + p.every - 1) / p.every;
    return p;
}

/* Means of squares of pixels, fewer at the right and the lower edge. */
static void shrink(const float *plane, iso_area a, int64_t box, float *out)
{
    for (int64_t top = 0; top < a.height; top += box)
        for (int64_t left = 0; left < a.width; left += box) {
            int64_t bottom = top + box < a.height ? top + box : a.height, right = left + box < a.width ? left + box : a.width;
            double sum = 0;
            for (int64_t y = top; y < bottom; y++)
                for (int64_t x = left; x < right; x++) sum += (double)plane[y * a.width + x];
            *out++ = (float)(sum / (double)((bottom - top) * (right - left)));
        }
}

typedef struct job { iso_explore *x; thumbnails plan; bool *found; } job;

/* From the images of the run's cells, whose rows of d these are. */
static iso_status draw(const job *w, const iso_dataset *d, const int64_t *rows, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_image_terms *t = &w->x->run.model->images;
    const thumbnails *p = &w->plan;
    int64_t plane = t->height * t->width, small = p->height * p->width;
    float *means = NULL;
    uint8_t *to;
    ALLOC(means, t->channels * small, sizeof *means);
    TRY(iso_explore_add(w->x, "thumbnails", ISO_UINT8, p->n, small * RGB, &to, err));
    for (int64_t i = 0; i < p->n; i++) {
        const float *image = d->images->pixels + rows[i * p->every] * t->channels * plane;
        for (int64_t c = 0; c < t->channels; c++) shrink(image + c * plane, (iso_area){t->height, t->width}, p->box, means + c * small);
        iso_composite(means, t->channels, (iso_area){p->height, p->width}, t->low, t->scale, iso_is_rgb(t->channels, t->names), to + i * small * RGB);
    }
done:
    iso_free(means);
    return st;
}

static iso_status read_images(void *arg, const char *path, const char *sha256, iso_error *err)
{
    iso_status st = ISO_OK;
    job *w = arg;
    iso_run_cells *r = &w->x->run;
    iso_dataset *d = NULL;
    iso_bound bound = {0};
    int64_t *rows = NULL;
    char now[65];
    if (sha256) TRY(iso_sha256_path(path, now, err));
    FAIL_IF(sha256 && strcmp(sha256, now) != 0, ISO_EDATA, "%s is not what it was when the run was made", path);
    TRY(iso_images_dataset(w->x->env, path, NULL, &d, err));
    TRY(iso_image_bind(r->model, d, &bound, err));           /* the same sizes and channels */
    ALLOC(rows, r->obs.n_rows, sizeof *rows);
    TRY(iso_run_find_rows(r, d, rows, err));
    TRY(draw(w, d, rows, err));
    *w->found = true;
done:
    iso_bound_clear(&bound);
    iso_dataset_free(d);
    iso_free(rows);
    return st;
}

/* ---------------------------------------------------------------------------------------- map.json */

/* One number a channel. */
static void write_numbers(json *j, const char *key, const double *values, int64_t n)
{
    js_key(j, key);
    js_open(j, '[');
    for (int64_t c = 0; c < n; c++) js_number(j, values[c]);
    js_close(j, ']');
}

static iso_status write_scaling(const iso_model *m, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_image_terms *t = &m->images;
    double *v = NULL, *high, *zero;
    ALLOC(v, 3 * t->channels, sizeof *v);
    high = v + t->channels, zero = high + t->channels;
    for (int64_t c = 0; c < t->channels; c++) {
        v[c] = (double)t->low[c], high[c] = v[c] + 1 / (double)t->scale[c];
        zero[c] = m->v.c.likelihood->image->photons ? t->offset[c] : v[c];
    }
    write_numbers(j, "low", v, t->channels);
    write_numbers(j, "high", high, t->channels);
    write_numbers(j, "zero", zero, t->channels);
done:
    iso_free(v);
    return st;
}

static void write_channels(const iso_image_terms *t, json *j)
{
    bool rgb = iso_is_rgb(t->channels, t->names);
    js_key(j, "names");
    js_open(j, '[');
    for (int64_t c = 0; c < t->channels; c++) js_string(j, t->names[c]);
    js_close(j, ']');
    js_key(j, "colors");
    js_open(j, '[');
    for (int64_t c = 0; c < t->channels; c++) {
        js_open(j, '[');
        for (int k = 0; k < RGB; k++) js_integer(j, iso_channel_colour(t->channels, c, rgb)[k]);
        js_close(j, ']');
    }
    js_close(j, ']');
}

static iso_status write_thumbnails(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    bool found = false;
    job w = {x, plan(x), &found};
    TRY(iso_run_read_input(x->env, &x->run, x->options, "the cells' images", "the page shows decoded images alone", read_images, &w, err));
    js_key(j, "thumbnails");
    js_string(j, found ? "thumbnails" : NULL);
    const struct { const char *key; int64_t value; } numbers[] = {
        {"thumbnail_every", w.plan.every}, {"thumbnail_height", w.plan.height}, {"thumbnail_width", w.plan.width}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) js_key(j, numbers[i].key), js_integer(j, numbers[i].value);
    if (found && w.plan.every > 1)
        iso_warn(x->env, "one cell in %lld has a thumbnail, %lld of %lld: more would not fit into %s", (long long)w.plan.every, (long long)w.plan.n,
                 (long long)x->run.obs.n_rows, x->per_gene ? "256 MB" : "the 32 MB that a page has for them; a folder holds more");
done:
    return st;
}

iso_status iso_explore_images(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_model *m = x->run.model;
    const iso_image_terms *t = &m->images;
    const struct { const char *key; int64_t value; } numbers[] = {{"channels", t->channels}, {"height", t->height}, {"width", t->width},
        {"decoded_height", m->v.c.image.height}, {"decoded_width", m->v.c.image.width}};
    if (!t->channels) return ISO_OK;
    js_key(j, "images");
    js_open(j, '{');
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) js_key(j, numbers[i].key), js_integer(j, numbers[i].value);
    write_channels(t, j);
    TRY(write_scaling(m, j, err));
    TRY(write_thumbnails(x, j, err));
    js_close(j, '}');
done:
    return st;
}
