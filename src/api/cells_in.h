/* cells_in.h: cells for a command: read, checked, and for a trained model also bound to it. */
#ifndef ISO_CELLS_IN_H
#define ISO_CELLS_IN_H

#include "model.h"

/* Reads `path` as --layer says and checks it for the law, as --allow-noninteger and --drop-empty say. */
iso_status iso_read_cells(iso_env *env, const char *path, const iso_likelihood *law, const iso_options *o,
                          iso_dataset **out, iso_error *err);

/* The categories of --labels-key: codes [cells], names [n], the caller's; all NULL and 0 when it is not given. */
iso_status iso_read_labels(const iso_dataset *d, const iso_options *o, int32_t **codes, char ***names, int32_t *n,
                           iso_error *err);

/* The first two inputs, RUN and CELLS, ready to be scored. */
typedef struct iso_scored {
    iso_model *model;
    iso_dataset *data;
    iso_bound bound;
    iso_evaluator *evaluator;
} iso_scored;
iso_status iso_scored_open(iso_env *env, const iso_options *o, iso_scored *s, iso_error *err);
void iso_scored_close(iso_scored *s);

/* The model of the i-th input, a run folder or a model.safetensors. */
iso_status iso_input_model(iso_env *env, const iso_options *o, int i, iso_model **out, iso_error *err);

#endif
