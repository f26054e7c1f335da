/* talk.c: what the program says on standard error. */
#include "talk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24 };
#define REDRAW_S 0.1          /* on a terminal */
#define LINE_S 10.0           /* elsewhere: a job shorter than this prints no progress */

double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int terminal_width(FILE *out)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    if (columns && atoi(columns) > 0) return atoi(columns);
    if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

void talk_start(talk *t, FILE *out)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    *t = (talk){.out = out, .last_progress_s = clock_s()};
    t->terminal = isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
    t->color = t->terminal && !(no_color && *no_color);
}

/* ---------------------------------------------------------------------------------- progress */

static void clear_bar(talk *t)
{
    if (t->bar_is_up) fputs("\r\033[K", t->out);
    t->bar_is_up = false;
}

static const char *time_left(double s, char out[48])
{
    out[0] = '\0';
    if (!(s >= 0 && s < 1e9)) return out;
    long all = (long)(s + 0.5), h = all / 3600, m = all / 60 % 60;
    if (h) snprintf(out, 48, "  %ld:%02ld:%02ld left", h, m, all % 60);
    else snprintf(out, 48, "  %ld:%02ld left", m, all % 60);
    return out;
}

static void draw_bar(talk *t, const char *msg, double fraction, const char *left)
{
    char line[512], bar[BAR_CELLS + 1] = {0};
    int full = (int)(fraction * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < full ? '#' : '.';
    snprintf(line, sizeof line, "[%s] %3d%%%s  %s", bar, (int)(fraction * 100), left, msg);
    fprintf(t->out, "\r%.*s\033[K", terminal_width(t->out) - 1, line);
    t->bar_is_up = true;
}

static void progress(talk *t, const char *msg, double fraction, double eta_s)
{
    char left[48];
    double now = clock_s();
    if (!(fraction >= 0)) fraction = 0;
    if (fraction >= 1) {
        fraction = 1;
        clear_bar(t);           /* done: nothing to watch */
        if (t->terminal) return;
    }
    if (now - t->last_progress_s < (t->terminal ? REDRAW_S : LINE_S)) return;
    t->last_progress_s = now;
    time_left(eta_s, left);
    if (t->terminal) draw_bar(t, msg, fraction, left);
    else fprintf(t->out, "[isolario] %3d%%%s  %s\n", (int)(fraction * 100), left, msg);
}

void talk_log(void *arg, iso_log_level level, const char *msg, double fraction, double eta_s)
{
    talk *t = arg;
    if (t->quiet && level != ISO_LOG_WARN) return;
    if (level == ISO_LOG_PROGRESS) {
        progress(t, msg, fraction, eta_s);
    } else {
        const char *warning = t->color ? "\033[33mwarning:\033[0m " : "warning: ";
        clear_bar(t);
        fprintf(t->out, "[isolario] %s%s\n", level == ISO_LOG_WARN ? warning : "", msg);
    }
    fflush(t->out);
}

/* -------------------------------------------------------------------------------------- JSON */

/* Bytes of the UTF-8 character at s, 0 if it is none. */
static int utf8_length(const unsigned char *s)
{
    static const struct { unsigned char mask, lead; } forms[] = {{0x80, 0}, {0xE0, 0xC0}, {0xF0, 0xE0}, {0xF8, 0xF0}};
    for (int n = 0; n < 4; n++) {
        if ((s[0] & forms[n].mask) != forms[n].lead) continue;
        for (int i = 1; i <= n; i++)
            if ((s[i] & 0xC0) != 0x80) return 0;
        return n + 1;
    }
    return 0;
}

/* A string with its quotes; bytes that are no UTF-8 become U+FFFD. */
static void json_string(FILE *f, const char *text)
{
    putc('"', f);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = utf8_length(s);
        if (n == 0) fputs("\\ufffd", f), n = 1;
        else if (*s == '"' || *s == '\\') fprintf(f, "\\%c", *s);
        else if (*s < 0x20) fprintf(f, "\\u%04x", *s);
        else fwrite(s, 1, (size_t)n, f);
        s += n;
    }
    putc('"', f);
}

/* ------------------------------------------------------------------------------------ endings */

void talk_error(talk *t, const iso_error *err)
{
    clear_bar(t);
    if (t->json) {
        fprintf(t->out, "{\"status\": %d, \"error\": ", (int)err->status);
        json_string(t->out, err->msg);
        fputs(", \"where\": ", t->out);
        json_string(t->out, err->where);
        fputs("}\n", t->out);
    } else {
        fprintf(t->out, "isolario: %s %s", t->color ? "\033[31merror:\033[0m" : "error:", err->msg);
        if (t->verbose && *err->where) fprintf(t->out, " (%s)", err->where);
        putc('\n', t->out);
    }
    fflush(t->out);
}

void talk_summary(talk *t, const char *command_line, double start_s)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double real = clock_s() - start_s;
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
    cpu += 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    double peak_bytes = 1024.0 * (double)u.ru_maxrss;       /* Linux counts in kB */
    clear_bar(t);
    if (t->quiet) return;
    if (t->json) {
        fputs("{\"status\": 0, \"version\": \"" ISO_VERSION "\", \"command\": ", t->out);
        json_string(t->out, command_line);
        fprintf(t->out, ", \"real_s\": %.3f, \"cpu_s\": %.3f, \"peak_rss_bytes\": %.0f}\n", real, cpu, peak_bytes);
    } else {
        fprintf(t->out, "[isolario] Version: " ISO_VERSION "\n[isolario] CMD: %s\n", command_line);
        fprintf(t->out, "[isolario] Real time: %.3f s; CPU: %.3f s; Peak RSS: %.3f GB\n", real, cpu,
                peak_bytes / (1024.0 * 1024.0 * 1024.0));
    }
    fflush(t->out);
}
