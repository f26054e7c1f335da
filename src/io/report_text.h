/* report_text.h: JSON and HTML written to a stream. Errors of the stream are found when the file is committed. */
#ifndef ISO_REPORT_TEXT_H
#define ISO_REPORT_TEXT_H

#include "base/base.h"

/* Functions on it begin with js_, for jansson has functions that begin with json_. */
typedef struct json { FILE *file; bool comma; } json;   /* comma: one goes before the next value */

void js_key(json *j, const char *key);                  /* before a value of an object */
void js_open(json *j, char bracket);                    /* '{' or '[' */
void js_close(json *j, char bracket);                   /* '}' or ']' */
void js_string(json *j, const char *s);                 /* NULL: null. Any bytes; see text_json */
void js_number(json *j, double x);                      /* not finite: null */
void js_integer(json *j, int64_t i);
void js_base64(json *j, const unsigned char *bytes, int64_t n);

void text_base64(FILE *f, const unsigned char *bytes, int64_t n);
/* The bytes in zlib's format, the caller's; NULL without memory. */
uint8_t *text_deflate(const void *bytes, int64_t n, int64_t *packed);
/* The contents of a string literal of JSON, and of an HTML element or attribute. Bytes that are not UTF-8 become
 * U+FFFD. JSON has < > & as \uXXXX too, so that no name can end the <script> around it. */
void text_json(FILE *f, const char *s);
void text_html(FILE *f, const char *s);

#endif
