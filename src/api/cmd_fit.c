/* cmd_fit.c: `fit CELLS`: read, check, train, map, write a run folder. Nothing is written before the cells have
 * passed. */
#include "cells_in.h"
#include "commands.h"
#include "gallery.h"
#include "io/csr.h"
#include "io/tensors.h"
#include "rules_file.h"
#include "run.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const char *const file_names[] = {"model.safetensors", "latent.h5ad", "run.json", "report.html", "log.txt", "rules.tsv", "groups.safetensors", "heads.safetensors"};
enum { N_FILES = sizeof file_names / sizeof *file_names };

char *iso_run_path(const iso_run *r, const char *name) { return iso_sprintf("%s/%s", r->folder, name); }

/* A run that exists is not lost by accident. */
static iso_status check_folder(const char *folder, bool force, iso_error *err)
{
    iso_status st = ISO_OK;
    for (int i = 0; i < N_FILES; i++) {
        char *path = iso_sprintf("%s/%s", folder, file_names[i]);
        bool there = path && access(path, F_OK) == 0;
        iso_free(path);
        FAIL_IF(there && !force, ISO_EIO, "%s/%s exists; choose another --output, or overwrite the run with --force",
                folder, file_names[i]);
    }
done:
    return st;
}

/* Principal components of the same cells, as many, for comparison. */
static iso_status score_pca(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_pca_model pca = {0};
    iso_atlas atlas = {0};
    iso_csr pixels = {0};
    float *x = NULL;
    const iso_csr *counts = &r->data->x;
    if (r->data->images) {
        TRY(iso_image_matrix(env, &r->fitted.bound, &pixels, err));
        counts = &pixels;
    }
    const iso_likelihood *law = r->fitted.model->v.c.likelihood;
    int k = r->fitted.model->v.c.n_latent;
    if (k > counts->n_cols) k = (int)counts->n_cols;
    TRY(iso_pca_fit(env, counts, law->counts || law->log1p_data, k, (uint64_t)iso_opt_int(r->options, "seed"), &pca,
                    err));
    ALLOC(x, counts->n_rows * k, sizeof *x);
    TRY(iso_pca_transform(env, &pca, counts, x, err));
    TRY(iso_atlas_make(env, x, counts->n_rows, k, r->options, false, &atlas, err));
    TRY(iso_score_labels(env, &atlas, r->labels, r->options, &r->pca_scores, err));
done:
    iso_csr_clear(&pixels);
    iso_atlas_clear(&atlas);
    iso_pca_clear(&pca);
    iso_free(x);
    return st;
}

/* The clusters, or --labels-key: what mixtures are of. */
static const int32_t *groups_of(const iso_run *r, int32_t *n)
{
    *n = r->labels ? r->n_labels : r->atlas.n_clusters;
    return r->labels ? r->labels : r->atlas.clusters;
}

enum { MOST_EXPLAINED = 20000 };

/* What cells look like as mixtures, at most MOST_EXPLAINED of them, evenly spaced; the others get no number. */
static iso_status explain_cells(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_mixed *mixed = NULL;
    iso_csr some = {0};
    int64_t *rows = NULL, all = r->data->x.n_rows, n = all < MOST_EXPLAINED ? all : MOST_EXPLAINED;
    ALLOC(r->mixture_second, all, sizeof *r->mixture_second);
    ALLOC(r->mixture_fit, all, sizeof *r->mixture_fit);
    ALLOC(r->mixture_depth, all, sizeof *r->mixture_depth);
    ALLOC(rows, n, sizeof *rows);
    ALLOC(mixed, n, sizeof *mixed);
    for (int64_t i = 0; i < n; i++) rows[i] = i * all / n;
    TRY(csr_take_rows(&r->data->x, rows, n, &some, err));
    TRY(iso_mixture_explain(env, &r->judge.mixture, &some, mixed, err));
    for (int64_t i = 0; i < all; i++) r->mixture_second[i] = r->mixture_fit[i] = r->mixture_depth[i] = (double)NAN;
    for (int64_t i = 0; i < n; i++)
        r->mixture_second[rows[i]] = mixed[i].share[1], r->mixture_fit[rows[i]] = mixed[i].fit, r->mixture_depth[rows[i]] = mixed[i].depth;
done:
    iso_csr_clear(&some);
    iso_free(rows);
    iso_free(mixed);
    return st;
}

/* The mixture of the training cells' groups, and what cells look like in it, for `anomaly` to hold others against. */
static iso_status explain_as_mixtures(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *train = NULL;
    const iso_split *p = &r->fitted.split;
    const int32_t *groups = groups_of(r, &r->n_mixture);
    int64_t n = r->data->x.n_rows;
    ALLOC(train, n, sizeof *train);
    ALLOC(r->mixture_codes, n, sizeof *r->mixture_codes);
    memcpy(r->mixture_codes, groups, (size_t)n * sizeof *groups);
    for (int64_t i = 0; i < n; i++) train[i] = -1;
    for (int64_t i = 0; i < p->n_train; i++) train[p->train[i]] = groups[p->train[i]];
    TRY(iso_mixture_learn(env, &r->data->x, train, r->n_mixture, (uint64_t)iso_opt_int(r->options, "seed"), &r->judge.mixture, err));
    TRY(explain_cells(env, r, err));
done:
    iso_free(train);
    return st;
}

enum { RULE_GENES = 120, MOST_RULES = 50 };

/* Pairs among the genes that mark the clusters. */
static iso_status learn_rules(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t genes[RULE_GENES];
    int found;
    TRY(iso_top_genes(&r->data->x, r->atlas.clusters, r->atlas.n_clusters, RULE_GENES, genes, &found, err));
    TRY(iso_rules_learn(env, &r->data->x, genes, found, MOST_RULES, &r->judge.rules, err));
done:
    return st;
}

/* The run's cells as the commands will see them. */
static iso_status view_cells(const iso_run *r, iso_run_cells *view, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_split *p = &r->fitted.split;
    *view = (iso_run_cells){.model = r->fitted.model, .obs = r->data->obs, .mu = r->mu,
                            .variance = r->fitted.model->v.c.autoencoder ? NULL : r->variance, .heads = r->heads};
    ALLOC(view->is_train, r->data->x.n_rows, sizeof *view->is_train);
    for (int64_t i = 0; i < p->n_train; i++) view->is_train[p->train[i]] = true;
done:
    return st;
}

static iso_status find_prototypes(iso_env *env, iso_run *r, const iso_run_cells *view, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_groups g = {.codes = (int32_t *)groups_of(r, &r->n_groups)};       /* lent */
    float *z = NULL;
    g.n = r->n_groups;
    ALLOC(z, g.n * r->fitted.model->v.c.n_latent, sizeof *z);
    ALLOC(r->nearest, g.n, sizeof *r->nearest);
    ALLOC(r->prototypes, g.n, sizeof *r->prototypes);
    ALLOC(r->is_prototype, r->data->x.n_rows, sizeof *r->is_prototype);
    TRY(iso_run_prototypes(env, view, &g, z, r->nearest, err));
    TRY(iso_run_judge_places(env, view, &r->judge, z, g.n, r->prototypes, err));
    for (int32_t k = 0; k < g.n; k++)
        if (r->nearest[k] >= 0) r->is_prototype[r->nearest[k]] = 1;
done:
    iso_free(z);
    return st;
}

static iso_status show_images(iso_env *env, iso_run *r, const iso_run_cells *view, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_groups g = {.codes = (int32_t *)groups_of(r, &r->n_groups), .names = r->label_names};      /* lent */
    g.n = r->n_groups;
    ALLOC(r->gallery, 1, sizeof *r->gallery);
    ALLOC(g.sizes, g.n, sizeof *g.sizes);
    for (int64_t i = 0; i < r->data->x.n_rows; i++)
        if (g.codes[i] >= 0) g.sizes[g.codes[i]]++;
    TRY(iso_gallery_make(env, r, view, &r->judge, &g, r->gallery, err));
done:
    iso_free(g.sizes);
    return st;
}

/* Densities, continents, voids; and whether generated cells are like real ones. */
static iso_status survey(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    uint64_t seed = (uint64_t)iso_opt_int(r->options, "seed");
    iso_run_cells view = {0};
    iso_mixture mixture = {0};
    iso_rules rules = {0};
    if (r->fitted.model->v.c.likelihood->counts) {
        TRY(explain_as_mixtures(env, r, err));
        TRY(learn_rules(env, r, err));
    }
    mixture = r->judge.mixture, rules = r->judge.rules;
    r->judge = (iso_judge){0};
    TRY(iso_heads_train(env, &r->fitted, r->options, r->mu, r->fitted.model->v.c.autoencoder ? NULL : r->variance, &r->heads, err));
    TRY(view_cells(r, &view, err));
    TRY(iso_run_judge_of(env, &view, &mixture, &rules, &r->judge, err));
    TRY(iso_landscape_make(env, &view, &r->judge, r->invariant ? NULL : &r->atlas.distances, seed, &r->landscape, err));
    TRY(find_prototypes(env, r, &view, err));
    if (r->data->images) TRY(show_images(env, r, &view, err));
    else TRY(iso_run_find_ways(env, r, &view, err));
    if (r->fitted.model->v.c.likelihood->counts && !r->fitted.model->v.c.autoencoder)
        TRY(iso_realism_of_run(env, &view, &r->data->x, seed, &r->realism, err));
done:
    iso_free(view.is_train);
    return st;
}

/* How strange each is to the model, and how sharp those are that it makes. */
static iso_status look_at_images(iso_env *env, iso_run *r, iso_evaluator *e, iso_error *err)
{
    iso_status st = ISO_OK;
    uint64_t seed = (uint64_t)iso_opt_int(r->options, "seed");
    TRY(iso_strangeness_of(env, r->fitted.model, &r->fitted.bound, e, seed, &r->strangeness, err));
    TRY(iso_sharpness_of_model(env, r->data->images, &r->fitted, e, r->mu, r->variance, seed, &r->sharpness, err));
done:
    return st;
}

static iso_status make_map(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_evaluator *e = NULL;
    int64_t n = r->data->x.n_rows, L = r->fitted.model->v.c.n_latent;
    double start = iso_now_s();
    iso_progress(env, 0, "mapping");
    ALLOC(r->mu, n * L, sizeof *r->mu);
    ALLOC(r->variance, n * L, sizeof *r->variance);
    TRY(iso_evaluator_new(env, &r->fitted.model->v, &r->fitted.bound.cells, &e, err));
    TRY(iso_embed(e, NULL, n, r->mu, r->variance, err));
    TRY(iso_new_invariant(e, n, &r->invariant, err));
    if (!iso_opt_flag(r->options, "map")) goto done;
    iso_progress(env, 0.2, "neighbours, clusters, layout");
    TRY(iso_atlas_make(env, r->invariant ? r->invariant : r->mu, n, L, r->options, true, &r->atlas, err));
    if (r->data->images) TRY(look_at_images(env, r, e, err));
    iso_progress(env, 0.5, "densities and voids");
    TRY(survey(env, r, err));
    iso_progress(env, 0.7, "agreement with labels");
    if (r->labels) TRY(iso_score_labels(env, &r->atlas, r->labels, r->options, &r->scores, err));
    if (r->labels) TRY(score_pca(env, r, err));
done:
    iso_progress(env, 1, "mapping");
    r->map_s = iso_now_s() - start;
    iso_evaluator_free(e);
    return st;
}

static iso_status write_files(iso_env *env, iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    char *path = iso_run_path(r, "model.safetensors"), *rules = iso_run_path(r, "rules.tsv"), *groups = iso_run_path(r, "groups.safetensors"),
         *heads = iso_run_path(r, "heads.safetensors");
    FAIL_IF(!path || !rules || !groups || !heads, ISO_EMEMORY, "out of memory");
    TRY(iso_model_save(env, r->fitted.model, path, err));
    if (r->judge.mixture.K) TRY(iso_rules_write(rules, r->fitted.model, &r->judge.rules, err));
    if (r->judge.mixture.K) TRY(iso_mixture_write(groups, &r->judge.mixture, err));
    if (r->heads.n) TRY(iso_heads_write(heads, &r->heads, err));
    TRY(iso_run_write_h5ad(env, r, err));
    if (r->atlas.xy) TRY(iso_run_write_report(env, r, err));
    TRY(iso_run_write_json(env, r, err));
done:
    iso_free(path);
    iso_free(rules);
    iso_free(groups);
    iso_free(heads);
    return st;
}

static void tell(iso_env *env, const iso_run *r)
{
    const iso_summary *s = &r->fitted.model->summary;
    bool test = s->n_test > 0;
    iso_info(env, "%d epochs in %.1f s; the best was %d%s", s->epochs, s->seconds, s->best_epoch,
             s->stopped_early ? " (stopped early)" : "");
    if (test || s->n_validation)
        iso_info(env, "%s ELBO %.2f nats per cell (reconstruction %.2f)", test ? "test" : "validation",
                 test ? s->test_elbo : s->validation_elbo,
                 test ? s->test_reconstruction : s->validation_reconstruction);
    if (r->labels && r->atlas.xy)
        iso_info(env, "agreement with %s: neighbours %.3f, ARI %.3f, NMI %.3f; principal components: %.3f, %.3f, %.3f",
                 iso_opt_text(r->options, "labels_key"), r->scores.knn_accuracy, r->scores.best.ari, r->scores.best.nmi,
                 r->pca_scores.knn_accuracy, r->pca_scores.best.ari, r->pca_scores.best.nmi);
    bool well = strcmp(s->verdict, "healthy") == 0 || r->fitted.model->v.c.autoencoder;
    iso_log(env, well ? ISO_LOG_INFO : ISO_LOG_WARN, "latent space: %s. %s%s%s", s->verdict, s->verdict_text,
            *s->cure ? " " : "", s->cure);
    if (r->atlas.xy) iso_info(env, "%d clusters; look at %s/report.html", r->atlas.n_clusters, r->folder);
    else iso_info(env, "the latent space is in %s/latent.h5ad", r->folder);
}

static void run_clear(iso_run *r)
{
    iso_atlas_clear(&r->atlas);
    iso_fitted_clear(&r->fitted);
    iso_free(r->mu);
    iso_free(r->variance);
    iso_free(r->invariant);
    iso_free(r->mixture_codes);
    iso_strangeness_clear(&r->strangeness);
    iso_free(r->mixture_second);
    iso_free(r->mixture_fit);
    iso_free(r->mixture_depth);
    iso_judge_clear(&r->judge);
    iso_heads_clear(&r->heads);
    iso_landscape_clear(&r->landscape);
    if (r->gallery) iso_gallery_clear(r->gallery);
    iso_free(r->gallery);
    iso_free(r->nearest);
    iso_free(r->prototypes);
    iso_free(r->is_prototype);
    iso_free(r->ways);
    iso_realism_clear(&r->realism);
    iso_free(r->labels);
    iso_free_texts(r->label_names, r->n_labels);
}

/* Training and everything after it; the log is open. */
static iso_status run_it(iso_env *env, iso_run *r, const iso_options *given, iso_run_log *log, const char *sha256,
                         iso_error *err)
{
    iso_status st = ISO_OK;
    double start = iso_now_s();
    TRY(iso_fit(env, r->data, given, iso_run_log_epoch, log, &r->fitted, err));
    iso_summary *s = &r->fitted.model->summary;
    snprintf(s->input_sha256, sizeof s->input_sha256, "%s", sha256);
    snprintf(s->command, sizeof s->command, "%s", r->command_line ? r->command_line : "");
    TRY(make_map(env, r, err));
    r->total_s = r->read_s + iso_now_s() - start;
    TRY(write_files(env, r, err));
    tell(env, r);
    FAIL_IF(r->fitted.history.interrupted, ISO_EINTERRUPT,
            "interrupted after epoch %d of training; %s holds what was reached", s->epochs, r->folder);
    FAIL_IF(iso_opt_flag(given, "fail_on_collapse") && strstr(s->verdict, "collapsed"), ISO_ENUMERIC,
            "the latent space is %s: %s %s (--fail-on-collapse)", s->verdict, s->verdict_text, s->cure);
done:
    return st;
}

/* A folder in which nothing came to be but the log: refused options or data leave nothing behind. */
static void take_back(const iso_run *r)
{
    char *log = iso_run_path(r, "log.txt");
    if (log) remove(log);
    rmdir(r->folder);                    /* fails where something else is in it */
    iso_free(log);
}

iso_status iso_cmd_fit(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    iso_options *resolved = NULL;
    iso_run_log log = {0};
    const iso_likelihood *law;
    char *path = NULL, sha256[65] = "";
    double start = iso_now_s();
    iso_run r = {.folder = iso_opt_text(o, "output") ? iso_opt_text(o, "output") : "run", .command_line = command_line};
    FAIL_IF(!(path = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    FAIL_IF(!(r.options = resolved = iso_resolve_options(o, iso_image_sniff(path))), ISO_EMEMORY, "out of memory");
    FAIL_IF(strcmp(r.folder, "-") == 0, ISO_EUSAGE, "fit writes a folder; give --output a path");
    TRY(check_folder(r.folder, iso_opt_flag(o, "force"), err));
    TRY(iso_likelihood_find(iso_opt_text(resolved, "likelihood"), &law, err));
    TRY(iso_read_cells(env, path, law, o, &d, err));
    r.data = d;
    TRY(iso_read_labels(d, resolved, &r.labels, &r.label_names, &r.n_labels, err));
    TRY(iso_sha256_path(path, sha256, err));
    r.read_s = iso_now_s() - start;
    TRY(iso_make_dir(r.folder, err));
    TRY(iso_run_log_open(r.folder, d, command_line, &log, err));
    st = run_it(env, &r, o, &log, sha256, err);
    iso_status closed = iso_run_log_close(&log,
                                          st == ISO_OK ? r.fitted.model->summary.verdict
                                          : err        ? err->msg
                                                       : "failed",
                                          st ? NULL : err);
    if (st == ISO_OK) st = closed;
    if (st == ISO_EUSAGE || st == ISO_EDATA) take_back(&r);
done:
    run_clear(&r);
    iso_dataset_free(d);
    iso_options_free(resolved);
    iso_free(path);
    return st;
}
