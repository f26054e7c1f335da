/* run_report_charts.c: the sections of report.html that have charts: paths, anomalies, generated cells. */
#include "run_report.h"

#include <math.h>
#include <string.h>

/* Zeroed, and the page's: what of `count` values a chart lends to the report. NULL without memory. */
static void *room(report_page *p, int64_t count, size_t size) { return report_own(p, iso_calloc(count, size)); }

/* ------------------------------------------------------------------------------------------------- paths */

enum { WAY_COLUMNS = 5 };

/* "3, mostly GMP": the continent of the cell at an end; or the cell's group, where all is one continent. */
static const char *name_end(report_page *p, int64_t cell)
{
    const iso_run *r = p->run;
    int32_t group = r->labels ? r->labels[cell] : r->atlas.clusters[cell];
    if (r->landscape.n_continents > 1) return report_continent_name(p, r->landscape.continent[cell]);
    return group < 0 ? r->data->obs.index[cell] : r->labels ? r->label_names[group] : report_say(p, "cluster %d", group);
}

static bool draw_way(report_page *p, const iso_way *way, iso_report_chart *chart)
{
    const iso_run *r = p->run;
    float *at = room(p, ISO_WAY_STEPS, sizeof *at);
    iso_report_series *series = room(p, way->n_genes, sizeof *series);
    if (!at || !series) return false;
    for (int i = 0; i < ISO_WAY_STEPS; i++) at[i] = (float)i / (ISO_WAY_STEPS - 1);
    for (int k = 0; k < way->n_genes; k++) {
        series[k] = (iso_report_series){.name = r->data->var.index[way->gene[k]], .values = way->value[k]};
        if (r->heads.n) series[k].low = way->low[k], series[k].high = way->high[k];
    }
    *chart = (iso_report_chart){.title = report_say(p, "%s \u2192 %s", name_end(p, way->from), name_end(p, way->to)),
                                .x = "share of the way",
                                .y = r->fitted.model->v.c.likelihood->counts ? "log1p of counts per 10,000" : "mean",
                                .n = ISO_WAY_STEPS,
                                .at = at,
                                .shaded = way->is_void,
                                .shade = "in a void",
                                .series = series,
                                .n_series = way->n_genes};
    return true;
}

void report_section_ways(report_page *p, iso_report_section *s)
{
    static const char *const heads[WAY_COLUMNS] = {"from", "to", "path in voids", "straight line in voids", "trajectory?"};
    const iso_run *r = p->run;
    const char **cells = room(p, (r->n_ways + 1) * WAY_COLUMNS, sizeof *cells);
    iso_report_chart *charts = room(p, r->n_ways, sizeof *charts);
    if (!cells || !charts) return;
    memcpy(cells, heads, sizeof heads);
    for (int w = 0; w < r->n_ways; w++) {
        const iso_way *way = &r->ways[w];
        const char **row = cells + (w + 1) * WAY_COLUMNS;
        if (!draw_way(p, way, &charts[w])) return;
        row[0] = name_end(p, way->from);
        row[1] = name_end(p, way->to);
        row[2] = report_say(p, "%.0f %%", 100 * way->in_voids);
        row[3] = report_say(p, "%.0f %%", 100 * way->straight_in_voids);
        row[4] = 1 - way->in_voids < ISO_WAY_SUPPORTED ? "no" : "may be";
    }
    *s = (iso_report_section){.title = "Paths",
                              .text = report_say(p, "Ways along the data between %s, and below the genes that change most along each%s. Where a path "
                                                    "crosses a void, such cells were never observed; with more than 5 %% of it in voids it is no trajectory. No path says which "
                                                    "way cells go. \"isolario path\" gives all genes, and other ways.",
                                                 r->landscape.n_continents > 1 ? "the summits of neighbouring continents" : "the two groups farthest apart",
                                                 r->heads.n ? ", with bands as wide as the decoders differ" : ""),
                              .cells = cells,
                              .n_rows = r->n_ways + 1,
                              .n_columns = WAY_COLUMNS,
                              .charts = charts,
                              .n_charts = r->n_ways};
}

/* --------------------------------------------------------------------------------------------- anomalies */

enum { BINS = 30, LISTED = 5 };

/* The share of the cells, those trained on or the others, in each bin; false: there are no such cells. */
static bool fill_bins(const iso_run *r, const bool *is_train, bool train, double low, double width, float *share)
{
    const iso_landscape *l = &r->landscape;
    int64_t n = 0;
    for (int64_t i = 0; i < l->n; i++) n += is_train[i] == train;
    for (int64_t i = 0; i < l->n; i++) {
        if (is_train[i] != train) continue;
        int bin = (int)fmin(BINS - 1, fmax(0, (l->log_density[i] - low) / width));
        share[bin] += 100 / (float)n;
    }
    return n > 0;
}

/* Range of the densities, but for the lowest 1 %, which go to the first bin. */
static void find_bins(const iso_landscape *l, double *sorted, double *low, double *width)
{
    memcpy(sorted, l->log_density, (size_t)l->n * sizeof *sorted);
    *low = iso_quantile(sorted, l->n, 0.01);
    *width = fmax(1e-6, (sorted[l->n - 1] - *low) / BINS);
}

static bool draw_densities(report_page *p, const bool *is_train, double low, double width, iso_report_chart *chart)
{
    const iso_run *r = p->run;
    static const char *const names[2] = {"held-out cells", "training cells, each left out"};
    float *at = room(p, BINS, sizeof *at);
    uint8_t *is_void = room(p, BINS, 1);
    iso_report_series *series = room(p, 2, sizeof *series);
    int n = 0;
    if (!at || !is_void || !series) return false;
    for (int b = 0; b < BINS; b++) {
        at[b] = (float)(low + (b + 0.5) * width);
        is_void[b] = iso_support_p(&r->judge.support, -1, (double)at[b]) <= ISO_VOID_P;
    }
    for (int k = 0; k < 2; k++) {
        float *share = room(p, BINS, sizeof *share);
        if (!share) return false;
        if (fill_bins(r, is_train, k == 1, low, width, share)) series[n++] = (iso_report_series){.name = names[k], .values = share};
    }
    *chart = (iso_report_chart){.title = "Density where the cells are", .x = "log density", .y = "% of cells", .n = BINS, .at = at, .shaded = is_void,
                                .shade = "p at most 5 %: a void", .series = series, .n_series = n};
    return true;
}

/* The cells at the lowest densities, "a (HSC), b (GMP)"; lowest first. */
static const char *list_lowest(report_page *p)
{
    const iso_run *r = p->run;
    const iso_landscape *l = &r->landscape;
    const char *list = "";
    int64_t last = -1;
    for (int k = 0; k < LISTED && k < l->n; k++) {
        int64_t next = -1;
        for (int64_t i = 0; i < l->n; i++) {
            bool later = last < 0 || l->log_density[i] > l->log_density[last] || (l->log_density[i] == l->log_density[last] && i > last);
            if (later && (next < 0 || l->log_density[i] < l->log_density[next])) next = i;
        }
        if (next < 0) break;
        const char *label = r->labels && r->labels[next] >= 0 ? r->label_names[r->labels[next]] : NULL;
        list = report_say(p, label ? "%s%s%s (%s)" : "%s%s%s", list, k ? ", " : "", r->data->obs.index[next], label);
        last = next;
    }
    return list;
}

void report_section_anomalies(report_page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    const iso_landscape *l = &r->landscape;
    bool *is_train = iso_calloc(l->n, sizeof *is_train);
    double *sorted = iso_calloc(l->n, sizeof *sorted), low, width;
    iso_report_chart *chart = room(p, 1, sizeof *chart);
    int64_t in_voids = 0;
    *s = (iso_report_section){.title = "Anomalies",
                              .text = "How far each cell lies from where the others are: the log density of its place, and the share of held-out cells that lie as low, its p. "
                                      "Both are in latent.h5ad (log_density, p_value). \"isolario anomaly\" holds cells of another file against this run.",
                              .facts = s->facts};
    for (int64_t i = 0; is_train && i < r->fitted.split.n_train; i++) is_train[r->fitted.split.train[i]] = true;
    for (int64_t i = 0; i < l->n; i++) in_voids += l->p_value[i] <= ISO_VOID_P;
    report_fact(s, "Cells of this run at p of at most 5 %", report_say(p, "%.1f %%", 100 * (double)in_voids / (double)l->n),
                report_say(p, "%lld cells; 5 %% of held-out cells are by definition", (long long)in_voids));
    report_fact(s, "Cells farthest out", list_lowest(p), NULL);
    if (is_train && sorted && chart) {
        find_bins(l, sorted, &low, &width);
        if (draw_densities(p, is_train, low, width, chart)) s->charts = chart, s->n_charts = 1;
    }
    iso_free(is_train);
    iso_free(sorted);
}

/* --------------------------------------------------------------------------------------- generated cells */

enum { MOST_GENES = 2000 };

/* A figure of each gene: generated cells, and training cells, against held-out ones. */
static bool draw_genes(report_page *p, const char *title, const char *what, const double *figures, iso_report_chart *chart)
{
    static const char *const names[2] = {"generated cells", "real training cells"};
    int64_t G = p->run->realism.n_genes, n = G < MOST_GENES ? G : MOST_GENES;
    const char **genes = room(p, n, sizeof *genes);
    float *values = room(p, 3 * n, sizeof *values);
    iso_report_series *series = room(p, 2, sizeof *series);
    if (!genes || !values || !series) return false;
    for (int64_t i = 0; i < n; i++) {
        int64_t g = i * G / n;
        genes[i] = p->run->data->var.index[g];
        for (int k = 0; k < 3; k++) values[k * n + i] = (float)figures[k * G + g];
    }
    for (int k = 0; k < 2; k++) series[k] = (iso_report_series){.name = names[k], .dots = true, .values = values + (k + 1) * n};
    *chart = (iso_report_chart){.title = title, .x = report_say(p, "held-out cells: %s", what), .y = what, .n = n, .at = values, .names = genes,
                                .diagonal = true, .series = series, .n_series = 2};
    return true;
}

void report_chart_realism(report_page *p, iso_report_section *s)
{
    const iso_realism *m = &p->run->realism;
    iso_report_chart *charts = room(p, 2, sizeof *charts);
    if (charts && draw_genes(p, "Mean, by gene", "mean log1p of counts per 10,000", m->gene_mean, &charts[0]) &&
        draw_genes(p, "Zeros, by gene", "fraction of zeros", m->gene_zeros, &charts[1]))
        s->charts = charts, s->n_charts = 2;
}
