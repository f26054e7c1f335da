/* run_place.c: see run_place.h. */
#include "run_place.h"

#include "io/tensors.h"
#include "rules_file.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MOST_STATES = 1000, MOST_PEAK_CELLS = 2000 };

iso_status iso_mixture_write(const char *path, const iso_mixture *m, iso_error *err)
{
    iso_tensor tensors[] = {{(char *)"profile", 2, {m->G, m->K}, false, m->profile}, {(char *)"against", 2, {m->G, m->K}, false, m->against}};
    return iso_tensors_write(path, &(iso_tensor_file){.n_tensors = 2, .tensors = tensors, .metadata = (char *)"{\"format\": \"groups 1\"}"}, err);
}

iso_status iso_run_mixture(const iso_run_cells *r, iso_mixture *m, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_tensor_file f = {0};
    char *path = iso_sprintf("%s/groups.safetensors", r->folder);
    const iso_column *group = iso_frame_column(&r->obs, "mixture_group");
    *m = (iso_mixture){0};
    FAIL_IF(!path, ISO_EMEMORY, "out of memory");
    if (!group || access(path, F_OK) != 0) goto done;
    TRY(iso_tensors_read(path, &f, err));
    const iso_tensor *profile = iso_tensors_find(&f, "profile"), *against = iso_tensors_find(&f, "against");
    bool good = profile && against && profile->rank == 2 && against->rank == 2 && !profile->is_double && !against->is_double;
    FAIL_IF(!good || profile->shape[0] != r->model->n_genes || against->shape[0] != r->model->n_genes || profile->shape[1] != against->shape[1] ||
                group->kind != ISO_COL_CATEGORY || profile->shape[1] != group->n_categories,
            ISO_EDATA, "%s is not of this run: it should hold the profiles of %d groups of %lld genes", path, group->n_categories,
            (long long)r->model->n_genes);
    TRY(iso_mixture_set(profile->values, against->values, profile->shape[1], profile->shape[0], m, err));
done:
    iso_tensors_clear(&f);
    iso_free(path);
    return st;
}

/* The category of the model's batch of each cell of the run; -1 where there is none. */
static iso_status batch_codes(const iso_run_cells *r, int32_t *codes, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_model *m = r->model;
    const iso_column *column = m->has_batch ? iso_frame_column(&r->obs, m->covariates[0].key) : NULL;
    int32_t *own = NULL, n = 0;
    char **names = NULL;
    for (int64_t i = 0; i < r->obs.n_rows; i++) codes[i] = -1;
    if (!column) return ISO_OK;
    TRY(iso_column_factor(&r->obs, column, &own, &names, &n, err));
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        for (int32_t k = 0; own[i] >= 0 && k < m->covariates[0].n_categories; k++)
            if (strcmp(names[own[i]], m->covariates[0].categories[k]) == 0) codes[i] = k;
done:
    iso_free_texts(names, n);
    iso_free(own);
    return st;
}

iso_status iso_run_support(iso_env *env, const iso_run_cells *r, iso_support *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *batch = NULL;
    *s = (iso_support){0};
    ALLOC(batch, r->obs.n_rows, sizeof *batch);
    TRY(batch_codes(r, batch, err));
    TRY(iso_support_new(env, &(iso_support_cells){.mu = r->mu, .variance = r->variance, .n = r->obs.n_rows, .d = r->model->v.c.n_latent,
                                                  .is_train = r->is_train, .batch = batch,
                                                  .n_batches = r->model->has_batch ? r->model->covariates[0].n_categories : 0},
                        s, err));
done:
    iso_free(batch);
    return st;
}

iso_status iso_run_cells_p(iso_env *env, const iso_run_cells *r, const iso_support *s, double *log_density, double *p_value, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *batch = NULL;
    ALLOC(batch, r->obs.n_rows, sizeof *batch);
    TRY(batch_codes(r, batch, err));
    TRY(iso_density_log(env, &s->density, r->mu, r->obs.n_rows, s->component, log_density, err));
    for (int64_t i = 0; i < r->obs.n_rows; i++) p_value[i] = iso_support_p(s, batch[i], log_density[i]);
done:
    iso_free(batch);
    return st;
}

/* What at most MOST_STATES of the references decode to. */
static iso_status reference_states(iso_env *env, const iso_run_cells *r, const iso_support *s, float **states, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent;
    float *z = NULL;
    *n = s->n_references < MOST_STATES ? s->n_references : MOST_STATES;
    ALLOC(*states, *n * r->model->n_genes, sizeof **states);
    ALLOC(z, *n * L, sizeof *z);
    for (int64_t i = 0; i < *n; i++) memcpy(z + i * L, r->mu + s->reference[i * s->n_references / *n] * L, (size_t)L * sizeof *z);
    TRY(iso_decode(env, &r->model->v, z, *n, NULL, *states, NULL, NULL, err));
done:
    iso_free(z);
    return st;
}

static iso_status read_rules(const iso_run_cells *r, const iso_options *o, iso_rules *rules, iso_error *err)
{
    iso_status st = ISO_OK;
    char *path = iso_sprintf("%s/rules.tsv", r->folder);
    const char *more = iso_opt_text(o, "rules");
    FAIL_IF(!path, ISO_EMEMORY, "out of memory");
    TRY(iso_rules_read(path, r->model, true, rules, err));
    if (more) TRY(iso_rules_read(more, r->model, false, rules, err));
done:
    iso_free(path);
    return st;
}

/* What disagreement of the decoders is usual, from the references' places and states [n, G]. */
static iso_status find_usual_disagreement(iso_env *env, const iso_run_cells *r, const float *states, int64_t n, iso_judge *j, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent;
    const iso_support *s = &j->support;
    float *z = NULL;
    double *mean = NULL;
    if (r->heads.n == 0) return ISO_OK;
    ALLOC(z, n * L, sizeof *z);
    ALLOC(mean, n, sizeof *mean);
    for (int64_t i = 0; i < n; i++) memcpy(z + i * L, r->mu + s->reference[i * s->n_references / n] * L, (size_t)L * sizeof *z);
    TRY(iso_heads_spread(env, r->model, &r->heads, z, states, n, NULL, mean, err));
    j->most_disagreement = iso_quantile(mean, n, 0.99);
done:
    iso_free(z);
    iso_free(mean);
    return st;
}

iso_status iso_run_judge_of(iso_env *env, const iso_run_cells *r, iso_mixture *m, iso_rules *rules, iso_judge *j, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n_states;
    float *states = NULL;
    *j = (iso_judge){.mixture = *m, .rules = *rules};
    *m = (iso_mixture){0};
    *rules = (iso_rules){0};
    TRY(iso_run_support(env, r, &j->support, err));
    TRY(reference_states(env, r, &j->support, &states, &n_states, err));
    TRY(find_usual_disagreement(env, r, states, n_states, j, err));
    if (j->mixture.K) TRY(iso_judge_calibrate(env, j, states, n_states, err));
done:
    iso_free(states);
    if (st) iso_judge_clear(j);
    return st;
}

iso_status iso_run_judge(iso_env *env, const iso_run_cells *r, const iso_options *o, iso_judge *j, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_mixture m = {0};
    iso_rules rules = {0};
    *j = (iso_judge){0};
    TRY(iso_run_mixture(r, &m, err));
    if (m.K) TRY(read_rules(r, o, &rules, err));
    TRY(iso_run_judge_of(env, r, &m, &rules, j, err));
done:
    iso_mixture_clear(&m);
    iso_rules_clear(&rules);
    return st;
}

char *const *iso_run_mixture_names(const iso_run_cells *r)
{
    const iso_column *group = iso_frame_column(&r->obs, "mixture_group");
    return group ? group->categories : NULL;
}

iso_status iso_run_judge_places(iso_env *env, const iso_run_cells *r, const iso_judge *j, const float *z, int64_t n, iso_place *out,
                                iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent;
    bool decoded = j->mixture.K || r->heads.n;               /* else nothing looks at what is decoded there */
    float *states = NULL;
    double *disagreement = NULL;
    if (decoded) ALLOC(states, (n < MOST_STATES ? n : MOST_STATES) * r->model->n_genes, sizeof *states);
    ALLOC(disagreement, MOST_STATES, sizeof *disagreement);
    for (int64_t at = 0; at < n; at += MOST_STATES) {
        int64_t some = n - at < MOST_STATES ? n - at : MOST_STATES;
        if (decoded) TRY(iso_decode(env, &r->model->v, z + at * L, some, NULL, states, NULL, NULL, err));
        TRY(iso_judge_places(env, j, z + at * L, states, some, out + at, err));
        TRY(iso_heads_spread(env, r->model, &r->heads, z + at * L, states, some, NULL, disagreement, err));
        for (int64_t i = 0; i < some; i++) {
            out[at + i].disagreement = disagreement[i];
            out[at + i].uncertain = r->heads.n && disagreement[i] > j->most_disagreement;
        }
    }
done:
    iso_free(disagreement);
    iso_free(states);
    return st;
}

/* ---------------------------------------------------------------------------------- prototypes */

/* Cells of group k, training cells if it has any: at most `most`, evenly spaced. */
static int64_t cells_of(const iso_run_cells *r, const iso_groups *g, int32_t k, int64_t most, int64_t *cells)
{
    int64_t all[2] = {0}, at = 0, seen = 0;
    for (int64_t i = 0; i < r->obs.n_rows; i++)
        if (g->codes[i] == k) all[0]++, all[1] += r->is_train[i];
    int64_t of = all[1] ? all[1] : all[0], some = of < most ? of : most;
    for (int64_t i = 0; i < r->obs.n_rows && at < some; i++)
        if (g->codes[i] == k && (r->is_train[i] || !all[1]) && seen++ * some / of >= at) cells[at++] = i;
    return at;
}

static int64_t nearest_cell(const iso_run_cells *r, const float *z)
{
    int64_t L = r->model->v.c.n_latent, best = -1;
    double least = HUGE_VAL;
    for (int64_t i = 0; i < r->obs.n_rows; i++) {
        double far = 0;
        for (int64_t k = 0; k < L; k++) far += (double)(r->mu[i * L + k] - z[k]) * (double)(r->mu[i * L + k] - z[k]);
        if (far < least) least = far, best = i;
    }
    return best;
}

/* Silverman's (1986) width for n points [n, L]: wide enough that a group is one hill. */
static double silverman(const float *mu, int64_t n, int64_t L)
{
    double variance = 0;
    for (int64_t k = 0; k < L; k++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < n; i++) sum += (double)mu[i * L + k], square += (double)mu[i * L + k] * (double)mu[i * L + k];
        variance += fmax(0, square / (double)n - sum * sum / (double)n / (double)n) / (double)L;
    }
    double d = (double)L;
    return fmax(1e-3, sqrt(variance) * pow(4 / ((d + 2) * (double)n), 1 / (d + 4)));
}

/* z [n_latent] of the group whose cells are listed [n]. */
static iso_status find_peak(iso_env *env, const iso_run_cells *r, const int64_t *cells, int64_t n, float *z, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_density q = {0};
    int64_t L = r->model->v.c.n_latent, best = 0;
    float *mu = NULL;
    double *log_q = NULL;
    ALLOC(mu, n * L, sizeof *mu);
    ALLOC(log_q, n, sizeof *log_q);
    for (int64_t i = 0; i < n; i++) memcpy(mu + i * L, r->mu + cells[i] * L, (size_t)L * sizeof *mu);
    TRY(iso_density_new(mu, NULL, n, L, silverman(mu, n, L), &q, err));
    TRY(iso_density_log(env, &q, mu, n, NULL, log_q, err));
    for (int64_t i = 0; i < n; i++)
        if (log_q[i] > log_q[best]) best = i;
    memcpy(z, mu + best * L, (size_t)L * sizeof *z);
    TRY(iso_density_climb(&q, z, err));
done:
    iso_density_clear(&q);
    iso_free(mu);
    iso_free(log_q);
    return st;
}

iso_status iso_run_prototypes(iso_env *env, const iso_run_cells *r, const iso_groups *g, float *z, int64_t *nearest, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent, *cells = NULL;
    ALLOC(cells, MOST_PEAK_CELLS, sizeof *cells);
    memset(z, 0, (size_t)(g->n * L) * sizeof *z);
    for (int32_t k = 0; k < g->n; k++) {
        int64_t n = cells_of(r, g, k, MOST_PEAK_CELLS, cells);
        nearest[k] = -1;
        if (n == 0) continue;
        TRY(find_peak(env, r, cells, n, z + k * L, err));
        nearest[k] = nearest_cell(r, z + k * L);
    }
done:
    iso_free(cells);
    return st;
}

/* ------------------------------------------------------------------------------------- routes */

iso_status iso_run_route_graph(iso_env *env, const iso_run_cells *r, const iso_support *s, int64_t most, iso_route_graph *g, iso_error *err)
{
    static const int64_t most_decoded = 16 << 20;              /* floats */
    iso_status st = ISO_OK;
    int64_t n_train = 0, seen = 0, at = 0, L = r->model->v.c.n_latent, G = r->model->n_genes;
    float *z = NULL, *decoded = NULL;
    *g = (iso_route_graph){0};
    for (int64_t i = 0; i < r->obs.n_rows; i++) n_train += r->is_train[i];
    if (most > most_decoded / G) most = most_decoded / G;
    if (most < 1) most = 1;
    if (most > n_train) most = n_train;
    ALLOC(z, most * L, sizeof *z);
    ALLOC(decoded, most * G, sizeof *decoded);
    for (int64_t i = 0; i < r->obs.n_rows && at < most; i++)             /* evenly spaced */
        if (r->is_train[i] && seen++ * most / n_train >= at) memcpy(z + at++ * L, r->mu + i * L, (size_t)L * sizeof *z);
    TRY(iso_decode(env, &r->model->v, z, at, NULL, decoded, NULL, NULL, err));
    TRY(iso_route_graph_new(env, s, z, at, L, decoded, G, r->model->v.c.likelihood->counts, g, err));
done:
    iso_free(z);
    iso_free(decoded);
    return st;
}
