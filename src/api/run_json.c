/* run_json.c: run.json of a run: everything that a program may want to know of it. Numbers that were not measured are
 * null. */
#include "run.h"

#include "io/tensors.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(double x)
{
    if (!isfinite(x)) return json_null();
    return x == floor(x) && fabs(x) < 1e15 ? json_integer((json_int_t)x) : json_real(x);
}
/* Text that is not UTF-8 is not JSON. */
static json_t *text(const char *s)
{
    json_t *t = s ? json_string(s) : NULL;
    return t ? t : json_null();
}

typedef struct number_of { const char *name; double value; } number_of;
static json_t *numbers(const number_of *list, size_t n)
{
    json_t *j = json_object();
    for (size_t i = 0; i < n; i++) json_object_set_new(j, list[i].name, number(list[i].value));
    return j;
}
#define NUMBERS(...)                                                                                                   \
    numbers((const number_of[]){__VA_ARGS__}, sizeof((const number_of[]){__VA_ARGS__}) / sizeof(number_of))

static json_t *option_value(const iso_options *o, const iso_option_info *row)
{
    const char *value = iso_options_get(o, row->name);
    if (!value) return json_null();
    switch (row->type) {
    case ISO_FLAG: return json_boolean(iso_opt_flag(o, row->name));
    case ISO_INT: return json_integer(iso_opt_int(o, row->name));
    case ISO_REAL: return json_real(iso_opt_real(o, row->name));
    default: return text(value);
    }
}

/* Those that change results: not how to talk, nor where to write, nor how many threads. */
static json_t *options(const iso_options *o)
{
    json_t *j = json_object();
    const iso_option_info *row;
    for (int i = 0; (row = iso_option_row(i)); i++) {
        bool general = strcmp(row->group, "General") == 0 && strcmp(row->name, "seed") != 0;
        if (general || strcmp(row->group, "Output") == 0 || !strstr(row->commands, "fit") ) continue;
        json_object_set_new(j, row->name, option_value(o, row));
    }
    json_object_set_new(j, "seed", json_integer(iso_opt_int(o, "seed")));
    return j;
}

static json_t *input(const iso_run *r)
{
    iso_data_facts f = iso_describe(r->data);
    json_t *j = NUMBERS({"cells", (double)f.cells}, {"genes", (double)f.genes}, {"entries", (double)f.nnz},
                        {"density", f.density}, {"median_counts", f.median_total}, {"min_counts", f.min_total},
                        {"max_counts", f.max_total}, {"max_count", f.max_count});
    json_object_set_new(j, "path", text(r->data->path));
    json_object_set_new(j, "sha256", text(r->fitted.model->summary.input_sha256));
    json_object_set_new(j, "format", text(r->data->format));
    json_object_set_new(j, "count_source", text(r->data->source));
    return j;
}

static json_t *training(const iso_run *r)
{
    const iso_summary *s = &r->fitted.model->summary;
    json_t *j = NUMBERS({"epochs", s->epochs}, {"best_epoch", s->best_epoch}, {"n_train", (double)s->n_train},
                        {"n_validation", (double)s->n_validation}, {"n_test", (double)s->n_test},
                        {"train_elbo", s->train_elbo}, {"train_reconstruction", s->train_reconstruction},
                        {"validation_elbo", s->validation_elbo},
                        {"validation_reconstruction", s->validation_reconstruction}, {"test_elbo", s->test_elbo},
                        {"test_reconstruction", s->test_reconstruction}, {"test_log_p", s->test_log_p},
                        {"final_kl_weight", s->final_kl_weight}, {"roll_backs", s->roll_backs});
    json_object_set_new(j, "stopped_early", json_boolean(s->stopped_early));
    json_object_set_new(j, "interrupted", json_boolean(r->fitted.history.interrupted));
    return j;
}

static json_t *diagnosis(const iso_run *r)
{
    const iso_diagnosis *d = &r->fitted.diagnosis;
    const iso_summary *s = &r->fitted.model->summary;
    json_t *j = json_object(), *kl = json_array(), *var_mu = json_array();
    if (d->kl_per_dim) {
        json_decref(j);
        j = NUMBERS({"n_latent", d->n_latent}, {"active_units", d->active_units}, {"kl", d->kl},
                    {"mutual_information", d->mutual_information},
                    {"mutual_information_cap", d->mutual_information_cap}, {"kl_aggregate", d->kl_aggregate},
                    {"kl_aggregate_least", d->kl_aggregate_least}, {"negative_log_likelihood", d->nll},
                    {"shuffle_loss", d->shuffle_loss});
        json_object_set_new(j, "capped", json_boolean(d->capped));
        for (int k = 0; k < d->n_latent; k++) {
            json_array_append_new(kl, number(d->kl_per_dim[k]));
            json_array_append_new(var_mu, number(d->var_mu[k]));
        }
    }
    json_object_set_new(j, "verdict", text(s->verdict));
    json_object_set_new(j, "text", text(s->verdict_text));
    json_object_set_new(j, "cure", *s->cure ? text(s->cure) : json_null());
    json_object_set_new(j, "kl_per_dim", kl);
    json_object_set_new(j, "var_mu", var_mu);
    return j;
}

static json_t *agreement(const iso_label_scores *s)
{
    return NUMBERS({"knn_accuracy", s->knn_accuracy}, {"linear_probe", s->linear_probe}, {"ari", s->ari}, {"nmi", s->nmi}, {"best_ari", s->best.ari},
                   {"best_nmi", s->best.nmi}, {"best_resolution", s->best.resolution},
                   {"best_clusters", s->best.n_clusters});
}

static json_t *labels(const iso_run *r)
{
    if (!r->labels || !r->atlas.xy) return json_null();
    json_t *j = json_object();
    json_object_set_new(j, "key", text(iso_opt_text(r->options, "labels_key")));
    json_object_set_new(j, "latent", agreement(&r->scores));
    json_object_set_new(j, "pca", agreement(&r->pca_scores));
    return j;
}

static json_t *place(const iso_place *p)
{
    json_t *j = NUMBERS({"log_density", p->log_density}, {"p_value", p->p_value});
    json_object_set_new(j, "class", text(iso_place_names[p->is]));
    return j;
}

/* A summit whose hill is the highest of its piece has no persistence. */
static json_t *landscape(const iso_run *r)
{
    const iso_landscape *l = &r->landscape;
    if (l->n_continents == 0) return json_null();
    json_t *j = NUMBERS({"prior_in_voids", 1 - l->prior[ISO_PLACE_OBSERVED]}, {"prior_chimera", l->prior[ISO_PLACE_CHIMERA]},
                        {"prior_against_a_rule", l->prior[ISO_PLACE_RULE]}, {"prior_never_observed", l->prior[ISO_PLACE_UNSEEN]},
                        {"references", (double)l->n_references}, {"persistence_by_chance", l->chance});
    json_t *peaks = json_array();
    for (int32_t k = 0; k < l->n_continents; k++) {
        json_t *peak = NUMBERS({"log_density", l->peaks[k].log_density}, {"persistence", l->peaks[k].persistence});
        json_object_set_new(peak, "cell", text(r->data->obs.index[l->peaks[k].cell]));
        json_array_append_new(peaks, peak);
    }
    json_object_set_new(j, "origin", place(&l->origin));
    json_object_set_new(j, "continents", peaks);
    return j;
}

static json_t *ways(const iso_run *r)
{
    json_t *list = json_array();
    for (int w = 0; w < r->n_ways; w++) {
        const iso_way *way = &r->ways[w];
        json_t *j = NUMBERS({"in_voids", way->in_voids}, {"straight_in_voids", way->straight_in_voids}), *genes = json_array();
        for (int k = 0; k < way->n_genes; k++) json_array_append_new(genes, text(r->data->var.index[way->gene[k]]));
        json_object_set_new(j, "from", text(r->data->obs.index[way->from]));
        json_object_set_new(j, "to", text(r->data->obs.index[way->to]));
        json_object_set_new(j, "genes", genes);
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *against(iso_against a) { return NUMBERS({"generated", a.generated}, {"floor", a.floor}); }

static json_t *realism(const iso_run *r)
{
    const iso_realism *m = &r->realism;
    if (m->n == 0) return json_null();
    json_t *j = NUMBERS({"cells", (double)m->n});
    json_object_set_new(j, "auc", against(m->auc));
    json_object_set_new(j, "gene_mean", against(m->mean));
    json_object_set_new(j, "gene_deviation", against(m->deviation));
    json_object_set_new(j, "gene_zeros", against(m->zeros));
    json_object_set_new(j, "coexpression", against(m->coexpression));
    return j;
}

static json_t *bands(const double *ratio) { return NUMBERS({"low", ratio[0]}, {"middle", ratio[1]}, {"high", ratio[2]}); }

static json_t *sharpness(const iso_run *r)
{
    const iso_sharpness *s = &r->sharpness;
    if (s->n == 0) return json_null();
    json_t *j = NUMBERS({"images", (double)s->n}, {"bits_per_dim", iso_bits_per_dim(r->fitted.model)}, {"psnr", s->psnr}, {"ssim", s->ssim},
                        {"frechet", s->frechet}, {"frechet_reconstructed", s->frechet_reconstructed}, {"frechet_floor", s->frechet_floor});
    json_object_set_new(j, "power_reconstructed", bands(s->reconstructed));
    json_object_set_new(j, "power_generated", bands(s->generated));
    json_object_set_new(j, "power_training", bands(s->training));
    return j;
}

/* `map` is all that follows training; neighbours, clusters and layout are parts of it. */
static json_t *seconds(const iso_run *r)
{
    const double made = r->atlas.xy ? 1 : (double)NAN;
    return NUMBERS({"read", r->read_s}, {"train", r->fitted.history.seconds}, {"neighbors", made * r->atlas.neighbors_s},
                   {"clusters", made * r->atlas.clusters_s}, {"layout", made * r->atlas.layout_s}, {"map", r->map_s},
                   {"total", r->total_s});
}

iso_status iso_run_write_json(iso_env *env, const iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *j = json_object();
    iso_out out = {0};
    char *path = NULL, *dumped = NULL;
    (void)env;
    json_object_set_new(j, "isolario", text(ISO_VERSION));
    json_object_set_new(j, "build", text(iso_version_long()));
    json_object_set_new(j, "command", text(r->command_line));
    json_object_set_new(j, "input", input(r));
    json_object_set_new(j, "options", options(r->options));
    json_object_set_new(j, "training", training(r));
    json_object_set_new(j, "diagnosis", diagnosis(r));
    json_object_set_new(j, "clusters", r->atlas.xy ? json_integer(r->atlas.n_clusters) : json_null());
    json_object_set_new(j, "labels", labels(r));
    json_object_set_new(j, "landscape", landscape(r));
    json_object_set_new(j, "paths", ways(r));
    json_object_set_new(j, "realism", realism(r));
    json_object_set_new(j, "sharpness", sharpness(r));
    json_object_set_new(j, "seconds", seconds(r));
    FAIL_IF(!(path = iso_run_path(r, "run.json")), ISO_EMEMORY, "out of memory");
    FAIL_IF(!(dumped = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9))), ISO_EMEMORY, "out of memory");
    TRY(iso_out_open(path, &out, err));
    fprintf(out.file, "%s\n", dumped);
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    json_decref(j);
    free(dumped);
    iso_free(path);
    return st;
}
