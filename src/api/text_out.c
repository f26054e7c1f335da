/* text_out.c: see text_out.h. */
#include "text_out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

iso_status iso_output_path(const iso_options *o, const char *preset, const char **path, iso_error *err)
{
    iso_status st = ISO_OK;
    *path = iso_opt_text(o, "output") ? iso_opt_text(o, "output") : preset;
    FAIL_IF(strcmp(*path, "-") == 0, ISO_EUSAGE,
            "this command writes no text, and cannot write to standard output; give --output a path");
    FAIL_IF(access(*path, F_OK) == 0 && !iso_opt_flag(o, "force"), ISO_EIO,
            "%s exists; choose another --output, or overwrite it with --force", *path);
done:
    return st;
}

iso_status iso_text_open(const iso_options *o, iso_text_out *t, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *path = iso_opt_text(o, "output");
    *t = (iso_text_out){.file = stdout};
    if (!path || strcmp(path, "-") == 0) return ISO_OK;
    TRY(iso_output_path(o, NULL, &path, err));
    TRY(iso_out_open(path, &t->out, err));
    t->file = t->out.file, t->to_file = true;
done:
    return st;
}

iso_status iso_text_commit(iso_text_out *t, iso_error *err)
{
    if (t->to_file) return iso_out_commit(&t->out, err);
    if (fflush(t->file) != 0 && errno != EPIPE)         /* a reader that left early is the program's business */
        return iso_fail(err, ISO_EIO, "cannot write to standard output: %s", strerror(errno));
    return ISO_OK;
}

void iso_text_discard(iso_text_out *t)
{
    if (t->to_file) iso_out_discard(&t->out);
}

void iso_put_name(FILE *f, const char *name)
{
    for (const char *c = name; *c; c++) putc(*c == '\t' || *c == '\n' || *c == '\r' ? ' ' : *c, f);
}
