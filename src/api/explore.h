/* explore.h: what a page of `isolario explore` is made of: map.json and arrays, as docs/EXPLORER.md describes them. */
#ifndef ISO_EXPLORE_H
#define ISO_EXPLORE_H

#include "io/report_text.h"
#include "map/lift.h"
#include "run_counts.h"
#include "run_place.h"

/* A named array, little-endian, row-major. */
typedef struct iso_explore_array {
    char name[32];
    const char *type;             /* "float32", "uint8", ... */
    int64_t rows, cols, bytes;    /* cols 0: one dimension */
    void *values;
} iso_explore_array;

typedef struct iso_explore {
    iso_env *env;
    const iso_options *options;
    iso_run_cells run;
    float *xy;                    /* [cells, 2] the picture */
    iso_groups groups;            /* of `key` */
    const char *key;
    json_t *record;               /* run.json, or NULL */
    iso_judge judge;
    iso_lift lift;
    iso_csr counts;               /* [cells, genes] of the run's cells in the model's genes; n_cols 0: none at hand */
    iso_csr by_gene;              /* the same, transposed */
    bool per_gene;                /* a folder: counts go into one file a gene, not into arrays */
    int n_arrays, room;
    iso_explore_array *arrays;
    char *map;                    /* the text of map.json */
    size_t map_bytes;
} iso_explore;

/* Gathers everything: x is closed by iso_explore_close, also after a failure. */
iso_status iso_explore_open(iso_env *env, const iso_options *o, bool per_gene, iso_explore *x, iso_error *err);
void iso_explore_close(iso_explore *x);
const char *iso_explore_title(const iso_explore *x);         /* the name of the data */

/* A new array, zeroed, to be filled: type of a value of `size` bytes; *out is lent. */
iso_status iso_explore_add(iso_explore *x, const char *name, const char *type, size_t size, int64_t rows, int64_t cols, void *out,
                           iso_error *err);
#define ISO_FLOAT32 "float32", 4
#define ISO_UINT8 "uint8", 1
#define ISO_UINT16 "uint16", 2
#define ISO_UINT32 "uint32", 4

/* The sections of map.json; each writes the members of its own and adds its arrays. */
typedef iso_status iso_explore_section(iso_explore *x, json *j, iso_error *err);
iso_explore_section iso_explore_cells, iso_explore_groups, iso_explore_raster, iso_explore_statistics, iso_explore_counts,
    iso_explore_images;

/* Counts of one gene as a file: uint32 n, uint32 cells [n], uint16 counts [n]. NULL: no memory; the caller frees it. */
uint8_t *iso_explore_gene_file(const iso_explore *x, int64_t gene, int64_t *bytes);

#endif
