/* cmd_info.c: `info PATH`: what a model, a run folder or a file of cells holds. */
#include "commands.h"
#include "model.h"
#include "text_out.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

static const char *const kinds[] = {"categories", "text", "whole numbers", "numbers", "yes or no"};

static void print_frame(FILE *f, const char *what, const iso_frame *frame)
{
    for (int k = 0; k < frame->n_columns; k++) {
        const iso_column *c = &frame->columns[k];
        fprintf(f, "%s\t%s: %s", what, c->name, kinds[c->kind]);
        if (c->kind == ISO_COL_CATEGORY) {
            fprintf(f, " (%d):", c->n_categories);
            for (int32_t i = 0; i < c->n_categories && i < 8; i++) fprintf(f, "%s %s", i ? "," : "", c->categories[i]);
            if (c->n_categories > 8) fputs(", ...", f);
        }
        putc('\n', f);
    }
}

static iso_status print_cells(iso_env *env, const char *path, const iso_options *o, FILE *f, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    TRY(iso_dataset_open(env, path, iso_opt_text(o, "layer"), &d, err));
    iso_data_facts facts = iso_describe(d);
    fprintf(f, "file\t%s\nformat\t%s\ncells\t%lld\ngenes\t%lld\n", path, d->format, (long long)facts.cells,
            (long long)facts.genes);
    fprintf(f, "counts\t%s: %lld entries, %.1f %% of the matrix; largest %g\n", d->source, (long long)facts.nnz,
            100 * facts.density, facts.max_count);
    if (facts.cells)
        fprintf(f, "counts a cell\t%g to %g, median %g\n", facts.min_total, facts.max_total, facts.median_total);
    if (facts.genes) fprintf(f, "first gene\t%s\n", d->var.index[0]);
    if (facts.cells) fprintf(f, "first cell\t%s\n", d->obs.index[0]);
    print_frame(f, "obs", &d->obs);
    print_frame(f, "var", &d->var);
done:
    iso_dataset_free(d);
    return st;
}

static void print_number(FILE *f, const char *name, double x)
{
    if (!isnan(x)) fprintf(f, "%s\t%.2f\n", name, x);
}

static iso_status print_model(iso_env *env, const char *path, FILE *f, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_model *m = NULL;
    TRY(iso_model_load(env, path, &m, err));
    const iso_vae_config *c = &m->v.c;
    const iso_summary *s = &m->summary;
    fprintf(f, "model\t%s\nlikelihood\t%s\ngenes\t%lld\nlatent\t%d dimensions\nhidden\t%d layer%s of %d\n", path,
            c->likelihood->name, (long long)m->n_genes, c->n_latent, c->n_layers, c->n_layers == 1 ? "" : "s",
            c->n_hidden);
    fprintf(f, "kind\t%s%s\nparameters\t%lld\n", c->autoencoder ? "autoencoder" : "variational autoencoder",
            c->linear_decoder ? ", linear decoder" : "", (long long)m->v.g->param_size);
    for (int k = 0; k < m->n_covariates; k++)
        fprintf(f, "%s\t%s, %d categories\n", k == 0 && m->has_batch ? "batch" : "covariate", m->covariates[k].key,
                m->covariates[k].n_categories);
    if (m->label.key) fprintf(f, "labels\t%s, %d categories\n", m->label.key, m->label.n_categories);
    for (int k = 0; k < m->n_continuous; k++) fprintf(f, "continuous covariate\t%s\n", m->continuous[k]);
    fprintf(f, "trained on\t%s (%s): %lld cells, and %lld validation, %lld test\n", s->input, s->count_source,
            (long long)s->n_train, (long long)s->n_validation, (long long)s->n_test);
    fprintf(f, "sha256\t%s\ncommand\t%s\nseed\t%llu\nepochs\t%d, the best was %d%s; %.1f s\n", s->input_sha256,
            s->command, (unsigned long long)s->seed, s->epochs, s->best_epoch,
            s->stopped_early ? ", stopped early" : "", s->seconds);
    print_number(f, "train ELBO", s->train_elbo);
    print_number(f, "validation ELBO", s->validation_elbo);
    print_number(f, "test ELBO", s->test_elbo);
    print_number(f, "test log p", s->test_log_p);
    fprintf(f, "verdict\t%s. %s\n", s->verdict, s->verdict_text);
    if (*s->cure) fprintf(f, "cure\t%s\n", s->cure);
done:
    iso_model_free(m);
    return st;
}

/* A run folder holds model.safetensors; a folder without is cells (10x). */
static bool is_model(const char *path, const char *model)
{
    struct stat s;
    size_t n = strlen(path);
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) return stat(model, &s) == 0 && S_ISREG(s.st_mode);
    return n > 12 && strcmp(path + n - 12, ".safetensors") == 0;
}

iso_status iso_cmd_info(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_text_out t = {0};
    char *given = NULL, *in_folder = NULL;
    (void)command_line;
    FAIL_IF(!(given = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    FAIL_IF(!(in_folder = iso_sprintf("%s/model.safetensors", given)), ISO_EMEMORY, "out of memory");
    TRY(iso_text_open(o, &t, err));
    if (is_model(given, in_folder)) {
        struct stat s;
        bool folder = stat(given, &s) == 0 && S_ISDIR(s.st_mode);
        TRY(print_model(env, folder ? in_folder : given, t.file, err));
    } else {
        TRY(print_cells(env, given, o, t.file, err));
    }
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_free(given);
    iso_free(in_folder);
    return st;
}
