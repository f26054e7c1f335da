/* report_text.c: escaping, numbers and base64 for the report. JSON: RFC 8259; UTF-8: RFC 3629; base64: RFC 4648. */
#include "report_text.h"

#include <math.h>
#include <string.h>

/* Bytes of the UTF-8 character at s; 0 if there is none (a stray byte, too long a form, a surrogate, past U+10FFFF). */
static int utf8_length(const char *s)
{
    const unsigned char *b = (const unsigned char *)s;
    if (b[0] < 0x80) return 1;
    int n = b[0] >= 0xC2 && b[0] <= 0xDF ? 2 : (b[0] & 0xF0) == 0xE0 ? 3 : b[0] >= 0xF0 && b[0] <= 0xF4 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((b[i] & 0xC0) != 0x80) return 0;        /* the final 0 byte too */
    if (b[0] == 0xE0 && b[1] < 0xA0) return 0;
    if (b[0] == 0xED && b[1] > 0x9F) return 0;
    if (b[0] == 0xF0 && b[1] < 0x90) return 0;
    if (b[0] == 0xF4 && b[1] > 0x8F) return 0;
    return n;
}

typedef void ascii_fn(FILE *f, char c);

static void write_text(FILE *f, const char *s, ascii_fn *ascii)
{
    while (*s) {
        int n = utf8_length(s);
        if (n == 1) ascii(f, *s);
        else if (n == 0) fputs("\xEF\xBF\xBD", f);
        else fwrite(s, 1, (size_t)n, f);
        s += n ? n : 1;
    }
}

static void js_ascii(FILE *f, char c)
{
    if (c == '"' || c == '\\') fprintf(f, "\\%c", c);
    else if (c < 32 || c == 127 || strchr("<>&", c)) fprintf(f, "\\u%04x", (unsigned)c);
    else putc(c, f);
}

static void html_ascii(FILE *f, char c)
{
    if (strchr("<>&\"'", c)) fprintf(f, "&#%d;", c);
    else putc((c < 32 && c != '\n' && c != '\t') || c == 127 ? ' ' : c, f);
}

void text_json(FILE *f, const char *s) { write_text(f, s, js_ascii); }
void text_html(FILE *f, const char *s) { write_text(f, s, html_ascii); }

void text_base64(FILE *f, const unsigned char *b, int64_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int64_t i = 0; i < n; i += 3) {
        int left = n - i < 3 ? (int)(n - i) : 3;
        unsigned v = (unsigned)b[i] << 16 | (left > 1 ? (unsigned)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0u);
        char out[4] = {digits[v >> 18], digits[v >> 12 & 63], '=', '='};
        if (left > 1) out[2] = digits[v >> 6 & 63];
        if (left > 2) out[3] = digits[v & 63];
        fwrite(out, 1, 4, f);
    }
}

static void before_value(json *j)
{
    if (j->comma) putc(',', j->file);
    j->comma = true;
}

void js_key(json *j, const char *key)
{
    js_string(j, key);
    putc(':', j->file);
    j->comma = false;
}

void js_open(json *j, char bracket)
{
    before_value(j);
    putc(bracket, j->file);
    j->comma = false;
}

void js_close(json *j, char bracket)
{
    putc(bracket, j->file);
    j->comma = true;
}

void js_string(json *j, const char *s)
{
    before_value(j);
    if (!s) {
        fputs("null", j->file);
        return;
    }
    putc('"', j->file);
    text_json(j->file, s);
    putc('"', j->file);
}

void js_number(json *j, double x)
{
    char text[40];
    before_value(j);
    snprintf(text, sizeof text, "%.9g", x);
    char *comma = strchr(text, ',');                /* the decimal point of some locales */
    if (comma) *comma = '.';
    fputs(isfinite(x) ? text : "null", j->file);
}

void js_integer(json *j, int64_t i)
{
    before_value(j);
    fprintf(j->file, "%lld", (long long)i);
}

void js_base64(json *j, const unsigned char *bytes, int64_t n)
{
    before_value(j);
    putc('"', j->file);
    text_base64(j->file, bytes, n);
    putc('"', j->file);
}
