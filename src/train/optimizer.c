/* optimizer.c: Adam and the gradient's norm over the flat arrays, in fixed chunks.
 *
 * The pool gives a thread the same share of a list of blocks each time. Chunks are listed by their place within their tensor, so
 * that a thread steps those parts of a tensor that it also has in layers, whose blocks go through the tensor in order. */
#include "optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16384 };
typedef struct iso_chunk { int param; int64_t from, n; double place; } iso_chunk;

static int by_place(const void *a, const void *b)
{
    const iso_chunk *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static iso_status list_chunks(iso_optimizer *o, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_graph *g = o->g;
    for (int i = 0; i < g->n_params; i++) o->n_chunks += (g->params[i].rows * g->params[i].cols + CHUNK - 1) / CHUNK;
    ALLOC(o->chunks, o->n_chunks, sizeof *o->chunks);
    ALLOC(o->chunk_squares, o->n_chunks, sizeof *o->chunk_squares);
    ALLOC(o->left, o->n_chunks, sizeof *o->left);
    int64_t at = 0;
    for (int i = 0; i < g->n_params; i++) {
        int64_t size = g->params[i].rows * g->params[i].cols;
        for (int64_t from = 0; from < size; from += CHUNK, at++) {
            int64_t n = size - from < CHUNK ? size - from : CHUNK;
            o->chunks[at] = (iso_chunk){i, g->params[i].offset + from, n, ((double)from + 0.5 * (double)n) / (double)size};
        }
    }
    qsort(o->chunks, (size_t)o->n_chunks, sizeof *o->chunks, by_place);
done:
    return st;
}

static double step(const iso_stepper *s, int64_t from, int64_t n, const real *g)
{
    const iso_optimizer *o = (const iso_optimizer *)s;
    iso_moments to = iso_moments_from(&o->moments, from);
    return o->k->adam(&o->now, from, n, g, o->g->param + from, &to);
}

iso_status iso_optimizer_new(iso_graph *g, bool half, iso_optimizer *o, iso_error *err)
{
    iso_status st = ISO_OK;
    *o = (iso_optimizer){.stepper = {step}, .g = g};
    ALLOC(o->squares, g->n_params, sizeof *o->squares);
    if (half) ALLOC(o->moments.both, g->param_size, sizeof *o->moments.both);
    else {
        ALLOC(o->moments.m, g->param_size, sizeof(real));
        ALLOC(o->moments.v, g->param_size, sizeof(real));
    }
    TRY(list_chunks(o, err));
done:
    return st;
}

void iso_optimizer_clear(iso_optimizer *o)
{
    iso_free(o->moments.m);
    iso_free(o->moments.v);
    iso_free(o->moments.both);
    iso_free(o->chunks);
    iso_free(o->squares);
    iso_free(o->chunk_squares);
    iso_free(o->left);
    *o = (iso_optimizer){0};
}

void iso_optimizer_restart(iso_optimizer *o)
{
    size_t size = (size_t)o->g->param_size;
    if (o->moments.both) memset(o->moments.both, 0, size * sizeof *o->moments.both);
    else memset(o->moments.m, 0, size * sizeof(real)), memset(o->moments.v, 0, size * sizeof(real));
    o->t = 0;
}

void iso_optimizer_begin(iso_optimizer *o, const iso_kernels *k, const iso_adam *a, double rate, double scale)
{
    double seen = 1 - pow(a->beta2, (double)o->t);       /* how much of the mean square v holds */
    o->t++;
    o->k = k;
    o->now = (iso_adam_step){.scale = (real)scale, .rate = (real)(rate / (1 - pow(a->beta1, (double)o->t))), .beta1 = (real)a->beta1,
                             .beta2 = (real)a->beta2, .epsilon = (real)a->epsilon, .weight_decay = (real)a->weight_decay,
                             .inverse_root = (real)(1 / sqrt(1 - pow(a->beta2, (double)o->t))),
                             .guard = (real)(seen > 0 ? a->guard / sqrt(seen) : 0),
                             .salt = (uint32_t)o->t * 0xC2B2AE3Du};
    for (int i = 0; i < o->g->n_params; i++) o->squares[i] = -1;
}

typedef struct job { const iso_optimizer *o; const iso_kernels *k; } job;

static void end_chunk(void *arg, int64_t i)
{
    const iso_optimizer *o = ((const job *)arg)->o;
    const iso_chunk *c = &o->chunks[o->left[i]];
    o->chunk_squares[o->left[i]] = step(&o->stepper, c->from, c->n, o->g->grad + c->from);
}

static double norm_of(const iso_optimizer *o)
{
    double sum = 0;
    for (int64_t i = 0; i < o->n_chunks; i++) sum += o->chunk_squares[i];
    return sqrt(sum);
}

double iso_optimizer_end(iso_optimizer *o, iso_env *env)
{
    int64_t n_left = 0;
    for (int64_t i = 0; i < o->n_chunks; i++) {
        o->chunk_squares[i] = 0;
        if (o->squares[o->chunks[i].param] < 0) o->left[n_left++] = i;
    }
    iso_parallel(env, n_left, end_chunk, &(job){.o = o});
    double rest = norm_of(o), sum = rest * rest;
    for (int i = 0; i < o->g->n_params; i++) sum += o->squares[i] > 0 ? o->squares[i] : 0;
    return sqrt(sum);
}

static void norm_chunk(void *arg, int64_t i)
{
    const job *j = arg;
    const iso_chunk *c = &j->o->chunks[i];
    j->o->chunk_squares[i] = j->k->sum_squares(j->o->g->grad + c->from, c->n);
}

double iso_gradient_norm(const iso_optimizer *o, iso_env *env, const iso_kernels *k)
{
    iso_parallel(env, o->n_chunks, norm_chunk, &(job){o, k});
    return norm_of(o);
}
