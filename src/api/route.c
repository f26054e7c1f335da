/* route.c: see route.h. Sources: Arvanitidis et al. 2018 (geodesics of a decoder); Chen et al. 2019 (over a graph of
 * neighbours); Fisher-Rao length of multinomial laws: Rao 1945. */
#include "route.h"

#include "map/map.h"

#include <math.h>
#include <string.h>

enum { MOST_CELLS = 2000, NEIGHBORS = 15 };
static const int64_t MOST_DECODED = 16 << 20;      /* floats */
static const double VOID_P = 0.05, VOID_FACTOR = 4;

void iso_route_straight(const float *a, const float *b, int64_t n_latent, int64_t n, float *z)
{
    for (int64_t k = 0; k < n; k++) {
        float t = n > 1 ? (float)k / (float)(n - 1) : 0;
        for (int64_t d = 0; d < n_latent; d++) z[k * n_latent + d] = (1 - t) * a[d] + t * b[d];
    }
}

iso_status iso_route_in_voids(iso_env *env, const iso_support *s, const float *z, int64_t n, double *share, iso_error *err)
{
    iso_status st = ISO_OK;
    double *log_q = NULL;
    ALLOC(log_q, n, sizeof *log_q);
    TRY(iso_density_log(env, &s->density, z, n, NULL, log_q, err));
    *share = 0;
    for (int64_t i = 0; i < n; i++) *share += (iso_support_p(s, -1, log_q[i]) <= VOID_P) / (double)n;
done:
    iso_free(log_q);
    return st;
}

/* ------------------------------------------------------------------------------------- the graph */

/* Nodes: a, b, then cells. */
typedef struct graph {
    int64_t n, L, G;
    float *z;                     /* [n, L] */
    float *decoded;               /* [n, G] square roots of shares, or Gaussian means */
    bool shares;
    iso_knn knn;
    double *length, *cost;        /* [n, k] of each neighbour: as it is, and with the factor of voids */
} graph;

static void graph_clear(graph *g)
{
    iso_free(g->z);
    iso_free(g->decoded);
    iso_knn_clear(&g->knn);
    iso_free(g->length);
    iso_free(g->cost);
}

static iso_status place_nodes(iso_env *env, const iso_run_cells *r, const float *a, const float *b, graph *g, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n_train = 0, at = 2, seen = 0, most = MOST_DECODED / r->model->n_genes;
    g->L = r->model->v.c.n_latent, g->G = r->model->n_genes;
    const iso_likelihood *law = r->model->v.c.likelihood;
    g->shares = law->counts;
    for (int64_t i = 0; i < r->obs.n_rows; i++) n_train += r->is_train[i];
    if (most > MOST_CELLS) most = MOST_CELLS;
    if (most > n_train) most = n_train;
    g->n = most + 2;
    ALLOC(g->z, g->n * g->L, sizeof *g->z);
    ALLOC(g->decoded, g->n * g->G, sizeof *g->decoded);
    memcpy(g->z, a, (size_t)g->L * sizeof *a);
    memcpy(g->z + g->L, b, (size_t)g->L * sizeof *b);
    for (int64_t i = 0; i < r->obs.n_rows && at < g->n; i++) {           /* evenly spaced */
        if (!r->is_train[i]) continue;
        if (seen++ * most / n_train < at - 2) continue;
        memcpy(g->z + at++ * g->L, r->mu + i * g->L, (size_t)g->L * sizeof *a);
    }
    g->n = at;
    TRY(iso_decode(env, &r->model->v, g->z, g->n, NULL, g->decoded, NULL, NULL, err));
    for (int64_t i = 0; g->shares && i < g->n * g->G; i++) g->decoded[i] = sqrtf(fmaxf(g->decoded[i], 0));
done:
    return st;
}

static void measure_node(void *arg, int64_t i)
{
    graph *g = arg;
    const float *x = g->decoded + i * g->G;
    for (int j = 0; j < g->knn.k; j++) {
        const float *y = g->decoded + g->knn.index[i * g->knn.k + j] * g->G;
        double sum = 0;
        for (int64_t k = 0; k < g->G; k++)
            sum += g->shares ? (double)(x[k] * y[k]) : (double)(x[k] - y[k]) * (double)(x[k] - y[k]);
        g->length[i * g->knn.k + j] = g->shares ? 2 * acos(fmin(sum, 1)) : sqrt(sum);
    }
}

/* Neighbours, how far they are, and what it costs to go there. */
static iso_status join_nodes(iso_env *env, const iso_support *s, int k, graph *g, iso_error *err)
{
    iso_status st = ISO_OK;
    float *middle = NULL;
    double *log_q = NULL;
    iso_knn_clear(&g->knn);
    iso_free(g->length);
    iso_free(g->cost);
    g->length = g->cost = NULL;
    TRY(iso_knn_build(env, g->z, g->n, g->L, k, 0, &g->knn, err));
    int64_t edges = g->n * g->knn.k;
    ALLOC(g->length, edges, sizeof *g->length);
    ALLOC(g->cost, edges, sizeof *g->cost);
    ALLOC(middle, edges * g->L, sizeof *middle);
    ALLOC(log_q, edges, sizeof *log_q);
    iso_parallel(env, g->n, measure_node, g);
    for (int64_t e = 0; e < edges; e++)
        for (int64_t d = 0; d < g->L; d++)
            middle[e * g->L + d] = (g->z[e / g->knn.k * g->L + d] + g->z[g->knn.index[e] * g->L + d]) / 2;
    TRY(iso_density_log(env, &s->density, middle, edges, NULL, log_q, err));
    for (int64_t e = 0; e < edges; e++) {
        double p = iso_support_p(s, -1, log_q[e]);
        g->cost[e] = (g->length[e] + 1e-9) * (1 + VOID_FACTOR * fmax(0, 1 - p / VOID_P));
    }
done:
    iso_free(middle);
    iso_free(log_q);
    return st;
}

/* -------------------------------------------------------------------------------- the shortest path */

typedef struct search { double *far; int64_t *from; bool *settled; } search;

static void relax(search *s, int64_t u, int64_t v, double cost)
{
    if (s->far[u] + cost >= s->far[v]) return;
    s->far[v] = s->far[u] + cost;
    s->from[v] = u;
}

/* Dijkstra 1959 over edges in both directions, from node 0; a row of nodes at a time is plenty for 2,000 of them. */
static iso_status shortest(const graph *g, int64_t *from, bool *reached, iso_error *err)
{
    iso_status st = ISO_OK;
    search s = {.from = from};
    ALLOC(s.far, g->n, sizeof *s.far);
    ALLOC(s.settled, g->n, sizeof *s.settled);
    for (int64_t i = 0; i < g->n; i++) s.far[i] = i ? HUGE_VAL : 0, from[i] = -1;
    for (;;) {
        int64_t u = -1;
        for (int64_t i = 0; i < g->n; i++)
            if (!s.settled[i] && s.far[i] < HUGE_VAL && (u < 0 || s.far[i] < s.far[u])) u = i;
        if (u < 0 || u == 1) break;
        s.settled[u] = true;
        for (int64_t e = 0; e < g->n * g->knn.k; e++) {
            int64_t i = e / g->knn.k;
            if (i == u) relax(&s, u, g->knn.index[e], g->cost[e]);
            else if (g->knn.index[e] == u) relax(&s, u, i, g->cost[e]);
        }
    }
    *reached = s.far[1] < HUGE_VAL;
done:
    iso_free(s.far);
    iso_free(s.settled);
    return st;
}

static double step_length(const graph *g, int64_t u, int64_t v)
{
    for (int j = 0; j < g->knn.k; j++) {
        if (g->knn.index[u * g->knn.k + j] == v) return g->length[u * g->knn.k + j];
        if (g->knn.index[v * g->knn.k + j] == u) return g->length[v * g->knn.k + j];
    }
    return 0;
}

/* n points, evenly spaced in length, of the path that ends at node 1. */
static iso_status walk(const graph *g, const int64_t *from, int64_t n, float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *path = NULL, m = 0;
    double *at = NULL;
    ALLOC(path, g->n, sizeof *path);
    ALLOC(at, g->n, sizeof *at);
    for (int64_t u = 1; u >= 0; u = from[u]) path[m++] = u;
    for (int64_t k = 0; k < m / 2; k++) {
        int64_t swap = path[k];
        path[k] = path[m - 1 - k];
        path[m - 1 - k] = swap;
    }
    for (int64_t k = 1; k < m; k++) at[k] = at[k - 1] + step_length(g, path[k - 1], path[k]);
    for (int64_t i = 0, k = 1; i < n; i++) {
        double wanted = at[m - 1] * (double)i / (double)(n > 1 ? n - 1 : 1);
        while (k < m - 1 && at[k] < wanted) k++;
        double step = at[k] - at[k - 1], t = i == n - 1 ? 1 : step > 0 ? fmin(1, (wanted - at[k - 1]) / step) : 0;
        for (int64_t d = 0; d < g->L; d++)
            z[i * g->L + d] = (float)((1 - t) * (double)g->z[path[k - 1] * g->L + d] + t * (double)g->z[path[k] * g->L + d]);
    }
done:
    iso_free(path);
    iso_free(at);
    return st;
}

iso_status iso_route_data(iso_env *env, const iso_run_cells *r, const iso_support *s, const float *a, const float *b, int64_t n,
                          float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    graph g = {0};
    int64_t *from = NULL;
    bool reached = false;
    TRY(place_nodes(env, r, a, b, &g, err));
    ALLOC(from, g.n, sizeof *from);
    for (int k = NEIGHBORS; !reached; k *= 2) {               /* islands: more neighbours, until a way leads over */
        TRY(join_nodes(env, s, k, &g, err));
        TRY(shortest(&g, from, &reached, err));
        FAIL_IF(!reached && k >= g.n, ISO_EDATA, "no way from one end of the path to the other");
    }
    TRY(walk(&g, from, n, z, err));
done:
    graph_clear(&g);
    iso_free(from);
    return st;
}
