/* fit.c: training as a user asks for it: preset, split, defaults that fit the data, training, scores, diagnosis. */
#include "model.h"

#include <math.h>
#include <string.h>

/* What the preset "scvi" means: scvi-tools 1.4.2's optimiser and schedule (its epochs are in planned_epochs). */
static const struct { const char *name, *value; } scvi_preset[] = {
    {"learning_rate", "0.001"}, {"lr_schedule", "constant"},  {"adam_epsilon", "0.01"},  {"weight_decay", "1e-6"},
    {"kl_warmup", "1"},         {"early_stopping", "false"},  {"encoder_input", "log1p"}, {"batch_size", "128"},
    {"dropout", "0.1"},         {"n_layers", "1"},
};

/* Where images are better off with another default; found on the data sets of docs/BENCHMARKS.md. */
static const struct { const char *name, *value; } image_defaults[] = {
    {"likelihood", "gaussian"}, {"n_latent", "24"}, {"batch_size", "16"}, {"learning_rate", "0.0015"}, {"adam_epsilon", "1e-8"},
    {"lr_warmup", "0.05"}, {"kl_warmup", "0.3"}, {"n_heads", "0"}, {"n_samples", "0"}, {"n_draws", "1"},
};

iso_options *iso_resolve_options(const iso_options *o, bool images)
{
    iso_options *r = iso_options_new();
    bool scvi = strcmp(iso_opt_text(o, "preset"), "scvi") == 0;
    for (size_t i = 0; r && scvi && i < sizeof scvi_preset / sizeof *scvi_preset; i++)
        if (iso_options_set(r, scvi_preset[i].name, scvi_preset[i].value, NULL)) return iso_options_free(r), NULL;
    for (size_t i = 0; r && images && i < sizeof image_defaults / sizeof *image_defaults; i++)
        if (iso_options_set(r, image_defaults[i].name, image_defaults[i].value, NULL)) return iso_options_free(r), NULL;
    for (int i = 0; r && iso_option_row(i); i++) {
        const char *name = iso_option_row(i)->name;
        if (iso_options_given(o, name) && iso_options_set(r, name, iso_options_get(o, name), NULL))
            return iso_options_free(r), NULL;
    }
    return r;
}

/* Epochs by default. scvi-tools: min(round(20000 / n * 400), 400). Ours for counts: 50, more for few cells so that there are
 * about 900 steps, fewer for very many; for images: about 18,000 steps; found on the data sets of docs/BENCHMARKS.md. */
static int planned_epochs(const iso_options *o, int64_t n_train, bool images)
{
    int64_t asked = iso_opt_int(o, "max_epochs"), batch = iso_opt_int(o, "batch_size");
    if (asked > 0) return (int)asked;
    if (images) {
        double e = ceil(18000 / ceil((double)n_train / (double)batch));
        return e < 8 ? 8 : e > 300 ? 300 : (int)e;
    }
    if (strcmp(iso_opt_text(o, "preset"), "scvi") == 0) {
        double e = round(20000.0 / (double)n_train * 400);
        return e < 400 ? (e < 1 ? 1 : (int)e) : 400;
    }
    double few = ceil(900 / ceil((double)n_train / (double)batch)), many = round(20000.0 / (double)n_train * 50);
    double e = few > 50 ? few : many < 50 ? many : 50;
    return e < 8 ? 8 : e > 300 ? 300 : (int)e;
}

iso_train_options iso_training_options(const iso_options *o, int64_t n_train, bool images)
{
    return (iso_train_options){.max_epochs = planned_epochs(o, n_train, images),
                               .batch_size = iso_opt_int(o, "batch_size"),
                               .adam = {iso_opt_real(o, "learning_rate"), 0.9, 0.999, iso_opt_real(o, "adam_epsilon"),
                                        iso_opt_real(o, "weight_decay"), 0},
                               .lr_warmup = iso_opt_real(o, "lr_warmup"),
                               .cosine = strcmp(iso_opt_text(o, "lr_schedule"), "cosine") == 0,
                               .gradient_clip = iso_opt_real(o, "gradient_clip"),
                               .kl_weight = iso_opt_real(o, "kl_weight"),
                               .kl_warmup = iso_opt_real(o, "kl_warmup"),
                               .kl_cycles = (int)iso_opt_int(o, "kl_cycles"),
                               .free_bits = iso_opt_real(o, "free_bits"),
                               .free_bits_groups = (int)iso_opt_int(o, "free_bits_groups"),
                               .early_stopping = iso_opt_flag(o, "early_stopping"),
                               .patience = (int)iso_opt_int(o, "patience"),
                               .seed = (uint64_t)iso_opt_int(o, "seed"),
                               .keep_best = iso_opt_flag(o, "early_stopping")};
}

/* ----------------------------------------------------------------------------------------- split */

static iso_status mark_test(const iso_dataset *d, const char *key, uint8_t *test, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *codes = NULL, n = 0;
    char **categories = NULL;
    int64_t marked = 0;
    const iso_column *c = iso_frame_column(&d->obs, key);
    FAIL_IF(!c, ISO_EUSAGE, "%s: no column \"%s\" in obs (--split-key)", d->path, key);
    TRY(iso_column_factor(&d->obs, c, &codes, &categories, &n, err));
    for (int64_t i = 0; i < d->obs.n_rows; i++) {
        test[i] = codes[i] >= 0 && strcmp(categories[codes[i]], "test") == 0;
        marked += test[i];
    }
    FAIL_IF(marked == 0, ISO_EDATA, "%s: no cell has the value \"test\" in obs column \"%s\" (--split-key)", d->path,
            key);
done:
    iso_free_texts(categories, n);
    iso_free(codes);
    return st;
}

iso_status iso_split_cells(const iso_dataset *d, const iso_options *o, iso_split *s, iso_error *err)
{
    iso_status st = ISO_OK;
    uint8_t *test = NULL;
    int64_t *order = NULL, n = d->obs.n_rows;
    const char *key = iso_opt_text(o, "split_key");
    *s = (iso_split){0};
    ALLOC(test, n, 1);
    ALLOC(order, n, sizeof *order);
    ALLOC(s->train, n, sizeof *s->train);
    ALLOC(s->validation, n, sizeof *s->validation);
    ALLOC(s->test, n, sizeof *s->test);
    if (key) TRY(mark_test(d, key, test, err));
    for (int64_t i = 0; i < n; i++)
        if (test[i]) s->test[s->n_test++] = i;
    int64_t rest = n - s->n_test;
    double wanted = floor(iso_opt_real(o, "validation_fraction") * (double)rest + 0.5);
    iso_permutation((iso_rng_key){(uint64_t)iso_opt_int(o, "seed"), ISO_STREAM_SPLIT, 0}, n, order);
    for (int64_t i = 0; i < n; i++) {
        if (test[order[i]]) continue;
        if ((double)s->n_validation < wanted) s->validation[s->n_validation++] = order[i];
        else s->train[s->n_train++] = order[i];
    }
done:
    iso_free(test);
    iso_free(order);
    if (st) iso_split_clear(s);
    return st;
}

void iso_split_clear(iso_split *s)
{
    iso_free(s->train);
    iso_free(s->validation);
    iso_free(s->test);
    *s = (iso_split){0};
}

/* -------------------------------------------------------------------------------------- afterwards */

enum { MAX_SCORED = 2000 };

/* Means over some cells of ELBO and reconstruction; NaN without cells. */
static iso_status mean_scores(iso_evaluator *e, const int64_t *index, int64_t n, int draws, uint64_t seed, double *elbo,
                              double *reconstruction, iso_error *err)
{
    iso_status st = ISO_OK;
    double *a = NULL, *b = NULL;
    *elbo = *reconstruction = (double)NAN;
    if (n == 0) return ISO_OK;
    ALLOC(a, n, sizeof *a);
    ALLOC(b, n, sizeof *b);
    TRY(iso_evaluate(e, index, n, draws, 0, seed, &(iso_cell_scores){.elbo = a, .reconstruction = b}, err));
    *elbo = *reconstruction = 0;
    for (int64_t i = 0; i < n; i++) *elbo += a[i] / (double)n, *reconstruction += b[i] / (double)n;
done:
    iso_free(a);
    iso_free(b);
    return st;
}

/* Mean of importance-sampled log p(x) over at most MAX_SCORED of the cells, evenly spaced; NaN without cells or samples. */
static iso_status mean_log_p(iso_evaluator *e, const int64_t *index, int64_t n, int samples, uint64_t seed, double *log_p,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t some = n < MAX_SCORED ? n : MAX_SCORED, chosen[MAX_SCORED] = {0};
    double each[MAX_SCORED];
    *log_p = (double)NAN;
    if (n == 0 || samples == 0) return ISO_OK;
    for (int64_t i = 0; i < some; i++) chosen[i] = index[i * n / some];
    TRY(iso_evaluate(e, chosen, some, 0, samples, seed, &(iso_cell_scores){.log_p = each}, err));
    *log_p = 0;
    for (int64_t i = 0; i < some; i++) *log_p += each[i] / (double)some;
done:
    return st;
}

static double mean_total(const iso_bound *b, const int64_t *index, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)b->log_library[index[i]]) / (double)n;
    return sum;
}

static iso_status score_and_diagnose(iso_env *env, iso_fitted *f, const iso_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_evaluator *e = NULL;
    iso_summary *s = &f->model->summary;
    const iso_split *p = &f->split;
    uint64_t seed = (uint64_t)iso_opt_int(o, "seed");
    TRY(iso_evaluator_new(env, &f->model->v, &f->bound.cells, &e, err));
    int64_t some = p->n_train < MAX_SCORED ? p->n_train : MAX_SCORED;
    TRY(mean_scores(e, p->train, some, 1, seed, &s->train_elbo, &s->train_reconstruction, err));
    TRY(mean_scores(e, p->validation, p->n_validation, (int)iso_opt_int(o, "n_draws"), seed, &s->validation_elbo,
                    &s->validation_reconstruction, err));
    TRY(mean_scores(e, p->test, p->n_test, (int)iso_opt_int(o, "n_draws"), seed, &s->test_elbo, &s->test_reconstruction, err));
    TRY(mean_log_p(e, p->test, p->n_test, (int)iso_opt_int(o, "n_samples"), seed, &s->test_log_p, err));
    if (!f->model->v.c.autoencoder) {
        bool test = p->n_test > p->n_validation;
        const int64_t *held_out = test ? p->test : p->n_validation ? p->validation : p->train;
        int64_t n = test ? p->n_test : p->n_validation ? p->n_validation : p->n_train;
        /* A few hundred cells may be deeper than the rest by chance, and a deep cell's ELBO is lower: compare at one
         * depth. */
        const iso_likelihood *law = f->model->v.c.likelihood;
        double depth = law->counts ? mean_total(&f->bound, held_out, n) / mean_total(&f->bound, p->train, some) : 1;
        TRY(iso_diagnose(e, held_out, n, p->train, held_out == p->train ? 0 : p->n_train, s->train_elbo * depth,
                         test              ? s->test_elbo
                         : p->n_validation ? s->validation_elbo
                                           : s->train_elbo,
                         seed, &f->diagnosis, err));
        s->active_units = f->diagnosis.active_units;
        snprintf(s->verdict, sizeof s->verdict, "%s", iso_verdict_names[f->diagnosis.verdict]);
        snprintf(s->verdict_text, sizeof s->verdict_text, "%s", f->diagnosis.text);
        snprintf(s->cure, sizeof s->cure, "%s", f->diagnosis.cure);
    } else {
        snprintf(s->verdict, sizeof s->verdict, "autoencoder");
        snprintf(s->verdict_text, sizeof s->verdict_text,
                 "An autoencoder: sigma = 0, so log sigma^2 in the KL has no finite value and there is none; it has no "
                 "prior to sample from, and its ELBO is its reconstruction alone.");
    }
done:
    iso_evaluator_free(e);
    return st;
}

iso_status iso_fit(iso_env *env, const iso_dataset *d, const iso_options *given, iso_epoch_fn *each_epoch, void *arg,
                   iso_fitted *f, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_options *o = NULL;
    *f = (iso_fitted){0};
    FAIL_IF(!(o = iso_resolve_options(given, d->images)), ISO_EMEMORY, "out of memory");
    TRY(iso_model_new(env, d, o, &f->model, err));
    TRY(iso_bind(env, f->model, d, &f->bound, err));
    TRY(iso_split_cells(d, o, &f->split, err));
    iso_train_options how = iso_training_options(o, f->split.n_train, d->images);
    iso_info(env, "training on %lld cells (%lld validation, %lld test), %d epochs at most", (long long)f->split.n_train,
             (long long)f->split.n_validation, (long long)f->split.n_test, how.max_epochs);
    iso_train_names names = {d->obs.index, d->var.index};
    TRY(iso_train(env, &f->model->v, &f->bound.cells, f->split.train, f->split.n_train, f->split.validation,
                  f->split.n_validation, &how, names, each_epoch, arg, &f->history, err));
    iso_summary *s = &f->model->summary;
    const iso_history *h = &f->history;
    *s = (iso_summary){.epochs = h->n,
                       .best_epoch = h->best + 1,
                       .stopped_early = h->stopped_early,
                       .n_train = f->split.n_train,
                       .n_validation = f->split.n_validation,
                       .n_test = f->split.n_test,
                       .final_kl_weight = h->final_kl_weight,
                       .seconds = h->seconds,
                       .roll_backs = h->roll_backs,
                       .seed = how.seed};
    snprintf(s->input, sizeof s->input, "%s", d->path);
    snprintf(s->count_source, sizeof s->count_source, "%s", d->source);
    TRY(score_and_diagnose(env, f, o, err));
done:
    iso_options_free(o);
    if (st) iso_fitted_clear(f);
    return st;
}

void iso_fitted_clear(iso_fitted *f)
{
    iso_model_free(f->model);
    iso_bound_clear(&f->bound);
    iso_split_clear(&f->split);
    iso_history_clear(&f->history);
    iso_diagnosis_clear(&f->diagnosis);
    *f = (iso_fitted){0};
}
