/* help.h: help, made from the tables of commands and options. */
#ifndef ISO_CLI_HELP_H
#define ISO_CLI_HELP_H

#include "isolario.h"

#include <stdio.h>

void help_all(FILE *f);                                       /* the commands by group */
void help_command(FILE *f, const iso_command_info *command);
void help_markdown(FILE *f);                                  /* docs/COMMANDS.md */

/* For both forms of help. */
bool command_takes(const iso_command_info *command, const iso_option_info *option);
/* "--batch-key COLUMN" or "--[no-]early-stopping" for a flag that is on. */
const char *option_flag(const iso_option_info *option, char out[128]);
/* "default: 0.1; 0 to 0.99", "zinb, nb or poisson; default: nb", "" if there is nothing to say. */
const char *option_values(const iso_option_info *option, char out[512]);
/* First line of *text, without its end, into out; false at the end of the text. */
bool next_line(const char **text, char *out, size_t size);

#endif
