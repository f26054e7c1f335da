/* error.c: filling an iso_error, and the nearest known name to a mistyped one. */
#include "base.h"

#include <string.h>

void iso_tame(char *message)
{
    for (char *c = message; *c; c++) {
        bool blank = *c == '\n' || *c == '\t' || *c == '\r';
        if (blank) *c = ' ';
        else if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    }
}

iso_status iso_fail_at(iso_error *err, iso_status status, const char *file, int line, const char *fmt, ...)
{
    if (!err) return status;
    const char *slash = strrchr(file, '/');
    err->status = status;
    snprintf(err->where, sizeof err->where, "%s:%d", slash ? slash + 1 : file, line);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    iso_tame(err->msg);
    return status;
}

/* Levenshtein distance of short words; '-' and '_' count as the same. Long words are cut to MAX letters. */
static int edit_distance(const char *a, const char *b)
{
    enum { MAX = 63 };
    int row[MAX + 1];
    int na = (int)strnlen(a, MAX), nb = (int)strnlen(b, MAX);
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            char x = a[i - 1] == '-' ? '_' : a[i - 1], y = b[j - 1] == '-' ? '_' : b[j - 1];
            int best = diagonal + (x != y);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

const char *iso_nearest(const char *word, const char *(*next)(const void *arg, int i), const void *arg)
{
    const char *best = NULL;
    int best_distance = (int)strlen(word) / 3 + 2;      /* farther than this is no help */
    for (int i = 0;; i++) {
        const char *name = next(arg, i);
        if (!name) return best;
        int d = edit_distance(word, name);
        if (d < best_distance) best_distance = d, best = name;
    }
}
