/* help.c: help for a terminal, wrapped to its width. */
#include "help.h"
#include "talk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 2048, MIN_WIDTH = 40, MAX_WIDTH = 110, TEXT_COLUMN = 30 };

/* ------------------------------------------------------------------------------- of the tables */

bool command_takes(const iso_command_info *command, const iso_option_info *option)
{
    char words[256], name[64];
    if (strcmp(option->name, "inputs") == 0) return false;      /* the positional arguments */
    if (strcmp(option->commands, "*") == 0) return true;
    snprintf(words, sizeof words, " %s ", option->commands);
    snprintf(name, sizeof name, " %s ", command->name);
    return strstr(words, name) != NULL;
}

const char *option_flag(const iso_option_info *option, char out[128])
{
    bool on = option->type == ISO_FLAG && strcmp(option->preset, "true") == 0;
    int n = snprintf(out, 128, "--%s%s", on ? "[no-]" : "", option->name);
    for (int i = 0; i < n; i++) out[i] = out[i] == '_' ? '-' : out[i];
    if (option->metavar) snprintf(out + n, (size_t)(128 - n), " %s", option->metavar);
    return out;
}

/* "a|b|c" to "a, b or c". */
static int list_choices(const char *choices, char *out, size_t size)
{
    int n = 0;
    for (const char *c = choices; *c && n + 8 < (int)size; c++) {
        if (*c != '|') out[n++] = *c;
        else n += snprintf(out + n, size - (size_t)n, "%s", strchr(c + 1, '|') ? ", " : " or ");
    }
    out[n] = '\0';
    return n;
}

const char *option_values(const iso_option_info *option, char out[512])
{
    int n = 0;
    out[0] = '\0';
    if (option->choices) n = list_choices(option->choices, out, 512);
    if (option->type == ISO_INT || option->type == ISO_REAL)
        n = snprintf(out, 512, "%.16g to %.16g", option->min, option->max);
    if (option->type == ISO_LIST) n = snprintf(out, 512, "separated by commas, or given again");
    if (option->type == ISO_FLAG && strcmp(option->preset, "true") == 0) n = snprintf(out, 512, "default: on");
    if (option->type != ISO_FLAG && option->preset)
        snprintf(out + n, (size_t)(512 - n), "%sdefault: %s", n ? "; " : "", option->preset);
    return out;
}

bool next_line(const char **text, char *out, size_t size)
{
    if (!**text) return false;
    size_t n = strcspn(*text, "\n");
    snprintf(out, size, "%.*s", (int)n, *text);
    *text += n + ((*text)[n] == '\n');
    return true;
}

/* ---------------------------------------------------------------------------------- layout */

static int width_of(FILE *f)
{
    int w = terminal_width(f);
    return w < MIN_WIDTH ? MIN_WIDTH : w > MAX_WIDTH ? MAX_WIDTH : w;
}

/* Words of text from `column` on; further lines start at `indent`. Ends the line. */
static void wrap(FILE *f, const char *text, int column, int indent)
{
    int width = width_of(f);
    bool first = true;
    for (const char *w = text; *w; w += strspn(w, " ")) {
        int n = (int)strcspn(w, " ");
        if (!first && column + 1 + n > width) {
            fprintf(f, "\n%*s", indent, "");
            column = indent, first = true;
        }
        column += fprintf(f, "%s%.*s", first ? "" : " ", n, w);
        first = false;
        w += n;
    }
    putc('\n', f);
}

/* A term and its text in two columns. */
static void entry(FILE *f, const char *term, const char *text, int text_column)
{
    int limit = width_of(f) / 2;
    if (text_column > limit) text_column = limit;
    int n = fprintf(f, "  %s", term);
    if (n + 2 > text_column) fprintf(f, "\n%*s", text_column, "");
    else fprintf(f, "%*s", text_column - n, "");
    wrap(f, text, text_column, text_column);
}

static void details(FILE *f, const char *text)
{
    char line[MAX_LINE];
    bool in_list = false;
    while (next_line(&text, line, sizeof line)) {
        char *tab = strchr(line, '\t');
        if (!tab || !in_list) putc('\n', f);
        in_list = tab != NULL;
        if (tab) *tab = '\0';
        if (tab) entry(f, line, tab + 1, TEXT_COLUMN);
        else wrap(f, line, 0, 0);
    }
}

static void option_entry(FILE *f, const iso_option_info *o)
{
    char flag[128], term[160], values[512], text[MAX_LINE];
    const char letter[] = {'-', o->letter, ',', ' ', '\0'};
    snprintf(term, sizeof term, "%s%s", o->letter ? letter : "    ", option_flag(o, flag));
    option_values(o, values);
    snprintf(text, sizeof text, *values ? "%s [%s]" : "%s", o->help, values);
    entry(f, term, text, TEXT_COLUMN);
}

/* All options of a command; the general ones, which all commands take, last. */
static void options(FILE *f, const iso_command_info *c)
{
    for (int general = 0; general < 2; general++) {
        const char *group = "";
        const iso_option_info *o;
        for (int i = 0; (o = iso_option_row(i)); i++) {
            if (!command_takes(c, o) || (strcmp(o->group, "General") == 0) != general) continue;
            if (strcmp(group, o->group) != 0) fprintf(f, "\n%s:\n", o->group);
            group = o->group;
            option_entry(f, o);
        }
    }
    entry(f, "-h, --help", "print this help", TEXT_COLUMN);
}

/* ----------------------------------------------------------------------------------- public */

void help_command(FILE *f, const iso_command_info *c)
{
    const char *examples = c->examples;
    char line[MAX_LINE];
    snprintf(line, sizeof line, "isolario %s: %s", c->name, c->summary);
    wrap(f, line, 0, 4);
    fprintf(f, "\nUsage: isolario %s %s [options]\n", c->name, c->usage);
    details(f, c->details);
    fprintf(f, "\nExamples:\n");
    while (next_line(&examples, line, sizeof line)) fprintf(f, "  isolario %s\n", line);
    options(f, c);
}

void help_all(FILE *f)
{
    const char *group = "";
    const iso_command_info *c;
    fprintf(f, "isolario " ISO_VERSION ": variational autoencoders for single-cell counts and cell images\n\n"
               "Usage: isolario COMMAND [arguments] [options]\n");
    for (int i = 0; (c = iso_command_row(i)); i++) {
        if (strcmp(group, c->group) != 0) fprintf(f, "\n%s:\n", c->group);
        group = c->group;
        entry(f, c->name, c->summary, 15);
    }
    fprintf(f, "\nHelp:\n");
    entry(f, "help", "this list; \"help COMMAND\" or \"COMMAND --help\": all about one command", 15);
    entry(f, "--version", "version, compiler, libraries and instruction set; --version-only: the number alone", 15);
    fprintf(f, "\nTo begin: isolario fit cells.h5ad -o run\n");
}
