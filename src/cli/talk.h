/* talk.h: what the program says on standard error: messages, progress, errors, the closing summary. */
#ifndef ISO_CLI_TALK_H
#define ISO_CLI_TALK_H

#include "isolario.h"

#include <stdio.h>

typedef struct talk {
    FILE *out;
    bool terminal;            /* progress is a bar that is redrawn; else a line now and then */
    bool color;
    bool quiet, verbose, json;
    bool bar_is_up;
    double last_progress_s;   /* monotonic clock */
} talk;

/* Looks at out and the environment (TERM, NO_COLOR); the flags are off. */
void talk_start(talk *t, FILE *out);
/* For iso_env_set_log; arg is the talk. */
iso_log_fn talk_log;
void talk_error(talk *t, const iso_error *err);
/* After success: version, command line, time since start_s (monotonic clock), CPU and memory. */
void talk_summary(talk *t, const char *command_line, double start_s);

double clock_s(void);         /* monotonic clock */
int terminal_width(FILE *out);  /* columns; 80 when unknown */

#endif
