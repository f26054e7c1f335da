/* commands.h: the functions behind the commands, each in src/api/cmd_NAME.c, called through the table in commands.c.
 * Number of inputs and which options are given have been checked before. */
#ifndef ISO_COMMANDS_H
#define ISO_COMMANDS_H

#include "base/base.h"

/* command_line (may be NULL) goes into the outputs, for provenance. */
typedef iso_status iso_command_fn(iso_env *env, const iso_options *o, const char *command_line, iso_error *err);

iso_command_fn iso_cmd_fit, iso_cmd_compare, iso_cmd_embed, iso_cmd_score, iso_cmd_sample, iso_cmd_prototype,
    iso_cmd_path, iso_cmd_info, iso_cmd_bench, iso_cmd_anomaly, iso_cmd_voids, iso_cmd_map, iso_cmd_explore, iso_cmd_annotate,
    iso_cmd_reconstruct, iso_cmd_crops, iso_cmd_simulate;

#endif
