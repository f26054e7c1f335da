/* tool_map: map/ on raw files, for tests/py. X: float32 [n, d]; labels: int32 [n]. Two threads, seed 1.
 *   tool_map knn X n d k OUT              index int32 [n, k], then distance float32 [n, k]
 *   tool_map approximate X n d k OUT      the same by the graph search, whatever n
 *   tool_map query X n d k Q m OUT        the same for the m rows of Q
 *   tool_map graph X n d k OUT OUT2       connectivities, distances: n_rows, n_cols, nnz, indptr (int64), indices
 * (int32),
 *                                         values (float32)
 *   tool_map leiden X n d k RESOLUTION OUT    int32 [n]; prints the number of clusters
 *   tool_map best X n d k LABELS          prints ARI, NMI, resolution and number of clusters
 *   tool_map accuracy X n d k LABELS FOLDS    prints the accuracy
 *   tool_map agreement X n d k A B        prints ARI and NMI of labels A and B, and the silhouette of A (k is not used)
 *   tool_map density X n d K VARIANCE Q m THREADS OUT   log density float64 [m] of the rows of Q: of K normal laws fitted to the clouds (X, VARIANCE);
 *                                         K 0: of the clouds themselves, -1: of as many laws as suit Q. Prints the number of components and the seconds
 *   tool_map probe X n d k LABELS FOLDS   prints the accuracy of a linear rule (k is not used)
 *   tool_map frechet X n d k Y m          prints the Frechet distance to Y [m, d] (k is not used)
 *   tool_map auc SCORES n POSITIVE        float64, uint8; prints the AUC */
#include "map/gmm.h"
#include "map/knn.h"

#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, SEED = 1 };

typedef struct task {
    iso_env *env;
    const float *x;
    int64_t n, d;
    int k;
    char **more;                     /* arguments after k, NULL at the end */
    iso_error *err;
} task;

static void *read_file(const char *path, size_t wanted)
{
    FILE *f = path ? fopen(path, "rb") : NULL;
    char *p = iso_calloc((int64_t)wanted + 1, 1);
    if (!f || !p || fread(p, 1, wanted + 1, f) != wanted) {
        fprintf(stderr, "%s: does not hold %zu bytes\n", path ? path : "(file)", wanted);
        exit(ISO_EIO);
    }
    fclose(f);
    return p;
}

static FILE *create(const char *path)
{
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (f) return f;
    fprintf(stderr, "%s: cannot be written\n", path ? path : "(file)");
    exit(ISO_EIO);
}

static void write_neighbors(const char *path, int64_t n, int k, const int32_t *index, const float *distance)
{
    FILE *f = create(path);
    fwrite(index, sizeof *index, (size_t)(n * k), f);
    fwrite(distance, sizeof *distance, (size_t)(n * k), f);
    fclose(f);
}

static void write_csr(const char *path, const iso_csr *m)
{
    const int64_t head[3] = {m->n_rows, m->n_cols, m->nnz};
    FILE *f = create(path);
    fwrite(head, sizeof *head, 3, f);
    fwrite(m->indptr, sizeof *m->indptr, (size_t)m->n_rows + 1, f);
    fwrite(m->indices, sizeof *m->indices, (size_t)m->nnz, f);
    fwrite(m->values, sizeof *m->values, (size_t)m->nnz, f);
    fclose(f);
}

static iso_status run_knn(const task *t)
{
    iso_knn knn = {0};
    iso_status st = iso_knn_build(t->env, t->x, t->n, t->d, t->k, SEED, &knn, t->err);
    if (!st) write_neighbors(t->more[0], knn.n, knn.k, knn.index, knn.distance);
    iso_knn_clear(&knn);
    return st;
}

static iso_status search(const task *t, bool approximate, const float *q, int64_t m, const char *out)
{
    knn_search s = {.x = t->x, .n = t->n, .d = t->d, .q = q, .m = m, .self = approximate, .k = t->k};
    int32_t *index = iso_calloc(m * t->k, sizeof *index);
    float *distance = iso_calloc(m * t->k, sizeof *distance);
    s.index = index, s.distance = distance;
    iso_status st = approximate ? knn_approximate(t->env, &s, SEED, t->err)
                                : iso_knn_query(t->env, t->x, t->n, q, m, t->d, t->k, index, distance, t->err);
    if (!st) write_neighbors(out, m, t->k, index, distance);
    iso_free(index);
    iso_free(distance);
    return st;
}

static iso_status run_approximate(const task *t) { return search(t, true, t->x, t->n, t->more[0]); }

static iso_status run_query(const task *t)
{
    int64_t m = atoll(t->more[1]);
    float *q = read_file(t->more[0], (size_t)(m * t->d) * sizeof *q);
    iso_status st = search(t, false, q, m, t->more[2]);
    iso_free(q);
    return st;
}

static iso_status make_graph(const task *t, iso_csr *connectivities, iso_csr *distances)
{
    iso_knn knn = {0};
    iso_status st = iso_knn_build(t->env, t->x, t->n, t->d, t->k, SEED, &knn, t->err);
    if (!st) st = iso_neighbor_graph(t->env, &knn, connectivities, distances, t->err);
    iso_knn_clear(&knn);
    return st;
}

static iso_status run_graph(const task *t)
{
    iso_csr connectivities = {0}, distances = {0};
    iso_status st = make_graph(t, &connectivities, &distances);
    if (!st) {
        write_csr(t->more[0], &connectivities);
        write_csr(t->more[1], &distances);
    }
    iso_csr_clear(&connectivities);
    iso_csr_clear(&distances);
    return st;
}

static iso_status run_leiden(const task *t)
{
    iso_csr connectivities = {0}, distances = {0};
    int32_t n_clusters = 0, *labels = iso_calloc(t->n, sizeof *labels);
    iso_status st = make_graph(t, &connectivities, &distances);
    if (!st) st = iso_leiden(t->env, &connectivities, atof(t->more[0]), SEED, labels, &n_clusters, t->err);
    if (!st) {
        FILE *f = create(t->more[1]);
        fwrite(labels, sizeof *labels, (size_t)t->n, f);
        fclose(f);
        printf("%d\n", n_clusters);
    }
    iso_free(labels);
    iso_csr_clear(&connectivities);
    iso_csr_clear(&distances);
    return st;
}

static iso_status run_best(const task *t)
{
    iso_csr connectivities = {0}, distances = {0};
    iso_cluster_score best = {0};
    int32_t *labels = read_file(t->more[0], (size_t)t->n * sizeof *labels);
    iso_status st = make_graph(t, &connectivities, &distances);
    if (!st) st = iso_best_clusters(t->env, &connectivities, labels, SEED, &best, t->err);
    if (!st) printf("%.17g %.17g %.17g %d\n", best.ari, best.nmi, best.resolution, best.n_clusters);
    iso_free(labels);
    iso_csr_clear(&connectivities);
    iso_csr_clear(&distances);
    return st;
}

static iso_status run_accuracy(const task *t)
{
    double accuracy = 0;
    int32_t *labels = read_file(t->more[0], (size_t)t->n * sizeof *labels);
    iso_status st = iso_knn_accuracy(t->env, t->x, labels, t->n, t->d, t->k, atoi(t->more[1]), &accuracy, t->err);
    if (!st) printf("%.17g\n", accuracy);
    iso_free(labels);
    return st;
}

static iso_status run_agreement(const task *t)
{
    int32_t *a = read_file(t->more[0], (size_t)t->n * sizeof *a), *b = read_file(t->more[1], (size_t)t->n * sizeof *b);
    printf("%.17g %.17g %.17g\n", iso_ari(a, b, t->n), iso_nmi(a, b, t->n), iso_silhouette(t->env, t->x, a, t->n, t->d));
    iso_free(a);
    iso_free(b);
    return ISO_OK;
}

static iso_status run_density(const task *t)
{
    int64_t m = atoll(t->more[2]);
    float *variance = read_file(t->more[0], (size_t)(t->n * t->d) * sizeof *variance), *q = read_file(t->more[1], (size_t)(m * t->d) * sizeof *q);
    double h, start = iso_now_s(), *log_q = iso_calloc(m, sizeof *log_q);
    iso_env *env = iso_env_new(atoi(t->more[3]));
    iso_gmm_cells cells = {t->x, variance, t->n, t->d};
    iso_density made = {0};
    iso_status st = ISO_OK;
    if (t->k > 0) st = iso_gmm_fit(env, &cells, t->k, SEED, &made, t->err);
    if (t->k < 0) st = iso_gmm_choose(env, &cells, q, m, SEED, &made, t->err);
    if (t->k == 0) st = iso_density_bandwidth(env, t->x, variance, t->n, t->d, q, m, &h, t->err);
    if (t->k == 0 && !st) st = iso_density_new(t->x, variance, t->n, t->d, h, &made, t->err);
    double fitted = iso_now_s();
    if (!st) st = iso_density_log(env, &made, q, m, NULL, log_q, t->err);
    if (!st) {
        FILE *f = create(t->more[4]);
        fwrite(log_q, sizeof *log_q, (size_t)m, f);
        fclose(f);
        printf("%lld %.3f %.3f\n", (long long)made.n, fitted - start, iso_now_s() - fitted);
    }
    iso_density_clear(&made);
    iso_env_free(env);
    iso_free(variance);
    iso_free(q);
    iso_free(log_q);
    return st;
}

static iso_status run_probe(const task *t)
{
    double accuracy = 0;
    int32_t *labels = read_file(t->more[0], (size_t)t->n * sizeof *labels);
    iso_status st = iso_linear_probe(t->x, labels, t->n, t->d, atoi(t->more[1]), &accuracy, t->err);
    if (!st) printf("%.17g\n", accuracy);
    iso_free(labels);
    return st;
}

static iso_status run_frechet(const task *t)
{
    double distance = 0;
    int64_t m = atoll(t->more[1]);
    float *y = read_file(t->more[0], (size_t)(m * t->d) * sizeof *y);
    iso_status st = iso_frechet(t->x, t->n, y, m, t->d, &distance, t->err);
    if (!st) printf("%.17g\n", distance);
    iso_free(y);
    return st;
}

static int auc(char **argv)
{
    int64_t n = atoll(argv[1]);
    double *scores = read_file(argv[0], (size_t)n * sizeof *scores);
    uint8_t *positive = read_file(argv[2], (size_t)n);
    printf("%.17g\n", iso_auc(scores, positive, n));
    iso_free(scores);
    iso_free(positive);
    return ISO_OK;
}

static const struct command { const char *name; int more; iso_status (*run)(const task *t); } commands[] = {
    {"knn", 1, run_knn},       {"approximate", 1, run_approximate}, {"query", 3, run_query},
    {"graph", 2, run_graph},   {"leiden", 2, run_leiden},           {"best", 1, run_best},
    {"accuracy", 2, run_accuracy}, {"agreement", 2, run_agreement},
    {"density", 5, run_density},   {"probe", 2, run_probe}, {"frechet", 2, run_frechet},
};

int main(int argc, char **argv)
{
    iso_error err = {0};
    int code = ISO_EUSAGE;
    if (argc == 5 && !strcmp(argv[1], "auc")) return auc(argv + 2);
    iso_env *env = iso_env_new(THREADS);
    for (size_t i = 0; env && argc > 6 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) || argc != 6 + commands[i].more) continue;
        task t = {.env = env, .n = atoll(argv[3]), .d = atoll(argv[4]), .k = atoi(argv[5]), .more = argv + 6, .err = &err};
        float *x = read_file(argv[2], (size_t)(t.n * t.d) * sizeof *x);
        t.x = x;
        code = commands[i].run(&t);
        iso_free(x);
        if (code) fprintf(stderr, "%s: %s\n", err.where, err.msg);
    }
    iso_env_free(env);
    return code;
}
