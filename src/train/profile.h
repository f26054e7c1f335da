/* profile.h: a training step, taken apart. */
#ifndef ISO_PROFILE_H
#define ISO_PROFILE_H

#include "train.h"

typedef struct iso_profile_row { char name[48]; double forward_s, backward_s; } iso_profile_row;
typedef struct iso_profile { int n_rows; iso_profile_row *rows; double step_s; } iso_profile;

/* Mean seconds over `steps` steps of `batch` cells, after a few that do not count. Changes v's parameters. */
iso_status iso_profile_steps(iso_env *env, iso_vae *v, const iso_cells *c, int64_t n_cells, int64_t batch, int64_t steps,
                             iso_profile *out, iso_error *err);
void iso_profile_clear(iso_profile *p);

#endif
