/* generate.c: z -> decoder -> law -> counts, cell by cell; see generate.h. A cell's numbers depend on the seed and its
 * place alone. Laws that speak of log1p(1e4 x / library) are turned back into x, not rounded. */
#include "generate.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 256 };
/* Draws of a cell: z, then library and categories, then its genes. */
enum { DRAW_Z, DRAW_CELL, DRAW_GENES };

void iso_draw_prior(int64_t n, int n_latent, uint64_t seed, float *z)
{
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_SAMPLE, DRAW_Z}, (uint64_t)i);
        for (int d = 0; d < n_latent; d++) z[i * n_latent + d] = (float)iso_rng_normal(&r);
    }
}

void iso_draw_posterior(const float *mu, const float *variance, const int64_t *cells, int64_t n_cells, int64_t n, int n_latent,
                        uint64_t seed, float *z)
{
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_SAMPLE, DRAW_Z}, (uint64_t)i);
        int64_t at = cells[(int64_t)(iso_rng_uniform(&r) * (double)n_cells)] * n_latent;
        for (int d = 0; d < n_latent; d++)
            z[i * n_latent + d] = mu[at + d] + sqrtf(variance[at + d]) * (float)iso_rng_normal(&r);
    }
}

typedef struct generator {
    iso_model *m;
    uint64_t seed;
    iso_generated *out;
    int64_t at;                                   /* first cell of the chunk */
    float *mean, *dropout, *log_dispersion;       /* [CHUNK, G]; the last two NULL without such a head */
    float *values;                                /* [CHUNK, G] drawn */
    const real *gene_dispersion;                  /* [categories, G] log dispersion, or NULL */
    int dispersion_slot;                          /* whose category chooses its row; -1: the first row */
} generator;

static void draw_cell_facts(generator *g, int64_t i, const double *log_library)
{
    const iso_model *m = g->m;
    iso_rng r = iso_rng_start((iso_rng_key){g->seed, ISO_STREAM_SAMPLE, DRAW_CELL}, (uint64_t)i);
    double normal = iso_rng_normal(&r);
    for (int k = 0; k <= m->n_covariates && k < ISO_MAX_COVARIATES; k++) {
        int32_t n = k < m->n_covariates ? m->covariates[k].n_categories : m->label.n_categories;
        double u = iso_rng_uniform(&r);
        g->out->codes[k][i] = n > 1 ? (int32_t)(u * n) : 0;
    }
    if (!g->out->library) return;
    int32_t batch = m->has_batch ? g->out->codes[0][i] : 0;
    double mean = m->v.c.learned_library && m->prior_mean ? m->prior_mean[batch] : m->library_mean[0];
    double variance = m->v.c.learned_library && m->prior_variance ? m->prior_variance[batch] : m->library_variance[0];
    g->out->library[i] = exp(log_library ? log_library[i] : mean + sqrt(fmax(variance, 0)) * normal);
}

static void draw_genes(void *arg, int64_t row)
{
    generator *g = arg;
    const iso_likelihood *law = g->m->v.c.likelihood;
    int64_t G = g->m->n_genes, cell = g->at + row;
    const real *by_gene = g->gene_dispersion;
    if (by_gene && g->dispersion_slot >= 0) by_gene += g->out->codes[g->dispersion_slot][cell] * G;
    double library = g->out->library ? g->out->library[cell] : 1;
    iso_rng r = iso_rng_start((iso_rng_key){g->seed, ISO_STREAM_SAMPLE, DRAW_GENES}, (uint64_t)cell);
    for (int64_t j = 0; j < G; j++) {
        iso_lik_point p = {.mean = (double)g->mean[row * G + j] * (law->counts ? library : 1)};
        if (g->dropout) p.dropout = (double)g->dropout[row * G + j];
        if (by_gene) p.dispersion = exp((double)by_gene[j]);
        if (g->log_dispersion) p.dispersion = exp((double)g->log_dispersion[row * G + j]);
        double x = law->sample(&r, p);
        g->values[row * G + j] = (float)(law->log1p_data ? fmax(0, expm1(x)) * library / 1e4 : x);
    }
}

/* The drawn chunk, appended to out->x. */
static iso_status append(generator *g, int64_t rows, int64_t *room, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_csr *x = &g->out->x;
    int64_t G = g->m->n_genes, more = 0;
    for (int64_t e = 0; e < rows * G; e++) more += g->values[e] != 0;
    if (x->nnz + more > *room) {
        int64_t bigger = (x->nnz + more) * 3 / 2;
        int32_t *indices = iso_realloc(x->indices, *room, bigger, sizeof *indices);
        if (indices) x->indices = indices;
        float *values = iso_realloc(x->values, *room, bigger, sizeof *values);
        if (values) x->values = values;
        FAIL_IF(!indices || !values, ISO_EMEMORY, "out of memory for %lld counts", (long long)bigger);
        *room = bigger;
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < G; j++)
            if (g->values[r * G + j] != 0) x->indices[x->nnz] = (int32_t)j, x->values[x->nnz++] = g->values[r * G + j];
        x->indptr[g->at + r + 1] = x->nnz;
    }
done:
    return st;
}

static iso_status open_generator(generator *g, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_vae *v = &g->m->v;
    int64_t G = g->m->n_genes;
    const iso_named *t = iso_graph_find(v->g, ISO_DISPERSION_NAME, false);
    if (t) g->gene_dispersion = v->g->param + t->offset;
    g->dispersion_slot = v->c.dispersion == ISO_DISPERSION_BATCH   ? 0
                         : v->c.dispersion == ISO_DISPERSION_LABEL ? g->m->n_covariates
                                                                   : -1;
    for (int k = 0; k <= g->m->n_covariates && k < ISO_MAX_COVARIATES; k++)
        ALLOC(g->out->codes[k], n, sizeof *g->out->codes[k]);
    if (v->c.likelihood->counts || v->c.likelihood->log1p_data) ALLOC(g->out->library, n, sizeof *g->out->library);
    ALLOC(g->out->x.indptr, n + 1, sizeof *g->out->x.indptr);
    ALLOC(g->mean, CHUNK * G, sizeof *g->mean);
    ALLOC(g->values, CHUNK * G, sizeof *g->values);
    if (v->given_dropout >= 0) ALLOC(g->dropout, CHUNK * G, sizeof *g->dropout);
    if (v->given_dispersion >= 0) ALLOC(g->log_dispersion, CHUNK * G, sizeof *g->log_dispersion);
    g->out->x.n_rows = n, g->out->x.n_cols = G;
done:
    return st;
}

iso_status iso_generate(iso_env *env, iso_model *m, const float *z, int64_t n, const double *log_library, uint64_t seed,
                        iso_generated *out, iso_error *err)
{
    iso_status st = ISO_OK;
    generator g = {.m = m, .seed = seed, .out = out};
    int64_t room = 0;
    const int32_t *codes[ISO_MAX_COVARIATES];
    *out = (iso_generated){0};
    TRY(open_generator(&g, n, err));
    for (int64_t i = 0; i < n; i++) draw_cell_facts(&g, i, log_library);
    iso_progress(env, 0, "generating cells");
    for (; g.at < n; g.at += CHUNK) {
        int64_t rows = n - g.at < CHUNK ? n - g.at : CHUNK;
        for (int k = 0; k < m->n_covariates; k++) codes[k] = out->codes[k] + g.at;
        TRY(iso_decode(env, &m->v, z + g.at * m->v.c.n_latent, rows, codes, g.mean, g.dropout, g.log_dispersion, err));
        iso_parallel(env, rows, draw_genes, &g);
        TRY(append(&g, rows, &room, err));
        iso_progress(env, (double)(g.at + rows) / (double)n, "generating cells");
    }
done:
    iso_free(g.mean);
    iso_free(g.values);
    iso_free(g.dropout);
    iso_free(g.log_dispersion);
    if (st) iso_generated_clear(out);
    return st;
}

void iso_generated_clear(iso_generated *g)
{
    iso_csr_clear(&g->x);
    for (int k = 0; k < ISO_MAX_COVARIATES; k++) iso_free(g->codes[k]);
    iso_free(g->library);
    *g = (iso_generated){0};
}
