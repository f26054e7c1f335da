/* tool_report: report.html from made-up arrays, for tests/py/test_report.py.
 *   tool_report OUT [cells | autoencoder | empty | collapsed [N]]
 * cells: N (3,000) cells in 12 clusters on 4 islands, counts that are negative binomial in their means, hostile names,
 * NaN. */
#include "io/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST 200000
#define K 12
#define GENES 4000
#define EPOCHS 180
#define L 20

static uint64_t state = 7;
static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}
static double normal(void) { return sqrt(-2.0 * log(uniform())) * cos(6.283185307179586 * uniform()); }

static const char hostile_name[] = "</script><img src=x onerror=\"document.documentElement.dataset.error='broken out'\">";
static const char *const hostile[K] = {
    hostile_name,
    "\"quoted\" & 'single' \\ back\nline",
    "invalid \xff\xfe\xc3( bytes",
    "megakaryocyte–erythroid",
    "CD14+ Monocytes",
    "<!--<script>",
    "HSC / MPP",
    "\xe5\xb7\xa8\xe5\x99\xac\xe7\xb4\xb0\xe8\x83\x9e",
    "a very long name of a cell type, as curators of atlases like to give them, CD4-positive, alpha-beta T cell",
    "{{scripts}}",
    "",
    "NK",
};

static float xy[2 * MOST], gata1[MOST], total[MOST];
static int32_t cluster[MOST], label[MOST], batch[MOST];
static char *cluster_names[K], number_names[K][4], *batch_names[] = {"donor 1", "donor 2", "donor 3"};
static float gene_mean[GENES], gene_zeros[GENES];
static char gene_text[GENES][16];
static const char *gene_names[GENES];
static iso_report_epoch epochs[EPOCHS];
static double kl[L], var_mu[L];

static void make_cells(int n)
{
    static const double island[4][2] = {{0, 0}, {9, 2}, {3, 9}, {11, 10}};
    for (int i = 0; i < n; i++) {
        int k = (int)(K * pow(uniform(), 1.4));
        double bend = normal() * 0.7, turn = 6.28 * (k % 3) / 3 + k / 4, x = 1.7 * cos(turn), y = 1.7 * sin(turn);
        xy[2 * i] = (float)(island[k / 3][0] + x + 0.5 * normal() + 0.5 * bend);
        xy[2 * i + 1] = (float)(island[k / 3][1] + y + 0.45 * normal() - 0.3 * bend * bend);
        cluster[i] = k;
        label[i] = uniform() < 0.03 ? -1 : k;
        batch[i] = (int)(3 * uniform());
        gata1[i] = uniform() < 0.04 ? NAN : k < 4 ? (float)fmax(0, 1.6 + 0.8 * normal()) : (float)fmax(0, normal() - 1.0);
        total[i] = (float)floor(exp(8.2 + 0.5 * normal()));
    }
    xy[6] = NAN;                                     /* a cell without a place */
    for (int k = 0; k < K; k++) {
        snprintf(number_names[k], sizeof number_names[k], "%d", k);
        cluster_names[k] = number_names[k];
    }
}

static void make_genes(void)
{
    for (int g = 0; g < GENES; g++) {
        double mean = exp(-2.5 + 2.0 * normal()), theta = exp(0.6 + 0.8 * normal());
        gene_mean[g] = (float)mean;
        gene_zeros[g] = (float)fmin(1.0, fmax(0.0, pow(1.0 + mean / theta, -theta) + 0.008 * normal()));
        snprintf(gene_text[g], sizeof gene_text[g], "Gene%d", g + 1);
        gene_names[g] = gene_text[g];
    }
    gene_mean[0] = 0, gene_zeros[0] = 1, gene_mean[1] = NAN;
    gene_names[2] = hostile[0];
}

static void make_training(bool healthy)
{
    for (int e = 0; e < EPOCHS; e++) {
        double t = e / 30.0, weight = fmin(1.0, e / 60.0), jitter = 0.6 * normal();
        double divergence = (healthy ? 14.0 : 0.4) * (1.0 - exp(-t)) * (1.6 - 0.6 * weight);
        double reconstruction = -1250.0 - 900.0 * exp(-e / 2.0) - 60.0 * exp(-t) + jitter;
        bool seen = e % 5 == 4;
        epochs[e] = (iso_report_epoch){
            .epoch = e + 1, .train_elbo = reconstruction - divergence, .train_reconstruction = reconstruction, .train_kl = divergence,
            .validation_elbo = seen ? reconstruction - divergence - 9.0 - t * 1.2 : (double)NAN,
            .validation_reconstruction = seen ? reconstruction - 9.0 - t * 1.2 : (double)NAN, .validation_kl = seen ? divergence * 1.01 : (double)NAN,
            .kl_weight = weight, .learning_rate = 1e-3 * (e < 120 ? 1.0 : 0.1), .gradient_norm = 6.0 + 40.0 * exp(-e / 5.0) + fabs(jitter),
            .seconds = 0.31};
    }
    for (int d = 0; d < L; d++) {
        bool used = healthy && d % 4 != 3;
        kl[d] = used ? 1.9 * exp(-d / 14.0) + 0.1 * uniform() : 1e-3 * uniform();
        var_mu[d] = used ? 0.9 - 0.3 * uniform() : 1e-4 * (0.2 + uniform());
    }
}

static const iso_report_fact facts[] = {
    {"Cells", "3,000", NULL},
    {"Counts", "layers/counts", "X holds numbers that are not whole, so the counts of this layer were taken"},
    {"Likelihood", "negative binomial, one dispersion a gene", NULL},
    {"Held out", "300 cells (10 %)", "for the choice of the best epoch"},
    {"Seed", "0", "<b>the same seed gives the same bits</b>"},
};
static const char *const comparison[] = {
    "measure",            "Isolario", "PCA, log1p", "chance",
    "ARI against \"cluster\"", "0.71",     "0.58",       "0.00",
    "NMI",                "0.80",     "0.72",       "0.00",
    "kNN accuracy",       "0.91",     "0.87",       "0.14",
    "Silhouette",         "0.28",     "0.19",       "−0.02",
};

enum { STEPS = 41 };
static float at[STEPS], line[3 * STEPS];
static uint8_t shaded[STEPS];

/* Two lines, one with a band, over a ground that is grey in two places; and the genes' zeros against themselves. */
static void make_charts(void)
{
    for (int i = 0; i < STEPS; i++) {
        at[i] = (float)i / (STEPS - 1);
        line[i] = 2 + sinf(4 * at[i]);
        line[STEPS + i] = line[i] - at[i];
        line[2 * STEPS + i] = line[i] + at[i];
        shaded[i] = i < 4 || (i > 20 && i < 30);
    }
}
static const iso_report_series lines[] = {{hostile_name, false, line, line + STEPS, line + 2 * STEPS}, {"Gata2", false, line + STEPS, NULL, NULL}};
static const iso_report_series dots[] = {{"generated", true, xy, NULL, NULL}, {"training", true, xy + STEPS, NULL, NULL}};
static const iso_report_chart charts[] = {
    {"A way", "share of the way", "log1p of counts per 10,000", STEPS, at, NULL, shaded, "in a void", false, lines, 2},
    {"Mean, by gene", "held-out cells", "mean", STEPS, xy + 2 * STEPS, gene_names, NULL, NULL, true, dots, 2},
};

int main(int argc, char **argv)
{
    const char *kind = argc > 2 ? argv[2] : "cells";
    bool empty = !strcmp(kind, "empty"), autoencoder = !strcmp(kind, "autoencoder"), collapsed = !strcmp(kind, "collapsed");
    int n = argc > 3 ? atoi(argv[3]) : 3000;
    if (argc < 2 || n < 4 || n > MOST) return 1;
    make_cells(n);
    make_genes();
    make_training(!collapsed);
    make_charts();
    const iso_report_color colors[] = {
        {.name = "leiden", .group = "cluster", .codes = cluster, .categories = cluster_names, .n_categories = K},
        {.name = "paul15_clusters", .group = "label", .codes = label, .categories = (char **)(uintptr_t)hostile, .n_categories = K},
        {.name = "donor", .group = "batch", .codes = batch, .categories = batch_names, .n_categories = 3},
        {.name = "Gata1", .group = "gene", .values = gata1, .unit = "log1p CP10k"},
        {.name = "</title><svg onload=x>", .group = "gene", .values = gata1, .unit = NULL},
        {.name = "counts per cell", .group = "quality", .values = total, .unit = "counts"},
    };
    const iso_report_section sections[] = {
        {.title = "The run", .text = "What went in, and how it was treated.", .facts = facts, .n_facts = 5},
        {.title = "Against PCA", .text = "The same cells in as many dimensions, scored against the labels; higher is better.",
         .cells = comparison, .n_rows = 5, .n_columns = 4, .charts = charts, .n_charts = 2},
    };
    iso_report r = {
        .title = empty ? "" : "paul15 <cells> & \"more\".h5ad", .n_cells = n, .xy = xy, .colors = colors, .n_colors = 6,
        .epochs = epochs, .n_epochs = EPOCHS, .best_epoch = 145, .n_latent = L, .kl_per_dim = autoencoder ? NULL : kl, .var_mu = var_mu,
        .active_threshold = 0.01, .verdict = collapsed ? "collapsed" : "partly collapsed",
        .verdict_text = "15 of 20 latent dimensions carry information; the cells still fall into clear groups, and training and "
                        "validation agree.",
        .cure = "Fewer latent dimensions (--latent 15) lose nothing here.",
        .gene_mean = gene_mean, .gene_zeros = gene_zeros, .gene_names = gene_names, .n_genes = GENES, .cell_total = total,
        .sections = sections, .n_sections = 2, .command = "isolario fit data/paul15.h5ad --labels-key cluster -o demo",
        .version = "isolario 0.1.0",
    };
    if (autoencoder) r.verdict = "healthy", r.cure = NULL;
    if (empty)
        r = (iso_report){.title = r.title, .xy = xy, .colors = colors, .n_colors = 6, .verdict = "healthy", .version = r.version};
    iso_error err = {0};
    iso_status st = iso_report_write(NULL, argv[1], &r, &err);
    if (st != ISO_OK) fprintf(stderr, "%s: %s\n", err.where, err.msg);
    return (int)st;
}
