/* text_out.h: where a command puts text: standard output, or a file that appears when it is whole. */
#ifndef ISO_TEXT_OUT_H
#define ISO_TEXT_OUT_H

#include "io/tensors.h"

typedef struct iso_text_out { FILE *file; iso_out out; bool to_file; } iso_text_out;

/* --output: not set or "-" is standard output; a file that exists is refused without --force. */
iso_status iso_text_open(const iso_options *o, iso_text_out *t, iso_error *err);
iso_status iso_text_commit(iso_text_out *t, iso_error *err);
void iso_text_discard(iso_text_out *t);                        /* after commit: nothing */
/* A name as one field of a line: tabs and line ends become spaces. */
void iso_put_name(FILE *f, const char *name);

/* Path of an output that is a file, `preset` unless --output says; refused if it exists, without --force. Lent. */
iso_status iso_output_path(const iso_options *o, const char *preset, const char **path, iso_error *err);

#endif
