/* options.c: values of the options in options.def, checked when they are set.
 *
 * A value is kept as the text it came as; NULL means that the user did not set it and the default holds. A list is one
 * text too: items joined by ',', with ',' and '\' inside an item written "\," and "\\". */
#include "base.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const iso_option_info rows[] = {
#define OPTION(name, letter, group, type, preset, min, max, choices, metavar, commands, help) \
    {#name, letter, group, ISO_##type, preset, min, max, choices, metavar, commands, help},
#include "options.def"
};
enum { N_OPTIONS = sizeof rows / sizeof rows[0], MAX_SPELLED = 64, MAX_CHOICES = 256 };

struct iso_options {
    char *value[N_OPTIONS];     /* NULL: not set by the user */
};

const iso_option_info *iso_option_row(int i) { return i >= 0 && i < N_OPTIONS ? &rows[i] : NULL; }

/* -------------------------------------------------------------------------------------- names */

static bool is_flag_form(const char *name) { return strncmp(name, "--", 2) == 0; }
static const char *bare(const char *name) { return is_flag_form(name) ? name + 2 : name; }

/* Row of a name in either form, -1 if there is none. */
static int find(const char *name)
{
    const char *word = bare(name);
    for (int i = 0; i < N_OPTIONS; i++) {
        const char *a = word, *b = rows[i].name;
        while (*a && *b && (*a == *b || (*a == '-' && *b == '_'))) a++, b++;
        if (!*a && !*b) return i;
    }
    return -1;
}

/* `name` in the form in which the caller wrote `asked`: "batch_key" or "--batch-key". */
static const char *spell(const char *asked, const char *name, char out[MAX_SPELLED])
{
    bool flag = is_flag_form(asked);
    snprintf(out, MAX_SPELLED, "%s%s", flag ? "--" : "", name);
    for (char *c = out; flag && *c; c++) *c = *c == '_' ? '-' : *c;
    return out;
}

static const char *next_name(const void *arg, int i)
{
    (void)arg;
    return i < N_OPTIONS ? rows[i].name : NULL;
}

static iso_status unknown_name(const char *name, iso_error *err)
{
    char out[MAX_SPELLED];
    const char *near = iso_nearest(bare(name), next_name, NULL);
    if (near)
        return iso_fail(err, ISO_EUSAGE, "unknown option \"%s\"; did you mean \"%s\"?", name, spell(name, near, out));
    return iso_fail(err, ISO_EUSAGE, "unknown option \"%s\"; \"isolario help COMMAND\" lists those there are", name);
}

/* ------------------------------------------------------------------------------------- values */

/* strtod with '.' as the decimal point, whatever the locale of the host program. */
static double parse_real(const char *text, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return strtod(text, end);
    double x = strtod_l(text, end, c);
    freelocale(c);
    return x;
}

typedef iso_status check_fn(const iso_option_info *row, const char *spelled, const char *value, iso_error *err);

static iso_status check_range(const iso_option_info *row, const char *spelled, const char *value, double x,
                              iso_error *err)
{
    if (x >= row->min && x <= row->max) return ISO_OK;
    return iso_fail(err, ISO_EUSAGE, "%s: %s is out of range; it goes from %.16g to %.16g", spelled, value, row->min,
                    row->max);
}

static iso_status check_int(const iso_option_info *row, const char *spelled, const char *value, iso_error *err)
{
    char *end;
    long long x = strtoll(value, &end, 10);     /* too large: the largest, which is out of every range */
    if (end == value || *end) return iso_fail(err, ISO_EUSAGE, "%s: \"%s\" is not a whole number", spelled, value);
    return check_range(row, spelled, value, (double)x, err);
}

static iso_status check_real(const iso_option_info *row, const char *spelled, const char *value, iso_error *err)
{
    char *end;
    double x = parse_real(value, &end);
    if (end == value || *end || !isfinite(x))
        return iso_fail(err, ISO_EUSAGE, "%s: \"%s\" is not a number", spelled, value);
    return check_range(row, spelled, value, x, err);
}

static iso_status check_flag(const iso_option_info *row, const char *spelled, const char *value, iso_error *err)
{
    (void)row;
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) return ISO_OK;
    return iso_fail(err, ISO_EUSAGE, "%s: \"%s\" is neither true nor false", spelled, value);
}

static iso_status check_text(const iso_option_info *row, const char *spelled, const char *value, iso_error *err)
{
    (void)row;
    return *value ? ISO_OK : iso_fail(err, ISO_EUSAGE, "%s: the value is empty", spelled);
}

/* arg: the choices, each ended by a zero, the last by two. */
static const char *next_choice(const void *arg, int i)
{
    const char *c = arg;
    while (i-- > 0 && *c) c += strlen(c) + 1;
    return *c ? c : NULL;
}

static iso_status check_choice(const iso_option_info *row, const char *spelled, const char *value, iso_error *err)
{
    char list[MAX_CHOICES] = {0};
    snprintf(list, sizeof list - 1, "%s", row->choices);
    for (char *c = list; *c; c++) *c = *c == '|' ? '\0' : *c;
    for (int i = 0; next_choice(list, i); i++)
        if (strcmp(next_choice(list, i), value) == 0) return ISO_OK;
    const char *near = iso_nearest(value, next_choice, list);
    if (near)
        return iso_fail(err, ISO_EUSAGE, "%s: \"%s\" is not one of %s; did you mean \"%s\"?", spelled, value,
                        row->choices, near);
    return iso_fail(err, ISO_EUSAGE, "%s: \"%s\" is not one of %s", spelled, value, row->choices);
}

/* ------------------------------------------------------------------------------------- lists */

/* End of the item that starts at s: its ',' or the text's end. */
static const char *item_end(const char *s)
{
    for (; *s && *s != ','; s++)
        if (*s == '\\' && (s[1] == ',' || s[1] == '\\')) s++;
    return s;
}

static iso_status check_list(const iso_option_info *row, const char *spelled, const char *value, iso_error *err)
{
    (void)row;
    for (const char *s = value;; s++) {
        const char *end = item_end(s);
        if (end == s) return iso_fail(err, ISO_EUSAGE, "%s: \"%s\" has an empty item", spelled, value);
        if (!*end) return ISO_OK;
        s = end;
    }
}

static check_fn *const checks[] = {
    [ISO_FLAG] = check_flag, [ISO_INT] = check_int,       [ISO_REAL] = check_real,
    [ISO_TEXT] = check_text, [ISO_CHOICE] = check_choice, [ISO_LIST] = check_list,
};

/* ------------------------------------------------------------------------------------- public */

const iso_option_info *iso_option_find(const char *name) { return iso_option_row(find(name)); }

iso_options *iso_options_new(void) { return iso_calloc(1, sizeof(iso_options)); }

void iso_options_free(iso_options *o)
{
    if (!o) return;
    for (int i = 0; i < N_OPTIONS; i++) iso_free(o->value[i]);
    iso_free(o);
}

iso_status iso_options_set(iso_options *o, const char *name, const char *value, iso_error *err)
{
    char spelled[MAX_SPELLED];
    int i = find(name);
    if (i < 0) return unknown_name(name, err);
    char *copy = NULL;
    if (value) {
        iso_status st = checks[rows[i].type](&rows[i], spell(name, rows[i].name, spelled), value, err);
        if (st != ISO_OK) return st;
        copy = iso_strdup(value);
        if (!copy) return iso_fail(err, ISO_EMEMORY, "out of memory for the option %s", rows[i].name);
    }
    iso_free(o->value[i]);
    o->value[i] = copy;
    return ISO_OK;
}

iso_status iso_options_append(iso_options *o, const char *name, const char *item, iso_error *err)
{
    char spelled[MAX_SPELLED];
    int i = find(name);
    if (i < 0) return unknown_name(name, err);
    spell(name, rows[i].name, spelled);
    if (rows[i].type != ISO_LIST) return iso_fail(err, ISO_EUSAGE, "%s takes one value, not a list", spelled);
    if (!*item) return iso_fail(err, ISO_EUSAGE, "%s: a value is empty", spelled);
    const char *old = o->value[i] ? o->value[i] : "";
    int64_t n = (int64_t)strlen(old);
    char *text = iso_calloc(n + 2 * (int64_t)strlen(item) + 2, 1);
    if (!text) return iso_fail(err, ISO_EMEMORY, "out of memory for the option %s", rows[i].name);
    memcpy(text, old, (size_t)n);
    if (n) text[n++] = ',';
    for (; *item; item++) {
        if (*item == ',' || *item == '\\') text[n++] = '\\';
        text[n++] = *item;
    }
    iso_free(o->value[i]);
    o->value[i] = text;
    return ISO_OK;
}

const char *iso_options_get(const iso_options *o, const char *name)
{
    int i = find(name);
    if (i < 0) return NULL;
    return o->value[i] ? o->value[i] : rows[i].preset;
}

bool iso_options_given(const iso_options *o, const char *name)
{
    int i = find(name);
    return i >= 0 && o->value[i];
}

/* -------------------------------------------------------------------------------- typed reads */

/* Text of an option of the given type; a wrong name or type is a bug of the caller. */
static const char *text_of(const iso_options *o, const char *name, iso_option_type type)
{
    int i = find(name);
    assert(i >= 0 && rows[i].type == type);
    (void)type;
    return o->value[i] ? o->value[i] : rows[i].preset;
}

int64_t iso_opt_int(const iso_options *o, const char *name) { return strtoll(text_of(o, name, ISO_INT), NULL, 10); }
double iso_opt_real(const iso_options *o, const char *name) { return parse_real(text_of(o, name, ISO_REAL), NULL); }
bool iso_opt_flag(const iso_options *o, const char *name) { return strcmp(text_of(o, name, ISO_FLAG), "true") == 0; }

const char *iso_opt_text(const iso_options *o, const char *name)
{
    int i = find(name);
    return text_of(o, name, i >= 0 && rows[i].type == ISO_CHOICE ? ISO_CHOICE : ISO_TEXT);
}

int iso_opt_list_n(const iso_options *o, const char *name)
{
    const char *s = text_of(o, name, ISO_LIST);
    if (!s) return 0;
    int n = 1;
    for (s = item_end(s); *s; s = item_end(s + 1)) n++;
    return n;
}

char *iso_opt_list_item(const iso_options *o, const char *name, int i)
{
    assert(i >= 0 && i < iso_opt_list_n(o, name));
    const char *s = text_of(o, name, ISO_LIST);
    while (i-- > 0) s = item_end(s) + 1;
    const char *end = item_end(s);
    char *item = iso_calloc(end - s + 1, 1);
    for (char *c = item; item && s < end; s++) {
        if (*s == '\\' && (s[1] == ',' || s[1] == '\\')) s++;
        *c++ = *s;
    }
    return item;
}
