/* run_ways.c: the ways that the report of a run shows: between neighbouring continents, or, where all is one continent, between the
 * two groups that lie farthest apart. */
#include "run.h"

#include <math.h>

enum { MOST_ENDS = 8, NODES = 600 };

static double distance(const iso_run *r, int64_t a, int64_t b)
{
    int64_t L = r->fitted.model->v.c.n_latent;
    double sum = 0;
    for (int64_t k = 0; k < L; k++) sum += pow((double)r->mu[a * L + k] - (double)r->mu[b * L + k], 2);
    return sqrt(sum);
}

/* The cells at the summits of the largest continents; returns how many. */
static int find_summits(const iso_run *r, int64_t *ends)
{
    const iso_landscape *l = &r->landscape;
    int64_t *size = iso_calloc(l->n_continents, sizeof *size);
    int n = 0;
    for (int64_t i = 0; size && i < l->n; i++)
        if (l->continent[i] >= 0) size[l->continent[i]]++;
    for (; size && n < MOST_ENDS && n < l->n_continents; n++) {
        int32_t largest = 0;
        for (int32_t k = 1; k < l->n_continents; k++)
            if (size[k] > size[largest]) largest = k;
        ends[n] = l->peaks[largest].cell;
        size[largest] = -1;
    }
    iso_free(size);
    return n;
}

/* The cells at the two prototypes that are farthest apart; 0 if there are no two. */
static int find_farthest(const iso_run *r, int64_t *ends)
{
    double most = 0;
    for (int32_t a = 0; a < r->n_groups; a++)
        for (int32_t b = 0; b < a; b++) {
            if (r->nearest[a] < 0 || r->nearest[b] < 0 || distance(r, r->nearest[a], r->nearest[b]) <= most) continue;
            most = distance(r, r->nearest[a], r->nearest[b]);
            ends[0] = r->nearest[b], ends[1] = r->nearest[a];
        }
    return most > 0 ? 2 : 0;
}

/* The shortest tree over the ends [n] (Prim 1957): its n - 1 pairs. */
static void pair_neighbors(const iso_run *r, const int64_t *ends, int n, iso_way *ways)
{
    bool joined[MOST_ENDS] = {true};
    for (int w = 0; w < n - 1; w++) {
        double least = HUGE_VAL;
        int next = 0;
        for (int a = 0; a < n; a++)
            for (int b = 0; joined[a] && b < n; b++) {
                if (joined[b] || distance(r, ends[a], ends[b]) >= least) continue;
                least = distance(r, ends[a], ends[b]);
                ways[w].from = ends[a], ways[w].to = ends[b];
                next = b;
            }
        joined[next] = true;
    }
}

iso_status iso_run_find_ways(iso_env *env, iso_run *r, const iso_run_cells *view, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_route_graph graph = {0};
    int64_t ends[MOST_ENDS];
    int n = r->landscape.n_continents > 1 ? find_summits(r, ends) : find_farthest(r, ends);
    if (n < 2) return ISO_OK;
    ALLOC(r->ways, n - 1, sizeof *r->ways);
    r->n_ways = n - 1;
    pair_neighbors(r, ends, n, r->ways);
    TRY(iso_run_route_graph(env, view, &r->judge.support, NODES, &graph, err));
    for (int w = 0; w < r->n_ways; w++) TRY(iso_way_follow(env, view, &r->judge.support, &graph, &r->ways[w], err));
done:
    iso_route_graph_clear(&graph);
    return st;
}
