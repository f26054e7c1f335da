/* npz_write.c: a zip archive of NumPy arrays, with 64-bit sizes throughout so that no array is too large.
 * Sources: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3; NumPy's NEP 1. */
#include "npz_write.h"

#include <string.h>
#include <zlib.h>

enum {
    HEADER = 256,
    VERSION = 45,
    UTF8_NAMES = 1 << 11,
    DATE = 0x21 /* 1 January 1980: the same input, the same bytes */
};

typedef struct written_entry {
    char *name;
    int64_t offset, size;
    uint32_t crc;
} written_entry;
struct iso_npz {
    iso_out out;
    int64_t n, at; /* entries; bytes written */
    written_entry *entries;
};

/* ----------------------------------------------------------------------------------------- zip */

static void put(iso_npz *z, const void *bytes, int64_t n)
{
    fwrite(bytes, 1, (size_t)n, z->out.file); /* a failure is found when the file is committed */
    z->at += n;
}

static void put_number(iso_npz *z, uint64_t value, int bytes)
{
    unsigned char b[8];
    for (int i = 0; i < bytes; i++) b[i] = (unsigned char)(value >> 8 * i);
    put(z, b, bytes);
}

/* The numbers that a local and a central header have in common, from the version needed to the length of the name. */
static void put_common(iso_npz *z, const written_entry *e)
{
    put_number(z, VERSION, 2);
    put_number(z, UTF8_NAMES, 2);
    put_number(z, 0, 2); /* stored */
    put_number(z, 0, 2); /* time */
    put_number(z, DATE, 2);
    put_number(z, e->crc, 4);
    put_number(z, UINT32_MAX, 4); /* sizes: in the extra field */
    put_number(z, UINT32_MAX, 4);
    put_number(z, strlen(e->name), 2);
}

static void put_local(iso_npz *z, const written_entry *e)
{
    put(z, "PK\3\4", 4);
    put_common(z, e);
    put_number(z, 20, 2);
    put(z, e->name, (int64_t)strlen(e->name));
    put_number(z, 1, 2);
    put_number(z, 16, 2);
    put_number(z, (uint64_t)e->size, 8);
    put_number(z, (uint64_t)e->size, 8);
}

static void put_central(iso_npz *z, const written_entry *e)
{
    put(z, "PK\1\2", 4);
    put_number(z, VERSION, 2);
    put_common(z, e);
    put_number(z, 28, 2);
    put_number(z, 0, 2); /* comment */
    put_number(z, 0, 2); /* disk */
    put_number(z, 0, 2); /* attributes */
    put_number(z, 0, 4);
    put_number(z, UINT32_MAX, 4); /* offset: in the extra field */
    put(z, e->name, (int64_t)strlen(e->name));
    put_number(z, 1, 2);
    put_number(z, 24, 2);
    put_number(z, (uint64_t)e->size, 8);
    put_number(z, (uint64_t)e->size, 8);
    put_number(z, (uint64_t)e->offset, 8);
}

static void put_end(iso_npz *z, int64_t start)
{
    int64_t bytes = z->at - start, end = z->at;
    put(z, "PK\6\6", 4);
    put_number(z, 44, 8);
    put_number(z, VERSION, 2);
    put_number(z, VERSION, 2);
    put_number(z, 0, 8); /* disks */
    put_number(z, (uint64_t)z->n, 8);
    put_number(z, (uint64_t)z->n, 8);
    put_number(z, (uint64_t)bytes, 8);
    put_number(z, (uint64_t)start, 8);
    put(z, "PK\6\7", 4);
    put_number(z, 0, 4);
    put_number(z, (uint64_t)end, 8);
    put_number(z, 1, 4);
    put(z, "PK\5\6", 4);
    put_number(z, 0, 4); /* disks */
    put_number(z, UINT16_MAX, 2);
    put_number(z, UINT16_MAX, 2);
    put_number(z, UINT32_MAX, 4);
    put_number(z, UINT32_MAX, 4);
    put_number(z, 0, 2);
}

/* -------------------------------------------------------------------------------------- arrays */

static uint32_t crc_of(uint32_t crc, const void *bytes, int64_t n)
{
    const unsigned char *b = bytes;
    for (int64_t i = 0; i < n; i += 1 << 30)
        crc = (uint32_t)crc32(crc, b + i, (uInt)(n - i < 1 << 30 ? n - i : 1 << 30));
    return crc;
}

/* A header of version 1, filled with spaces to a multiple of 64 bytes; its length. */
static int64_t array_header(const char *type, int rank, const int64_t *shape, char header[HEADER])
{
    char text[HEADER - 11];
    int n = snprintf(text, sizeof text, "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                     type[1] == '1' && type[2] == 0 ? "|" : "<", type);
    for (int i = 0; i < rank; i++) n += snprintf(text + n, sizeof text - (size_t)n, "%lld,", (long long)shape[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "), }");
    int64_t length = (10 + n + 1 + 63) / 64 * 64;
    memset(header, ' ', (size_t)length);
    memcpy(header, "\x93NUMPY\1", 8);
    header[8] = (char)((length - 10) & 255), header[9] = (char)((length - 10) >> 8);
    memcpy(header + 10, text, (size_t)n);
    header[length - 1] = '\n';
    return length;
}

static iso_status put_array(iso_npz *z, const char *name, const char *type, int rank, const int64_t *shape,
                            const void *values, int64_t bytes, iso_error *err)
{
    iso_status st = ISO_OK;
    char header[HEADER];
    int64_t length = array_header(type, rank, shape, header);
    written_entry *more = iso_realloc(z->entries, z->n, z->n + 1, sizeof *more);
    FAIL_IF(!more, ISO_EMEMORY, "out of memory");
    z->entries = more;
    written_entry *e = &z->entries[z->n];
    *e = (written_entry){
        .offset = z->at, .size = length + bytes, .crc = crc_of(crc_of(0, header, length), values, bytes)};
    FAIL_IF(!(e->name = iso_sprintf("%s.npy", name)), ISO_EMEMORY, "out of memory");
    z->n++;
    put_local(z, e);
    put(z, header, length);
    put(z, values, bytes);
done:
    return st;
}

iso_status iso_npz_array(iso_npz *z, const char *name, const char *type, int rank, const int64_t *shape,
                         const void *values, iso_error *err)
{
    int64_t bytes = type[1] - '0';
    for (int i = 0; i < rank; i++) bytes *= shape[i];
    return put_array(z, name, type, rank, shape, values, bytes, err);
}

/* Characters of UTF-8 text as UTF-32; to may be NULL. Bytes that are not UTF-8 stand for themselves. */
static int64_t utf32(const char *s, uint32_t *to)
{
    int64_t n = 0;
    for (const unsigned char *b = (const unsigned char *)s; *b; n++) {
        int more = *b >= 0xF0 ? 3 : *b >= 0xE0 ? 2 : *b >= 0xC2 ? 1 : 0, i = 1;
        uint32_t c = more ? *b & (0x3Fu >> more) : *b;
        while (i <= more && (b[i] & 0xC0) == 0x80) c = c << 6 | (b[i++] & 0x3F);
        if (i <= more) c = *b, i = 1;
        if (to) to[n] = c;
        b += i;
    }
    return n;
}

iso_status iso_npz_texts(iso_npz *z, const char *name, int64_t n, char *const *texts, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t longest = 1, values;
    uint32_t *wide = NULL;
    char type[32];
    for (int64_t i = 0; i < n; i++) {
        int64_t length = texts[i] ? utf32(texts[i], NULL) : 0;
        if (length > longest) longest = length;
    }
    FAIL_IF(!iso_mul(n, longest, &values), ISO_EMEMORY, "out of memory for the texts of %s", name);
    ALLOC(wide, values, sizeof *wide);
    for (int64_t i = 0; i < n; i++)
        if (texts[i]) utf32(texts[i], wide + i * longest);
    snprintf(type, sizeof type, "U%lld", (long long)longest);
    TRY(put_array(z, name, type, 1, &n, wide, values * 4, err));
done:
    iso_free(wide);
    return st;
}

iso_status iso_npz_column(iso_npz *z, const iso_column *c, int64_t n, iso_error *err)
{
    if (c->kind == ISO_COL_INT) return iso_npz_array(z, c->name, "i8", 1, &n, c->ints, err);
    if (c->kind == ISO_COL_REAL) return iso_npz_array(z, c->name, "f8", 1, &n, c->reals, err);
    if (c->kind == ISO_COL_BOOL) return iso_npz_array(z, c->name, "b1", 1, &n, c->bools, err);
    if (c->kind == ISO_COL_STRING) return iso_npz_texts(z, c->name, n, c->strings, err);
    return iso_fail(err, ISO_EDATA, "column \"%s\" is of categories, which an npz does not hold", c->name);
}

iso_status iso_npz_pixels(iso_npz *z, const char *name, iso_pixel_kind kind, int rank, const int64_t *shape,
                          const float *pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    uint8_t *u8 = NULL;
    uint16_t *u16 = NULL;
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= shape[i];
    if (kind == ISO_PIXEL_FLOAT) return iso_npz_array(z, name, "f4", rank, shape, pixels, err);
    if (kind == ISO_PIXEL_U8) ALLOC(u8, n, sizeof *u8);
    else ALLOC(u16, n, sizeof *u16);
    for (int64_t i = 0; i < n; i++) {
        if (u8) u8[i] = (uint8_t)pixels[i];
        else u16[i] = (uint16_t)pixels[i];
    }
    TRY(iso_npz_array(z, name, u8 ? "u1" : "u2", rank, shape, u8 ? (void *)u8 : u16, err));
done:
    iso_free(u8);
    iso_free(u16);
    return st;
}

/* ----------------------------------------------------------------------------------------- all */

iso_status iso_npz_create(const char *path, iso_npz **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_npz *z = NULL;
    *out = NULL;
    ALLOC(z, 1, sizeof *z);
    TRY(iso_out_open(path, &z->out, err));
    *out = z, z = NULL;
done:
    iso_npz_free(z);
    return st;
}

iso_status iso_npz_commit(iso_npz *z, iso_error *err)
{
    int64_t start = z->at;
    for (int64_t i = 0; i < z->n; i++) put_central(z, &z->entries[i]);
    put_end(z, start);
    return iso_out_commit(&z->out, err);
}

void iso_npz_free(iso_npz *z)
{
    if (!z) return;
    for (int64_t i = 0; i < z->n; i++) iso_free(z->entries[i].name);
    iso_free(z->entries);
    iso_out_discard(&z->out);
    iso_free(z);
}
