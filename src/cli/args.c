/* args.c: the shell's words, read by the options table: --long value, --long=value, --flag, --no-flag, -x value,
 * -xvalue, -xy for flags; "--" ends options. A value may be a negative number or "-", but not another option. */
#include "args.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    int argc, next;             /* next: index of the word after the one being read */
    char **argv;
    iso_options *o;
    arguments *a;
    iso_error *err;
} reader;

static iso_status usage_error(iso_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static iso_status usage_error(iso_error *err, const char *fmt, ...)
{
    *err = (iso_error){.status = ISO_EUSAGE, .where = "args.c"};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return ISO_EUSAGE;
}

static const iso_option_info *find_letter(char letter)
{
    const iso_option_info *row;
    for (int i = 0; (row = iso_option_row(i)); i++)
        if (row->letter && row->letter == letter) return row;
    return NULL;
}

/* "-x" and "--long" are options; "-", "-1" and "-.5" are not. */
static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]) && word[1] != '.';
}

static iso_status take_value(reader *r, const char *flag, const char **value)
{
    if (r->next >= r->argc) return usage_error(r->err, "%s needs a value", flag);
    if (looks_like_option(r->argv[r->next]))
        return usage_error(r->err, "%s needs a value, but \"%s\" follows; write %s=VALUE if that is the value", flag,
                           r->argv[r->next], flag);
    *value = r->argv[r->next++];
    return ISO_OK;
}

/* A list that is given again grows; all else is replaced. */
static iso_status set(reader *r, const iso_option_info *row, const char *flag, const char *value)
{
    if (row->type != ISO_LIST || !iso_options_given(r->o, flag)) return iso_options_set(r->o, flag, value, r->err);
    const char *old = iso_options_get(r->o, flag);
    size_t n = strlen(old) + strlen(value) + 2;
    char *both = malloc(n);
    if (!both) {
        *r->err = (iso_error){.status = ISO_EMEMORY, .where = "args.c", .msg = "out of memory for the arguments"};
        return ISO_EMEMORY;
    }
    snprintf(both, n, "%s,%s", old, value);
    iso_status st = iso_options_set(r->o, flag, both, r->err);
    free(both);
    return st;
}

/* Options that are about the program itself and not in the table. */
static bool read_special(reader *r, const char *word)
{
    arguments *a = r->a;
    const struct { const char *word; bool *on, valid; } specials[] = {
        {"--help", &a->help, true},
        {"-h", &a->help, true},
        {"--version", &a->version, true},
        {"--version-only", &a->version_only, true},
        {"--markdown", &a->markdown, a->command && strcmp(a->command, "help") == 0},
    };
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        if (specials[i].valid && strcmp(word, specials[i].word) == 0) return *specials[i].on = true;
    return false;
}

static iso_status read_long(reader *r, const char *word)
{
    char flag[128];
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    snprintf(flag, sizeof flag, "%.*s", (int)n, word);
    const iso_option_info *row = iso_option_find(flag);
    if (row && equals) return set(r, row, flag, equals + 1);
    if (row && row->type == ISO_FLAG) return set(r, row, flag, "true");
    if (!row && !equals && n > 5 && (strncmp(word, "--no-", 5) == 0 || strncmp(word, "--no_", 5) == 0)) {
        row = iso_option_find(word + 5);
        if (row && row->type == ISO_FLAG) return iso_options_set(r->o, row->name, "false", r->err);
        if (row) return usage_error(r->err, "unknown option \"%s\": --%s takes a value", flag, word + 5);
    }
    if (!row) return iso_options_set(r->o, flag, "", r->err);       /* says which name is near */
    const char *value = NULL;
    iso_status st = take_value(r, flag, &value);
    return st == ISO_OK ? set(r, row, flag, value) : st;
}

static iso_status read_letters(reader *r, const char *word)
{
    for (const char *c = word + 1; *c; c++) {
        const iso_option_info *row = find_letter(*c);
        if (!row)
            return usage_error(r->err, "unknown option \"-%c\"; \"isolario help COMMAND\" lists those there are", *c);
        char flag[128];
        snprintf(flag, sizeof flag, "--%s", row->name);
        iso_status st;
        if (row->type == ISO_FLAG) {
            if ((st = set(r, row, flag, "true")) != ISO_OK) return st;
            continue;
        }
        const char letter[] = {'-', *c, '\0'}, *value = c + 1;
        st = *value ? ISO_OK : take_value(r, letter, &value);
        return st == ISO_OK ? set(r, row, flag, value) : st;
    }
    return ISO_OK;
}

static iso_status read_positional(reader *r, const char *word)
{
    if (r->a->command) return iso_options_append(r->o, "inputs", word, r->err);
    r->a->command = word;
    return ISO_OK;
}

iso_status arguments_read(int argc, char **argv, iso_options *o, arguments *a, iso_error *err)
{
    reader r = {.argc = argc, .next = 1, .argv = argv, .o = o, .a = a, .err = err};
    bool options_ended = false;
    *a = (arguments){0};
    while (r.next < argc) {
        const char *word = argv[r.next++];
        iso_status st = ISO_OK;
        if (options_ended || !looks_like_option(word)) st = read_positional(&r, word);
        else if (strcmp(word, "--") == 0) options_ended = true;
        else if (read_special(&r, word)) continue;
        else st = word[1] == '-' ? read_long(&r, word) : read_letters(&r, word);
        if (st != ISO_OK) return st;
    }
    return ISO_OK;
}

bool arguments_have(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0) return true;
    return false;
}
