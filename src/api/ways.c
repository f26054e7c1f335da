/* ways.c: see ways.h. */
#include "ways.h"

#include <math.h>
#include <string.h>

enum { POINTS = 2 * (ISO_WAY_STEPS - 1) + 1 };              /* that a way is held against the density at: two a step */

iso_status iso_share_in_voids(iso_env *env, const iso_run_cells *r, const iso_support *s, const float *z, int64_t n, double *share,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    double *p = NULL, all = 0, in = 0;
    float *decoded = NULL;
    int64_t G = r->model->n_genes;
    bool shares = r->model->v.c.likelihood->counts;
    ALLOC(p, n, sizeof *p);
    ALLOC(decoded, n * G, sizeof *decoded);
    TRY(iso_route_p(env, s, z, n, p, err));
    TRY(iso_decode(env, &r->model->v, z, n, NULL, decoded, NULL, NULL, err));
    for (int64_t i = 1; i < n; i++) {
        double length = iso_route_length(decoded + (i - 1) * G, decoded + i * G, G, shares);
        all += length;
        in += length * ((p[i - 1] <= ISO_VOID_P) + (p[i] <= ISO_VOID_P)) / 2;
    }
    *share = all > 0 ? in / all : p[0] <= ISO_VOID_P;
done:
    iso_free(p);
    iso_free(decoded);
    return st;
}

/* What is shown of a decoded state; `spreads` of the decoders away from it. */
static float shown(const iso_run_cells *r, float state, double spread, int spreads)
{
    bool counts = r->model->v.c.likelihood->counts;
    return (float)(counts ? log1p(1e4 * (double)state * exp(spreads * spread)) : (double)state + spreads * spread);
}

/* The genes whose values over states [ISO_WAY_STEPS, G] have the largest range. */
static void choose_genes(const iso_run_cells *r, const float *states, int64_t G, iso_way *way)
{
    float ranges[ISO_WAY_GENES];
    way->n_genes = 0;
    for (int64_t g = 0; g < G; g++) {
        float low = HUGE_VALF, high = -HUGE_VALF;
        for (int64_t i = 0; i < ISO_WAY_STEPS; i++) {
            low = fminf(low, states[i * G + g]);
            high = fmaxf(high, states[i * G + g]);
        }
        float range = shown(r, high, 0, 0) - shown(r, low, 0, 0);
        if (way->n_genes == ISO_WAY_GENES && !(range > ranges[ISO_WAY_GENES - 1])) continue;
        int at = way->n_genes < ISO_WAY_GENES ? way->n_genes++ : ISO_WAY_GENES - 1;
        for (; at > 0 && range > ranges[at - 1]; at--) ranges[at] = ranges[at - 1], way->gene[at] = way->gene[at - 1];
        ranges[at] = range, way->gene[at] = (int32_t)g;
    }
}

/* Voids and genes at the steps, which are every second one of the points [POINTS, L]. */
static iso_status describe_steps(iso_env *env, const iso_run_cells *r, const iso_support *s, const float *points, iso_way *way, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent, G = r->model->n_genes;
    double p[ISO_WAY_STEPS], mean[ISO_WAY_STEPS];
    float *z = NULL, *states = NULL, *spread = NULL;
    ALLOC(z, ISO_WAY_STEPS * L, sizeof *z);
    ALLOC(states, ISO_WAY_STEPS * G, sizeof *states);
    ALLOC(spread, ISO_WAY_STEPS * G, sizeof *spread);
    for (int64_t i = 0; i < ISO_WAY_STEPS; i++) memcpy(z + i * L, points + 2 * i * L, (size_t)L * sizeof *z);
    TRY(iso_route_p(env, s, z, ISO_WAY_STEPS, p, err));
    TRY(iso_decode(env, &r->model->v, z, ISO_WAY_STEPS, NULL, states, NULL, NULL, err));
    TRY(iso_heads_spread(env, r->model, &r->heads, z, states, ISO_WAY_STEPS, spread, mean, err));
    choose_genes(r, states, G, way);
    for (int64_t i = 0; i < ISO_WAY_STEPS; i++) {
        way->is_void[i] = p[i] <= ISO_VOID_P;
        for (int k = 0; k < way->n_genes; k++) {
            int64_t at = i * G + way->gene[k];
            way->value[k][i] = shown(r, states[at], 0, 0);
            way->low[k][i] = shown(r, states[at], (double)spread[at], -2);
            way->high[k][i] = shown(r, states[at], (double)spread[at], 2);
        }
    }
done:
    iso_free(z);
    iso_free(states);
    iso_free(spread);
    return st;
}

iso_status iso_way_follow(iso_env *env, const iso_run_cells *r, const iso_support *s, const iso_route_graph *g, iso_way *way,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent;
    const float *a = r->mu + way->from * L, *b = r->mu + way->to * L;
    float *points = NULL;
    ALLOC(points, POINTS * L, sizeof *points);
    iso_route_straight(a, b, L, POINTS, points);
    TRY(iso_share_in_voids(env, r, s, points, POINTS, &way->straight_in_voids, err));
    TRY(iso_route_along(env, g, s, a, b, POINTS, points, err));
    TRY(iso_share_in_voids(env, r, s, points, POINTS, &way->in_voids, err));
    TRY(describe_steps(env, r, s, points, way, err));
done:
    iso_free(points);
    return st;
}
