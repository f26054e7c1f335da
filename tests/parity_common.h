/* parity_common.h: our engine with scvi-tools' weights, minibatch and noise, against scvi-tools' own results (float64):
 * latent, rates, KL, reconstruction, every gradient, five optimiser steps. Files: tests/parity/ (see its README). */
#ifndef PARITY_COMMON_H
#define PARITY_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <hdf5.h>

#include "model/vae.h"
#include "op/posterior.h"
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double worst;      /* largest error seen, as a share of what is allowed at tolerance 1 */

/* n doubles of a dataset; the caller frees. NULL if there is none of that name. */
static double *read_array(hid_t f, const char *name, int64_t *n)
{
    if (H5Lexists(f, name, H5P_DEFAULT) <= 0) return NULL;
    hid_t d = H5Dopen2(f, name, H5P_DEFAULT), s = H5Dget_space(d);
    *n = H5Sget_simple_extent_npoints(s);
    double *x = calloc((size_t)*n, sizeof *x);
    assert_true(H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Sclose(s);
    H5Dclose(d);
    return x;
}

static int64_t attribute_int(hid_t f, const char *name)
{
    int64_t v = 0;
    hid_t a = H5Aopen(f, name, H5P_DEFAULT);
    assert_true(H5Aread(a, H5T_NATIVE_INT64, &v) >= 0);
    H5Aclose(a);
    return v;
}

static double attribute_real(hid_t f, const char *name)
{
    double v = 0;
    hid_t a = H5Aopen(f, name, H5P_DEFAULT);
    assert_true(H5Aread(a, H5T_NATIVE_DOUBLE, &v) >= 0);
    H5Aclose(a);
    return v;
}

static void attribute_text(hid_t f, const char *name, char *text, size_t size)
{
    char *v = NULL;
    hid_t a = H5Aopen(f, name, H5P_DEFAULT), t = H5Aget_type(a);
    assert_true(H5Aread(a, t, &v) >= 0);
    snprintf(text, size, "%s", v);
    H5free_memory(v);
    H5Tclose(t);
    H5Aclose(a);
}

typedef struct parity {
    hid_t f;
    iso_vae v;
    iso_env *env;
    int64_t B, G, L, H, C;
    int layers;
    double kl_weight, tight, loose;           /* tolerances: latent, rates, KL; reconstruction, gradients, steps */
    iso_csr x;
    iso_cells cells;
    iso_batcher *batcher;
    iso_batch *batch;
    real *log_library, *noise;
    int32_t *codes;
} parity;

/* One tensor of ours and where its values lie in theirs: their array is [rows, row_length] or, transposed, [cols, ...];
 * `first` is the first of their columns that is ours. */
typedef struct twin {
    const char *ours;
    bool state;
    const char *theirs;
    bool transposed;
    int64_t row_length, first;
} twin;

static double twin_value(const twin *t, const double *theirs, int64_t row, int64_t col)
{
    return t->transposed ? theirs[col * t->row_length + t->first + row] : theirs[row * t->row_length + t->first + col];
}

static void for_each_twin(parity *p, void (*visit)(parity *p, const twin *t, const char *group, double scale),
                          const char *group, double scale)
{
    char ours[96], theirs[160];
    const char *const sides[] = {"encoder", "decoder"}, *const paths[] = {"z_encoder/encoder", "decoder/px_decoder"};
    for (int side = 0; side < 2; side++)
        for (int l = 0; l < p->layers; l++) {
            int64_t n_in = l ? p->H : side ? p->L : p->G, width = n_in + (side ? p->C : 0);
#define VISIT(our, their, is_state, transpose, length, start)                                                     \
    snprintf(ours, sizeof ours, "%s.layer%d." our, sides[side], l);                                               \
    snprintf(theirs, sizeof theirs, "%s/fc_layers/Layer %d/" their, paths[side], l);                              \
    visit(p, &(twin){ours, is_state, theirs, transpose, length, start}, group, scale)
            VISIT("weight", "0/weight", false, !side && !l, width, 0);
            VISIT("bias", "0/bias", false, false, p->H, 0);
            VISIT("gamma", "1/weight", false, false, p->H, 0);
            VISIT("beta", "1/bias", false, false, p->H, 0);
            VISIT("running_mean", "1/running_mean", true, false, p->H, 0);
            VISIT("running_variance", "1/running_var", true, false, p->H, 0);
            if (side) { VISIT("category0", "0/weight", false, true, width, n_in); }
#undef VISIT
        }
    const twin heads[] = {
        {"encoder.mean.weight", false, "z_encoder/mean_encoder/weight", false, p->H, 0},
        {"encoder.mean.bias", false, "z_encoder/mean_encoder/bias", false, p->L, 0},
        {"encoder.log_variance.weight", false, "z_encoder/var_encoder/weight", false, p->H, 0},
        {"encoder.log_variance.bias", false, "z_encoder/var_encoder/bias", false, p->L, 0},
        {"decoder.mean.weight", false, "decoder/px_scale_decoder/0/weight", false, p->H, 0},
        {"decoder.mean.bias", false, "decoder/px_scale_decoder/0/bias", false, p->G, 0},
        {"decoder.dropout.weight", false, "decoder/px_dropout_decoder/weight", false, p->H, 0},
        {"decoder.dropout.bias", false, "decoder/px_dropout_decoder/bias", false, p->G, 0},
        {"decoder.dispersion_head.weight", false, "decoder/px_r_decoder/weight", false, p->H, 0},
        {"decoder.dispersion_head.bias", false, "decoder/px_r_decoder/bias", false, p->G, 0},
        {ISO_DISPERSION_NAME, false, "px_r", p->v.c.dispersion == ISO_DISPERSION_BATCH,
         p->v.c.dispersion == ISO_DISPERSION_BATCH ? p->C : p->G, 0},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) visit(p, &heads[i], group, scale);
}

/* The twin's tensor in our flat arrays (which: params or state; `grad`: its gradient). NULL: this model has it not. */
static real *our_values(parity *p, const twin *t, bool grad, const iso_named **info)
{
    iso_graph *g = p->v.g;
    *info = iso_graph_find(g, t->ours, t->state);
    if (!*info || (grad && t->state)) return NULL;
    return (t->state ? g->state : grad ? g->grad : g->param) + (*info)->offset;
}

static void load_twin(parity *p, const twin *t, const char *group, double scale)
{
    (void)scale;
    const iso_named *info;
    real *ours = our_values(p, t, false, &info);
    char name[256];
    int64_t n = 0;
    if (!ours) return;
    snprintf(name, sizeof name, "%s/%s", group, t->theirs);
    double *theirs = read_array(p->f, name, &n);
    assert_non_null(theirs);
    for (int64_t r = 0; r < info->rows; r++)
        for (int64_t c = 0; c < info->cols; c++) ours[r * info->cols + c] = (real)twin_value(t, theirs, r, c);
    free(theirs);
}

static void expect(const char *what, double ours, double theirs, double tolerance, double floor_)
{
    double error = fabs(ours - theirs) / (fabs(theirs) + floor_);
    if (error > worst) worst = error;
    if (!(error <= tolerance))
        fail_msg("%s: %.17g, scvi-tools %.17g, relative error %.3g > %.3g", what, ours, theirs, error, tolerance);
}

/* Gradients (group train/grad) or weights after five steps. Errors are relative to the element and to the tensor's
 * scale; a bias before batch norm has no gradient but rounding, so the floor is also a share of the largest gradient
 * of all. */
static void compare_twin(parity *p, const twin *t, const char *group, double scale)
{
    const iso_named *info;
    bool grad = strstr(group, "grad") != NULL;
    real *ours = our_values(p, t, grad, &info);
    char name[256];
    int64_t n = 0;
    if (!ours) return;
    snprintf(name, sizeof name, "%s/%s", group, t->theirs);
    double *theirs = read_array(p->f, name, &n), top = 0;
    if (!theirs && t->state) return;
    assert_non_null(theirs);
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(theirs[i]));
    for (int64_t r = 0; r < info->rows; r++)
        for (int64_t c = 0; c < info->cols; c++)
            expect(name, (double)ours[r * info->cols + c] * (grad ? 1 / (double)p->B : 1), twin_value(t, theirs, r, c),
                   p->loose, 0.1 * top + 0.01 * scale);
    free(theirs);
}

static void compare_array(parity *p, const char *name, const real *ours, double tolerance, double floor_)
{
    int64_t n = 0;
    double *theirs = read_array(p->f, name, &n);
    assert_non_null(theirs);
    for (int64_t i = 0; i < n; i++) expect(name, (double)ours[i], theirs[i], tolerance, floor_);
    free(theirs);
}

static void open_parity(parity *p, const char *file)
{
    char path[1024], text[64];
    int64_t n;
    iso_error err;
    snprintf(path, sizeof path, "%s/parity/%s", ISO_TEST_DIR, file);
    p->f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (p->f < 0) fail_msg("%s cannot be opened", path);
    double *x = read_array(p->f, "input/X", &n), *batch = read_array(p->f, "input/batch", &p->B);
    double *eps = read_array(p->f, "input/eps", &p->L);
    p->G = n / p->B, p->L /= p->B, p->H = attribute_int(p->f, "n_hidden"), p->C = attribute_int(p->f, "n_batch");
    p->layers = (int)attribute_int(p->f, "n_layers");
    p->kl_weight = attribute_real(p->f, "kl_weight");
    iso_vae_config c = {.n_genes = p->G,
                        .n_latent = (int)p->L,
                        .n_hidden = (int)p->H,
                        .n_layers = p->layers,
                        .batch_norm = true,
                        .n_categorical = 1,
                        .n_categories = {(int)p->C}};
    attribute_text(p->f, "likelihood", text, sizeof text);
    assert_int_equal(iso_likelihood_find(text, &c.likelihood, &err), ISO_OK);
    attribute_text(p->f, "dispersion", text, sizeof text);
    c.dispersion = strcmp(text, "gene-batch") == 0  ? ISO_DISPERSION_BATCH
                   : strcmp(text, "gene-cell") == 0 ? ISO_DISPERSION_CELL
                                                    : ISO_DISPERSION_GENE;
    if (iso_vae_build(&c, 0, &p->v, &err)) fail_msg("%s", err.msg);

    p->x = (iso_csr){.n_rows = p->B,
                     .n_cols = p->G,
                     .indptr = calloc((size_t)p->B + 1, 8),
                     .indices = calloc((size_t)n, 4),
                     .values = calloc((size_t)n, 4)};
    p->log_library = calloc((size_t)p->B, sizeof(real));
    p->noise = calloc((size_t)(p->B * p->L), sizeof(real));
    p->codes = calloc((size_t)p->B, sizeof *p->codes);
    for (int64_t b = 0; b < p->B; b++) {
        double total = 0;
        for (int64_t g = 0; g < p->G; g++) {
            total += x[b * p->G + g];
            if (x[b * p->G + g] != 0)
                p->x.indices[p->x.nnz] = (int32_t)g, p->x.values[p->x.nnz++] = (float)x[b * p->G + g];
        }
        p->x.indptr[b + 1] = p->x.nnz;
        p->log_library[b] = (real)log(total);
        p->codes[b] = (int32_t)batch[b];
    }
    for (int64_t i = 0; i < p->B * p->L; i++) p->noise[i] = (real)eps[i];
    p->cells = (iso_cells){.x = &p->x, .log_library = p->log_library, .n_codes = 1, .codes = {p->codes}};
    p->env = iso_env_new(2);
    if (iso_batcher_new(&p->cells, p->B, &p->batcher, &err)) fail_msg("%s", err.msg);
    int64_t *index = calloc((size_t)p->B, sizeof *index);
    for (int64_t b = 0; b < p->B; b++) index[b] = b;
    if (iso_batcher_fill(p->batcher, p->env, iso_kernels_best(), index, p->B, &p->batch, &err))
        fail_msg("%s", err.msg);
    p->batch->noise = p->noise;
    free(index), free(x), free(batch), free(eps);
}

static void close_parity(parity *p)
{
    iso_batcher_free(p->batcher);
    iso_vae_clear(&p->v);
    iso_env_free(p->env);
    free(p->x.indptr), free(p->x.indices), free(p->x.values), free(p->log_library), free(p->noise), free(p->codes);
    H5Fclose(p->f);
}

static void compare_kl(parity *p, const char *name, const real *kl)
{
    real *sum = calloc((size_t)p->B, sizeof *sum);
    for (int64_t i = 0; i < p->B * p->L; i++) sum[i / p->L] += kl[i];
    compare_array(p, name, sum, p->tight, 0);
    free(sum);
}

static void check_evaluation(parity *p)
{
    iso_error err;
    iso_vae *v = &p->v;
    iso_plan *plan, *decode;
    int nodes[] = {v->mu, v->raw, v->z, v->kl, v->reconstruction};
    assert_int_equal(iso_plan_new(v->g,
                                  &(iso_plan_request){.outputs = nodes, .n_outputs = 5, .loss = -1, .max_cells = p->B},
                                  &plan, &err),
                     ISO_OK);
    assert_int_equal(
        iso_plan_new(v->g, &(iso_plan_request){.outputs = &v->decoded, .n_outputs = 1, .loss = -1, .max_cells = p->B},
                     &decode, &err),
        ISO_OK);
    iso_plan_run(plan, p->env, iso_kernels_best(), p->batch, &(iso_settings){.kl_weight = 1});
    double floor_ = sizeof(real) == 8 ? 1e-6 : 0.1;       /* latent coordinates near 0 */
    compare_array(p, "eval/qz_m", iso_plan_value(plan, v->mu), p->tight, floor_);
    compare_array(p, "eval/z", iso_plan_value(plan, v->z), p->tight, floor_);
    real *variance = calloc((size_t)(p->B * p->L), sizeof *variance);
    for (int64_t i = 0; i < p->B * p->L; i++)
        variance[i] = (real)iso_posterior_variance(iso_plan_value(plan, v->raw)[i]);
    compare_array(p, "eval/qz_v", variance, p->tight, 0);
    compare_kl(p, "eval/kl", iso_plan_value(plan, v->kl));
    compare_array(p, "eval/reconstruction", p->batch->cell_loss, p->loose, 0);
    p->batch->inputs[ISO_SLOT_Z] = iso_plan_value(plan, v->z);
    iso_plan_run(decode, p->env, iso_kernels_best(), p->batch, &(iso_settings){.kl_weight = 1});
    real *rate = calloc((size_t)(p->B * p->G), sizeof *rate);
    for (int64_t i = 0; i < p->B * p->G; i++)
        rate[i] = (real)((double)iso_plan_value(decode, v->decoded)[i] * exp((double)p->log_library[i / p->G]));
    compare_array(p, "eval/px_rate", rate, p->tight, 0);
    compare_array(p, "eval/px_scale", iso_plan_value(decode, v->decoded), p->tight, 0);
    free(variance), free(rate);
    iso_plan_free(plan);
    iso_plan_free(decode);
}

static double largest_gradient(const iso_graph *g)
{
    double top = 0;
    for (int64_t i = 0; i < g->param_size; i++) top = fmax(top, fabs((double)g->grad[i]));
    return top;
}

static void check_training(parity *p)
{
    iso_error err;
    iso_vae *v = &p->v;
    iso_plan *plan;
    iso_optimizer adam;
    int64_t n;
    const iso_adam how = {1e-3, 0.9, 0.999, 0.01, 1e-6, 0};
    int nodes[] = {v->kl, v->reconstruction};
    assert_int_equal(
        iso_plan_new(
            v->g,
            &(iso_plan_request){.outputs = nodes, .n_outputs = 2, .loss = v->loss, .max_cells = p->B, .poison = true},
            &plan, &err),
        ISO_OK);
    assert_int_equal(iso_optimizer_new(v->g, v->c.bf16, &adam, &err), ISO_OK);
    double *losses = read_array(p->f, "train/loss_of_5_steps", &n);
    for (int step = 0; step < 5; step++) {
        iso_settings s = {.training = true, .kl_weight = (real)p->kl_weight};
        iso_optimizer_begin(&adam, iso_kernels_best(), &how, how.learning_rate, 1 / (double)p->B);
        if (step > 0) s.stepper = &adam.stepper, s.squares = adam.squares;      /* the first leaves all gradients to look at */
        iso_plan_run(plan, p->env, iso_kernels_best(), p->batch, &s);
        expect("train/loss_of_5_steps", (double)iso_plan_value(plan, v->loss)[0] / (double)p->B, losses[step], p->loose,
               0);
        if (step == 0) {
            compare_kl(p, "train/kl", iso_plan_value(plan, v->kl));
            compare_array(p, "train/reconstruction", p->batch->cell_loss, p->loose, 0);
            for_each_twin(p, compare_twin, "train/grad", largest_gradient(v->g) / (double)p->B);
        }
        iso_optimizer_end(&adam, p->env);
    }
    for_each_twin(p, compare_twin, "train/weights_after_5_steps", 0);
    free(losses);
    iso_optimizer_clear(&adam);
    iso_plan_free(plan);
}

static void check_file(const char *file, double tight, double loose)
{
    parity p = {.tight = tight, .loose = loose};
    open_parity(&p, file);
    for_each_twin(&p, load_twin, "weights", 0);
    check_evaluation(&p);
    for_each_twin(&p, load_twin, "weights", 0);
    check_training(&p);
    close_parity(&p);
    print_message("%s: largest relative error %.2g\n", file, worst);
    worst = 0;
}

static const char *const parity_files[] = {"scvi_nb_gene_l1.h5", "scvi_zinb_gene_l1.h5", "scvi_poisson_gene_l1.h5",
                                           "scvi_nb_gene-batch_l2.h5", "scvi_zinb_gene-cell_l2.h5"};
enum { N_PARITY_FILES = 5 };

#endif
