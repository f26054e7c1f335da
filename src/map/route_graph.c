/* route_graph.c: the graph that ways along the data are found on; see route.h. Sources: Arvanitidis et al. 2018 (geodesics of
 * a decoder); Chen et al. 2019 (over a graph of neighbours); Fisher-Rao length of multinomial laws: Rao 1945. */
#include "map.h"
#include "route.h"

#include <math.h>
#include <string.h>

enum { NEIGHBORS = 15 };
static const double VOID_FACTOR = 4, LEAST_LENGTH = 1e-9;

double iso_route_cost(double length, double p) { return (length + LEAST_LENGTH) * (1 + VOID_FACTOR * fmax(0, 1 - p / ISO_VOID_P)); }

typedef struct edge { int32_t a, b; } edge;

static double squared(const float *x, const float *y, int64_t d)
{
    double sum = 0;
    for (int64_t k = 0; k < d; k++) sum += (double)(x[k] - y[k]) * (double)(x[k] - y[k]);
    return sum;
}

static int32_t root(int32_t *piece, int32_t i)
{
    while (piece[i] != i) i = piece[i] = piece[piece[i]];
    return i;
}

/* Each pair of neighbours once: kept where the other does not list it, or lists it later. */
static int64_t list_neighbors(const iso_knn *knn, edge *edges, int32_t *piece)
{
    int64_t n_edges = 0;
    for (int64_t i = 0; i < knn->n; i++)
        for (int j = 0; j < knn->k; j++) {
            int32_t o = knn->index[i * knn->k + j];
            bool mutual = false;
            for (int q = 0; q < knn->k; q++) mutual |= knn->index[(int64_t)o * knn->k + q] == i;
            if (mutual && o < i) continue;
            edges[n_edges++] = (edge){(int32_t)i, o};
            piece[root(piece, (int32_t)i)] = root(piece, o);
        }
    return n_edges;
}

typedef struct bridge { edge over; double far; } bridge;

/* The shortest bridges from nodes of node 0's piece to others, at most NEIGHBORS; returns how many. */
static int find_bridges(const float *z, int64_t n, int64_t d, int32_t *piece, bridge *out)
{
    int found = 0;
    int32_t home = root(piece, 0);
    for (int32_t i = 0; i < n; i++) {
        bridge best = {.far = HUGE_VAL};
        for (int32_t j = 0; root(piece, i) == home && j < n; j++) {
            double far = root(piece, j) == home ? HUGE_VAL : squared(z + i * d, z + j * d, d);
            if (far < best.far) best = (bridge){{i, j}, far};
        }
        if (best.far >= (found < NEIGHBORS ? HUGE_VAL : out[found - 1].far)) continue;
        int at = found < NEIGHBORS ? found++ : NEIGHBORS - 1;
        for (; at > 0 && out[at - 1].far > best.far; at--) out[at] = out[at - 1];
        out[at] = best;
    }
    return found;
}

static iso_status join_nodes(iso_env *env, const iso_route_graph *g, edge **edges, int64_t *n_edges, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_knn knn = {0};
    bridge bridges[NEIGHBORS];
    int32_t *piece = NULL;
    *edges = NULL;
    ALLOC(piece, g->n, sizeof *piece);
    for (int32_t i = 0; i < g->n; i++) piece[i] = i;
    TRY(iso_knn_build(env, g->z, g->n, g->d, g->n > NEIGHBORS ? NEIGHBORS : (int)g->n - 1, 0, &knn, err));
    ALLOC(*edges, g->n * (knn.k + 1), sizeof **edges);       /* a piece has more than k nodes, so there are fewer bridges than nodes */
    *n_edges = knn.k ? list_neighbors(&knn, *edges, piece) : 0;
    for (int more; (more = find_bridges(g->z, g->n, g->d, piece, bridges)) > 0;)
        for (int k = 0; k < more; k++) {
            (*edges)[(*n_edges)++] = bridges[k].over;
            piece[root(piece, bridges[k].over.b)] = root(piece, bridges[k].over.a);
        }
done:
    iso_knn_clear(&knn);
    iso_free(piece);
    return st;
}

/* -------------------------------------------------------------------------------------- measuring */

typedef struct job {
    const edge *edges;
    const float *decoded;         /* [n, G] */
    int64_t G;
    bool shares;
    double *length;
} job;

double iso_route_length(const float *x, const float *y, int64_t G, bool shares)
{
    double product = 0;
    if (!shares) return sqrt(squared(x, y, G));
    for (int64_t k = 0; k < G; k++) product += (double)sqrtf(fmaxf(x[k] * y[k], 0));
    return 2 * acos(fmin(product, 1));
}

static void measure(void *arg, int64_t e)
{
    const job *j = arg;
    j->length[e] = iso_route_length(j->decoded + j->edges[e].a * j->G, j->decoded + j->edges[e].b * j->G, j->G, j->shares);
}

/* p-values of the edges' middles. */
static iso_status judge_middles(iso_env *env, const iso_support *s, const iso_route_graph *g, const edge *edges, int64_t n, double *p,
                                iso_error *err)
{
    iso_status st = ISO_OK;
    float *middle = NULL;
    ALLOC(middle, n * g->d, sizeof *middle);
    for (int64_t e = 0; e < n; e++)
        for (int64_t k = 0; k < g->d; k++) middle[e * g->d + k] = (g->z[edges[e].a * g->d + k] + g->z[edges[e].b * g->d + k]) / 2;
    TRY(iso_route_p(env, s, middle, n, p, err));
done:
    iso_free(middle);
    return st;
}

/* Edges in both directions, by node. */
static iso_status fill(iso_route_graph *g, const edge *edges, const double *length, const double *p, int64_t n_edges, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *at = NULL;
    ALLOC(g->first, g->n + 1, sizeof *g->first);
    ALLOC(g->to, 2 * n_edges, sizeof *g->to);
    ALLOC(g->length, 2 * n_edges, sizeof *g->length);
    ALLOC(g->cost, 2 * n_edges, sizeof *g->cost);
    ALLOC(at, g->n, sizeof *at);
    for (int64_t e = 0; e < n_edges; e++) g->first[edges[e].a + 1]++, g->first[edges[e].b + 1]++;
    for (int64_t i = 0; i < g->n; i++) g->first[i + 1] += g->first[i], at[i] = g->first[i];
    for (int64_t e = 0; e < n_edges; e++) {
        double cost = iso_route_cost(length[e], p[e]);
        const int32_t ends[] = {edges[e].a, edges[e].b};
        for (int k = 0; k < 2; k++) {
            int64_t to = at[ends[k]]++;
            g->to[to] = ends[1 - k], g->length[to] = (float)length[e], g->cost[to] = (float)cost;
        }
    }
done:
    iso_free(at);
    return st;
}

iso_status iso_route_graph_new(iso_env *env, const iso_support *s, const float *z, int64_t n, int64_t d, const float *decoded, int64_t G, bool shares,
                               iso_route_graph *g, iso_error *err)
{
    iso_status st = ISO_OK;
    edge *edges = NULL;
    int64_t n_edges = 0;
    double *length = NULL, *p = NULL;
    *g = (iso_route_graph){.n = n, .d = d};
    FAIL_IF(n < 1, ISO_EDATA, "a way along the data needs cells");
    ALLOC(g->z, n * d, sizeof *g->z);
    memcpy(g->z, z, (size_t)(n * d) * sizeof *z);
    TRY(join_nodes(env, g, &edges, &n_edges, err));
    ALLOC(length, n_edges, sizeof *length);
    ALLOC(p, n_edges, sizeof *p);
    iso_parallel(env, n_edges, measure, &(job){edges, decoded, G, shares, length});
    TRY(judge_middles(env, s, g, edges, n_edges, p, err));
    TRY(fill(g, edges, length, p, n_edges, err));
done:
    iso_free(edges);
    iso_free(length);
    iso_free(p);
    if (st) iso_route_graph_clear(g);
    return st;
}

void iso_route_graph_clear(iso_route_graph *g)
{
    iso_free(g->z);
    iso_free(g->first);
    iso_free(g->to);
    iso_free(g->length);
    iso_free(g->cost);
    *g = (iso_route_graph){0};
}
