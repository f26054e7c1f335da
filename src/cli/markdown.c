/* markdown.c: docs/COMMANDS.md, from the same tables as the help. */
#include "help.h"

#include <ctype.h>
#include <string.h>

/* Text for a table's cell. */
static void cell(FILE *f, const char *text)
{
    for (; *text; text++) fprintf(f, *text == '|' ? "\\|" : "%c", *text);
}

static void details(FILE *f, const char *text)
{
    char line[2048];
    bool in_list = false;
    while (next_line(&text, line, sizeof line)) {
        char *tab = strchr(line, '\t');
        if (!tab || !in_list) putc('\n', f);
        in_list = tab != NULL;
        if (tab) fprintf(f, "- `%.*s`: %s\n", (int)(tab - line), line, tab + 1);
        else fprintf(f, "%s\n", line);
    }
}

static void command(FILE *f, const iso_command_info *c)
{
    const char *examples = c->examples, *separator = "";
    char line[2048];
    const iso_option_info *o;
    fprintf(f, "\n### %s\n\n%c%s.\n\n", c->name, toupper((unsigned char)c->summary[0]), c->summary + 1);
    fprintf(f, "    isolario %s %s [options]\n", c->name, c->usage);
    details(f, c->details);
    fprintf(f, "\nExamples:\n\n");
    while (next_line(&examples, line, sizeof line)) fprintf(f, "    isolario %s\n", line);
    fprintf(f, "\nOptions, beside those of every command: ");
    for (int i = 0; (o = iso_option_row(i)); i++) {
        if (!command_takes(c, o) || strcmp(o->commands, "*") == 0) continue;
        fprintf(f, "%s`%s`", separator, o->name);
        separator = ", ";
    }
    fprintf(f, *separator ? ".\n" : "none.\n");
}

static void option(FILE *f, const iso_option_info *o)
{
    char flag[128], values[512];
    fprintf(f, "| `");
    if (o->letter) fprintf(f, "-%c, ", o->letter);
    cell(f, option_flag(o, flag));
    fprintf(f, "` | ");
    cell(f, option_values(o, values));
    fprintf(f, " | %s | ", strcmp(o->commands, "*") == 0 ? "all" : o->commands);
    cell(f, o->help);
    fprintf(f, " |\n");
}

void help_markdown(FILE *f)
{
    const char *group = "";
    const iso_command_info *c;
    const iso_option_info *o;
    fprintf(f, "# Commands and options\n\n"
               "Made by `isolario help --markdown`; edit `src/api/commands.c` and `src/base/options.def` instead.\n\n"
               "All talk goes to standard error. Exit status: 0 success, 1 usage, 2 bad input, 3 a file could not be "
               "read or\nwritten, 4 numerical failure, 5 out of memory, 130 interrupted.\n\n"
               "Long options may be written with `-` or `_`, `--name value` or `--name=value`; a flag is turned off\n"
               "by `--no-name`; `--` ends options.\n\n"
               "## Commands\n");
    for (int i = 0; (c = iso_command_row(i)); i++) command(f, c);
    fprintf(f, "\n## Options\n");
    for (int i = 0; (o = iso_option_row(i)); i++) {
        if (strcmp(o->name, "inputs") == 0) continue;
        if (strcmp(group, o->group) != 0)
            fprintf(f, "\n### %s\n\n| option | values | commands | meaning |\n|---|---|---|---|\n", o->group);
        group = o->group;
        option(f, o);
    }
}
