/* landscape.c: see landscape.h. */
#include "landscape.h"

#include "generate.h"

#include <string.h>

enum { PRIOR_SAMPLES = 4000, MOST_IN_CLOUD = 3000, NEIGHBORS = 15 };

/* Most places are where cells are, which their density alone tells; only the others are decoded and judged. */
iso_status iso_look_at_prior(iso_env *env, const iso_run_cells *r, const iso_judge *j, uint64_t seed, double *share, double *deep,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    float *z = NULL;
    double *log_q = NULL;
    iso_place *drawn = NULL;
    int64_t L = r->model->v.c.n_latent, n = 0;
    ALLOC(z, PRIOR_SAMPLES * L, sizeof *z);
    ALLOC(log_q, PRIOR_SAMPLES, sizeof *log_q);
    iso_draw_prior(PRIOR_SAMPLES, (int)L, seed, z);
    TRY(iso_density_log(env, &j->support.density, z, PRIOR_SAMPLES, NULL, log_q, err));
    memset(share, 0, ISO_PLACE_CLASSES * sizeof *share);
    *deep = 0;
    for (int64_t i = 0; i < PRIOR_SAMPLES; i++) {
        if (iso_support_p(&j->support, -1, log_q[i]) > ISO_VOID_P) share[ISO_PLACE_OBSERVED] += 1.0 / PRIOR_SAMPLES;
        else memmove(z + n++ * L, z + i * L, (size_t)L * sizeof *z);
    }
    if (n > 0) ALLOC(drawn, n, sizeof *drawn);
    if (n > 0) TRY(iso_run_judge_places(env, r, j, z, n, drawn, err));
    for (int64_t i = 0; i < n; i++)
        share[drawn[i].is] += 1.0 / PRIOR_SAMPLES, *deep += (drawn[i].p_value <= 0.01) / (double)PRIOR_SAMPLES;
done:
    iso_free(z);
    iso_free(log_q);
    iso_free(drawn);
    return st;
}

/* Rows of `distances` as a list of neighbours; those with fewer repeat themselves. */
static iso_status list_neighbors(const iso_csr *distances, iso_knn *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t most = 1;
    for (int64_t i = 0; i < distances->n_rows; i++) {
        int64_t n = distances->indptr[i + 1] - distances->indptr[i];
        if (n > most) most = n;
    }
    *out = (iso_knn){.n = distances->n_rows, .k = (int)most};
    ALLOC(out->index, out->n * most, sizeof *out->index);
    ALLOC(out->distance, out->n * most, sizeof *out->distance);
    for (int64_t i = 0; i < out->n; i++)
        for (int64_t j = 0; j < most; j++) {
            int64_t e = distances->indptr[i] + j;
            bool there = e < distances->indptr[i + 1];
            out->index[i * most + j] = there ? distances->indices[e] : (int32_t)i;
            out->distance[i * most + j] = there ? distances->values[e] : 0;
        }
done:
    return st;
}

/* What the second hill of one normal cloud would be, with the spread of these cells. */
static iso_status find_chance(iso_env *env, const iso_run_cells *r, int k, uint64_t seed, double *chance, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t N = r->obs.n_rows, L = r->model->v.c.n_latent, n = N < MOST_IN_CLOUD ? N : MOST_IN_CLOUD;
    float *z = NULL;
    ALLOC(z, n * L, sizeof *z);
    for (int64_t i = 0; i < n; i++) memcpy(z + i * L, r->mu + i * N / n * L, (size_t)L * sizeof *z);
    TRY(iso_peaks_null(env, z, n, L, k < n ? k : (int)n - 1, seed, chance, err));
done:
    iso_free(z);
    return st;
}

static iso_status find_continents(iso_env *env, const iso_run_cells *r, const iso_csr *distances, uint64_t seed, iso_landscape *l,
                                  iso_error *err)
{
    iso_status st = ISO_OK;
    iso_knn knn = {0};
    int64_t n_peaks;
    double *log_q = NULL;
    if (distances) TRY(list_neighbors(distances, &knn, err));
    else TRY(iso_knn_build(env, r->mu, l->n, r->model->v.c.n_latent, l->n > NEIGHBORS ? NEIGHBORS : (int)l->n - 1, seed, &knn, err));
    TRY(find_chance(env, r, knn.k, seed, &l->chance, err));
    ALLOC(l->peaks, l->n, sizeof *l->peaks);
    ALLOC(l->continent, l->n, sizeof *l->continent);
    ALLOC(log_q, l->n, sizeof *log_q);
    iso_peaks_density(&knn, r->model->v.c.n_latent, log_q);
    TRY(iso_peaks_find(&knn, log_q, l->chance, l->peaks, &n_peaks, l->continent, err));
    l->n_continents = (int32_t)n_peaks;
done:
    iso_knn_clear(&knn);
    iso_free(log_q);
    return st;
}

iso_status iso_landscape_make(iso_env *env, const iso_run_cells *r, const iso_judge *j, const iso_csr *distances, uint64_t seed,
                              iso_landscape *out, iso_error *err)
{
    iso_status st = ISO_OK;
    float *zero = NULL;
    const iso_support *s = &j->support;
    *out = (iso_landscape){.n = r->obs.n_rows, .n_references = s->n[s->n_batches], .held_out = s->held_out};
    ALLOC(zero, r->model->v.c.n_latent, sizeof *zero);
    ALLOC(out->log_density, out->n, sizeof *out->log_density);
    ALLOC(out->p_value, out->n, sizeof *out->p_value);
    TRY(iso_run_cells_p(env, r, s, out->log_density, out->p_value, err));
    TRY(find_continents(env, r, distances, seed, out, err));
    TRY(iso_look_at_prior(env, r, j, seed, out->prior, &out->prior_deep, err));
    TRY(iso_run_judge_places(env, r, j, zero, 1, &out->origin, err));
done:
    iso_free(zero);
    if (st) iso_landscape_clear(out);
    return st;
}

void iso_landscape_clear(iso_landscape *l)
{
    iso_free(l->log_density);
    iso_free(l->p_value);
    iso_free(l->continent);
    iso_free(l->peaks);
    *l = (iso_landscape){0};
}
