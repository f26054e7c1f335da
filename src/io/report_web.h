/* report_web.h: the files of src/web/, which the build turns into arrays (cmake/embed.cmake): those of the report, and those of
 * the explorer (cmake/web.cmake). */
#ifndef ISO_REPORT_WEB_H
#define ISO_REPORT_WEB_H

#include <stddef.h>

typedef struct iso_web_file {
    const unsigned char *bytes;
    size_t size;
    unsigned char sha256[32];     /* of bytes: names the scripts that the page allows */
} iso_web_file;

extern const iso_web_file iso_web_report_html, iso_web_report_css;
extern const iso_web_file iso_web_report_js, iso_web_charts_js, iso_web_series_js, iso_web_coast_js, iso_web_map_js;
extern const iso_web_file iso_web_explorer_html, iso_web_explorer_css, iso_web_explorer_js;
extern const iso_web_file iso_web_explorer_wasm;      /* empty where the build had no compiler for it */

#endif
