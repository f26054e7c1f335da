/* leiden.c: communities of a weighted graph; see map.h.
 *
 * Maximises  Q = 1/(2m) sum_ij (w_ij - resolution s_i s_j / (2m)) [c_i = c_j],  s: strengths, m: total weight, by igraph's
 * Leiden algorithm (Traag, Waltman & van Eck 2019, doi:10.1038/s41598-019-41695-z), until an iteration gains
 * next to nothing.
 *
 * igraph keeps a random number generator, error handlers and an attribute table for the whole process. They are put in
 * place for a call and put back after it, and one call runs at a time. */
#include "base/rng.h"
#include "map.h"

#include <igraph/igraph.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { MAX_ITERATIONS = 100 };
static const double RANDOMNESS = 0.01;           /* of the refinement ("beta"): the authors' choice */
static const double MIN_GAIN = 1e-4;             /* of Q by an iteration, else it is the last */

/* ------------------------------------------------------------------------------- what igraph keeps */

static igraph_uint_t random_word(void *state) { return iso_rng_u32(state); }
static const igraph_rng_type_t PHILOX = {.name = "Philox4x32-10", .bits = 32, .get = random_word};

typedef struct igraph_session {
    igraph_rng_t rng, *place, old_rng;
    igraph_error_handler_t *old_error;
    igraph_warning_handler_t *old_warning;
    igraph_attribute_table_t *old_attributes;
} igraph_session;

static pthread_mutex_t igraph_lock = PTHREAD_MUTEX_INITIALIZER;

static void begin(igraph_session *s, iso_rng *rng)
{
    pthread_mutex_lock(&igraph_lock);
    s->rng = (igraph_rng_t){.type = &PHILOX, .state = rng, .is_seeded = true};
    s->place = igraph_rng_default();
    s->old_rng = *s->place;
    igraph_rng_set_default(&s->rng);
    s->old_error = igraph_set_error_handler(igraph_error_handler_ignore);
    s->old_warning = igraph_set_warning_handler(igraph_warning_handler_ignore);
    s->old_attributes = igraph_set_attribute_table(NULL);
}

static void end(igraph_session *s)
{
    igraph_set_attribute_table(s->old_attributes);
    igraph_set_warning_handler(s->old_warning);
    igraph_set_error_handler(s->old_error);
    igraph_rng_set_default(s->place);            /* igraph keeps a pointer, or a copy, by its version */
    *s->place = s->old_rng;
    pthread_mutex_unlock(&igraph_lock);
}

/* --------------------------------------------------------------------------------------- the graph */

typedef struct network {                         /* a zeroed one can be destroyed */
    igraph_t graph;
    igraph_vector_t weights;                     /* [edges] */
    igraph_vector_t strengths;                   /* [n] */
    igraph_vector_int_t member;                  /* [n] */
    double total;                                /* sum of the weights, m */
    bool has_graph;
} network;

/* Edges i < j of the symmetric matrix, in its order. */
static igraph_error_t fill(network *g, const iso_csr *m, igraph_vector_int_t *ends)
{
    igraph_error_t e = IGRAPH_SUCCESS;
    for (int64_t i = 0; i < m->n_rows; i++)
        for (int64_t p = m->indptr[i]; p < m->indptr[i + 1]; p++) {
            if (m->indices[p] <= i) continue;
            double w = (double)m->values[p];
            VECTOR(g->strengths)[i] += w;
            VECTOR(g->strengths)[m->indices[p]] += w;
            g->total += w;
            if ((e = igraph_vector_push_back(&g->weights, w))) return e;
            if ((e = igraph_vector_int_push_back(ends, i))) return e;
            if ((e = igraph_vector_int_push_back(ends, m->indices[p]))) return e;
        }
    return e;
}

static igraph_error_t build(network *g, const iso_csr *m)
{
    igraph_vector_int_t ends = {0};              /* [2 edges] */
    igraph_error_t e = IGRAPH_SUCCESS;
    if ((e = igraph_vector_int_init(&ends, 0))) return e;
    if (!(e = igraph_vector_init(&g->weights, 0)) && !(e = igraph_vector_init(&g->strengths, m->n_rows)) &&
        !(e = igraph_vector_int_init_range(&g->member, 0, m->n_rows)) && !(e = fill(g, m, &ends)) &&
        !(e = igraph_create(&g->graph, &ends, m->n_rows, IGRAPH_UNDIRECTED)))
        g->has_graph = true;
    igraph_vector_int_destroy(&ends);
    return e;
}

static void destroy(network *g)
{
    if (g->has_graph) igraph_destroy(&g->graph);
    igraph_vector_destroy(&g->weights);
    igraph_vector_destroy(&g->strengths);
    igraph_vector_int_destroy(&g->member);
}

static igraph_error_t iterate(iso_env *env, network *g, double resolution)
{
    double best = -(double)INFINITY;
    if (!(g->total > 0)) return IGRAPH_SUCCESS;  /* no edges: each cell by itself, as it stands */
    for (int i = 0; i < MAX_ITERATIONS && !iso_env_interrupted(env); i++) {
        igraph_integer_t n_clusters = 0;
        double quality = 0;
        igraph_error_t e = igraph_community_leiden(&g->graph, &g->weights, &g->strengths, resolution / (2 * g->total),
                                                   RANDOMNESS, true, 1, &g->member, &n_clusters, &quality);
        if (e) return e;
        if (!(quality > best + MIN_GAIN)) break;
        best = quality;
    }
    return IGRAPH_SUCCESS;
}

/* ---------------------------------------------------------------------------------------- labels */

typedef struct cluster { int64_t size, first; int32_t label; } cluster;

static int by_size(const void *a, const void *b)
{
    const cluster *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* labels [n], each in 0..n-1, become 0, 1, ... by falling size; equal sizes by their first cell. */
static iso_status number_by_size(int32_t *labels, int64_t n, int32_t *n_clusters, iso_error *err)
{
    iso_status st = ISO_OK;
    cluster *clusters = NULL;                    /* [n] */
    int32_t *number = NULL;                      /* [n] new number of each label */
    ALLOC(clusters, n, sizeof *clusters);
    ALLOC(number, n, sizeof *number);
    for (int64_t i = n - 1; i >= 0; i--) {
        cluster *c = &clusters[labels[i]];
        *c = (cluster){.size = c->size + 1, .first = i, .label = labels[i]};
    }
    qsort(clusters, (size_t)n, sizeof *clusters, by_size);
    *n_clusters = 0;
    for (int64_t c = 0; c < n && clusters[c].size > 0; c++) number[clusters[c].label] = (*n_clusters)++;
    for (int64_t i = 0; i < n; i++) labels[i] = number[labels[i]];
done:
    iso_free(number);
    iso_free(clusters);
    return st;
}

static iso_status check_graph(const iso_csr *m, double resolution, iso_error *err)
{
    if (m->n_rows != m->n_cols || !(resolution > 0) || isinf(resolution))
        return iso_fail(err, ISO_EUSAGE, "leiden: a matrix of %lld x %lld, resolution %g; the matrix must be square and "
                        "the resolution positive", (long long)m->n_rows, (long long)m->n_cols, resolution);
    for (int64_t i = 0; i < m->n_rows; i++)
        for (int64_t p = m->indptr[i]; p < m->indptr[i + 1]; p++)
            if (!(m->values[p] >= 0) || isinf(m->values[p]))
                return iso_fail(err, ISO_EDATA, "leiden: the weight of cells %lld and %d is %g; weights must be finite and "
                                "not negative", (long long)i, m->indices[p], (double)m->values[p]);
    return ISO_OK;
}

iso_status iso_leiden(iso_env *env, const iso_csr *connectivities, double resolution, uint64_t seed, int32_t *labels,
                      int32_t *n_clusters, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = connectivities->n_rows;
    iso_rng rng = iso_rng_start((iso_rng_key){.seed = seed, .stream = ISO_STREAM_MAP}, 0);
    *n_clusters = 0;
    TRY(check_graph(connectivities, resolution, err));
    network g = {0};
    igraph_session session;
    begin(&session, &rng);
    igraph_error_t e = build(&g, connectivities);
    if (!e) e = iterate(env, &g, resolution);
    for (int64_t i = 0; !e && i < n; i++) labels[i] = (int32_t)VECTOR(g.member)[i];
    destroy(&g);
    end(&session);
    FAIL_IF(e == IGRAPH_ENOMEM, ISO_EMEMORY, "out of memory: Leiden clusters of %lld cells", (long long)n);
    FAIL_IF(e, ISO_EDATA, "leiden: igraph refused the graph of %lld cells: %s", (long long)n, igraph_strerror(e));
    FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while clustering");
    TRY(number_by_size(labels, n, n_clusters, err));
done:
    return st;
}

iso_status iso_best_clusters(iso_env *env, const iso_csr *connectivities, const int32_t *labels, uint64_t seed,
                             iso_cluster_score *out, iso_error *err)
{
    static const double resolutions[] = {.1, .2, .3, .5, .7, 1, 1.3, 1.6, 2};
    iso_status st = ISO_OK;
    int32_t *found = NULL;
    int64_t n = connectivities->n_rows;
    *out = (iso_cluster_score){.ari = (double)NAN, .nmi = (double)NAN};
    ALLOC(found, n, sizeof *found);
    for (size_t r = 0; r < sizeof resolutions / sizeof *resolutions; r++) {
        int32_t n_clusters = 0;
        TRY(iso_leiden(env, connectivities, resolutions[r], seed, found, &n_clusters, err));
        double ari = iso_ari(found, labels, n);
        if (r > 0 && !(ari > out->ari)) continue;
        *out = (iso_cluster_score){.ari = ari, .nmi = iso_nmi(found, labels, n), .resolution = resolutions[r],
                                   .n_clusters = n_clusters};
    }
done:
    iso_free(found);
    return st;
}
