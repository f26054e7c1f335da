/* args.h: from the shell's words to options. */
#ifndef ISO_CLI_ARGS_H
#define ISO_CLI_ARGS_H

#include "isolario.h"

typedef struct arguments {
    const char *command;                        /* first positional argument, or NULL; lent from argv */
    bool help, version, version_only, markdown; /* --help, --version, --version-only; --markdown after "help" */
} arguments;

/* Options go into o, positional arguments after the command into its list "inputs". ISO_EUSAGE for what is unknown,
 * lacks its value or has a bad one. Reads the last words only after the first are good. */
iso_status arguments_read(int argc, char **argv, iso_options *o, arguments *a, iso_error *err);

/* Whether `flag` is among the words, for what must be known even if they cannot be read. */
bool arguments_have(int argc, char **argv, const char *flag);

#endif
