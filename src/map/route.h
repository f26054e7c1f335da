/* route.h: ways from one place of a latent space to another, straight or along the data. */
#ifndef ISO_ROUTE_H
#define ISO_ROUTE_H

#include "support.h"

/* Cells joined to their neighbours, in one piece. An edge is as long as what its ends decode to differs: the Fisher-Rao length
 * 2 arccos sum sqrt(p q) of shares of counts p and q, or the Euclidean one of Gaussian means; it costs up to five times its
 * length where its middle lies in a void. */
typedef struct iso_route_graph {
    int64_t n, d;
    float *z;                     /* [n, d] */
    int64_t *first;               /* [n + 1] edges of each node, in both directions */
    int32_t *to;                  /* [first[n]] */
    float *length, *cost;         /* [first[n]] */
} iso_route_graph;

/* Nodes z [n, d] and what they decode to [n, G]; each is joined to its 15 nearest, and pieces by the 15 shortest bridges. n >= 1. */
iso_status iso_route_graph_new(iso_env *env, const iso_support *s, const float *z, int64_t n, int64_t d, const float *decoded, int64_t G, bool shares,
                               iso_route_graph *g, iso_error *err);
void iso_route_graph_clear(iso_route_graph *g);

/* n points of the straight line from a to b [d], both included, into z [n, d]. */
void iso_route_straight(const float *a, const float *b, int64_t d, int64_t n, float *z);
/* n points of the cheapest way from a to b over the graph, both included, evenly spaced in length. The ends are joined to their
 * nearest nodes, a unit of z being as long as along those nodes' own edges. Cells scatter about the way: each node that it passes is
 * moved by two steps of mean shift. */
iso_status iso_route_along(iso_env *env, const iso_route_graph *g, const iso_support *s, const float *a, const float *b, int64_t n, float *z,
                           iso_error *err);
/* The length of a step between places that decode to x and y [G]: shares of counts, or Gaussian means. */
double iso_route_length(const float *x, const float *y, int64_t G, bool shares);
/* What an edge of that length costs if its middle has that p-value. */
double iso_route_cost(double length, double p);
/* p-values [n] of points z [n, d]. */
iso_status iso_route_p(iso_env *env, const iso_support *s, const float *z, int64_t n, double *p, iso_error *err);

/* The most nodes that a graph is worth: see api/run_place.c. */
enum { ISO_ROUTE_NODES = 2000 };

#endif
