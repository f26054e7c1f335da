/* decode_gene.c: one gene at many places; see train.h. A share is exp(logit - normaliser): the decoder of that gene alone gives the
 * logit, which spares the product with all other genes' weights. */
#include "decoder.h"

#include <math.h>

typedef struct job {
    const iso_vae *v;
    const float *normaliser;      /* [n, combinations]; NULL: none */
    float *out;
    real *room;                   /* [G] for a row */
} job;

static void sum_up(void *arg, const iso_plan *p, int64_t at, int64_t n, int64_t which, int64_t combinations)
{
    const job *j = arg;
    int64_t G = j->v->c.n_genes;
    const real *logit = iso_plan_value(p, j->v->logits);
    for (int64_t i = 0; i < n; i++) {
        const real *row = logit + i * G;
        real top = row[0];
        double sum = 0;
        for (int64_t g = 1; g < G; g++) top = row[g] > top ? row[g] : top;
        for (int64_t g = 0; g < G; g++) j->room[g] = row[g] - top;
        iso_kernels_best()->vexp(j->room, j->room, G);
        for (int64_t g = 0; g < G; g++) sum += (double)j->room[g];
        j->out[(at + i) * combinations + which] = (float)((double)top + log(sum));
    }
}

iso_status iso_decode_normaliser(iso_env *env, iso_vae *v, const float *z, int64_t n, float *normaliser, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_decoder *d = NULL;
    job j = {.v = v, .out = normaliser};
    ALLOC(j.room, v->c.n_genes, sizeof *j.room);
    TRY(iso_decoder_open(env, v, &v->logits, 1, &d, err));
    TRY(iso_decoder_each(d, z, n, NULL, sum_up, &j, err));
done:
    iso_decoder_free(d);
    iso_free(j.room);
    return st;
}

static void add_gene(void *arg, const iso_plan *p, int64_t at, int64_t n, int64_t which, int64_t combinations)
{
    const job *j = arg;
    const real *logit = iso_plan_value(p, j->v->logits);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)logit[i];
        if (j->normaliser) x = exp(x - (double)j->normaliser[(at + i) * combinations + which]);
        j->out[at + i] = (float)((which ? (double)j->out[at + i] : 0) + x / (double)combinations);
    }
}

iso_status iso_decode_gene(iso_env *env, const iso_vae *v, int64_t gene, const float *z, int64_t n, const float *normaliser,
                           float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_vae one = {0};
    iso_decoder *d = NULL;
    TRY(iso_vae_one_gene(v, gene, &one, err));
    TRY(iso_decoder_open(env, &one, &one.logits, 1, &d, err));
    TRY(iso_decoder_each(d, z, n, NULL, add_gene, &(job){.v = &one, .normaliser = normaliser, .out = out}, err));
done:
    iso_decoder_free(d);
    iso_vae_clear(&one);
    return st;
}
