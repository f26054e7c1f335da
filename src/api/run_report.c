/* run_report.c: report.html of a run: chooses what to show; io/report.c draws it. */
#include "run.h"

#include "io/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CELLS = 100000, MAX_COLORS = 64, MAX_FACTS = 16, MAX_CATEGORIES = 200 };

typedef struct page {
    const iso_run *run;
    iso_report report;
    int64_t n, step;                      /* every step-th cell is shown, n in all */
    float *xy, *totals, *gene_mean, *gene_zeros;
    iso_report_color colors[MAX_COLORS];
    int n_colors;
    void **owned;                         /* texts and colours' arrays */
    int64_t n_owned, room;
    iso_report_epoch *epochs;
    iso_report_fact facts[4][MAX_FACTS];
    iso_report_section sections[4];
} page;

/* The page frees the block when it is written. NULL, and the block is freed, without memory. */
static void *own(page *p, void *block)
{
    if (block && p->n_owned == p->room) {
        void **more = iso_realloc(p->owned, p->room, 2 * p->room + 64, sizeof *more);
        if (more) p->owned = more, p->room = 2 * p->room + 64;
    }
    if (block && p->n_owned < p->room) return p->owned[p->n_owned++] = block;
    iso_free(block);
    return NULL;
}

__attribute__((format(printf, 2, 3))) static const char *say(page *p, const char *format, ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = own(p, iso_strdup(text));
    return kept ? kept : "";
}

/* ---------------------------------------------------------------------------------------------- colours */

static iso_report_color *add_color(page *p, const char *name, const char *group)
{
    if (p->n_colors == MAX_COLORS) return NULL;
    iso_report_color *c = &p->colors[p->n_colors++];
    *c = (iso_report_color){.name = name, .group = group};
    return c;
}

/* codes of all cells; names are lent. */
static iso_status color_by_codes(page *p, const char *name, const char *group, const int32_t *codes, char *const *names,
                                 int32_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *some = NULL;
    iso_report_color *c = add_color(p, name, group);
    if (!c) return ISO_OK;
    ALLOC(some, p->n, sizeof *some);
    for (int64_t i = 0; i < p->n; i++) some[i] = codes[i * p->step];
    c->codes = some, c->categories = names, c->n_categories = n;
    own(p, some);
done:
    return st;
}

static iso_status color_by_column(page *p, const char *key, const char *group, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_frame *obs = &p->run->data->obs;
    const iso_column *column = key ? iso_frame_column(obs, key) : NULL;
    int32_t *codes = NULL, n = 0;
    char **names = NULL;
    if (!column || column->kind == ISO_COL_REAL) return ISO_OK;
    TRY(iso_column_factor(obs, column, &codes, &names, &n, err));
    for (int32_t k = 0; k < n; k++) own(p, names[k]);
    own(p, names);
    if (n <= MAX_CATEGORIES) TRY(color_by_codes(p, column->name, group, codes, names, n, err));
done:
    iso_free(codes);
    return st;
}

/* log1p of counts per 10,000, or the value itself for data that are not counts. */
static iso_status color_by_gene(page *p, int32_t gene, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_csr *x = &p->run->data->x;
    const iso_likelihood *law = p->run->fitted.model->v.c.likelihood;
    bool counts = law->counts || law->log1p_data;
    float *values = NULL;
    iso_report_color *c = add_color(p, p->run->data->var.index[gene], "gene");
    if (!c) return ISO_OK;
    ALLOC(values, p->n, sizeof *values);
    for (int64_t i = 0; i < p->n; i++) {
        int64_t row = i * p->step;
        double total = 0, own_count = 0;
        for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
            total += (double)x->values[e];
            if (x->indices[e] == gene) own_count = (double)x->values[e];
        }
        values[i] = (float)(!counts ? own_count : total > 0 ? log1p(1e4 * own_count / total) : 0);
    }
    c->values = values, c->unit = counts ? "log1p of counts per 10,000" : "value";
    own(p, values);
done:
    return st;
}

static iso_status choose_colors(page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_run *r = p->run;
    const iso_options *o = r->options;
    int32_t *genes = NULL;
    char **names = NULL;
    int found = 0, wanted = (int)iso_opt_int(o, "n_top_genes");
    ALLOC(names, r->atlas.n_clusters, sizeof *names);
    own(p, names);
    for (int32_t k = 0; k < r->atlas.n_clusters; k++) names[k] = (char *)say(p, "%d", k);
    if (r->labels)
        TRY(color_by_codes(p, iso_opt_text(o, "labels_key"), "label", r->labels, r->label_names, r->n_labels, err));
    TRY(color_by_codes(p, "leiden", "cluster", r->atlas.clusters, names, r->atlas.n_clusters, err));
    TRY(color_by_column(p, iso_opt_text(o, "batch_key"), "batch", err));
    iso_report_color *c = add_color(p, "total counts", "quality");
    if (c) c->values = p->totals, c->unit = "counts a cell";
    ALLOC(genes, wanted, sizeof *genes);
    TRY(iso_top_genes(&r->data->x, r->atlas.clusters, r->atlas.n_clusters, wanted, genes, &found, err));
    for (int k = 0; k < found; k++) TRY(color_by_gene(p, genes[k], err));
done:
    iso_free(genes);
    return st;
}

/* --------------------------------------------------------------------------------------- data, training */

static iso_status describe_data(page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_csr *x = &p->run->data->x;
    ALLOC(p->xy, 2 * p->n, sizeof *p->xy);
    ALLOC(p->totals, p->n, sizeof *p->totals);
    ALLOC(p->gene_mean, x->n_cols, sizeof *p->gene_mean);
    ALLOC(p->gene_zeros, x->n_cols, sizeof *p->gene_zeros);
    for (int64_t e = 0; e < x->nnz; e++) {
        p->gene_mean[x->indices[e]] += x->values[e] / (float)x->n_rows;
        p->gene_zeros[x->indices[e]] += 1;
    }
    for (int64_t g = 0; g < x->n_cols; g++) p->gene_zeros[g] = 1 - p->gene_zeros[g] / (float)x->n_rows;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t row = i * p->step;
        memcpy(p->xy + 2 * i, p->run->atlas.xy + 2 * row, 2 * sizeof *p->xy);
        for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) p->totals[i] += x->values[e];
    }
done:
    return st;
}

static iso_status describe_training(page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_history *h = &p->run->fitted.history;
    ALLOC(p->epochs, h->n, sizeof *p->epochs);
    for (int i = 0; i < h->n; i++) {
        const iso_epoch *e = &h->epochs[i];
        p->epochs[i] = (iso_report_epoch){e->epoch,         e->train_elbo,      e->train_reconstruction,
                                          e->train_kl,      e->validation_elbo, e->validation_reconstruction,
                                          e->validation_kl, e->kl_weight,       e->learning_rate,
                                          e->gradient_norm, e->seconds};
    }
done:
    return st;
}

/* ----------------------------------------------------------------------------------------------- sections */

static void fact(iso_report_section *s, const char *key, const char *value, const char *note)
{
    if (s->n_facts < MAX_FACTS) ((iso_report_fact *)s->facts)[s->n_facts++] = (iso_report_fact){key, value, note};
}

static const char *nats(page *p, double x) { return isnan(x) ? "not measured" : say(p, "%.2f", x); }

static void section_agreement(page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    const char *cells[] = {"",
                           "latent space",
                           "principal components",
                           "neighbour accuracy",
                           say(p, "%.3f", r->scores.knn_accuracy),
                           say(p, "%.3f", r->pca_scores.knn_accuracy),
                           "ARI (best resolution)",
                           say(p, "%.3f", r->scores.best.ari),
                           say(p, "%.3f", r->pca_scores.best.ari),
                           "NMI (best resolution)",
                           say(p, "%.3f", r->scores.best.nmi),
                           say(p, "%.3f", r->pca_scores.best.nmi),
                           "clusters there",
                           say(p, "%d", r->scores.best.n_clusters),
                           say(p, "%d", r->pca_scores.best.n_clusters),
                           "ARI (clusters as drawn)",
                           say(p, "%.3f", r->scores.ari),
                           say(p, "%.3f", r->pca_scores.ari)};
    const char **kept = own(p, iso_calloc(sizeof cells / sizeof *cells, sizeof *cells));
    if (!kept) return;
    memcpy(kept, cells, sizeof cells);
    *s = (iso_report_section){.title = say(p, "Agreement with %s", iso_opt_text(r->options, "labels_key")),
                              .text = "How well the latent space agrees with labels that training never saw, and "
                                      "principal components of log1p counts "
                                      "per 10,000 with as many dimensions beside it. Neighbour accuracy: majority of "
                                      "15 neighbours, 5 folds. ARI and NMI: "
                                      "Leiden clusters against the labels; 1 is perfect, 0 (ARI) is chance.",
                              .cells = kept,
                              .n_rows = (int)(sizeof cells / sizeof *cells / 3),
                              .n_columns = 3};
}

static void section_data(page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    iso_data_facts f = iso_describe(r->data);
    *s = (iso_report_section){.title = "Data", .facts = s->facts};
    fact(s, "File", r->data->path, say(p, "sha256 %s", r->fitted.model->summary.input_sha256));
    fact(s, "Counts from", r->data->source, NULL);
    fact(s, "Cells x genes", say(p, "%lld x %lld", (long long)f.cells, (long long)f.genes),
         p->step > 1 ? say(p, "one in %lld cells is drawn", (long long)p->step) : NULL);
    fact(s, "Filled", say(p, "%.1f %%", 100 * f.density), say(p, "largest count %g", f.max_count));
    fact(s, "Counts a cell", say(p, "%g to %g", f.min_total, f.max_total), say(p, "median %g", f.median_total));
}

static void section_training(page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    const iso_summary *m = &r->fitted.model->summary;
    const iso_vae_config *c = &r->fitted.model->v.c;
    *s = (iso_report_section){.title = "Model and training", .facts = s->facts};
    fact(s, "Model", c->autoencoder ? "autoencoder" : "variational autoencoder",
         say(p, "%s likelihood, %d latent dimensions, %d hidden layer%s of %d units", c->likelihood->name, c->n_latent,
             c->n_layers, c->n_layers == 1 ? "" : "s", c->n_hidden));
    fact(s, "Cells", say(p, "%lld to train", (long long)m->n_train),
         say(p, "%lld validation, %lld test", (long long)m->n_validation, (long long)m->n_test));
    fact(s, "Epochs", say(p, "%d", m->epochs),
         say(p, "the best was %d%s; %.1f s", m->best_epoch, m->stopped_early ? ", stopped early" : "", m->seconds));
    fact(s, "Final KL weight", say(p, "%.3g", m->final_kl_weight), NULL);
    fact(s, "ELBO, training cells", nats(p, m->train_elbo), "nats per cell, evaluation mode");
    fact(s, "ELBO, validation cells", nats(p, m->validation_elbo), NULL);
    if (m->n_test) {
        fact(s, "ELBO, test cells", nats(p, m->test_elbo), say(p, "reconstruction %.2f", m->test_reconstruction));
        fact(s, "log p, test cells", nats(p, m->test_log_p), "importance-sampled");
    }
    if (m->roll_backs)
        fact(s, "Roll-backs", say(p, "%d", m->roll_backs),
             "steps that were not finite; the learning rate was halved each time");
    fact(s, "Seed", say(p, "%llu", (unsigned long long)m->seed),
         "the same seed gives the same bits for any number of threads");
}

static void section_latent(page *p, iso_report_section *s)
{
    const iso_diagnosis *d = &p->run->fitted.diagnosis;
    *s = (iso_report_section){.title = "Latent space", .facts = s->facts};
    fact(s, "Active dimensions", say(p, "%d of %d", d->active_units, d->n_latent),
         "variance of the posterior mean above 0.01");
    fact(s, "KL", say(p, "%.2f nats", d->kl), "of the posterior to the prior, mean of held-out cells");
    fact(s, "Mutual information", say(p, "%s%.2f nats", d->capped ? "at least " : "", d->mutual_information),
         say(p, "of cell and z; %lld cells can show at most %.2f", (long long)llround(exp(d->mutual_information_cap)),
             d->mutual_information_cap));
    fact(s, "KL of all cells' clouds to the prior",
         say(p, d->capped ? "%.2f to %.2f nats" : "%.2f nats", d->capped ? d->kl_aggregate_least : d->kl_aggregate,
             d->kl_aggregate),
         "a large part of the KL here is a prior hole");
    fact(s, "Shuffle loss", say(p, "%.1f nats", d->shuffle_loss),
         say(p, "rise of -log p(x|z) = %.1f when cells swap their z", d->nll));
}

static void add_sections(page *p)
{
    iso_report *r = &p->report;
    r->sections = p->sections;
    for (int i = 0; i < 4; i++) p->sections[i].facts = p->facts[i];
    if (p->run->labels) section_agreement(p, &p->sections[r->n_sections++]);
    if (p->run->fitted.diagnosis.kl_per_dim) section_latent(p, &p->sections[r->n_sections++]);
    section_training(p, &p->sections[r->n_sections++]);
    section_data(p, &p->sections[r->n_sections++]);
}

iso_status iso_run_write_report(iso_env *env, const iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_summary *s = &r->fitted.model->summary;
    const iso_diagnosis *d = &r->fitted.diagnosis;
    const char *slash = strrchr(r->data->path, '/');
    char *path = iso_run_path(r, "report.html");
    page *p = NULL;
    FAIL_IF(!path, ISO_EMEMORY, "out of memory");
    ALLOC(p, 1, sizeof *p);
    p->run = r;
    p->step = (r->data->x.n_rows + MAX_CELLS - 1) / MAX_CELLS;
    p->n = (r->data->x.n_rows + p->step - 1) / p->step;
    TRY(describe_data(p, err));
    TRY(describe_training(p, err));
    TRY(choose_colors(p, err));
    p->report = (iso_report){.title = slash && slash[1] ? slash + 1 : r->data->path,
                             .n_cells = p->n,
                             .xy = p->xy,
                             .colors = p->colors,
                             .n_colors = p->n_colors,
                             .epochs = p->epochs,
                             .n_epochs = r->fitted.history.n,
                             .best_epoch = s->best_epoch,
                             .n_latent = r->fitted.model->v.c.n_latent,
                             .kl_per_dim = d->kl_per_dim,
                             .var_mu = d->var_mu,
                             .active_threshold = 0.01,
                             .verdict = s->verdict,
                             .verdict_text = s->verdict_text,
                             .cure = *s->cure ? s->cure : NULL,
                             .gene_mean = p->gene_mean,
                             .gene_zeros = p->gene_zeros,
                             .gene_names = (const char *const *)r->data->var.index,
                             .n_genes = r->data->x.n_cols,
                             .cell_total = p->totals,
                             .command = r->command_line,
                             .version = iso_version_long()};
    add_sections(p);
    TRY(iso_report_write(env, path, &p->report, err));
done:
    if (p) {
        for (int64_t i = 0; i < p->n_owned; i++) iso_free(p->owned[i]);
        iso_free(p->owned);
        iso_free(p->xy);
        iso_free(p->totals);
        iso_free(p->gene_mean);
        iso_free(p->gene_zeros);
        iso_free(p->epochs);
    }
    iso_free(p);
    iso_free(path);
    return st;
}
