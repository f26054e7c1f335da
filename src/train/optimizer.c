/* optimizer.c: Adam and the gradient's norm over the flat arrays, in fixed chunks. */
#include "optimizer.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 16384, MAX_CHUNKS = 4096 };

iso_status iso_optimizer_new(iso_graph *g, iso_optimizer *o, iso_error *err)
{
    iso_status st = ISO_OK;
    *o = (iso_optimizer){.g = g};
    ALLOC(o->m, g->param_size, sizeof *o->m);
    ALLOC(o->v, g->param_size, sizeof *o->v);
done:
    return st;
}

void iso_optimizer_clear(iso_optimizer *o)
{
    iso_free(o->m);
    iso_free(o->v);
    *o = (iso_optimizer){0};
}

void iso_optimizer_restart(iso_optimizer *o)
{
    memset(o->m, 0, (size_t)o->g->param_size * sizeof(real));
    memset(o->v, 0, (size_t)o->g->param_size * sizeof(real));
    o->t = 0;
}

typedef struct step {
    iso_optimizer *o;
    const iso_kernels *k;
    const iso_adam *a;
    double rate, scale, bias1, bias2;
} step;

static void step_chunk(void *arg, int64_t chunk)
{
    const step *s = arg;
    iso_graph *g = s->o->g;
    int64_t from = chunk * CHUNK, n = g->param_size - from < CHUNK ? g->param_size - from : CHUNK;
    s->k->adam(g->param + from, g->grad + from, s->o->m + from, s->o->v + from, n, (real)s->scale, (real)s->rate,
               (real)s->a->beta1, (real)s->a->beta2, (real)s->a->epsilon, (real)s->a->weight_decay, (real)s->bias1,
               (real)s->bias2);
}

void iso_optimizer_step(iso_optimizer *o, iso_env *env, const iso_kernels *k, const iso_adam *a, double rate,
                        double scale)
{
    o->t++;
    step s = {o, k, a, rate, scale, 1 - pow(a->beta1, (double)o->t), 1 - pow(a->beta2, (double)o->t)};
    iso_parallel(env, (o->g->param_size + CHUNK - 1) / CHUNK, step_chunk, &s);
}

typedef struct norm { const iso_graph *g; const iso_kernels *k; int64_t chunk; double part[MAX_CHUNKS]; } norm;

static void norm_chunk(void *arg, int64_t i)
{
    norm *n = arg;
    int64_t from = i * n->chunk, left = n->g->param_size - from;
    n->part[i] = n->k->sum_squares(n->g->grad + from, left < n->chunk ? left : n->chunk);
}

double iso_gradient_norm(const iso_graph *g, iso_env *env, const iso_kernels *k)
{
    norm n = {.g = g, .k = k, .chunk = CHUNK};
    while ((g->param_size + n.chunk - 1) / n.chunk > MAX_CHUNKS) n.chunk *= 2;
    int64_t chunks = (g->param_size + n.chunk - 1) / n.chunk;
    iso_parallel(env, chunks, norm_chunk, &n);
    double sum = 0;
    for (int64_t i = 0; i < chunks; i++) sum += n.part[i];
    return sqrt(sum);
}
