/* npy.c: NumPy's array files. Source: "A Simple File Format for NumPy Arrays" (NEP 1), versions 1 to 3. */
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_HEADER = 1 << 16, CHUNK = 1 << 16, MOST_TEXT = 1 << 14 };

bool npy_sniff(const unsigned char *start, size_t n) { return n >= 6 && !memcmp(start, "\x93NUMPY", 6); }

/* --------------------------------------------------------------------------------------- header */

/* What follows 'key': in a Python dict; NULL if it is not there. */
static const char *value_of(const char *header, const char *key)
{
    const char *s = strstr(header, key);
    if (!s) return NULL;
    s += strlen(key);
    s += strspn(s, " ");
    if (*s != ':') return NULL;
    return s + 1 + strspn(s + 1, " ");
}

/* '<f4' */
static bool parse_type(const char *s, npy_array *a)
{
    if (!s || (*s != '\'' && *s != '"')) return false;
    char order = s[1];
    if (!order) return false;
    const char *type = strchr("<>|=", order) ? s + 2 : s + 1, *end = type;
    if (!*type || !strchr("buifUS", a->kind = *type) || !isdigit((unsigned char)type[1])) return false;
    long n = strtol(type + 1, (char **)&end, 10);
    if (*end != *s || n < 1 || n > MOST_TEXT) return false;
    a->bytes = a->kind == 'U' ? 4 * (int)n : (int)n;
    a->swapped = order == '>';
    return a->kind == 'U' || a->kind == 'S' || sample_known((sample_type){a->kind, a->bytes});
}

/* (10, 64, 64) */
static bool parse_shape(const char *s, npy_array *a)
{
    if (!s || *s++ != '(') return false;
    a->count = 1;
    for (a->rank = 0;; a->rank++) {
        s += strspn(s, " ,");
        if (*s == ')') return true;
        char *end;
        errno = 0;
        long long n = strtoll(s, &end, 10);
        if (a->rank == NPY_RANK || end == s || errno || n < 0 || !iso_mul(a->count, n, &a->count)) return false;
        a->shape[a->rank] = n;
        s = end;
    }
}

static iso_status parse_header(const byte_source *s, const char *text, npy_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *descr = value_of(text, "'descr'"), *order = value_of(text, "'fortran_order'");
    FAIL_IF(!parse_type(descr, a), ISO_EDATA,
            "%s: %s holds elements of type %.20s, which is not read; save it as numbers, such as uint16 or float32",
            s->path, s->name, descr ? descr : "(none)");
    FAIL_IF(!order || strncmp(order, "False", 5), ISO_EDATA,
            "%s: %s is in Fortran's order; save numpy.ascontiguousarray of it", s->path, s->name);
    FAIL_IF(!parse_shape(value_of(text, "'shape'"), a), ISO_EDATA, "%s: %s has a shape that makes no sense", s->path,
            s->name);
done:
    return st;
}

iso_status npy_header(byte_source *s, npy_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char start[12] = {0};
    char *text = NULL;
    int64_t bytes;
    *a = (npy_array){0};
    TRY(source_read(s, start, 8, err));
    FAIL_IF(!npy_sniff(start, 8) || start[6] < 1 || start[6] > 3, ISO_EDATA,
            "%s: %s is no NumPy array of version 1 to 3", s->path, s->name);
    int width = start[6] == 1 ? 2 : 4;
    TRY(source_read(s, start + 8, width, err));
    int64_t length = start[8] | start[9] << 8 | (int64_t)start[10] << 16 | (int64_t)start[11] << 24;
    FAIL_IF(length > MOST_HEADER, ISO_EDATA, "%s: its header announces %lld bytes; it is damaged", s->path,
            (long long)length);
    ALLOC(text, length + 1, 1);
    TRY(source_read(s, text, length, err));
    TRY(parse_header(s, text, a, err));
    FAIL_IF(!iso_mul(a->count, a->bytes, &bytes) || bytes != s->left, ISO_EDATA,
            "%s: %s announces %lld elements of %d bytes, but %lld bytes follow; it is damaged or was cut short",
            s->path, s->name, (long long)a->count, a->bytes, (long long)s->left);
done:
    iso_free(text);
    return st;
}

/* --------------------------------------------------------------------------------------- values */

iso_status npy_floats(byte_source *s, const npy_array *a, float *to, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char *raw = NULL;
    sample_type type = {a->kind, a->bytes};
    FAIL_IF(!sample_known(type), ISO_EDATA, "%s: %s holds texts, not pixels", s->path, s->name);
    ALLOC(raw, CHUNK, (size_t)a->bytes);
    for (int64_t i = 0; i < a->count; i += CHUNK) {
        int64_t n = a->count - i < CHUNK ? a->count - i : CHUNK;
        TRY(source_read(s, raw, n * a->bytes, err));
        if (a->swapped) sample_swap(raw, n, a->bytes);
        FAIL_IF(!sample_floats(type, raw, 1, n, to + i), ISO_EDATA,
                "%s: holds whole numbers of 16,777,216 or more; scale them down", s->path);
    }
done:
    iso_free(raw);
    return st;
}

/* UTF-32 or bytes, ended by zeros, as UTF-8. to has room for 4 bytes a character and one more. */
static void decode_text(const npy_array *a, unsigned char *raw, char *to)
{
    int step = a->kind == 'U' ? 4 : 1;
    if (step == 4 && a->swapped) sample_swap(raw, a->bytes / 4, 4);
    for (int i = 0; i < a->bytes; i += step) {
        uint32_t c = raw[i];
        if (step == 4) memcpy(&c, raw + i, 4);
        if (c == 0) break;
        if (step == 4 && (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))) c = 0xFFFD;
        if (step == 1 || c < 0x80) *to++ = (char)c;
        else if (c < 0x800) *to++ = (char)(0xC0 | c >> 6), *to++ = (char)(0x80 | (c & 63));
        else if (c < 0x10000)
            *to++ = (char)(0xE0 | c >> 12), *to++ = (char)(0x80 | (c >> 6 & 63)), *to++ = (char)(0x80 | (c & 63));
        else
            *to++ = (char)(0xF0 | c >> 18), *to++ = (char)(0x80 | (c >> 12 & 63)), *to++ = (char)(0x80 | (c >> 6 & 63)),
            *to++ = (char)(0x80 | (c & 63));
    }
    *to = 0;
}

static iso_status read_texts(byte_source *s, const npy_array *a, iso_column *c, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char *raw = NULL;
    char *text = NULL;
    c->kind = ISO_COL_STRING;
    ALLOC(c->strings, a->count, sizeof *c->strings);
    ALLOC(raw, a->bytes, 1);
    ALLOC(text, a->bytes + 1, 1);
    for (int64_t i = 0; i < a->count; i++) {
        TRY(source_read(s, raw, a->bytes, err));
        decode_text(a, raw, text);
        FAIL_IF(!(c->strings[i] = iso_strdup(text)), ISO_EMEMORY, "out of memory");
    }
done:
    iso_free(raw);
    iso_free(text);
    return st;
}

iso_status npy_column(byte_source *s, const npy_array *a, const char *name, iso_column *c, iso_error *err)
{
    iso_status st = ISO_OK;
    float *values = NULL;
    *c = (iso_column){0};
    FAIL_IF(!(c->name = iso_strdup(name)), ISO_EMEMORY, "out of memory");
    if (a->kind == 'U' || a->kind == 'S') {
        TRY(read_texts(s, a, c, err));
    } else {
        c->kind = a->kind == 'f' ? ISO_COL_REAL : a->kind == 'b' ? ISO_COL_BOOL : ISO_COL_INT;
        ALLOC(values, a->count, sizeof *values);
        TRY(npy_floats(s, a, values, err));
        if (c->kind == ISO_COL_REAL) ALLOC(c->reals, a->count, sizeof *c->reals);
        if (c->kind == ISO_COL_BOOL) ALLOC(c->bools, a->count, sizeof *c->bools);
        if (c->kind == ISO_COL_INT) ALLOC(c->ints, a->count, sizeof *c->ints);
        for (int64_t i = 0; i < a->count; i++) {
            if (c->reals) c->reals[i] = (double)values[i];
            else if (c->bools) c->bools[i] = values[i] != 0;
            else c->ints[i] = (int64_t)values[i];
        }
    }
done:
    iso_free(values);
    if (st != ISO_OK) iso_column_clear(c, a->count);
    return st;
}

/* --------------------------------------------------------------------------------------- images */

iso_status npy_image_shape(const char *path, const npy_array *a, iso_images *im, bool *channels_last, iso_error *err)
{
    iso_status st = ISO_OK;
    const int64_t *s = a->shape;
    FAIL_IF(a->rank < 2 || a->rank > 4, ISO_EDATA,
            "%s: the array has %d axes; images have 2 to 4: height, width; n before them; channels second or last",
            path, a->rank);
    *channels_last = a->rank == 4 && s[3] <= 4 && s[1] > 4;
    im->n = a->rank > 2 ? s[0] : 1;
    im->channels = a->rank < 4 ? 1 : *channels_last ? s[3] : s[1];
    im->height = *channels_last ? s[1] : s[a->rank - 2];
    im->width = *channels_last ? s[2] : s[a->rank - 1];
done:
    return st;
}

/* One image [height, width, channels] -> [channels, height, width]; from and to do not overlap. */
static void channels_first(const float *from, int64_t channels, int64_t plane, float *to)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < plane; i++) to[c * plane + i] = from[i * channels + c];
}

iso_status npy_images(byte_source *s, const npy_array *a, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    bool last;
    float *one = NULL;
    TRY(npy_image_shape(s->path, a, im, &last, err));
    FAIL_IF(!sample_known((sample_type){a->kind, a->bytes}), ISO_EDATA, "%s: the array holds texts, not pixels",
            s->path);
    im->kind = sample_pixel_kind((sample_type){a->kind, a->bytes});
    TRY(images_alloc(im, s->path, s->left, a->bytes, err));
    int64_t plane = im->height * im->width, image = im->channels * plane;
    npy_array part = *a;
    part.count = image;
    if (last) ALLOC(one, image, sizeof *one);
    for (int64_t i = 0; i < im->n; i++) {
        TRY(npy_floats(s, &part, last ? one : im->pixels + i * image, err));
        if (last) channels_first(one, im->channels, plane, im->pixels + i * image);
    }
done:
    iso_free(one);
    return st;
}

iso_status npy_read(iso_env *env, const char *path, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    byte_source s = {0};
    npy_array a;
    struct stat info;
    (void)env;
    FILE *f = fopen(path, "rb");
    FAIL_IF(!f || fstat(fileno(f), &info) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    TRY(source_file(path, f, info.st_size, &s, err));
    TRY(npy_header(&s, &a, err));
    TRY(npy_images(&s, &a, im, err));
done:
    source_close(&s);
    if (f) fclose(f);
    return st;
}
