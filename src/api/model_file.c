/* model_file.c: a model to and from model.safetensors. docs/MODEL_FILE.md describes the header. */
#include "model.h"

#include "io/tensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { FORMAT_VERSION = 1 };

static const char *const dispersion_names[] = {"gene", "gene-batch", "gene-label", "gene-cell"};

/* ------------------------------------------------------------------------------------- writing */

static json_t *texts(char *const *s, int64_t n)
{
    json_t *a = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(a, json_string(s[i]));
    return a;
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *covariate_json(const iso_covariate *c)
{
    return json_pack("{s:s, s:o}", "key", c->key, "categories", texts(c->categories, c->n_categories));
}

static json_t *config_json(const iso_vae_config *c)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:f, s:s, s:s, s:b, s:b, s:b, s:b}", "likelihood", c->likelihood->name,
                     "n_latent", c->n_latent, "n_hidden", c->n_hidden, "n_layers", c->n_layers, "dropout", c->dropout,
                     "dispersion", dispersion_names[c->dispersion], "library",
                     c->learned_library ? "learned" : "observed", "linear_decoder", c->linear_decoder, "autoencoder",
                     c->autoencoder, "encode_covariates", c->encode_covariates, "batch_norm", c->batch_norm);
}

static json_t *summary_json(const iso_summary *s)
{
    json_t *j = json_object();
    const struct { const char *name; double value;
    } reals[] = {{"train_elbo", s->train_elbo},
                 {"train_reconstruction", s->train_reconstruction},
                 {"validation_elbo", s->validation_elbo},
                 {"validation_reconstruction", s->validation_reconstruction},
                 {"test_elbo", s->test_elbo},
                 {"test_reconstruction", s->test_reconstruction},
                 {"test_log_p", s->test_log_p},
                 {"final_kl_weight", s->final_kl_weight},
                 {"seconds", s->seconds}};
    const struct { const char *name; int64_t value;
    } ints[] = {{"epochs", s->epochs},
                {"best_epoch", s->best_epoch},
                {"n_train", s->n_train},
                {"n_validation", s->n_validation},
                {"n_test", s->n_test},
                {"roll_backs", s->roll_backs},
                {"active_units", s->active_units},
                {"seed", (int64_t)s->seed}};
    const struct { const char *name, *value; } strings[] = {
        {"verdict", s->verdict}, {"verdict_text", s->verdict_text}, {"cure", s->cure}, {"input", s->input},
        {"input_sha256", s->input_sha256}, {"count_source", s->count_source}, {"command", s->command}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        json_object_set_new(j, strings[i].name, json_string(strings[i].value));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        json_object_set_new(j, reals[i].name, number(reals[i].value));
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        json_object_set_new(j, ints[i].name, json_integer(ints[i].value));
    json_object_set_new(j, "stopped_early", json_boolean(s->stopped_early));
    return j;
}

static json_t *reals(const double *x, int64_t n)
{
    json_t *a = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(a, json_real(x[i]));
    return a;
}

/* The sizes and the scaling of images. */
static json_t *images_json(const iso_model *m)
{
    const iso_image_terms *t = &m->images;
    const iso_image_config *c = &m->v.c.image;
    json_t *low = json_array(), *scale = json_array();
    for (int64_t k = 0; k < t->channels; k++)
        json_array_append_new(low, json_real((double)t->low[k])), json_array_append_new(scale, json_real((double)t->scale[k]));
    return json_pack("{s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:b}", "height", (json_int_t)t->height, "width", (json_int_t)t->width, "first_channels",
                     c->first_channels, "grid", c->grid, "channel_names", texts(t->names, t->channels), "low", low, "scale", scale, "gain",
                     reals(t->gain, t->channels), "offset", reals(t->offset, t->channels), "augment", t->augment);
}

static json_t *header(const iso_model *m)
{
    json_t *covariates = json_array(), *j = json_object();
    for (int k = 0; k < m->n_covariates; k++) json_array_append_new(covariates, covariate_json(&m->covariates[k]));
    json_object_set_new(j, "format_version", json_integer(FORMAT_VERSION));
    json_object_set_new(j, "program_version", json_string(ISO_VERSION));
    json_object_set_new(j, "model", json_string(m->images.channels ? "image_vae" : "count_vae"));
    if (m->images.channels) json_object_set_new(j, "images", images_json(m));
    json_object_set_new(j, "config", config_json(&m->v.c));
    json_object_set_new(j, "encoder_input", json_string(m->normalized_input ? "log1p_normalized" : "log1p"));
    json_object_set_new(j, "median_library", json_real(m->median_library));
    json_object_set_new(j, "log_library_mean", json_real(m->library_mean[0]));
    json_object_set_new(j, "log_library_variance", json_real(m->library_variance[0]));
    json_object_set_new(j, "has_batch", json_boolean(m->has_batch));
    json_object_set_new(j, "covariates", covariates);
    json_object_set_new(j, "label", m->label.key ? covariate_json(&m->label) : json_null());
    json_object_set_new(j, "continuous_covariates", texts(m->continuous, m->n_continuous));
    json_object_set_new(j, "size_factor_key", m->size_factor_key ? json_string(m->size_factor_key) : json_null());
    json_object_set_new(j, "genes", texts(m->genes, m->images.channels ? 0 : m->n_genes));
    json_object_set_new(j, "training", summary_json(&m->summary));
    return j;
}

static void put_tensors(iso_tensor *t, const iso_named *list, int n, real *flat)
{
    for (int i = 0; i < n; i++)
        t[i] = (iso_tensor){.name = list[i].name,
                            .rank = 2,
                            .shape = {list[i].rows, list[i].cols},
                            .is_double = sizeof(real) == 8,
                            .values = flat + list[i].offset};
}

iso_status iso_model_save(iso_env *env, const iso_model *m, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_graph *g = m->v.g;
    json_t *j = NULL;
    iso_tensor_file f = {.n_tensors = g->n_params + g->n_states};
    (void)env;
    ALLOC(f.tensors, f.n_tensors, sizeof *f.tensors);
    put_tensors(f.tensors, g->params, g->n_params, g->param);
    put_tensors(f.tensors + g->n_params, g->states, g->n_states, g->state);
    FAIL_IF(!(j = header(m)) || !(f.metadata = json_dumps(j, JSON_COMPACT)), ISO_EMEMORY, "out of memory");
    TRY(iso_tensors_write(path, &f, err));
done:
    json_decref(j);
    free(f.metadata);             /* allocated by jansson */
    iso_free(f.tensors);          /* names and values are the graph's */
    return st;
}

iso_status iso_model_describe(const iso_model *m, char **json, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *j = header(m);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    *json = text ? iso_strdup(text) : NULL;
    FAIL_IF(!*json, ISO_EMEMORY, "out of memory");
done:
    json_decref(j);
    free(text);                   /* allocated by jansson */
    return st;
}

void iso_text_free(char *text) { iso_free(text); }

/* ------------------------------------------------------------------------------------- reading */

/* Checked reads: the first thing missing or of the wrong kind is named in `wrong`. */
typedef struct reader { const char *wrong; } reader;

static json_t *member(reader *r, json_t *j, const char *name, json_type type)
{
    json_t *v = json_object_get(j, name);
    if (v && (json_typeof(v) == type || (type == JSON_TRUE && json_is_boolean(v)) ||
              (type == JSON_REAL && json_is_number(v))))
        return v;
    if (!r->wrong) r->wrong = name;
    return NULL;
}
static const char *text_at(reader *r, json_t *j, const char *name)
{
    json_t *v = member(r, j, name, JSON_STRING);
    return v ? json_string_value(v) : "";
}
static int64_t int_at(reader *r, json_t *j, const char *name)
{
    json_t *v = member(r, j, name, JSON_INTEGER);
    return v ? json_integer_value(v) : 0;
}
static double real_at(reader *r, json_t *j, const char *name)
{
    json_t *v = member(r, j, name, JSON_REAL);
    return v ? json_number_value(v) : 0;
}
static bool bool_at(reader *r, json_t *j, const char *name)
{
    json_t *v = member(r, j, name, JSON_TRUE);
    return v && json_is_true(v);
}
/* NaN for null. */
static double measured_at(json_t *j, const char *name)
{
    json_t *v = json_object_get(j, name);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static iso_status read_texts(reader *r, json_t *array, char ***out, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    *n = 0;
    ALLOC(*out, (int64_t)json_array_size(array), sizeof **out);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *s = json_string_value(json_array_get(array, i));
        if (!s) r->wrong = "a list of names";
        FAIL_IF(!((*out)[*n] = iso_strdup(s ? s : "")), ISO_EMEMORY, "out of memory");
        ++*n;
    }
done:
    return st;
}

static iso_status read_covariate(reader *r, json_t *j, iso_covariate *c, iso_error *err)
{
    int64_t n = 0;
    iso_status st = ISO_OK;
    FAIL_IF(!(c->key = iso_strdup(text_at(r, j, "key"))), ISO_EMEMORY, "out of memory");
    st = read_texts(r, member(r, j, "categories", JSON_ARRAY), &c->categories, &n, err);
    c->n_categories = (int32_t)n;
done:
    return st;
}

static void read_summary(json_t *j, iso_summary *s)
{
    reader any = {0};
    *s = (iso_summary){.epochs = (int)int_at(&any, j, "epochs"),
                       .best_epoch = (int)int_at(&any, j, "best_epoch"),
                       .n_train = int_at(&any, j, "n_train"),
                       .n_validation = int_at(&any, j, "n_validation"),
                       .n_test = int_at(&any, j, "n_test"),
                       .roll_backs = (int)int_at(&any, j, "roll_backs"),
                       .active_units = (int)int_at(&any, j, "active_units"),
                       .seed = (uint64_t)int_at(&any, j, "seed"),
                       .stopped_early = bool_at(&any, j, "stopped_early"),
                       .train_elbo = measured_at(j, "train_elbo"),
                       .train_reconstruction = measured_at(j, "train_reconstruction"),
                       .validation_elbo = measured_at(j, "validation_elbo"),
                       .validation_reconstruction = measured_at(j, "validation_reconstruction"),
                       .test_elbo = measured_at(j, "test_elbo"),
                       .test_reconstruction = measured_at(j, "test_reconstruction"),
                       .test_log_p = measured_at(j, "test_log_p"),
                       .final_kl_weight = measured_at(j, "final_kl_weight"),
                       .seconds = measured_at(j, "seconds")};
    snprintf(s->verdict, sizeof s->verdict, "%s", text_at(&any, j, "verdict"));
    snprintf(s->verdict_text, sizeof s->verdict_text, "%s", text_at(&any, j, "verdict_text"));
    snprintf(s->cure, sizeof s->cure, "%s", text_at(&any, j, "cure"));
    snprintf(s->input, sizeof s->input, "%s", text_at(&any, j, "input"));
    snprintf(s->input_sha256, sizeof s->input_sha256, "%s", text_at(&any, j, "input_sha256"));
    snprintf(s->count_source, sizeof s->count_source, "%s", text_at(&any, j, "count_source"));
    snprintf(s->command, sizeof s->command, "%s", text_at(&any, j, "command"));
}

static void read_numbers(reader *r, json_t *array, int64_t n, double *out)
{
    if ((int64_t)json_array_size(array) != n) r->wrong = "a number for each channel";
    for (int64_t i = 0; i < n && !r->wrong; i++) {
        out[i] = json_number_value(json_array_get(array, (size_t)i));
        if (!isfinite(out[i])) r->wrong = "a finite number for each channel";
    }
}

enum { MOST_IMAGE_SIDE = 1024, MOST_IMAGE_CHANNELS = 64 };

static iso_status read_images(reader *r, json_t *j, const char *path, iso_model *m, iso_image_config *c, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_image_terms *t = &m->images;
    double low[MOST_IMAGE_CHANNELS] = {0}, scale[MOST_IMAGE_CHANNELS] = {0};
    TRY(read_texts(r, member(r, j, "channel_names", JSON_ARRAY), &t->names, &t->channels, err));
    t->height = int_at(r, j, "height"), t->width = int_at(r, j, "width");
    *c = (iso_image_config){.channels = (int)t->channels, .first_channels = (int)int_at(r, j, "first_channels"), .grid = (int)int_at(r, j, "grid")};
    FAIL_IF(t->channels < 1 || t->channels > MOST_IMAGE_CHANNELS || t->height < 1 || t->height > MOST_IMAGE_SIDE || t->width < 1 ||
                t->width > MOST_IMAGE_SIDE || c->first_channels < 1 || c->first_channels > 256 || c->grid < 0 || c->grid > 64,
            ISO_EDATA, "%s: a size of the images is out of range; the file is damaged", path);
    iso_image_sizes(t->height, t->width, c);
    ALLOC(t->low, t->channels, sizeof *t->low);
    ALLOC(t->scale, t->channels, sizeof *t->scale);
    ALLOC(t->gain, t->channels, sizeof *t->gain);
    ALLOC(t->offset, t->channels, sizeof *t->offset);
    t->augment = json_is_true(json_object_get(j, "augment"));       /* models of before it was kept embed images as they lie */
    read_numbers(r, member(r, j, "low", JSON_ARRAY), t->channels, low);
    read_numbers(r, member(r, j, "scale", JSON_ARRAY), t->channels, scale);
    read_numbers(r, member(r, j, "gain", JSON_ARRAY), t->channels, t->gain);
    read_numbers(r, member(r, j, "offset", JSON_ARRAY), t->channels, t->offset);
    for (int64_t k = 0; k < t->channels; k++) {
        t->low[k] = (float)low[k], t->scale[k] = (float)scale[k];
        if (!(t->scale[k] > 0)) r->wrong = "scale";
    }
    TRY(iso_image_value_names(m, c, err));
done:
    return st;
}

/* Everything but the tensors. Sizes are bounded, so that a hostile header cannot ask for absurd memory. */
static iso_status read_header(json_t *j, const char *path, iso_model *m, iso_vae_config *c, iso_error *err)
{
    iso_status st = ISO_OK;
    reader r = {0};
    FAIL_IF(int_at(&r, j, "format_version") > FORMAT_VERSION, ISO_EDATA,
            "%s: format %lld is newer than this program (%s); update isolario", path,
            (long long)int_at(&r, j, "format_version"), ISO_VERSION);
    json_t *config = member(&r, j, "config", JSON_OBJECT), *covariates = member(&r, j, "covariates", JSON_ARRAY);
    json_t *label = json_object_get(j, "label"), *factor = json_object_get(j, "size_factor_key");
    int64_t n = 0;
    TRY(read_texts(&r, member(&r, j, "genes", JSON_ARRAY), &m->genes, &m->n_genes, err));
    iso_image_config image = {0};
    if (json_is_object(json_object_get(j, "images"))) {
        iso_free_texts(m->genes, m->n_genes);
        m->genes = NULL, m->n_genes = 0;
        TRY(read_images(&r, json_object_get(j, "images"), path, m, &image, err));
    }
    FAIL_IF(json_array_size(covariates) >= ISO_MAX_COVARIATES, ISO_EDATA, "%s: too many covariates", path);
    for (size_t k = 0; k < json_array_size(covariates); k++, m->n_covariates++)
        TRY(read_covariate(&r, json_array_get(covariates, k), &m->covariates[k], err));
    if (json_is_object(label)) TRY(read_covariate(&r, label, &m->label, err));
    json_t *continuous = member(&r, j, "continuous_covariates", JSON_ARRAY);
    FAIL_IF(json_array_size(continuous) > ISO_MAX_COVARIATES, ISO_EDATA, "%s: too many covariates", path);
    for (size_t k = 0; k < json_array_size(continuous); k++, m->n_continuous++) {
        const char *s = json_string_value(json_array_get(continuous, k));
        FAIL_IF(!(m->continuous[k] = iso_strdup(s ? s : "")), ISO_EMEMORY, "out of memory");
    }
    if (json_is_string(factor))
        FAIL_IF(!(m->size_factor_key = iso_strdup(json_string_value(factor))), ISO_EMEMORY, "out of memory");
    m->has_batch = bool_at(&r, j, "has_batch") && m->n_covariates > 0;
    m->normalized_input = strcmp(text_at(&r, j, "encoder_input"), "log1p_normalized") == 0;
    m->median_library = real_at(&r, j, "median_library");
    m->library_mean[0] = real_at(&r, j, "log_library_mean");
    m->library_variance[0] = real_at(&r, j, "log_library_variance");
    *c = (iso_vae_config){.n_genes = m->n_genes,
                          .image = image,
                          .n_latent = (int)int_at(&r, config, "n_latent"),
                          .n_hidden = (int)int_at(&r, config, "n_hidden"),
                          .n_layers = (int)int_at(&r, config, "n_layers"),
                          .dropout = real_at(&r, config, "dropout"),
                          .learned_library = strcmp(text_at(&r, config, "library"), "learned") == 0,
                          .linear_decoder = bool_at(&r, config, "linear_decoder"),
                          .autoencoder = bool_at(&r, config, "autoencoder"),
                          .encode_covariates = bool_at(&r, config, "encode_covariates"),
                          .batch_norm = bool_at(&r, config, "batch_norm"),
                          .n_categorical = m->n_covariates,
                          .n_labels = m->label.n_categories,
                          .n_continuous = m->n_continuous};
    for (int k = 0; k < m->n_covariates; k++) {
        c->n_categories[k] = m->covariates[k].n_categories;
        FAIL_IF(c->n_categories[k] < 1, ISO_EDATA, "%s: a covariate without categories", path);
    }
    const char *dispersion = text_at(&r, config, "dispersion");
    for (n = 0; n < 4 && strcmp(dispersion, dispersion_names[n]) != 0; n++) {}
    c->dispersion = (iso_dispersion)(n & 3);
    TRY(iso_likelihood_find(text_at(&r, config, "likelihood"), &c->likelihood, err));
    FAIL_IF(image.channels ? !c->likelihood->image : !c->likelihood->rows, ISO_EDATA, "%s: its likelihood is not for its data; the file is damaged", path);
    if (json_is_object(json_object_get(j, "training"))) read_summary(json_object_get(j, "training"), &m->summary);
    FAIL_IF(r.wrong, ISO_EDATA, "%s: not a model of this program, or damaged: \"%s\" is missing or of the wrong kind",
            path, r.wrong);
    FAIL_IF(n > 3 || m->n_genes < 1 || c->n_latent < 1 || c->n_latent > 1000 || c->n_hidden < 1 ||
                c->n_hidden > 65536 || c->n_layers < 0 || c->n_layers > 16 || c->dropout < 0 || c->dropout >= 1,
            ISO_EDATA, "%s: a number in the header is out of range; the file is damaged", path);
done:
    return st;
}

static iso_status take_tensors(const iso_tensor_file *f, const char *path, const iso_named *list, int n, real *flat,
                               iso_error *err)
{
    for (int i = 0; i < n; i++) {
        const iso_tensor *t = iso_tensors_find(f, list[i].name);
        if (!t || t->rank != 2 || t->shape[0] != list[i].rows || t->shape[1] != list[i].cols)
            return iso_fail(err, ISO_EDATA, "%s: tensor \"%s\" is %s; the file is damaged", path, list[i].name,
                            t ? "of the wrong shape" : "missing");
        for (int64_t e = 0; e < list[i].rows * list[i].cols; e++) {
            double v = t->is_double ? ((const double *)t->values)[e] : (double)((const float *)t->values)[e];
            if (!isfinite(v))
                return iso_fail(err, ISO_EDATA, "%s: tensor \"%s\" holds a value that is not finite", path,
                                list[i].name);
            flat[list[i].offset + e] = (real)v;
        }
    }
    return ISO_OK;
}

iso_status iso_model_path(const char *run_or_file, char **path, iso_error *err)
{
    struct stat s;
    bool folder = stat(run_or_file, &s) == 0 && S_ISDIR(s.st_mode);
    *path = folder ? iso_sprintf("%s%smodel.safetensors", run_or_file,
                                 run_or_file[strlen(run_or_file) - 1] == '/' ? "" : "/")
                   : iso_strdup(run_or_file);
    return *path ? ISO_OK : iso_fail(err, ISO_EMEMORY, "out of memory");
}

iso_status iso_model_load(iso_env *env, const char *run_or_file, iso_model **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = NULL;
    iso_tensor_file f = {0};
    json_t *j = NULL;
    char *path = NULL;
    iso_vae_config c;
    (void)env;
    *out = NULL;
    TRY(iso_model_path(run_or_file, &path, err));
    TRY(iso_tensors_read(path, &f, err));
    j = f.metadata ? json_loads(f.metadata, 0, NULL) : NULL;
    FAIL_IF(!json_is_object(j), ISO_EDATA, "%s: a safetensors file, but not an Isolario model", path);
    ALLOC(m, 1, sizeof *m);
    TRY(read_header(j, path, m, &c, err));
    for (int i = 0; i < f.n_tensors; i++)
        c.max_elements += f.tensors[i].shape[0] * (f.tensors[i].rank > 1 ? f.tensors[i].shape[1] : 1) + 16;
    TRY(iso_vae_build(&c, 0, &m->v, err));
    TRY(take_tensors(&f, path, m->v.g->params, m->v.g->n_params, m->v.g->param, err));
    TRY(take_tensors(&f, path, m->v.g->states, m->v.g->n_states, m->v.g->state, err));
    *out = m, m = NULL;
done:
    json_decref(j);
    iso_tensors_clear(&f);
    iso_free(path);
    iso_model_free(m);
    return st;
}
