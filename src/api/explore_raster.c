/* explore_raster.c: the picture's ground as pixels: how many cells lie where, and what the place of the latent space under each
 * pixel is. Pixels with no cell near are open sea. */
#include "explore.h"

#include <math.h>
#include <string.h>

enum { SIDE = 256, SEA = 255, NEAR = 16 };        /* NEAR: pixels to the nearest cell, at most */
static const double MARGIN = 0.05, BLUR = 3;      /* BLUR: pixels, deviation of a cell's Gaussian */

typedef struct raster {
    double x0, y0, x1, y1;
    float *density, *p;           /* [SIDE, SIDE] */
    uint8_t *is, *uncertain;
    int64_t n;                    /* pixels near cells: */
    int32_t *pixel;               /* [n] */
    float *z;                     /* [n, n_latent] */
} raster;

/* A square around all cells, so that pixels are as high as they are wide. */
static void set_frame(const iso_explore *x, raster *r)
{
    double low[2] = {HUGE_VAL, HUGE_VAL}, high[2] = {-HUGE_VAL, -HUGE_VAL};
    for (int64_t i = 0; i < 2 * x->run.obs.n_rows; i++) {
        low[i % 2] = fmin(low[i % 2], (double)x->xy[i]);
        high[i % 2] = fmax(high[i % 2], (double)x->xy[i]);
    }
    double half = fmax(fmax(high[0] - low[0], high[1] - low[1]), 1e-6) * (0.5 + MARGIN);
    double middle[2] = {(low[0] + high[0]) / 2, (low[1] + high[1]) / 2};
    r->x0 = middle[0] - half, r->x1 = middle[0] + half;
    r->y0 = middle[1] - half, r->y1 = middle[1] + half;
}

/* One pass of a Gaussian over lines of SIDE values that lie `step` apart. */
static void blur(const float *from, float *to, int64_t line, int64_t step)
{
    enum { REACH = 9 };
    for (int64_t l = 0; l < SIDE; l++)
        for (int64_t i = 0; i < SIDE; i++) {
            double sum = 0;
            for (int64_t k = -REACH; k <= REACH; k++)
                if (i + k >= 0 && i + k < SIDE)
                    sum += (double)from[l * line + (i + k) * step] * exp(-0.5 * (double)(k * k) / (BLUR * BLUR));
            to[l * line + i * step] = (float)sum;
        }
}

/* Which of SIDE pixels from `low` to `high` x lies in; where they are one number, for all x, the first. */
static int64_t pixel_at(double x, double low, double high)
{
    double at = (x - low) / (high - low) * SIDE;
    return !(at > 0) ? 0 : at >= SIDE ? SIDE - 1 : (int64_t)at;
}

static iso_status count_cells(const iso_explore *x, raster *r, iso_error *err)
{
    iso_status st = ISO_OK;
    float *room = NULL, top = 0;
    ALLOC(room, SIDE * SIDE, sizeof *room);
    for (int64_t i = 0; i < x->run.obs.n_rows; i++) {
        int64_t column = pixel_at((double)x->xy[2 * i], r->x0, r->x1), row = pixel_at((double)x->xy[2 * i + 1], r->y0, r->y1);
        r->density[row * SIDE + column]++;
    }
    blur(r->density, room, SIDE, 1);
    blur(room, r->density, 1, SIDE);
    for (int i = 0; i < SIDE * SIDE; i++) top = fmaxf(top, r->density[i]);
    for (int i = 0; i < SIDE * SIDE; i++) r->density[i] /= top;
done:
    iso_free(room);
    return st;
}

/* z of every pixel near a cell. */
static iso_status lift_pixels(const iso_explore *x, raster *r, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = x->run.model->v.c.n_latent;
    double step = (r->x1 - r->x0) / SIDE;
    ALLOC(r->pixel, SIDE * SIDE, sizeof *r->pixel);
    ALLOC(r->z, SIDE * SIDE * L, sizeof *r->z);
    for (int32_t i = 0; i < SIDE * SIDE; i++) {
        double u = r->x0 + (i % SIDE + 0.5) * step, v = r->y0 + (i / SIDE + 0.5) * step;
        double far = iso_lift_up(&x->lift, (float)u, (float)v, r->z + r->n * L);
        r->is[i] = SEA;
        r->p[i] = NAN;
        if (far <= NEAR * step) r->pixel[r->n++] = i;
    }
done:
    return st;
}

/* p-values of all pixels near cells; classes of those that cells do not support, which the others need not. */
static iso_status judge_pixels(const iso_explore *x, raster *r, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = x->run.model->v.c.n_latent, n = 0;
    double *p = NULL;
    iso_place *places = NULL;
    ALLOC(p, r->n, sizeof *p);
    ALLOC(places, r->n, sizeof *places);
    TRY(iso_route_p(x->env, &x->judge.support, r->z, r->n, p, err));
    for (int64_t i = 0; i < r->n; i++) {
        r->p[r->pixel[i]] = (float)p[i];
        r->is[r->pixel[i]] = ISO_PLACE_OBSERVED;
        if (p[i] > ISO_VOID_P) continue;
        memmove(r->z + n * L, r->z + i * L, (size_t)L * sizeof *r->z);
        r->pixel[n++] = r->pixel[i];
    }
    TRY(iso_run_judge_places(x->env, &x->run, &x->judge, r->z, n, places, err));
    for (int64_t i = 0; i < n; i++) r->is[r->pixel[i]] = (uint8_t)places[i].is;
done:
    iso_free(p);
    iso_free(places);
    return st;
}

/* Where the decoders disagree more than on data, from every second pixel of every second row, for its neighbours too. */
static iso_status find_uncertain(const iso_explore *x, raster *r, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = x->run.model->v.c.n_latent, n = 0;
    float *z = NULL;
    int32_t *pixel = NULL;
    iso_place *places = NULL;
    ALLOC(z, r->n * L, sizeof *z);
    ALLOC(pixel, r->n, sizeof *pixel);
    ALLOC(places, r->n, sizeof *places);
    for (int64_t i = 0; i < r->n; i++) {
        if (r->pixel[i] % SIDE % 2 || r->pixel[i] / SIDE % 2) continue;
        memcpy(z + n * L, r->z + i * L, (size_t)L * sizeof *z);
        pixel[n++] = r->pixel[i];
    }
    TRY(iso_run_judge_places(x->env, &x->run, &x->judge, z, n, places, err));
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 4 && places[i].uncertain; k++) r->uncertain[pixel[i] + k % 2 + k / 2 * SIDE] = 1;
done:
    iso_free(z);
    iso_free(pixel);
    iso_free(places);
    return st;
}

iso_status iso_explore_raster(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    raster r = {0};
    set_frame(x, &r);
    TRY(iso_explore_add(x, "raster_density", ISO_FLOAT32, SIDE, SIDE, &r.density, err));
    TRY(iso_explore_add(x, "raster_class", ISO_UINT8, SIDE, SIDE, &r.is, err));
    TRY(iso_explore_add(x, "raster_uncertain", ISO_UINT8, SIDE, SIDE, &r.uncertain, err));
    TRY(iso_explore_add(x, "raster_p_value", ISO_FLOAT32, SIDE, SIDE, &r.p, err));
    TRY(count_cells(x, &r, err));
    TRY(lift_pixels(x, &r, err));
    if (x->run.heads.n) TRY(find_uncertain(x, &r, err));
    TRY(judge_pixels(x, &r, err));
    const struct { const char *key; double value; } numbers[] = {{"width", SIDE}, {"height", SIDE}, {"x0", r.x0}, {"y0", r.y0}, {"x1", r.x1}, {"y1", r.y1}};
    const char *const arrays[][2] = {{"density", "raster_density"}, {"class", "raster_class"}, {"p_value", "raster_p_value"},
                                      {"uncertain", "raster_uncertain"}};
    js_key(j, "raster");
    js_open(j, '{');
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) js_key(j, numbers[i].key), js_number(j, numbers[i].value);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) js_key(j, arrays[i][0]), js_string(j, arrays[i][1]);
    js_close(j, '}');
done:
    iso_free(r.pixel);
    iso_free(r.z);
    return st;
}
