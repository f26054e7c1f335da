/* tool_write: writes what it read, for tests/py.
 *   tool_write IN OUT                 the same data as h5ad, with the additions below
 *   tool_write --frame IN OUT         cells alone: no X, no genes
 *   tool_write --room BYTES IN OUT    no file may become larger: as on a full disk
 *   tool_write --no-memory IN OUT     fails each allocation in turn; prints how many there are
 * Additions: obs leiden (new) and, if it exists, obs replace_me; obsm X_isolario [n, 4] and X_umap [n, 2]; obsp
 * connectivities and distances, each cell with the 5 after it and before it on a ring; layers twice = 2 X; uns. */
#include "io/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <stdlib.h>

enum { REACH = 5, LATENT = 4 };

typedef struct additions {
    iso_column columns[2];
    float *latent, *umap;             /* [n, LATENT], [n, 2] */
    iso_csr ring, twice;
} additions;

static void *take(int64_t n, size_t size)
{
    void *p = calloc((size_t)n + 1, size); /* not the library's, so that --no-memory fails its allocations alone */
    if (!p) exit(ISO_EMEMORY);
    return p;
}

static int by_number(const void *a, const void *b) { return *(const int32_t *)a - *(const int32_t *)b; }

static void make_ring(int64_t n, iso_csr *m)
{
    int64_t most = 2 * REACH * n;
    *m = (iso_csr){n, n, 0, take(n + 1, sizeof(int64_t)), take(most, sizeof(int32_t)), take(most, sizeof(float))};
    for (int64_t i = 0; i < n && n > 2 * REACH; i++) {
        for (int64_t k = 1; k <= REACH; k++) {
            m->indices[m->nnz] = (int32_t)((i + k) % n), m->values[m->nnz++] = 0.5f;
            m->indices[m->nnz] = (int32_t)((i + n - k) % n), m->values[m->nnz++] = 0.5f;
        }
        m->indptr[i + 1] = m->nnz;
        qsort(m->indices + m->indptr[i], (size_t)(m->indptr[i + 1] - m->indptr[i]), sizeof *m->indices, by_number);
    }
}

static void make_additions(const iso_dataset *d, additions *a)
{
    static char *names[] = {"0", "1", "2"};
    int64_t n = d->obs.n_rows;
    *a = (additions){.columns = {{.name = "leiden", .kind = ISO_COL_CATEGORY, .n_categories = 3, .categories = names},
                                 {.name = "replace_me", .kind = ISO_COL_REAL}}};
    a->columns[0].codes = take(n, sizeof(int32_t));
    a->columns[1].reals = take(n, sizeof(double));
    a->latent = take(n * LATENT, sizeof(float));
    a->umap = take(n * 2, sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        a->columns[0].codes[i] = (int32_t)(i % 4) - 1;
        a->columns[1].reals[i] = 0.25 * (double)i;
        for (int64_t k = 0; k < LATENT; k++) a->latent[i * LATENT + k] = (float)(i * LATENT + k) / 8;
        a->umap[2 * i] = cosf((float)i), a->umap[2 * i + 1] = sinf((float)i);
    }
    make_ring(n, &a->ring);
    a->twice = d->x;
    a->twice.values = take(d->x.nnz, sizeof(float));
    for (int64_t i = 0; i < d->x.nnz; i++) a->twice.values[i] = 2 * d->x.values[i];
}

static void free_additions(additions *a)
{
    free(a->columns[0].codes), free(a->columns[1].reals), free(a->latent), free(a->umap);
    free(a->ring.indptr), free(a->ring.indices), free(a->ring.values), free(a->twice.values);
}

static iso_status write_all(iso_env *env, const char *path, const iso_dataset *d, bool frame_only, iso_error *err)
{
    static const double reals[] = {0.5, -1.5, (double)NAN}, pi = 3.25;
    static const int64_t ints[] = {1, -2, INT64_MAX}, n_neighbors = 11;
    static const char *const genes[] = {"Gata1", "", "\xc3\xa9", "caf\xe9"};     /* the last is Latin-1 */
    const iso_h5ad_uns uns[] = {
        {.path = "neighbors/connectivities_key", .text = "connectivities"},
        {.path = "neighbors/distances_key", .text = "distances"},
        {.path = "neighbors/params/n_neighbors", .ints = &n_neighbors, .n_ints = -1},
        {.path = "neighbors/params/method", .text = "umap"},
        {.path = "neighbors/params/metric", .text = "euclidean"},
        {.path = "isolario/verdict", .text = "good \xe2\x80\x94 caf\xe9"},
        {.path = "isolario/empty", .text = ""},
        {.path = "isolario/pi", .reals = &pi, .n_reals = -1},
        {.path = "isolario/reals", .reals = reals, .n_reals = 3},
        {.path = "isolario/ints", .ints = ints, .n_ints = 3},
        {.path = "isolario/no_ints", .ints = ints, .n_ints = 0},
        {.path = "isolario/genes", .strings = genes, .n_strings = 4},
        {.path = "isolario/nothing", .strings = genes, .n_strings = 0},
    };
    additions a;
    make_additions(d, &a);
    const iso_h5ad_array obsm[] = {{"X_isolario", LATENT, a.latent}, {"X_umap", 2, a.umap}};
    const iso_h5ad_sparse obsp[] = {{"connectivities", &a.ring}, {"distances", &a.ring}},
                          layers[] = {{"twice", &a.twice}};
    iso_h5ad_out out = {.obs = &d->obs, .var = &d->var, .x = &d->x, .extra_obs = a.columns, .n_extra_obs = 2,
                        .obsm = obsm, .n_obsm = 2, .obsp = obsp, .n_obsp = 2, .layers = layers, .n_layers = 1,
                        .uns = uns, .n_uns = sizeof uns / sizeof *uns};
    if (frame_only) out.var = NULL, out.x = NULL, out.n_layers = 0;
    iso_status st = iso_h5ad_write(env, path, &out, err);
    free_additions(&a);
    return st;
}

static iso_status fail_each_allocation(iso_env *env, const char *path, const iso_dataset *d, iso_error *err)
{
    for (int64_t k = 1;; k++) {
        iso_alloc_fail_at(k);
        iso_status st = write_all(env, path, d, false, err);
        iso_alloc_fail_at(0);
        if (st == ISO_EMEMORY) continue;
        printf("%" PRId64 "\n", k - 1);
        return st;
    }
}

static void print_log(void *arg, iso_log_level level, const char *msg, double fraction, double eta_s)
{
    (void)arg, (void)level, (void)fraction, (void)eta_s;
    fprintf(stderr, "%s\n", msg);
}

int main(int argc, char **argv)
{
    iso_error err = {0};
    iso_dataset *d = NULL;
    iso_env *env = iso_env_new(1);
    if (!env || argc < 3) return ISO_EUSAGE;
    const char *in = argv[argc - 2], *path = argv[argc - 1], *mode = argc > 3 ? argv[1] : "";
    iso_env_set_log(env, print_log, NULL);
    iso_status st = iso_dataset_open(env, in, NULL, &d, &err);
    if (st == ISO_OK && !strcmp(mode, "--room")) {
        const struct rlimit room = {(rlim_t)atoll(argv[2]), (rlim_t)atoll(argv[2])};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &room);
    }
    if (st == ISO_OK && !strcmp(mode, "--no-memory")) st = fail_each_allocation(env, path, d, &err);
    else if (st == ISO_OK) st = write_all(env, path, d, !strcmp(mode, "--frame"), &err);
    if (st != ISO_OK) fprintf(stderr, "%s\n", err.msg);
    iso_dataset_free(d);
    iso_env_free(env);
    return st;
}
