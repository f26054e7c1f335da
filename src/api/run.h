/* run.h: all that `fit` knows when it is done, and the files that it writes of it. One file of the run is one
 * run_*.c. */
#ifndef ISO_API_RUN_H
#define ISO_API_RUN_H

#include "atlas.h"
#include "landscape.h"
#include "model.h"
#include "realism.h"
#include "sharpness.h"
#include "strangeness.h"
#include "ways.h"

typedef struct iso_run {
    const iso_dataset *data;
    const iso_options *options;           /* resolved: what was used */
    const char *folder, *command_line;
    iso_fitted fitted;
    float *mu, *variance;                 /* [cells, n_latent] of all cells */
    float *invariant;                     /* the same of images whichever way they are turned (iso_embed_invariant); NULL: of others */
    iso_atlas atlas;                      /* of `invariant`, or else of mu */
    /* --labels-key, if given, and how well the map and principal components agree with it. */
    int32_t *labels, n_labels;
    char **label_names;
    iso_label_scores scores, pca_scores;
    /* Each cell as a mixture of groups, labels or else clusters (see mixture.h); NULL without a map or counts. */
    int32_t *mixture_codes, n_mixture;
    iso_strangeness strangeness;          /* of images with a map */
    iso_sharpness sharpness;              /* of them too; n 0: not measured */
    double *mixture_second, *mixture_fit, *mixture_depth;
    iso_judge judge;                      /* what places are judged by: the groups' mixture and the rules are learned from these cells */
    iso_heads heads;
    int32_t n_groups;                     /* labels, or else clusters */
    int64_t *nearest;                     /* [n_groups] the cell nearest to each group's prototype; -1: no cells */
    iso_place *prototypes;                /* [n_groups] what the prototypes' places are */
    uint8_t *is_prototype;                /* [cells] */
    iso_landscape landscape;              /* n_continents 0: no map */
    struct iso_gallery *gallery;          /* of images; else NULL */
    int n_ways;
    iso_way *ways;                        /* [n_ways] between continents */
    iso_realism realism;                  /* n 0: not measured */
    double read_s, map_s, total_s;
} iso_run;

/* "FOLDER/NAME"; the caller frees. */
char *iso_run_path(const iso_run *r, const char *name);

/* run_ways.c: r->ways, of the continents that are known. */
iso_status iso_run_find_ways(iso_env *env, iso_run *r, const iso_run_cells *view, iso_error *err);
/* latent.h5ad: obs, leiden, the latent space, the map, neighbours; as scanpy expects them. */
iso_status iso_run_write_h5ad(iso_env *env, const iso_run *r, iso_error *err);
/* run.json: options, versions, input, timings and results. */
iso_status iso_run_write_json(iso_env *env, const iso_run *r, iso_error *err);
/* report.html. */
iso_status iso_run_write_report(iso_env *env, const iso_run *r, iso_error *err);

/* log.txt: comment lines that start with #, then tab-separated columns, one line an epoch, written as they come. */
typedef struct iso_run_log { FILE *file; } iso_run_log;
iso_status iso_run_log_open(const char *folder, const iso_dataset *d, const char *command_line, iso_run_log *log,
                            iso_error *err);
void iso_run_log_epoch(void *log, const iso_epoch *e);
/* The last line, then closes; ISO_EIO if anything could not be written. */
iso_status iso_run_log_close(iso_run_log *log, const char *last, iso_error *err);

#endif
