/* explore_statistics.c: numbers of map.json about the latent space as a whole, dimension by dimension, and the names that its
 * classes refer to. */
#include "explore.h"

#include "landscape.h"

#include <math.h>
#include <string.h>

static const double ACTIVE = 0.01;        /* least variance of mu over cells (Burda et al. 2016) */

static iso_status write_dimensions(const iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = x->run.obs.n_rows, L = x->run.model->v.c.n_latent;
    const json_t *kl = json_object_get(json_object_get(x->record, "diagnosis"), "kl_per_dim");
    double *v = NULL;
    ALLOC(v, n, sizeof *v);
    js_key(j, "dimensions");
    js_open(j, '[');
    for (int64_t d = 0; d < L; d++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < n; i++) v[i] = (double)x->run.mu[i * L + d], sum += v[i];
        for (int64_t i = 0; i < n; i++) square += (v[i] - sum / (double)n) * (v[i] - sum / (double)n);
        iso_sort(v, n);
        const json_t *own = json_array_get(kl, (size_t)d);
        js_open(j, '{');
        js_key(j, "kl");
        js_number(j, json_is_number(own) ? json_number_value(own) : (double)NAN);
        js_key(j, "active");
        fputs(square / (double)n > ACTIVE ? "true" : "false", j->file);
        j->comma = true;
        js_key(j, "low");
        js_number(j, v[n / 100]);
        js_key(j, "high");
        js_number(j, v[n - 1 - n / 100]);
        js_close(j, '}');
    }
    js_close(j, ']');
done:
    iso_free(v);
    return st;
}

static iso_status write_statistics(const iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_summary *s = &x->run.model->summary;
    double share[ISO_PLACE_CLASSES], deep;
    float *origin = NULL;
    iso_place place;
    int64_t n_train = 0;
    ALLOC(origin, x->run.model->v.c.n_latent, sizeof *origin);
    TRY(iso_look_at_prior(x->env, &x->run, &x->judge, (uint64_t)iso_opt_int(x->options, "seed"), share, &deep, err));
    TRY(iso_run_judge_places(x->env, &x->run, &x->judge, origin, 1, &place, err));
    for (int64_t i = 0; i < x->run.obs.n_rows; i++) n_train += x->run.is_train[i];
    js_key(j, "statistics");
    js_open(j, '{');
    js_key(j, "prior_in_voids");
    js_number(j, 1 - share[ISO_PLACE_OBSERVED]);
    js_key(j, "origin");
    js_open(j, '{');
    js_key(j, "class");
    js_integer(j, place.is);
    js_key(j, "p_value");
    js_number(j, place.p_value);
    js_close(j, '}');
    js_key(j, "verdict");
    js_string(j, s->verdict);
    js_key(j, "verdict_text");
    js_string(j, s->verdict_text);
    js_key(j, "likelihood");
    js_string(j, x->run.model->v.c.likelihood->name);
    js_key(j, "training_cells");
    js_integer(j, n_train);
    js_key(j, "held_out_cells");
    js_integer(j, x->run.obs.n_rows - n_train);
    js_key(j, "validation_elbo");
    js_number(j, s->validation_elbo);
    js_close(j, '}');
done:
    iso_free(origin);
    return st;
}

/* What the groups and rules are that iso_web_classify answers with. */
static void write_classes(const iso_explore *x, json *j)
{
    const iso_rules *r = &x->judge.rules;
    char *const *names = iso_run_mixture_names(&x->run);
    js_key(j, "mixture_groups");
    js_open(j, '[');
    for (int64_t k = 0; k < x->judge.mixture.K; k++) js_string(j, names[k]);
    js_close(j, ']');
    js_key(j, "rules");
    js_open(j, '[');
    for (int i = 0; i < r->n; i++) {
        js_open(j, '{');
        js_key(j, "genes");
        js_open(j, '[');
        for (int k = 0; k < 2; k++) js_integer(j, r->rule[i].gene[k]);
        js_close(j, ']');
        js_key(j, "learned");
        fputs(r->rule[i].learned ? "true" : "false", j->file);
        j->comma = true;
        js_key(j, "together");
        js_integer(j, r->rule[i].together);
        js_key(j, "expected");
        js_number(j, r->rule[i].expected);
        js_close(j, '}');
    }
    js_close(j, ']');
}

iso_status iso_explore_statistics(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(write_dimensions(x, j, err));
    TRY(write_statistics(x, j, err));
    write_classes(x, j);
done:
    return st;
}
