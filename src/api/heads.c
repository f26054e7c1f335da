/* heads.c: see heads.h. */
#include "heads.h"

#include "io/tensors.h"
#include "map/spread.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_STEPS = 200, LEAST_CELLS = 500, USUAL_HEADS = 3 };

static iso_status make(const iso_vae_config *of, int n, bool loss, uint64_t seed, iso_heads *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_vae_config c = *of;
    c.decoder_only = true, c.decoder_loss = loss, c.max_elements = 0;
    ALLOC(out->v, n, sizeof *out->v);
    for (; out->n < n; out->n++) TRY(iso_vae_build(&c, seed + 1 + (uint64_t)out->n, &out->v[out->n], err));
done:
    return st;
}

iso_status iso_heads_train(iso_env *env, const iso_fitted *f, const iso_options *o, const float *mu, const float *variance, iso_heads *out,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    uint64_t seed = (uint64_t)iso_opt_int(o, "seed");
    iso_train_options how = iso_training_options(o, f->split.n_train, f->model->v.c.image.channels > 0);
    int64_t steps = (f->split.n_train + how.batch_size - 1) / how.batch_size;
    how.max_epochs = (int)iso_opt_int(o, "head_epochs");
    if (how.max_epochs == 0) how.max_epochs = (int)((LEAST_STEPS + steps - 1) / steps);
    *out = (iso_heads){0};
    int n = (int)iso_opt_int(o, "n_heads");
    if (n < 0) n = f->split.n_train < LEAST_CELLS ? 0 : USUAL_HEADS;
    TRY(make(&f->model->v.c, n, true, seed, out, err));
    for (int k = 0; k < out->n; k++) {
        how.seed = seed + 1 + (uint64_t)k;
        iso_progress(env, (double)k / out->n, "more decoders");
        TRY(iso_train_decoder(env, &out->v[k], &f->bound.cells, f->split.train, f->split.n_train, mu, variance, &how, err));
    }
done:
    if (st) iso_heads_clear(out);
    return st;
}

void iso_heads_clear(iso_heads *h)
{
    for (int k = 0; k < h->n; k++) iso_vae_clear(&h->v[k]);
    iso_free(h->v);
    *h = (iso_heads){0};
}

/* ------------------------------------------------------------------------------------ the file */

enum { NAME = 128 };

/* Tensor i of head k: parameters, then state. */
static const iso_named *tensor_of(const iso_graph *g, int i, real **values)
{
    const iso_named *t = i < g->n_params ? &g->params[i] : &g->states[i - g->n_params];
    *values = (i < g->n_params ? g->param : g->state) + t->offset;
    return t;
}

iso_status iso_heads_write(const char *path, const iso_heads *h, iso_error *err)
{
    iso_status st = ISO_OK;
    int each = h->v[0].g->n_params + h->v[0].g->n_states;
    iso_tensor_file f = {.n_tensors = each * h->n, .metadata = (char *)"{\"format\": \"heads 1\"}"};
    char (*names)[NAME] = NULL;
    ALLOC(f.tensors, f.n_tensors, sizeof *f.tensors);
    ALLOC(names, f.n_tensors, sizeof *names);
    for (int i = 0; i < f.n_tensors; i++) {
        real *values;
        const iso_named *t = tensor_of(h->v[i / each].g, i % each, &values);
        snprintf(names[i], NAME, "%d.%s", i / each, t->name);
        f.tensors[i] = (iso_tensor){names[i], 2, {t->rows, t->cols}, sizeof *values == sizeof(double), values};
    }
    TRY(iso_tensors_write(path, &f, err));
done:
    iso_free(f.tensors);
    iso_free(names);
    return st;
}

static iso_status fill(const char *path, const iso_tensor_file *f, int k, iso_graph *g, iso_error *err)
{
    iso_status st = ISO_OK;
    char name[NAME];
    for (int i = 0; i < g->n_params + g->n_states; i++) {
        real *values;
        const iso_named *to = tensor_of(g, i, &values);
        snprintf(name, NAME, "%d.%s", k, to->name);
        const iso_tensor *t = iso_tensors_find(f, name);
        FAIL_IF(!t || t->rank != 2 || t->shape[0] != to->rows || t->shape[1] != to->cols, ISO_EDATA, "%s is not of this run: tensor \"%s\"", path, name);
        for (int64_t e = 0; e < to->rows * to->cols; e++) {
            values[e] = t->is_double ? (real)((const double *)t->values)[e] : (real)((const float *)t->values)[e];
            FAIL_IF(!isfinite((double)values[e]), ISO_EDATA, "%s: tensor \"%s\" has a value that is not finite", path, name);
        }
    }
done:
    return st;
}

iso_status iso_heads_read(const char *path, const iso_model *m, iso_heads *out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_tensor_file f = {0};
    iso_heads probe = {0};
    *out = (iso_heads){0};
    if (access(path, F_OK) != 0) return ISO_OK;
    TRY(iso_tensors_read(path, &f, err));
    TRY(make(&m->v.c, 1, false, 0, &probe, err));
    int each = probe.v[0].g->n_params + probe.v[0].g->n_states;
    FAIL_IF(f.n_tensors == 0 || f.n_tensors % each != 0, ISO_EDATA, "%s is not of this run: %d tensors", path, f.n_tensors);
    TRY(make(&m->v.c, f.n_tensors / each, false, 0, out, err));
    for (int k = 0; k < out->n; k++) TRY(fill(path, &f, k, out->v[k].g, err));
done:
    iso_tensors_clear(&f);
    iso_heads_clear(&probe);
    if (st) iso_heads_clear(out);
    return st;
}

/* ---------------------------------------------------------------------------------- disagreement */

iso_status iso_heads_spread(iso_env *env, const iso_model *m, const iso_heads *h, const float *z, const float *states, int64_t n, float *spread,
                            double *mean, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = m->n_genes;
    float *heads = NULL;
    memset(mean, 0, (size_t)n * sizeof *mean);
    if (spread) memset(spread, 0, (size_t)(n * G) * sizeof *spread);
    if (h->n == 0) return ISO_OK;
    ALLOC(heads, h->n * n * G, sizeof *heads);
    for (int k = 0; k < h->n; k++) TRY(iso_decode(env, &h->v[k], z, n, NULL, heads + k * n * G, NULL, NULL, err));
    iso_spread(env, states, heads, h->n, n, G, m->v.c.likelihood->counts, spread, mean);
done:
    iso_free(heads);
    return st;
}
