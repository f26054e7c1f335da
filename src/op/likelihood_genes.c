/* likelihood_genes.c: see likelihood_genes.h. Genes are cut into the groups that a large layer cuts its columns into (kernel/layer.h), so that a thread
 * finds the logits of its genes in its own cache. A group goes over all cells; each has sums of its own, which are added in order. */
#include "likelihood_genes.h"

#include "kernel/layer.h"

#include <string.h>

typedef struct job {
    iso_lik_genes args;
    const iso_kernels *kernels;
    iso_lik_genes_fn *law;
    int64_t B, groups, blocks;
    real *top, *sum;              /* [groups, B] */
    double *loss, *d;             /* [groups, B] losses, dloss/dlog mu */
    int64_t *cursor;              /* [groups, B] */
} job;

static int64_t blocks_of(int64_t G) { return (G + ISO_LAYER_COLUMNS - 1) / ISO_LAYER_COLUMNS; }

enum { WIDE = sizeof(double) / sizeof(real), OF_CELLS = 4 };      /* rows of iso_lik_genes that are [B] */
static int64_t work_of(int64_t B, int64_t groups) { return groups * B * (2 + 3 * WIDE) + OF_CELLS * B; }

int64_t iso_likelihood_genes_work(int64_t cells, int64_t G) { return cells * G + work_of(cells, iso_layer_groups(blocks_of(G))) + WIDE; }

typedef struct span { int64_t from, to; } span;
static span genes_of(const job *j, int64_t group)
{
    int64_t end = (group + 1) * j->blocks / j->groups * ISO_LAYER_COLUMNS;
    return (span){group * j->blocks / j->groups * ISO_LAYER_COLUMNS, end < j->args.x.n_cols ? end : j->args.x.n_cols};
}

static void totals(void *arg, int64_t group)
{
    const job *j = arg;
    span s = genes_of(j, group);
    j->kernels->lik_totals(&j->args, s.from, s.to, j->top + group * j->B, j->sum + group * j->B);
}

static void law(void *arg, int64_t group)
{
    const job *j = arg;
    span s = genes_of(j, group);
    j->law(&j->args, s.from, s.to, j->cursor + group * j->B, j->loss + group * j->B, j->d + group * j->B);
}

static void softmax_back(void *arg, int64_t group)
{
    const job *j = arg;
    span s = genes_of(j, group);
    j->kernels->lik_softmax_back(&j->args, s.from, s.to);
}

void iso_likelihood_genes(const iso_args *a, real *loss)
{
    const iso_likelihood *how = a->node->pointer;
    const iso_batch *b = a->batch;
    int64_t G = a->in_cols[0], B = b->n, blocks = blocks_of(G);
    bool half = a->node->i[2] == ISO_GENES_FIRST_BF16;
    size_t bytes = (size_t)(B * G) * (half ? sizeof(iso_bf16) : sizeof(real));
    for (int head = 0; head < 2; head++)
        if (a->in[head] && a->saved[head] != a->in[head]) memcpy(a->saved[head], a->in[head], bytes);
    job j = {.args = {.x = b->x, .half = half, .mean = a->saved[0], .dropout = a->in[1] ? a->saved[1] : NULL, .dispersion = a->in[2], .d_dispersion = a->saved[2]},
             .kernels = a->kernels, .law = how->genes(a->kernels), .B = B, .groups = iso_layer_groups(blocks), .blocks = blocks};
    j.loss = (double *)a->work, j.d = j.loss + j.groups * B, j.cursor = (int64_t *)(j.d + j.groups * B);
    j.top = (real *)(j.cursor + j.groups * B), j.sum = j.top + j.groups * B;
    j.args.top = j.sum + j.groups * B, j.args.scale = j.args.top + B, j.args.log_scale = j.args.scale + B, j.args.factor = j.args.log_scale + B;
    j.args.aside = j.args.factor + B;
    iso_parallel(a->env, j.groups, totals, &j);
    a->kernels->lik_scales(&j.args, a->in[3], j.groups, j.top, j.sum);
    for (int64_t c = 0; c < B; c++) loss[c] = 0 * j.args.factor[c];              /* NaN if a logit is not finite */
    iso_parallel(a->env, j.groups, law, &j);
    for (int64_t c = 0; c < B; c++) {
        double total = 0, d = 0;
        for (int64_t g = 0; g < j.groups; g++) total += j.loss[g * B + c], d += j.d[g * B + c];
        loss[c] += (real)total, j.args.factor[c] = (real)(d / (double)j.args.factor[c]);
        a->saved[2][G + c] = (real)d;
    }
    iso_parallel(a->env, j.groups, softmax_back, &j);
}
