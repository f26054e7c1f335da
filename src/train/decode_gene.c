/* decode_gene.c: one gene at many places; see train.h. A share is exp(logit - normaliser): the decoder of that gene alone gives the
 * logit, which spares the product with all other genes' weights. */
#include "decoder.h"
#include "model/one_gene.h"

#include <math.h>
#include <string.h>

typedef struct job {
    const iso_vae *v;
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

/* ------------------------------------------------------------------------------------------- one gene */

enum { LANES = 16 };              /* places side by side, whose numbers fill vector registers */

/* y [n_out, LANES] = W x [n_in, LANES]: two outputs at a time stay in registers. */
static void multiply(const iso_affine *a, const real *restrict x, real *restrict y)
{
    for (int64_t o = 0; o < a->n_out; o += 2) {
        int64_t other = o + 1 < a->n_out ? o + 1 : o;
        const real *u = a->w + o * a->n_in, *w = a->w + other * a->n_in;
        real sum[LANES] = {0}, beside[LANES] = {0};
        for (int64_t k = 0; k < a->n_in; k++)
            for (int i = 0; i < LANES; i++) {
                sum[i] += u[k] * x[k * LANES + i];
                beside[i] += w[k] * x[k * LANES + i];
            }
        for (int i = 0; i < LANES; i++) y[o * LANES + i] = sum[i];
        for (int i = 0; i < LANES; i++) y[other * LANES + i] = beside[i];
    }
}

/* out [n, LANES] = max(y + b, 0) */
static void activate(const real *restrict y, const real *restrict b, int64_t n, real *restrict out)
{
    for (int64_t o = 0; o < n; o++)
        for (int i = 0; i < LANES; i++) {
            real v = y[o * LANES + i] + b[o];
            out[o * LANES + i] = v > 0 ? v : 0;
        }
}

/* LANES places on their way through the layers, each array [width, LANES]. */
typedef struct lanes { real *z, *first, *active, *y; } lanes;

/* The gene's logit, or its mean, with combination c: [LANES]. r->first is what the first layer's W makes of z, whatever c is. */
static void answer(const iso_one_gene *g, int64_t c, const lanes *r, real *out)
{
    const real *y = r->first;
    const iso_affine *a = g->layer, *last = g->layer + g->n_layers - 1;
    for (; a < last; a++, y = r->y) {
        activate(y, a->b + c * a->n_out, a->n_out, r->active);
        multiply(a + 1, r->active, r->y);
    }
    for (int i = 0; i < LANES; i++) out[i] = y[i] + last->b[c];
}

/* out [n] of n <= LANES places z [n, L], with normaliser [n, combinations] or NULL. */
static void few_places(const iso_one_gene *g, const lanes *r, const float *z, int64_t n, const float *normaliser, float *out)
{
    int64_t L = g->layer[0].n_in, C = g->combinations;
    double sum[LANES] = {0};
    real x[LANES];
    for (int64_t k = 0; k < L; k++)
        for (int64_t i = 0; i < n; i++) r->z[k * LANES + i] = (real)z[i * L + k];
    multiply(g->layer, r->z, r->first);
    for (int64_t c = 0; c < C; c++) {
        answer(g, c, r, x);
        for (int64_t i = 0; normaliser && i < n; i++) x[i] -= (real)normaliser[i * C + c];
        if (normaliser) iso_kernels_best()->vexp(x, x, LANES);
        for (int64_t i = 0; i < n; i++) sum[i] += (double)x[i];
    }
    for (int64_t i = 0; i < n; i++) out[i] = (float)(sum[i] / (double)C);
}

iso_status iso_decode_gene(iso_env *env, const iso_vae *v, int64_t gene, const float *z, int64_t n, const float *normaliser,
                           float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_one_gene g = {0};
    real *room = NULL;
    int64_t C = iso_decode_combinations(&v->c);
    TRY(iso_one_gene_new(v, gene, C, &g, err));
    int64_t size = g.width * LANES;
    ALLOC(room, 4 * size, sizeof *room);
    lanes r = {room, room + size, room + 2 * size, room + 3 * size};
    for (int64_t at = 0; at < n; at += LANES) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted");
        few_places(&g, &r, z + at * v->c.n_latent, n - at < LANES ? n - at : LANES, normaliser ? normaliser + at * C : NULL, out + at);
    }
done:
    iso_free(room);
    iso_one_gene_clear(&g);
    return st;
}
