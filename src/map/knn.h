/* knn.h: the two ways to find neighbours, for knn.c and the tests. */
#ifndef ISO_KNN_H
#define ISO_KNN_H

#include "map.h"

enum { KNN_EXACT_MAX = 200000 };      /* rows; from there on the graph search is used, if it was built in */

/* The k nearest rows of x [n, d] (k <= n, without row i itself: k < n) of each row i in from..to-1 of q [*, d].
 * self: q is x, and a row is not its own neighbour. index, distance [*, k]. */
typedef struct knn_search {
    const float *x;                  /* [n, d] */
    int64_t n, d;
    const float *q;                  /* [m, d] */
    int64_t m;
    bool self;
    int k;
    int32_t *index;                  /* [m, k] */
    float *distance;                 /* [m, k] */
} knn_search;

iso_status knn_exact(iso_env *env, const knn_search *s, iso_error *err);
/* Needs self. ISO_EUSAGE where hnswlib was not built in. */
iso_status knn_approximate(iso_env *env, const knn_search *s, uint64_t seed, iso_error *err);

#endif
