/* report.h: report.html, one self-contained file, from plain arrays. All pointers are lent. */
#ifndef ISO_REPORT_H
#define ISO_REPORT_H

#include "base/base.h"

/* Something to colour the map by: categories, or numbers. */
typedef struct iso_report_color {
    const char *name;             /* "leiden", "cluster", "Gata1" */
    const char *group;            /* "cluster" | "label" | "batch" | "gene" | "quality" */
    const int32_t *codes;         /* [n_cells], -1 missing; or NULL */
    char *const *categories;      /* [n_categories] */
    int32_t n_categories;
    const float *values;          /* [n_cells], NaN missing; or NULL */
    const char *unit;             /* of values: "log1p CP10k"; or NULL */
} iso_report_color;

typedef struct iso_report_epoch {
    int epoch;                    /* from 1 */
    double train_elbo, train_reconstruction, train_kl;     /* nats per cell; reconstruction = mean log p(x|z) */
    double validation_elbo, validation_reconstruction, validation_kl;   /* NaN: not evaluated */
    double kl_weight, learning_rate, gradient_norm, seconds;
} iso_report_epoch;

typedef struct iso_report_fact { const char *key, *value, *note; /* note may be NULL */ } iso_report_fact;
/* Values over a chart's `at`: a line, with a band from low to high if there are these, or dots. */
typedef struct iso_report_series { const char *name; bool dots; const float *values, *low, *high; /* [n] */ } iso_report_series;
typedef struct iso_report_chart {
    const char *title, *x, *y;    /* what the axes are */
    int64_t n;
    const float *at;              /* [n] ascending, but for dots */
    const char *const *names;     /* [n] of the dots; or NULL */
    const uint8_t *shaded;        /* [n] where the ground is grey, and what that means; or NULL */
    const char *shade;
    bool diagonal;                /* with the line y = x; both axes are the same */
    const iso_report_series *series; int n_series;         /* at most 4 */
} iso_report_chart;
/* A titled list of facts or, if n_columns > 0, a table: cells row-major, first row the headings. */
typedef struct iso_report_section {
    const char *title, *text;     /* text: a paragraph, may be NULL */
    const iso_report_fact *facts; int n_facts;
    const char *const *cells; int n_rows, n_columns;
    const iso_report_chart *charts; int n_charts;          /* below it */
} iso_report_section;

/* A PNG with a title and a paragraph; zoom: each of its pixels is best shown as so many. */
typedef struct iso_report_picture {
    const char *title, *text;
    const uint8_t *png;
    size_t bytes;
    int64_t width, height, zoom;
} iso_report_picture;

typedef struct iso_report {
    const char *title;            /* "paul15.h5ad" */
    int64_t n_cells;
    const float *xy;              /* [n_cells, 2] the map */
    const iso_report_color *colors; int n_colors;          /* the first is shown first */
    const iso_report_epoch *epochs; int n_epochs, best_epoch;
    int n_latent;
    const double *kl_per_dim;     /* [n_latent] nats; NULL for an autoencoder */
    const double *var_mu;         /* [n_latent] variance of the posterior means over cells */
    double active_threshold;      /* a dimension is active when var_mu is above this */
    const char *verdict;          /* "healthy", "partly collapsed", "collapsed", "prior hole", "overfit" */
    const char *verdict_text, *cure;                       /* sentences; cure may be NULL */
    const float *gene_mean, *gene_zeros; const char *const *gene_names; int64_t n_genes; /* data picture: mean count and zero fraction a gene */
    const float *cell_total;      /* [n_cells] counts a cell */
    const iso_report_picture *pictures; int n_pictures;
    const iso_report_section *sections; int n_sections;
    const char *command, *version;
} iso_report;

iso_status iso_report_write(iso_env *env, const char *path, const iso_report *r, iso_error *err);

#endif
