/* explore_groups.c: the groups of map.json: where they lie, their prototypes, and the genes that mark them in the counts and in
 * what the model decodes. */
#include "explore.h"

#include "atlas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MARKERS = 25, MOST_DECODED = 100 };

typedef struct stage {
    float *z, *profiles;          /* [groups, n_latent] prototypes, [groups, G] mean decoded */
    int64_t *nearest;             /* [groups] */
    iso_place *places;            /* [groups] */
    double *observed, *decoded;   /* [groups, G] effects; observed NULL: no counts; both NULL: images, which have no genes */
} stage;

static void stage_clear(stage *s)
{
    iso_free(s->z);
    iso_free(s->profiles);
    iso_free(s->nearest);
    iso_free(s->places);
    iso_free(s->observed);
    iso_free(s->decoded);
}

/* Mean of what at most MOST_DECODED cells of each group decode to, evenly spaced. */
static iso_status decode_groups(iso_explore *x, stage *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = x->run.model->n_genes, L = x->run.model->v.c.n_latent;
    float *z = NULL, *decoded = NULL;
    ALLOC(z, MOST_DECODED * L, sizeof *z);
    ALLOC(decoded, MOST_DECODED * G, sizeof *decoded);
    for (int32_t k = 0; k < x->groups.n; k++) {
        int64_t size = x->groups.sizes[k], some = size < MOST_DECODED ? size : MOST_DECODED, at = 0, seen = 0;
        for (int64_t i = 0; i < x->run.obs.n_rows && at < some; i++)
            if (x->groups.codes[i] == k && seen++ * some / size >= at) memcpy(z + at++ * L, x->run.mu + i * L, (size_t)L * sizeof *z);
        TRY(iso_decode(x->env, &x->run.model->v, z, at, NULL, decoded, NULL, NULL, err));
        for (int64_t i = 0; i < at; i++)
            for (int64_t g = 0; g < G; g++) s->profiles[k * G + g] += decoded[i * G + g] / (float)at;
    }
done:
    iso_free(z);
    iso_free(decoded);
    return st;
}

/* Difference of log1p of decoded counts per 10,000 (or of Gaussian means) between a group and the rest of the cells. */
static void contrast_profiles(const iso_explore *x, stage *s)
{
    int64_t G = x->run.model->n_genes;
    bool counts = x->run.model->v.c.likelihood->counts;
    for (int64_t g = 0; g < G; g++) {
        double all = 0, n = 0;
        for (int32_t k = 0; k < x->groups.n; k++) all += (double)x->groups.sizes[k] * (double)s->profiles[k * G + g], n += (double)x->groups.sizes[k];
        for (int32_t k = 0; k < x->groups.n; k++) {
            double size = (double)x->groups.sizes[k], in = (double)s->profiles[k * G + g];
            double rest = n > size ? (all - size * in) / (n - size) : in;
            s->decoded[k * G + g] = counts ? log1p(1e4 * in) - log1p(1e4 * fmax(0, rest)) : in - rest;
        }
    }
}

static iso_status gather(iso_explore *x, stage *s, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_groups *g = &x->groups;
    int64_t G = x->run.model->n_genes, L = x->run.model->v.c.n_latent;
    ALLOC(s->z, g->n * L, sizeof *s->z);
    ALLOC(s->nearest, g->n, sizeof *s->nearest);
    ALLOC(s->places, g->n, sizeof *s->places);
    TRY(iso_run_prototypes(x->env, &x->run, g, s->z, s->nearest, err));
    TRY(iso_run_judge_places(x->env, &x->run, &x->judge, s->z, g->n, s->places, err));
    if (x->run.model->images.channels) goto done;
    ALLOC(s->profiles, g->n * G, sizeof *s->profiles);
    ALLOC(s->decoded, g->n * G, sizeof *s->decoded);
    TRY(decode_groups(x, s, err));
    contrast_profiles(x, s);
    if (x->counts.n_cols == 0) goto done;
    ALLOC(s->observed, g->n * G, sizeof *s->observed);
    TRY(iso_gene_contrasts(&x->counts, g->codes, g->n, s->observed, err));
done:
    return st;
}

/* The genes with the largest effects, by falling effect: genes [MARKERS]; returns how many. */
static int find_markers(const double *effect, int64_t G, int32_t *genes)
{
    int n = 0;
    for (int64_t g = 0; g < G; g++) {
        if (!(effect[g] > 0) || (n == MARKERS && effect[g] <= effect[genes[n - 1]])) continue;
        int at = n < MARKERS ? n++ : MARKERS - 1;
        for (; at > 0 && effect[genes[at - 1]] < effect[g]; at--) genes[at] = genes[at - 1];
        genes[at] = (int32_t)g;
    }
    return n;
}

static void write_markers(const iso_explore *x, json *j, const stage *s, int32_t k)
{
    int64_t G = x->run.model->n_genes;
    int32_t genes[MARKERS];
    const double *effect = s->observed ? s->observed : s->decoded;
    int n = effect ? find_markers(effect + k * G, G, genes) : 0;
    js_key(j, "markers");
    js_open(j, '[');
    for (int i = 0; i < n; i++) {
        js_open(j, '{');
        js_key(j, "gene");
        js_integer(j, genes[i]);
        js_key(j, "observed_effect");
        js_number(j, s->observed ? s->observed[k * G + genes[i]] : (double)NAN);
        js_key(j, "decoded_effect");
        js_number(j, s->decoded[k * G + genes[i]]);
        js_close(j, '}');
    }
    js_close(j, ']');
}

static void write_prototype(const iso_explore *x, json *j, const stage *s, int32_t k)
{
    int64_t L = x->run.model->v.c.n_latent;
    js_key(j, "prototype");
    js_open(j, '{');
    js_key(j, "z");
    js_open(j, '[');
    for (int64_t d = 0; d < L; d++) js_number(j, (double)s->z[k * L + d]);
    js_close(j, ']');
    js_key(j, "nearest_cell");
    js_integer(j, s->nearest[k]);
    js_key(j, "class");
    js_integer(j, s->places[k].is);
    js_key(j, "p_value");
    js_number(j, s->places[k].p_value);
    js_close(j, '}');
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where to write a group's name: the median of its cells in both directions. */
static iso_status label_place(const iso_explore *x, int32_t k, double *at, iso_error *err)
{
    iso_status st = ISO_OK;
    double *v = NULL;
    ALLOC(v, x->groups.sizes[k], sizeof *v);
    for (int a = 0; a < 2; a++) {
        int64_t n = 0;
        for (int64_t i = 0; i < x->run.obs.n_rows; i++)
            if (x->groups.codes[i] == k) v[n++] = (double)x->xy[2 * i + a];
        qsort(v, (size_t)n, sizeof *v, by_size);
        at[a] = v[n / 2];
    }
done:
    iso_free(v);
    return st;
}

static iso_status write_group(const iso_explore *x, json *j, const stage *s, int32_t k, iso_error *err)
{
    iso_status st = ISO_OK;
    double at[2];
    TRY(label_place(x, k, at, err));
    js_open(j, '{');
    js_key(j, "name");
    js_string(j, x->groups.names[k]);
    js_key(j, "size");
    js_integer(j, x->groups.sizes[k]);
    js_key(j, "x");
    js_number(j, at[0]);
    js_key(j, "y");
    js_number(j, at[1]);
    write_prototype(x, j, s, k);
    write_markers(x, j, s, k);
    js_close(j, '}');
done:
    return st;
}

iso_status iso_explore_groups(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    stage s = {0};
    TRY(gather(x, &s, err));
    js_key(j, "groups");
    js_open(j, '{');
    js_key(j, "key");
    js_string(j, x->key);
    js_key(j, "places");
    js_open(j, '[');
    for (int32_t k = 0; k < x->groups.n; k++)
        if (x->groups.sizes[k]) TRY(write_group(x, j, &s, k, err));
    js_close(j, ']');
    js_close(j, '}');
done:
    stage_clear(&s);
    return st;
}
