/* run_report.c: report.html of a run: chooses what to show; io/report.c draws it. Its sections are in run_report_sections.c. */
#include "run_report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CELLS = 100000, MAX_CATEGORIES = 200 };

void *report_own(report_page *p, void *block)
{
    if (block && p->n_owned == p->room) {
        void **more = iso_realloc(p->owned, p->room, 2 * p->room + 64, sizeof *more);
        if (more) p->owned = more, p->room = 2 * p->room + 64;
    }
    if (block && p->n_owned < p->room) return p->owned[p->n_owned++] = block;
    iso_free(block);
    return NULL;
}

const char *report_say(report_page *p, const char *format, ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = report_own(p, iso_strdup(text));
    return kept ? kept : "";
}

/* ---------------------------------------------------------------------------------------------- colours */

static iso_report_color *add_color(report_page *p, const char *name, const char *group)
{
    if (p->n_colors == MAX_COLORS) return NULL;
    iso_report_color *c = &p->colors[p->n_colors++];
    *c = (iso_report_color){.name = name, .group = group};
    return c;
}

/* codes of all cells; names are lent. */
static iso_status color_by_codes(report_page *p, const char *name, const char *group, const int32_t *codes, char *const *names,
                                 int32_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *some = NULL;
    iso_report_color *c = add_color(p, name, group);
    if (!c) return ISO_OK;
    ALLOC(some, p->n, sizeof *some);
    for (int64_t i = 0; i < p->n; i++) some[i] = codes[i * p->step];
    c->codes = some, c->categories = names, c->n_categories = n;
    report_own(p, some);
done:
    return st;
}

static iso_status color_by_column(report_page *p, const char *key, const char *group, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_frame *obs = &p->run->data->obs;
    const iso_column *column = key ? iso_frame_column(obs, key) : NULL;
    int32_t *codes = NULL, n = 0;
    char **names = NULL;
    if (!column || column->kind == ISO_COL_REAL) return ISO_OK;
    TRY(iso_column_factor(obs, column, &codes, &names, &n, err));
    for (int32_t k = 0; k < n; k++) report_own(p, names[k]);
    report_own(p, names);
    if (n <= MAX_CATEGORIES) TRY(color_by_codes(p, column->name, group, codes, names, n, err));
done:
    iso_free(codes);
    return st;
}

/* log1p of counts per 10,000, or the value itself for data that are not counts. */
static iso_status color_by_gene(report_page *p, int32_t gene, iso_error *err)
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
    report_own(p, values);
done:
    return st;
}

static iso_status color_by_numbers(report_page *p, const char *name, const char *unit, const double *all, iso_error *err)
{
    iso_status st = ISO_OK;
    float *values = NULL;
    ALLOC(values, p->n, sizeof *values);
    if (!report_own(p, values)) return iso_fail(err, ISO_EMEMORY, "out of memory");
    for (int64_t i = 0; i < p->n; i++) values[i] = (float)all[i * p->step];
    iso_report_color *c = add_color(p, name, "quality");
    if (c) c->values = values, c->unit = unit;
done:
    return st;
}

/* The mean of each channel of each image. */
static iso_status color_by_brightness(report_page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_images *im = p->run->data->images;
    int64_t plane = im->height * im->width;
    for (int64_t c = 0; c < im->channels; c++) {
        float *values = report_own(p, iso_calloc(p->n, sizeof *values));
        FAIL_IF(!values, ISO_EMEMORY, "out of memory");
        for (int64_t i = 0; i < p->n; i++) {
            const float *pixel = im->pixels + (i * p->step * im->channels + c) * plane;
            double sum = 0;
            for (int64_t k = 0; k < plane; k++) sum += (double)pixel[k];
            values[i] = (float)(sum / (double)plane);
        }
        iso_report_color *color = add_color(p, report_say(p, "mean of %s", im->channel_names[c]), "quality");
        if (color) color->values = values, color->unit = "pixel value";
    }
done:
    return st;
}

static void take_pictures(report_page *p)
{
    const iso_gallery *g = p->run->gallery;
    for (int i = 0; g && i < g->n; i++) {
        const iso_picture_shown *s = &g->pictures[i];
        p->pictures[i] = (iso_report_picture){s->title, s->text, s->png, s->bytes, s->width, s->height, s->zoom};
    }
    p->report.pictures = p->pictures, p->report.n_pictures = g ? g->n : 0;
}

static iso_status choose_colors(report_page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_run *r = p->run;
    const iso_options *o = r->options;
    int32_t *genes = NULL;
    char **names = NULL;
    int found = 0, wanted = (int)iso_opt_int(o, "n_top_genes");
    ALLOC(names, r->atlas.n_clusters, sizeof *names);
    report_own(p, names);
    for (int32_t k = 0; k < r->atlas.n_clusters; k++) names[k] = (char *)report_say(p, "%d", k);
    if (r->labels)
        TRY(color_by_codes(p, iso_opt_text(o, "labels_key"), "label", r->labels, r->label_names, r->n_labels, err));
    TRY(color_by_codes(p, "leiden", "cluster", r->atlas.clusters, names, r->atlas.n_clusters, err));
    TRY(color_by_column(p, iso_opt_text(o, "batch_key"), "batch", err));
    if (r->data->images) TRY(color_by_brightness(p, err));
    iso_report_color *c = r->data->images ? NULL : add_color(p, "total counts", "quality");
    if (c) c->values = p->totals, c->unit = "counts a cell";
    if (r->landscape.n_continents) TRY(color_by_numbers(p, "log density", "nats", r->landscape.log_density, err));
    ALLOC(genes, wanted, sizeof *genes);
    TRY(iso_top_genes(&r->data->x, r->atlas.clusters, r->atlas.n_clusters, wanted, genes, &found, err));
    for (int k = 0; k < found; k++) TRY(color_by_gene(p, genes[k], err));
done:
    iso_free(genes);
    return st;
}

/* --------------------------------------------------------------------------------------- data, training */

static iso_status describe_data(report_page *p, iso_error *err)
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

static iso_status describe_training(report_page *p, iso_error *err)
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

iso_status iso_run_write_report(iso_env *env, const iso_run *r, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_summary *s = &r->fitted.model->summary;
    const iso_diagnosis *d = &r->fitted.diagnosis;
    const char *slash = strrchr(r->data->path, '/');
    char *path = iso_run_path(r, "report.html");
    report_page *p = NULL;
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
    if (r->data->images) p->report.n_genes = 0, p->report.gene_mean = p->report.gene_zeros = p->report.cell_total = NULL;
    take_pictures(p);
    report_add_sections(p);
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
