/* csv.c: comma-separated text; see csv.h. Source: RFC 4180. */
#include "csv.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_COLUMNS = 10000 };
static const int64_t MOST_BYTES = (int64_t)1 << 32;

/* ------------------------------------------------------------------------------------ reading */

/* A file's text, taken apart in place: fields end in a zero byte. */
typedef struct csv_text {
    const char *path;
    char *at, *end;
    char separator;
    int64_t line;
} csv_text;

/* The next field; *last: it ends its line. False: a quote is not closed. */
static bool next_field(csv_text *t, char **field, bool *last)
{
    char *to = t->at, *from = t->at;
    bool quoted = from < t->end && *from == '"';
    from += quoted;
    *field = to;
    for (; from < t->end && (quoted || (*from != t->separator && *from != '\n')); from++) {
        t->line += *from == '\n';
        if (*from != '"' || !quoted) *to++ = *from;
        else if (from + 1 < t->end && from[1] == '"') *to++ = *from++;
        else quoted = false;
    }
    if (quoted) return false;
    *last = from >= t->end || *from == '\n';
    t->line += *last;
    if (*last && to > *field && to[-1] == '\r') to--;
    *to = 0; /* at `from` or before it, which has been read */
    t->at = from < t->end ? from + 1 : from;
    return true;
}

static iso_status load(const char *path, char **text, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    FILE *f = fopen(path, "rb");
    FAIL_IF(!f || fstat(fileno(f), &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    FAIL_IF(!S_ISREG(s.st_mode) || s.st_size > MOST_BYTES, ISO_EIO, "%s: no regular file, or one beyond 4 GiB", path);
    *n = s.st_size;
    ALLOC(*text, *n + 1, 1);
    FAIL_IF(fread(*text, 1, (size_t)*n, f) != (size_t)*n, ISO_EIO, "%s: cannot be read", path);
    FAIL_IF(memchr(*text, 0, (size_t)*n), ISO_EDATA, "%s: holds zero bytes, which text does not; give a CSV file",
            path);
done:
    if (f) fclose(f);
    return st;
}

/* Names of the columns, which then have room for as many rows as there are line ends. */
static iso_status read_heading(csv_text *t, iso_frame *f, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t most_rows = 1, n_columns = 1;
    char *end = memchr(t->at, '\n', (size_t)(t->end - t->at)), *field;
    bool last = false;
    size_t n = end ? (size_t)(end - t->at) : (size_t)(t->end - t->at);
    t->separator = memchr(t->at, '\t', n) && !memchr(t->at, ',', n) ? '\t' : ',';
    for (const char *c = t->at; c < t->end; c++) most_rows += *c == '\n';
    for (const char *c = t->at; c < t->at + n; c++) n_columns += *c == t->separator;
    FAIL_IF(n_columns > MOST_COLUMNS, ISO_EDATA, "%s: more than %d columns", t->path, MOST_COLUMNS);
    FAIL_IF(most_rows * n_columns > 2 * (t->end - t->at) + 2, ISO_EDATA,
            "%s: its lines have fewer fields than its heading", t->path);
    ALLOC(f->columns, n_columns, sizeof *f->columns);
    f->n_rows = most_rows;
    while (!last) {
        FAIL_IF(!next_field(t, &field, &last) || f->n_columns == n_columns, ISO_EDATA,
                "%s: its heading has a quote that is not closed", t->path);
        iso_column *c = &f->columns[f->n_columns++];
        c->kind = ISO_COL_STRING;
        FAIL_IF(!(c->name = iso_strdup(field)), ISO_EMEMORY, "out of memory");
        ALLOC(c->strings, most_rows, sizeof *c->strings);
    }
done:
    return st;
}

static iso_status read_rows(csv_text *t, iso_frame *f, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t row = 0;
    while (t->at < t->end) {
        if (*t->at == '\n' || (*t->at == '\r' && t->at + 1 < t->end && t->at[1] == '\n')) { /* an empty line */
            t->at += *t->at == '\r' ? 2 : 1, t->line++;
            continue;
        }
        int64_t line = t->line;
        bool last = false;
        int k = 0;
        for (char *field; !last; k++) {
            FAIL_IF(!next_field(t, &field, &last), ISO_EDATA, "%s: line %lld: a quote is not closed", t->path,
                    (long long)line);
            FAIL_IF(k == f->n_columns, ISO_EDATA, "%s: line %lld: more fields than the %d of the heading", t->path,
                    (long long)line, f->n_columns);
            if (!*field) continue;
            FAIL_IF(!(f->columns[k].strings[row] = iso_strdup(field)), ISO_EMEMORY, "out of memory");
        }
        FAIL_IF(k != f->n_columns, ISO_EDATA, "%s: line %lld: %d fields, but the heading has %d", t->path,
                (long long)line, k, f->n_columns);
        row++;
    }
    f->n_rows = row;
done:
    return st;
}

/* A number that takes all of the text. */
static bool parse_number(const char *s, locale_t c, double *x)
{
    char *end;
    *x = strtod_l(s, &end, c);
    return end != s && *end == 0 && !strpbrk(s, "xXpP");
}

/* A whole number of at most 15 digits, which a double holds exactly; "007" is a name. */
static bool is_whole(const char *s)
{
    const char *digits = s + (*s == '-');
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n < 16 && digits[n] == 0 && (digits[0] != '0' || n == 1);
}

/* Texts become numbers where all are. */
static iso_status settle_kind(iso_column *c, int64_t n, locale_t locale, iso_error *err)
{
    iso_status st = ISO_OK;
    bool whole = n > 0, number = n > 0;
    double x;
    for (int64_t i = 0; i < n && number; i++) {
        whole = whole && c->strings[i] && is_whole(c->strings[i]);
        number = !c->strings[i] || (parse_number(c->strings[i], locale, &x) &&
                                    (is_whole(c->strings[i]) || strpbrk(c->strings[i], ".eEnN")));
    }
    if (!number) return ISO_OK;
    if (whole) ALLOC(c->ints, n, sizeof *c->ints);
    else ALLOC(c->reals, n, sizeof *c->reals);
    for (int64_t i = 0; i < n; i++) {
        if (whole) c->ints[i] = strtoll(c->strings[i], NULL, 10);
        else if (!c->strings[i] || !parse_number(c->strings[i], locale, &c->reals[i])) c->reals[i] = (double)NAN;
    }
    c->kind = whole ? ISO_COL_INT : ISO_COL_REAL;
    iso_free_texts(c->strings, n);
    c->strings = NULL;
done:
    return st;
}

iso_status iso_csv_read_texts(const char *path, iso_frame *f, iso_error *err)
{
    iso_status st = ISO_OK;
    char *text = NULL;
    int64_t n = 0;
    *f = (iso_frame){0};
    TRY(load(path, &text, &n, err));
    csv_text t = {.path = path, .at = text, .end = text + n, .line = 1};
    if (n >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) t.at += 3; /* Excel's mark of UTF-8 */
    FAIL_IF(t.at == t.end, ISO_EDATA, "%s: the file is empty", path);
    TRY(read_heading(&t, f, err));
    TRY(read_rows(&t, f, err));
done:
    iso_free(text);
    if (st != ISO_OK) iso_frame_clear(f);
    return st;
}

iso_status iso_csv_read(const char *path, iso_frame *f, iso_error *err)
{
    iso_status st = ISO_OK;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    TRY(iso_csv_read_texts(path, f, err));
    FAIL_IF(!c, ISO_EMEMORY, "out of memory");
    for (int k = 0; k < f->n_columns; k++) TRY(settle_kind(&f->columns[k], f->n_rows, c, err));
done:
    if (c) freelocale(c);
    if (st != ISO_OK) iso_frame_clear(f);
    return st;
}

/* ------------------------------------------------------------------------------------ writing */

static void write_text(FILE *out, const char *s)
{
    if (!strpbrk(s, ",\"\r\n\t")) {
        fputs(s, out);
        return;
    }
    putc('"', out);
    for (; *s; s++) {
        if (*s == '"') putc('"', out);
        putc(*s, out);
    }
    putc('"', out);
}

static void write_value(FILE *out, const iso_column *c, int64_t i)
{
    if (c->mask && c->mask[i]) return;
    if (c->strings && c->strings[i]) write_text(out, c->strings[i]);
    if (c->codes && c->codes[i] >= 0) write_text(out, c->categories[c->codes[i]]);
    if (c->ints) fprintf(out, "%" PRId64, c->ints[i]);
    if (c->bools) fputs(c->bools[i] ? "True" : "False", out);
    if (c->reals && !isnan(c->reals[i])) fprintf(out, "%.9g", c->reals[i]);
}

void iso_csv_write(FILE *out, const iso_frame *f)
{
    write_text(out, f->index_name);
    for (int k = 0; k < f->n_columns; k++) {
        putc(',', out);
        write_text(out, f->columns[k].name);
    }
    putc('\n', out);
    for (int64_t i = 0; i < f->n_rows; i++) {
        write_text(out, f->index[i]);
        for (int k = 0; k < f->n_columns; k++) {
            putc(',', out);
            write_value(out, &f->columns[k], i);
        }
        putc('\n', out);
    }
}
