/* run_report.h: for run_report*.c: the page while it is put together. */
#ifndef ISO_RUN_REPORT_H
#define ISO_RUN_REPORT_H

#include "io/report.h"
#include "gallery.h"
#include "run.h"

enum { MAX_COLORS = 64, MAX_FACTS = 16, MAX_SECTIONS = 12 };

typedef struct report_page {
    const iso_run *run;
    iso_report report;
    int64_t n, step;                      /* every step-th cell is shown, n in all */
    float *xy, *totals, *gene_mean, *gene_zeros;
    iso_report_color colors[MAX_COLORS];
    int n_colors;
    void **owned;                         /* texts and colours' arrays */
    int64_t n_owned, room;
    iso_report_picture pictures[ISO_MOST_PICTURES];
    iso_report_epoch *epochs;
    iso_report_fact facts[MAX_SECTIONS][MAX_FACTS];
    iso_report_section sections[MAX_SECTIONS];
} report_page;

/* The page frees the block when it is written. NULL, and the block is freed, without memory. */
void *report_own(report_page *p, void *block);
/* Text that the page frees; "" without memory. */
__attribute__((format(printf, 2, 3))) const char *report_say(report_page *p, const char *format, ...);
/* Adds one, while there is room. */
void report_fact(iso_report_section *s, const char *key, const char *value, const char *note);
/* "3, mostly GMP". */
const char *report_continent_name(report_page *p, int32_t k);
/* run_report_charts.c: the sections with charts, and those of an existing one. */
void report_section_ways(report_page *p, iso_report_section *s);
void report_section_anomalies(report_page *p, iso_report_section *s);
void report_chart_realism(report_page *p, iso_report_section *s);
/* All sections, into p->report. */
void report_add_sections(report_page *p);

#endif
