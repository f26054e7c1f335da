/* tool_pca: PCA, layout and two-sample test of map/ on files, for tests/py. Raw files are float32; seed 1.
 *   tool_pca pca FILE LOG1P K THREADS OUT    FILE: what the readers read. Prints total variance, noise, then
 *                                            the K variances; OUT: loadings [K, genes], then scores [cells, K]
 *   tool_pca umap X n d k MIN_DIST OUT       neighbours, graph and layout of X [n, d], two threads; OUT: [n, 2]
 *   tool_pca two_sample A n B m d            prints the AUC of A [n, d] against B [m, d] */
#include "io/dataset.h"
#include "map/map.h"

#include <stdlib.h>
#include <string.h>

enum { SEED = 1 };

static float *read_floats(const char *path, int64_t n)
{
    FILE *f = fopen(path, "rb");
    float *x = iso_calloc(n + 1, sizeof *x);
    if (!f || !x || fread(x, sizeof *x, (size_t)n + 1, f) != (size_t)n) {
        fprintf(stderr, "%s: does not hold %lld numbers\n", path, (long long)n);
        exit(ISO_EIO);
    }
    fclose(f);
    return x;
}

static void write_floats(const char *path, const float *a, int64_t n, const float *b, int64_t m)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(a, sizeof *a, (size_t)n, f) != (size_t)n || fwrite(b, sizeof *b, (size_t)m, f) != (size_t)m ||
        fclose(f) != 0) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(ISO_EIO);
    }
}

static iso_status run_pca(char **arg, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    iso_pca_model p = {0};
    float *scores = NULL;
    int k = atoi(arg[2]);
    iso_env *env = iso_env_new(atoi(arg[3]));
    FAIL_IF(!env, ISO_EMEMORY, "no memory");
    TRY(iso_dataset_open(env, arg[0], NULL, &d, err));
    TRY(iso_pca_fit(env, &d->x, atoi(arg[1]) != 0, k, SEED, &p, err));
    ALLOC(scores, d->x.n_rows * k, sizeof *scores);
    TRY(iso_pca_transform(env, &p, &d->x, scores, err));
    printf("%.17g %.17g", p.total_variance, p.noise);
    for (int c = 0; c < k; c++) printf(" %.17g", p.variance[c]);
    printf("\n");
    write_floats(arg[4], p.loadings, p.n_genes * k, scores, d->x.n_rows * k);
done:
    iso_free(scores);
    iso_pca_clear(&p);
    iso_dataset_free(d);
    iso_env_free(env);
    return st;
}

static iso_status run_umap(char **arg, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = atoll(arg[1]), d = atoll(arg[2]);
    float *x = read_floats(arg[0], n * d), *xy = NULL;
    iso_knn knn = {0};
    iso_csr connectivities = {0}, distances = {0};
    iso_env *env = iso_env_new(2);
    FAIL_IF(!env, ISO_EMEMORY, "no memory");
    ALLOC(xy, 2 * n, sizeof *xy);
    TRY(iso_knn_build(env, x, n, d, atoi(arg[3]), SEED, &knn, err));
    TRY(iso_neighbor_graph(env, &knn, &connectivities, &distances, err));
    double began = iso_now_s();
    TRY(iso_umap(env, &connectivities, x, d, atof(arg[4]), SEED, xy, err));
    printf("%.3f\n", iso_now_s() - began);
    write_floats(arg[5], xy, n, xy + n, n);
done:
    iso_free(x);
    iso_free(xy);
    iso_knn_clear(&knn);
    iso_csr_clear(&connectivities);
    iso_csr_clear(&distances);
    iso_env_free(env);
    return st;
}

static iso_status run_two_sample(char **arg, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t na = atoll(arg[1]), nb = atoll(arg[3]), d = atoll(arg[4]);
    float *a = read_floats(arg[0], na * d), *b = read_floats(arg[2], nb * d);
    double auc = 0;
    iso_env *env = iso_env_new(2);
    FAIL_IF(!env, ISO_EMEMORY, "no memory");
    TRY(iso_two_sample_auc(env, a, na, b, nb, d, SEED, &auc, err));
    printf("%.17g\n", auc);
done:
    iso_free(a);
    iso_free(b);
    iso_env_free(env);
    return st;
}

typedef struct command {
    const char *name;
    int arguments;
    iso_status (*run)(char **arg, iso_error *err);
} command;

static const command commands[] = {
    {"pca", 5, run_pca},
    {"umap", 6, run_umap},
    {"two_sample", 5, run_two_sample},
};

int main(int argc, char **argv)
{
    iso_error err = {0};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (argc != commands[i].arguments + 2 || strcmp(argv[1], commands[i].name) != 0) continue;
        iso_status st = commands[i].run(argv + 2, &err);
        if (st != ISO_OK) fprintf(stderr, "%s\n", err.msg);
        return st;
    }
    fprintf(stderr, "tool_pca: see the top of tests/tool_pca.c\n");
    return ISO_EUSAGE;
}
