/* gallery.c: see gallery.h. Each picture is one function and one row of a table. */
#include "gallery.h"

#include "generate.h"
#include "image/image.h"
#include "picture_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12, SAMPLES = 36, STEPS = 9, MOST_WAYS = 6, MOST_DIMENSIONS = 16, MAP_SIDE = 16, LARGE = 96 };
static const double REACH = 2.5;                       /* of a traversal, in standard deviations of the cells */

typedef struct stage {
    iso_env *env;
    const iso_run *r;
    const iso_run_cells *view;
    const iso_judge *j;
    const iso_groups *groups;
    iso_model *m;
    int64_t L, size;                                   /* size: numbers of an image as files have it */
    float *prototypes;                                 /* [groups, L] */
    int64_t *nearest;                                  /* [groups] */
} stage;

static iso_status add(const stage *s, const float *pixels, int64_t n, int64_t columns, const char *title, char *text, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_picture_shown *p = &g->pictures[g->n];
    uint8_t *rgb = NULL;
    *p = (iso_picture_shown){.title = title, .text = text};
    g->n++;
    TRY(iso_made_sheet(s->m, pixels, n, columns, &rgb, &p->height, &p->width, err));
    TRY(iso_png_encode(rgb, p->height, p->width, &p->png, &p->bytes, err));
    p->zoom = LARGE / s->m->images.width;
    if (p->zoom < 1) p->zoom = 1;
done:
    iso_free(rgb);
    return st;
}

static const float *original(const stage *s, int64_t cell) { return s->r->data->images->pixels + cell * s->size; }

/* z [n, L] decoded to pixels [n, ...], the caller's. */
static iso_status decode(const stage *s, const float *z, int64_t n, bool sharp, float **pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    float *decoded = NULL;
    ALLOC(decoded, n * s->m->n_genes, sizeof *decoded);
    if (sharp) TRY(iso_decode_sharp(s->env, &s->m->v, z, n, NULL, (uint64_t)iso_opt_int(s->r->options, "seed"), decoded, err));
    else TRY(iso_decode(s->env, &s->m->v, z, n, NULL, decoded, NULL, NULL, err));
    TRY(iso_made_pixels(s->m, decoded, n, pixels, err));
done:
    iso_free(decoded);
    return st;
}

/* Held-out cells, or training ones where none are held out. */
static const int64_t *held_out(const iso_split *p, int64_t *n)
{
    *n = p->n_test ? p->n_test : p->n_validation ? p->n_validation : p->n_train;
    return p->n_test ? p->test : p->n_validation ? p->validation : p->train;
}

static iso_status reconstructions(const stage *s, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_evaluator *e = NULL;
    int64_t all, chosen[SHOWN], n, rows = s->m->v.c.image.grid ? 3 : 2;
    const int64_t *from = held_out(&s->r->fitted.split, &all);
    float *decoded = NULL, *pixels = NULL, *z = NULL, *soft = NULL, *sheet = NULL;
    n = all < SHOWN ? all : SHOWN;
    for (int64_t i = 0; i < n; i++) chosen[i] = from[i * all / n];
    ALLOC(decoded, n * s->m->n_genes, sizeof *decoded);
    ALLOC(z, n * s->L, sizeof *z);
    ALLOC(sheet, rows * n * s->size, sizeof *sheet);
    TRY(iso_evaluator_new(s->env, &s->m->v, &s->r->fitted.bound.cells, &e, err));
    TRY(iso_evaluate_reconstructed(e, chosen, n, decoded, err));
    TRY(iso_made_pixels(s->m, decoded, n, &pixels, err));
    for (int64_t i = 0; i < n; i++) {
        memcpy(sheet + i * s->size, original(s, chosen[i]), (size_t)s->size * sizeof *sheet);
        memcpy(sheet + (n + i) * s->size, pixels + i * s->size, (size_t)s->size * sizeof *sheet);
    }
    if (rows == 3) {        /* of the image as it lies; its place on the map is that of it turned */
        TRY(iso_evaluate(e, chosen, n, 0, 0, 0, &(iso_cell_scores){.mu = z}, err));
        TRY(decode(s, z, n, false, &soft, err));
        memcpy(sheet + 2 * n * s->size, soft, (size_t)(n * s->size) * sizeof *sheet);
    }
    TRY(add(s, sheet, rows * n, n, "Originals and reconstructions",
            iso_sprintf("Images that training did not see; below each, the model's reconstruction from its posterior means%s.",
                        rows == 3 ? "; below that, what z alone makes of it, with the grid of details at its prior's mean" : ""),
            g, err));
done:
    iso_evaluator_free(e);
    iso_free(decoded);
    iso_free(pixels);
    iso_free(z);
    iso_free(soft);
    iso_free(sheet);
    return st;
}

static iso_status samples(const stage *s, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    float *z = NULL, *pixels = NULL;
    const iso_split *p = &s->r->fitted.split;
    if (s->m->v.c.autoencoder) return ISO_OK;
    ALLOC(z, SAMPLES * s->L, sizeof *z);
    iso_draw_posterior(s->r->mu, s->r->variance, p->train, p->n_train, SAMPLES, (int)s->L, (uint64_t)iso_opt_int(s->r->options, "seed"), z);
    TRY(decode(s, z, SAMPLES, true, &pixels, err));
    TRY(add(s, pixels, SAMPLES, SHOWN, "Generated images",
            iso_sprintf("Cells that are in no file: z from where the training cells are%s. More of them: isolario sample.",
                        s->m->v.c.image.grid ? ", details from their prior p(s|z)" : ""),
            g, err));
done:
    iso_free(z);
    iso_free(pixels);
    return st;
}

static iso_status prototypes(const stage *s, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = s->groups->n < SHOWN ? s->groups->n : SHOWN;
    float *pixels = NULL, *sheet = NULL;
    if (n == 0) return ISO_OK;
    ALLOC(sheet, 2 * n * s->size, sizeof *sheet);
    TRY(decode(s, s->prototypes, n, false, &pixels, err));
    memcpy(sheet, pixels, (size_t)(n * s->size) * sizeof *sheet);
    for (int64_t k = 0; k < n; k++)
        if (s->nearest[k] >= 0) memcpy(sheet + (n + k) * s->size, original(s, s->nearest[k]), (size_t)s->size * sizeof *sheet);
    TRY(add(s, sheet, 2 * n, n, "Prototypes",
            iso_sprintf("The peak of each group's density, decoded (%s%s, from the left), and below it the image that is nearest to it.",
                        s->groups->names ? s->groups->names[0] : "cluster 0", n > 1 ? " first" : ""),
            g, err));
done:
    iso_free(pixels);
    iso_free(sheet);
    return st;
}

static iso_status ways(const stage *s, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_route_graph graph = {0};
    int64_t n = s->groups->n - 1 < MOST_WAYS ? s->groups->n - 1 : MOST_WAYS;
    float *z = NULL, *pixels = NULL;
    if (n < 1) return ISO_OK;
    ALLOC(z, n * STEPS * s->L, sizeof *z);
    TRY(iso_run_route_graph(s->env, s->view, &s->j->support, ISO_ROUTE_NODES, &graph, err));
    for (int64_t k = 0; k < n; k++)
        TRY(iso_route_along(s->env, &graph, &s->j->support, s->prototypes + k * s->L, s->prototypes + (k + 1) * s->L, STEPS, z + k * STEPS * s->L, err));
    TRY(decode(s, z, n * STEPS, false, &pixels, err));
    TRY(add(s, pixels, n * STEPS, STEPS, "Ways between groups",
            iso_strdup("Each row leads from the prototype of one group to that of the next, along places where cells are. Other ways, and how much of them no cell "
                       "supports: isolario path."),
            g, err));
done:
    iso_route_graph_clear(&graph);
    iso_free(z);
    iso_free(pixels);
    return st;
}

typedef struct ranked { double kl; int dimension; } ranked;
static int by_kl(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->kl != y->kl ? (x->kl < y->kl) - (x->kl > y->kl) : x->dimension - y->dimension;
}

/* Through the largest group's prototype, a dimension a row, the most telling first. */
static iso_status traversals(const stage *s, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_diagnosis *d = &s->r->fitted.diagnosis;
    int64_t n = s->L < MOST_DIMENSIONS ? s->L : MOST_DIMENSIONS, start = 0;
    float *z = NULL, *pixels = NULL;
    ranked *order = NULL;
    if (!d->kl_per_dim || s->groups->n == 0) return ISO_OK;
    ALLOC(order, s->L, sizeof *order);
    ALLOC(z, n * STEPS * s->L, sizeof *z);
    for (int k = 0; k < s->L; k++) order[k] = (ranked){d->kl_per_dim[k], k};
    qsort(order, (size_t)s->L, sizeof *order, by_kl);
    for (int32_t k = 0; k < s->groups->n; k++)
        if (s->groups->sizes && s->groups->sizes[k] > s->groups->sizes[start]) start = k;
    for (int64_t i = 0; i < n * STEPS; i++) {
        int k = order[i / STEPS].dimension;
        memcpy(z + i * s->L, s->prototypes + start * s->L, (size_t)s->L * sizeof *z);
        z[i * s->L + k] = (float)(REACH * sqrt(d->var_mu[k]) * (2.0 * (double)(i % STEPS) / (STEPS - 1) - 1));
    }
    TRY(decode(s, z, n * STEPS, false, &pixels, err));
    TRY(add(s, pixels, n * STEPS, STEPS, "Latent dimensions",
            iso_sprintf("One dimension of z a row, from -%.1f to %.1f standard deviations, the others at a prototype; those that tell most come first.", REACH, REACH),
            g, err));
done:
    iso_free(order);
    iso_free(z);
    iso_free(pixels);
    return st;
}

/* The map cut into MAP_SIDE x MAP_SIDE fields, each with the image that lies nearest to its middle. */
static iso_status map_of_images(const stage *s, iso_gallery *g, iso_error *err)
{
    iso_status st = ISO_OK;
    const float *xy = s->r->atlas.xy;
    int64_t n = s->r->data->x.n_rows, fields = (int64_t)MAP_SIDE * MAP_SIDE;
    float low[2] = {HUGE_VALF, HUGE_VALF}, high[2] = {-HUGE_VALF, -HUGE_VALF}, *sheet = NULL;
    double *least = NULL;
    int64_t *best = NULL;
    ALLOC(sheet, fields * s->size, sizeof *sheet);
    ALLOC(least, fields, sizeof *least);
    ALLOC(best, fields, sizeof *best);
    for (int64_t i = 0; i < 2 * n; i++) low[i % 2] = fminf(low[i % 2], xy[i]), high[i % 2] = fmaxf(high[i % 2], xy[i]);
    for (int64_t f = 0; f < fields; f++) best[f] = -1, least[f] = HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        double at[2], off = 0;
        int64_t field[2];
        for (int k = 0; k < 2; k++) {
            at[k] = (double)(xy[2 * i + k] - low[k]) / (double)fmaxf(high[k] - low[k], 1e-12f) * MAP_SIDE;
            field[k] = at[k] >= MAP_SIDE ? MAP_SIDE - 1 : (int64_t)at[k];
            off += pow(at[k] - (double)field[k] - 0.5, 2);
        }
        int64_t f = (MAP_SIDE - 1 - field[1]) * MAP_SIDE + field[0];
        if (off < least[f]) least[f] = off, best[f] = i;
    }
    for (int64_t f = 0; f < fields; f++)
        for (int64_t k = 0; k < s->size; k++)           /* where there is no cell, nothing: white */
            sheet[f * s->size + k] = best[f] >= 0 ? original(s, best[f])[k] : NAN;
    TRY(add(s, sheet, fields, MAP_SIDE, "The map in images", iso_strdup("The map above, with the image that lies nearest to the middle of each field."), g, err));
    g->pictures[g->n - 1].zoom = 1;
done:
    iso_free(sheet);
    iso_free(least);
    iso_free(best);
    return st;
}

iso_status iso_gallery_make(iso_env *env, const iso_run *r, const iso_run_cells *view, const iso_judge *j, const iso_groups *groups,
                            iso_gallery *out, iso_error *err)
{
    static iso_status (*const pictures[])(const stage *, iso_gallery *, iso_error *) = {reconstructions, samples, map_of_images, prototypes, ways, traversals};
    iso_status st = ISO_OK;
    stage s = {.env = env, .r = r, .view = view, .j = j, .groups = groups, .m = r->fitted.model, .L = r->fitted.model->v.c.n_latent};
    s.size = s.m->images.channels * s.m->images.height * s.m->images.width;
    *out = (iso_gallery){0};
    ALLOC(s.prototypes, groups->n * s.L, sizeof *s.prototypes);
    ALLOC(s.nearest, groups->n, sizeof *s.nearest);
    if (groups->n) TRY(iso_run_prototypes(env, view, groups, s.prototypes, s.nearest, err));
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) TRY(pictures[i](&s, out, err));
done:
    iso_free(s.prototypes);
    iso_free(s.nearest);
    if (st) iso_gallery_clear(out);
    return st;
}

void iso_gallery_clear(iso_gallery *g)
{
    for (int i = 0; i < g->n; i++) iso_free(g->pictures[i].text), iso_free(g->pictures[i].png);
    *g = (iso_gallery){0};
}
