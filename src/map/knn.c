/* knn.c: k nearest neighbours by Euclidean distance; see map.h.
 *
 * Exact: x is laid out in tiles of TILE rows, columns outermost, so that the distances of one row to a whole tile are one
 * loop without gathers; each row keeps a heap of the k nearest so far, and passes by a tile whose nearest is no nearer than
 * those. Cost: n m d, and no memory but a copy of x.
 *
 * Either way the distances of the neighbours found are taken again in double and put in order by (distance, index). */
#include "knn.h"

#include "hnsw.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdatomic.h>

/* rows: of a tile; of q a block; of q between looks at the clock */
enum { TILE = ISO_TILE, BLOCK = 32, STEP = 4096 };
static const float LARGEST = 1e17f;              /* squares of differences stay finite in float32 */

/* ---------------------------------------------------------------------------------- one row's neighbours */

static bool farther(const int32_t *index, const float *distance, int a, int b)
{
    return distance[a] > distance[b] || (distance[a] == distance[b] && index[a] > index[b]);
}

static void swap(int32_t *index, float *distance, int a, int b)
{
    int32_t i = index[a];
    float v = distance[a];
    index[a] = index[b], distance[a] = distance[b];
    index[b] = i, distance[b] = v;
}

/* A heap of n pairs with the farthest at 0: puts the pair at `at` in its place. */
static void sift(int32_t *index, float *distance, int n, int at)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child >= n) return;
        if (child + 1 < n && farther(index, distance, child + 1, child)) child++;
        if (!farther(index, distance, child, at)) return;
        swap(index, distance, at, child);
        at = child;
    }
}

static void make_heap(int32_t *index, float *distance, int n)
{
    for (int at = n / 2 - 1; at >= 0; at--) sift(index, distance, n, at);
}

/* Distances of the k neighbours of row i of q, and their order. */
static void finish_row(const knn_search *s, int64_t i)
{
    int32_t *index = s->index + i * s->k;
    float *distance = s->distance + i * s->k;
    for (int j = 0; j < s->k; j++) {
        const float *a = s->q + i * s->d, *b = s->x + index[j] * s->d;
        double sum = 0;
        for (int64_t c = 0; c < s->d; c++) {
            double diff = (double)a[c] - (double)b[c];
            sum += diff * diff;
        }
        distance[j] = (float)sqrt(sum);
    }
    make_heap(index, distance, s->k);
    for (int end = s->k - 1; end > 0; end--) {
        swap(index, distance, 0, end);
        sift(index, distance, end, 0);
    }
}

/* --------------------------------------------------------------------------------------------- exact */

typedef struct exact_job {
    iso_env *env;
    const iso_kernels *kernels;
    const knn_search *s;
    const float *tiles;              /* [ceil(n / TILE), d, TILE], the last filled up with zeros */
    int64_t first, last;             /* rows of q in this step */
    bool missing_only;               /* of these, the rows with index -1 */
} exact_job;

static iso_status make_tiles(const knn_search *s, float **out, iso_error *err)
{
    iso_status st = ISO_OK;
    float *tiles = NULL;
    int64_t size = 0;
    FAIL_IF(!iso_mul((s->n + TILE - 1) / TILE * TILE, s->d, &size), ISO_EMEMORY, "%lld cells of %lld values are too many",
            (long long)s->n, (long long)s->d);
    ALLOC(tiles, size, sizeof *tiles);
    for (int64_t j = 0; j < s->n; j++)
        for (int64_t c = 0; c < s->d; c++) tiles[(j / TILE * s->d + c) * TILE + j % TILE] = s->x[j * s->d + c];
    *out = tiles;
done:
    return st;
}

/* Offers the rows of tile `t` to row i of q; *held are in its heap. Rows come by rising index, so of equally far ones
 * the first stay. */
static void offer_tile(const exact_job *job, int64_t i, int64_t t, int *held)
{
    const knn_search *s = job->s;
    int32_t *index = s->index + i * s->k;
    float *distance = s->distance + i * s->k;
    float d2[TILE];
    float least = job->kernels->tile_distances(s->q + i * s->d, job->tiles + t * s->d * TILE, s->d, d2);
    if (*held == s->k && least >= distance[0]) return;
    int rows = s->n - t * TILE < TILE ? (int)(s->n - t * TILE) : TILE;
    for (int r = 0; r < rows; r++) {
        int64_t j = t * TILE + r;
        if (*held == s->k && d2[r] >= distance[0]) continue;
        if (s->self && j == i) continue;
        if (*held < s->k) {
            index[*held] = (int32_t)j, distance[*held] = d2[r];
            if (++*held == s->k) make_heap(index, distance, s->k);
        } else {
            index[0] = (int32_t)j, distance[0] = d2[r];
            sift(index, distance, s->k, 0);
        }
    }
}

static void exact_block(void *arg, int64_t block)
{
    const exact_job *job = arg;
    int held[BLOCK] = {0};
    int64_t i0 = job->first + block * BLOCK, i1 = i0 + BLOCK < job->last ? i0 + BLOCK : job->last;
    if (iso_env_interrupted(job->env)) return;
    for (int64_t i = i0; i < i1; i++)
        if (job->missing_only && job->s->index[i * job->s->k] >= 0) held[i - i0] = -1;
    for (int64_t t = 0; t < (job->s->n + TILE - 1) / TILE; t++)
        for (int64_t i = i0; i < i1; i++)
            if (held[i - i0] >= 0) offer_tile(job, i, t, &held[i - i0]);
    for (int64_t i = i0; i < i1; i++)
        if (held[i - i0] >= 0) finish_row(job->s, i);
}

static iso_status search_exactly(iso_env *env, const knn_search *s, bool missing_only, iso_error *err)
{
    iso_status st = ISO_OK;
    float *tiles = NULL;
    const iso_kernels *kernels = iso_kernels_best();
    TRY(make_tiles(s, &tiles, err));
    for (int64_t first = 0; first < s->m; first += STEP) {
        int64_t last = first + STEP < s->m ? first + STEP : s->m;
        exact_job job = {.env = env, .kernels = kernels, .s = s, .tiles = tiles, .first = first, .last = last,
                         .missing_only = missing_only};
        iso_progress(env, (double)first / (double)s->m, "neighbours");
        iso_parallel(env, (last - first + BLOCK - 1) / BLOCK, exact_block, &job);
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while looking for neighbours");
    }
done:
    iso_free(tiles);
    return st;
}

iso_status knn_exact(iso_env *env, const knn_search *s, iso_error *err)
{
    return s->k == 0 ? ISO_OK : search_exactly(env, s, false, err);
}

/* --------------------------------------------------------------------------------------- approximate */

typedef struct approximate_job {
    iso_env *env;
    const knn_search *s;
    const hnsw *graph;
    int32_t *found;                  /* [STEP, k + 1] */
    int64_t first, last;
    atomic_bool short_rows, no_memory;
} approximate_job;

/* index[0] = -1 marks a row for which the graph gave too few, as it may among many copies of one cell. */
static void approximate_block(void *arg, int64_t block)
{
    approximate_job *job = arg;
    const knn_search *s = job->s;
    int64_t i0 = job->first + block * BLOCK, i1 = i0 + BLOCK < job->last ? i0 + BLOCK : job->last;
    for (int64_t i = i0; i < i1 && !iso_env_interrupted(job->env); i++) {
        int32_t *found = job->found + (i - job->first) * (s->k + 1), *index = s->index + i * s->k;
        int n = hnsw_find(job->graph, s->q + i * s->d, s->k + 1, found), kept = 0;
        if (n < 0) atomic_store(&job->no_memory, true);
        for (int j = n - 1; j >= 0; j--) {                         /* found has the farthest first */
            if (found[j] != i && kept < s->k) index[kept++] = found[j];
        }
        if (kept == s->k) finish_row(s, i);
        else {
            index[0] = -1;
            atomic_store(&job->short_rows, true);
        }
    }
}

iso_status knn_approximate(iso_env *env, const knn_search *s, uint64_t seed, iso_error *err)
{
    iso_status st = ISO_OK;
    approximate_job job = {.env = env, .s = s};
    hnsw *graph = NULL;
    FAIL_IF(!hnsw_available(), ISO_EUSAGE, "this build has no approximate neighbours: hnswlib was missing");
    ALLOC(job.found, STEP * ((int64_t)s->k + 1), sizeof *job.found);
    graph = hnsw_new(s->n, s->d, seed);
    FAIL_IF(!graph, ISO_EMEMORY, "out of memory: a neighbour graph of %lld cells", (long long)s->n);
    for (int64_t first = 0; first < s->n; first += STEP) {
        int64_t last = first + STEP < s->n ? first + STEP : s->n;
        iso_progress(env, (double)first / (double)s->n, "neighbours");
        FAIL_IF(!hnsw_add(graph, s->x, first, last), ISO_EMEMORY, "out of memory: a neighbour graph of %lld cells",
                (long long)s->n);
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while looking for neighbours");
    }
    job.graph = graph;
    for (job.first = 0; job.first < s->m; job.first += STEP) {
        job.last = job.first + STEP < s->m ? job.first + STEP : s->m;
        iso_parallel(env, (job.last - job.first + BLOCK - 1) / BLOCK, approximate_block, &job);
        FAIL_IF(job.no_memory, ISO_EMEMORY, "out of memory while looking for neighbours");
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while looking for neighbours");
    }
    if (job.short_rows) TRY(search_exactly(env, s, true, err));
done:
    hnsw_free(graph);
    iso_free(job.found);
    return st;
}

/* -------------------------------------------------------------------------------------------- public */

static iso_status check_rows(const float *x, int64_t n, int64_t d, iso_error *err)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            if (!(fabsf(x[i * d + c]) <= LARGEST))
                return iso_fail(err, ISO_EDATA, "neighbours: value %lld of cell %lld is %g; distances need finite values "
                                "up to %g", (long long)c, (long long)i, (double)x[i * d + c], (double)LARGEST);
    return ISO_OK;
}

iso_status iso_knn_build(iso_env *env, const float *x, int64_t n, int64_t d, int k, uint64_t seed, iso_knn *out,
                         iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_knn){.n = n, .k = k < n ? k : n > 0 ? (int)(n - 1) : 0};
    FAIL_IF(n < 0 || n >= INT32_MAX || d < 1 || k < 0, ISO_EUSAGE, "neighbours: %lld cells of %lld values, k = %d",
            (long long)n, (long long)d, k);
    TRY(check_rows(x, n, d, err));
    ALLOC(out->index, n * out->k, sizeof *out->index);
    ALLOC(out->distance, n * out->k, sizeof *out->distance);
    knn_search s = {.x = x, .n = n, .d = d, .q = x, .m = n, .self = true, .k = out->k, .index = out->index,
                    .distance = out->distance};
    if (n > KNN_EXACT_MAX && out->k > 0 && hnsw_available()) TRY(knn_approximate(env, &s, seed, err));
    else TRY(knn_exact(env, &s, err));
done:
    if (st != ISO_OK) iso_knn_clear(out);
    return st;
}

iso_status iso_knn_query(iso_env *env, const float *x, int64_t n, const float *q, int64_t m, int64_t d, int k,
                         int32_t *index, float *distance, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(n < 0 || n >= INT32_MAX || m < 0 || d < 1 || k < 0 || k > n, ISO_EUSAGE,
            "neighbours: %d of %lld cells of %lld values were asked for", k, (long long)n, (long long)d);
    TRY(check_rows(x, n, d, err));
    TRY(check_rows(q, m, d, err));
    knn_search s = {.x = x, .n = n, .d = d, .q = q, .m = m, .k = k, .index = index, .distance = distance};
    TRY(knn_exact(env, &s, err));
done:
    return st;
}

void iso_knn_clear(iso_knn *k)
{
    iso_free(k->index);
    iso_free(k->distance);
    *k = (iso_knn){0};
}
