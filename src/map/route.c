/* route.c: see route.h. The cheapest way is Dijkstra's (1959); looking through all nodes for the next is plenty for 2,000. */
#include "route.h"

#include <math.h>
#include <string.h>

enum { ENDS_NEIGHBORS = 15, SMOOTHING = 2 };

void iso_route_straight(const float *a, const float *b, int64_t d, int64_t n, float *z)
{
    for (int64_t k = 0; k < n; k++) {
        float t = n > 1 ? (float)k / (float)(n - 1) : 0;
        for (int64_t i = 0; i < d; i++) z[k * d + i] = (1 - t) * a[i] + t * b[i];
    }
}

iso_status iso_route_p(iso_env *env, const iso_support *s, const float *z, int64_t n, double *p, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(iso_density_log(env, &s->density, z, n, NULL, p, err));
    for (int64_t i = 0; i < n; i++) p[i] = iso_support_p(s, -1, p[i]);
done:
    return st;
}

/* -------------------------------------------------------------------------------- the shortest path */

static double distance(const float *x, const float *y, int64_t d)
{
    double sum = 0;
    for (int64_t k = 0; k < d; k++) sum += (double)(x[k] - y[k]) * (double)(x[k] - y[k]);
    return sqrt(sum);
}

/* An end of the way: its nearest nodes, and how far they are in the graph's terms. */
typedef struct end {
    int n;
    int32_t node[ENDS_NEIGHBORS];
    double far[ENDS_NEIGHBORS], length[ENDS_NEIGHBORS], cost[ENDS_NEIGHBORS];
} end;

/* Length of a unit of z at a node: that of its edges. */
static double rate(const iso_route_graph *g, int64_t i)
{
    double far = 0, length = 0;
    for (int64_t e = g->first[i]; e < g->first[i + 1]; e++)
        far += distance(g->z + i * g->d, g->z + g->to[e] * g->d, g->d), length += (double)g->length[e];
    return far > 0 ? length / far : 1;
}

static void find_nearest(const iso_route_graph *g, const float *z, end *out)
{
    out->n = 0;
    for (int32_t i = 0; i < g->n; i++) {                     /* insertion into the nearest so far */
        double far = distance(z, g->z + i * g->d, g->d);
        if (out->n == ENDS_NEIGHBORS && far >= out->far[out->n - 1]) continue;
        int at = out->n < ENDS_NEIGHBORS ? out->n++ : ENDS_NEIGHBORS - 1;
        for (; at > 0 && out->far[at - 1] > far; at--) out->far[at] = out->far[at - 1], out->node[at] = out->node[at - 1];
        out->far[at] = far, out->node[at] = i;
    }
}

static iso_status join_end(iso_env *env, const iso_route_graph *g, const iso_support *s, const float *z, end *out, iso_error *err)
{
    iso_status st = ISO_OK;
    float *middle = NULL;
    double p[ENDS_NEIGHBORS];
    ALLOC(middle, ENDS_NEIGHBORS * g->d, sizeof *middle);
    find_nearest(g, z, out);
    for (int k = 0; k < out->n; k++)
        for (int64_t i = 0; i < g->d; i++) middle[k * g->d + i] = (z[i] + g->z[out->node[k] * g->d + i]) / 2;
    TRY(iso_route_p(env, s, middle, out->n, p, err));
    for (int k = 0; k < out->n; k++) {
        out->length[k] = out->far[k] * rate(g, out->node[k]);
        out->cost[k] = iso_route_cost(out->length[k], p[k]);
    }
done:
    iso_free(middle);
    return st;
}

/* The cheapest way from an end to every node: far [n], and the node before each in from (-1: the end itself). */
static iso_status spread(const iso_route_graph *g, const end *a, double *far, int32_t *from, iso_error *err)
{
    iso_status st = ISO_OK;
    bool *settled = NULL;
    ALLOC(settled, g->n, sizeof *settled);
    for (int64_t i = 0; i < g->n; i++) far[i] = HUGE_VAL, from[i] = -1;
    for (int k = 0; k < a->n; k++) far[a->node[k]] = a->cost[k];
    for (;;) {
        int32_t u = -1;
        for (int32_t i = 0; i < g->n; i++)
            if (!settled[i] && far[i] < HUGE_VAL && (u < 0 || far[i] < far[u])) u = i;
        if (u < 0) break;
        settled[u] = true;
        for (int64_t e = g->first[u]; e < g->first[u + 1]; e++)
            if (far[u] + (double)g->cost[e] < far[g->to[e]]) far[g->to[e]] = far[u] + (double)g->cost[e], from[g->to[e]] = u;
    }
done:
    iso_free(settled);
    return st;
}

static double edge_length(const iso_route_graph *g, int32_t u, int32_t v)
{
    for (int64_t e = g->first[u]; e < g->first[u + 1]; e++)
        if (g->to[e] == v) return (double)g->length[e];
    return 0;
}

static double end_length(const end *a, int32_t node)
{
    for (int k = 0; k < a->n; k++)
        if (a->node[k] == node) return a->length[k];
    return 0;
}

/* n points, evenly spaced in length, of the line through points [m, d] that lie at the lengths at [m]. */
static void space_evenly(const float *points, const double *at, int64_t m, int64_t d, int64_t n, float *z)
{
    for (int64_t i = 0, k = 1; i < n; i++) {
        double wanted = at[m - 1] * (double)i / (double)(n > 1 ? n - 1 : 1);
        while (k < m - 1 && (at[k] < wanted || i == n - 1)) k++;          /* the last point is the end, however short the last step */
        double step = at[k] - at[k - 1], t = i == n - 1 ? 1 : step > 0 ? fmin(1, (wanted - at[k - 1]) / step) : 0;
        for (int64_t j = 0; j < d; j++) z[i * d + j] = (float)((1 - t) * (double)points[(k - 1) * d + j] + t * (double)points[k * d + j]);
    }
}

iso_status iso_route_along(iso_env *env, const iso_route_graph *g, const iso_support *s, const float *a, const float *b, int64_t n, float *z,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    end begin, stop;
    int32_t *from = NULL, *node = NULL, last = -1;
    double *far = NULL, *at = NULL, best = HUGE_VAL;
    float *points = NULL;
    int64_t m = 0, d = g->d;
    size_t bytes = (size_t)d * sizeof *z;
    ALLOC(far, g->n, sizeof *far);
    ALLOC(from, g->n, sizeof *from);
    ALLOC(node, g->n, sizeof *node);
    ALLOC(at, g->n + 2, sizeof *at);
    ALLOC(points, (g->n + 2) * d, sizeof *points);
    TRY(join_end(env, g, s, a, &begin, err));
    TRY(join_end(env, g, s, b, &stop, err));
    TRY(spread(g, &begin, far, from, err));
    for (int k = 0; k < stop.n; k++)
        if (far[stop.node[k]] + stop.cost[k] < best) best = far[stop.node[k]] + stop.cost[k], last = stop.node[k];
    for (int32_t u = last; u >= 0; u = from[u]) node[m++] = u;           /* from b's side to a's */
    memcpy(points, a, bytes);
    for (int64_t k = 1; k <= m; k++) {
        int32_t u = node[m - k];
        memcpy(points + k * d, g->z + u * d, bytes);
        at[k] = at[k - 1] + (k == 1 ? end_length(&begin, u) : edge_length(g, node[m - k + 1], u));
    }
    memcpy(points + (m + 1) * d, b, bytes);
    at[m + 1] = at[m] + end_length(&stop, last);
    for (int64_t k = 1; k <= m; k++)
        for (int step = 0; step < SMOOTHING; step++) TRY(iso_density_step(&s->density, points + k * d, err));
    space_evenly(points, at, m + 2, d, n, z);
done:
    iso_free(far);
    iso_free(from);
    iso_free(node);
    iso_free(at);
    iso_free(points);
    return st;
}
