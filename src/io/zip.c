/* zip.c: the directory of a zip archive, with 64-bit sizes, and its entries, stored or deflated.
 * Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3. */
#include "zip.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BUFFER = 1 << 16,
    MOST_ENTRIES = 1 << 16,
    MOST_NAME = 4096,
    END = 22,
    END64 = 56,
    LOCATOR = 20,
    CENTRAL = 46,
    LOCAL = 30,
    MOST_COMMENT = 65535
};

static uint16_t u16(const unsigned char *b) { return (uint16_t)(b[0] | b[1] << 8); }
static uint32_t u32(const unsigned char *b) { return u16(b) | (uint32_t)u16(b + 2) << 16; }
static int64_t u64(const unsigned char *b) { return (int64_t)(u32(b) | (uint64_t)u32(b + 4) << 32); }

/* False unless the n bytes are there. */
static bool read_at(const zip_file *z, int64_t at, int64_t n, void *to)
{
    return at >= 0 && n >= 0 && at <= z->bytes - n && fseeko(z->file, at, SEEK_SET) == 0 &&
           fread(to, 1, (size_t)n, z->file) == (size_t)n;
}

/* Where the directory lies, how long it is and how many entries it has: from the record at the end of the file. */
static iso_status find_directory(const zip_file *z, int64_t *at, int64_t *bytes, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t room = z->bytes < END + MOST_COMMENT ? z->bytes : END + MOST_COMMENT, end = room - END;
    unsigned char *tail = NULL, more[END64];
    ALLOC(tail, room, 1);
    bool good = end >= 0 && read_at(z, z->bytes - room, room, tail);
    while (good && end >= 0 && memcmp(tail + end, "PK\5\6", 4)) end--;
    FAIL_IF(!good || end < 0, ISO_EDATA, "%s: no whole zip archive: its directory is missing; it was cut short",
            z->path);
    *n = u16(tail + end + 10), *bytes = u32(tail + end + 12), *at = u32(tail + end + 16);
    int64_t place = z->bytes - room + end - LOCATOR;
    if (read_at(z, place, LOCATOR, more) && !memcmp(more, "PK\6\7", 4) && read_at(z, u64(more + 8), END64, more) &&
        !memcmp(more, "PK\6\6", 4))
        *n = u64(more + 32), *bytes = u64(more + 40), *at = u64(more + 48);
    FAIL_IF(*n < 0 || *n > MOST_ENTRIES || *bytes < 0 || *bytes > z->bytes || *at < 0 || *at > z->bytes - *bytes,
            ISO_EDATA, "%s: damaged: its zip directory lies outside the file", z->path);
done:
    iso_free(tail);
    return st;
}

/* Sizes that do not fit into 32 bits stand in an extra field, in this order, those alone that are needed. */
static void read_zip64(const unsigned char *extra, int64_t n, zip_entry *e)
{
    int64_t *const wanted[3] = {&e->size, &e->packed, &e->offset};
    while (n >= 4) {
        int64_t used = u16(extra + 2), at = 4;
        if (used > n - 4) return;
        for (int i = 0; u16(extra) == 1 && i < 3; i++)
            if (*wanted[i] == UINT32_MAX && at + 8 <= used + 4) *wanted[i] = u64(extra + at), at += 8;
        extra += 4 + used, n -= 4 + used;
    }
}

/* The entry at `b`, of which `left` bytes are there; *used = its length. */
static iso_status read_entry(const zip_file *z, const unsigned char *b, int64_t left, zip_entry *e, int64_t *used,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(left < CENTRAL || memcmp(b, "PK\1\2", 4), ISO_EDATA, "%s: damaged: its zip directory is cut short",
            z->path);
    int64_t name = u16(b + 28), extra = u16(b + 30);
    *used = CENTRAL + name + extra + u16(b + 32);
    FAIL_IF(*used > left || name > MOST_NAME, ISO_EDATA, "%s: damaged: its zip directory is cut short", z->path);
    *e = (zip_entry){.crc = u32(b + 16),
                     .packed = u32(b + 20),
                     .size = u32(b + 24),
                     .offset = u32(b + 42),
                     .deflated = u16(b + 10) == 8};
    FAIL_IF(!(e->name = iso_sprintf("%.*s", (int)name, (const char *)b + CENTRAL)), ISO_EMEMORY, "out of memory");
    read_zip64(b + CENTRAL + name, extra, e);
    FAIL_IF(u16(b + 8) & 1, ISO_EDATA, "%s: \"%s\" in it is encrypted; save it without a password", z->path, e->name);
    FAIL_IF(!e->deflated && u16(b + 10) != 0, ISO_EDATA,
            "%s: \"%s\" in it is packed with method %d; save it with numpy.savez_compressed", z->path, e->name,
            u16(b + 10));
    bool fits = e->packed >= 0 && e->offset >= 0 && e->packed <= z->bytes && e->offset <= z->bytes - e->packed &&
                e->size >= 0 && (e->deflated ? e->size / 1032 <= e->packed + 1 : e->size == e->packed);
    FAIL_IF(!fits, ISO_EDATA, "%s: \"%s\" in it announces more bytes than the file can hold; it is damaged", z->path,
            e->name);
done:
    return st;
}

iso_status zip_open(const char *path, zip_file *z, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    unsigned char *directory = NULL;
    int64_t at = 0, bytes = 0, n = 0, used = 0, done_bytes = 0;
    *z = (zip_file){.path = path, .file = fopen(path, "rb")};
    FAIL_IF(!z->file || fstat(fileno(z->file), &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    z->bytes = s.st_size;
    TRY(find_directory(z, &at, &bytes, &n, err));
    ALLOC(directory, bytes, 1);
    ALLOC(z->entries, n, sizeof *z->entries);
    FAIL_IF(!read_at(z, at, bytes, directory), ISO_EIO, "%s: cannot be read", path);
    for (; z->n < n; done_bytes += used) {
        st = read_entry(z, directory + done_bytes, bytes - done_bytes, &z->entries[z->n], &used, err);
        z->n++; /* its name is to be freed in any case */
        if (st != ISO_OK) break;
    }
done:
    iso_free(directory);
    if (st != ISO_OK) zip_close(z);
    return st;
}

void zip_close(zip_file *z)
{
    for (int64_t i = 0; i < z->n; i++) iso_free(z->entries[i].name);
    iso_free(z->entries);
    if (z->file) fclose(z->file);
    *z = (zip_file){0};
}

/* -------------------------------------------------------------------------------------- sources */

iso_status source_file(const char *path, FILE *f, int64_t bytes, byte_source *s, iso_error *err)
{
    *s = (byte_source){.path = path, .name = "the array", .file = f, .packed_left = bytes, .left = bytes};
    return fseeko(f, 0, SEEK_SET) == 0 ? ISO_OK : iso_fail(err, ISO_EIO, "%s: %s", path, strerror(errno));
}

iso_status source_entry(const zip_file *z, const zip_entry *e, byte_source *s, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char local[LOCAL];
    *s = (byte_source){.path = z->path,
                       .name = e->name,
                       .file = z->file,
                       .packed_left = e->packed,
                       .left = e->size,
                       .deflated = e->deflated,
                       .has_crc = true,
                       .crc_wanted = e->crc};
    bool good = read_at(z, e->offset, LOCAL, local) && !memcmp(local, "PK\3\4", 4);
    int64_t at = good ? e->offset + LOCAL + u16(local + 26) + u16(local + 28) : 0;
    FAIL_IF(!good || at > z->bytes - e->packed, ISO_EDATA,
            "%s: \"%s\" in it does not lie where the zip directory says; the file is damaged", z->path, e->name);
    FAIL_IF(fseeko(z->file, at, SEEK_SET) != 0, ISO_EIO, "%s: %s", z->path, strerror(errno));
    if (!e->deflated) return ISO_OK;
    ALLOC(s->buffer, BUFFER, 1);
    FAIL_IF(inflateInit2(&s->z, -MAX_WBITS) != Z_OK, ISO_EMEMORY, "out of memory");
done:
    return st;
}

void source_close(byte_source *s)
{
    if (s->deflated) inflateEnd(&s->z);
    iso_free(s->buffer);
    *s = (byte_source){0};
}

/* At most n bytes, at least one; 0: there are no more, or what there is cannot be inflated. */
static int64_t inflate_some(byte_source *s, unsigned char *to, int64_t n)
{
    s->z.next_out = to, s->z.avail_out = (uInt)(n < (1 << 30) ? n : 1 << 30);
    uInt room = s->z.avail_out;
    for (int status = Z_OK; s->z.avail_out == room && status == Z_OK;) {
        if (s->z.avail_in == 0) {
            size_t want = (size_t)(s->packed_left < BUFFER ? s->packed_left : BUFFER);
            s->z.next_in = s->buffer, s->z.avail_in = (uInt)fread(s->buffer, 1, want, s->file);
            s->packed_left -= s->z.avail_in;
            if (s->z.avail_in == 0) break;
        }
        status = inflate(&s->z, Z_NO_FLUSH);
    }
    return room - s->z.avail_out;
}

iso_status source_read(byte_source *s, void *to, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char *b = to;
    FAIL_IF(n > s->left, ISO_EDATA, "%s: %s ends too early; the file was cut short", s->path, s->name);
    for (int64_t got; n > 0; b += got, n -= got, s->left -= got) {
        got = s->deflated ? inflate_some(s, b, n) : (int64_t)fread(b, 1, (size_t)n, s->file);
        FAIL_IF(got <= 0, ISO_EDATA, "%s: %s is damaged or was cut short", s->path, s->name);
        for (int64_t i = 0; s->has_crc && i < got; i += 1 << 30)
            s->crc = (uint32_t)crc32(s->crc, b + i, (uInt)(got - i < (1 << 30) ? got - i : 1 << 30));
    }
    FAIL_IF(s->has_crc && s->left == 0 && s->crc != s->crc_wanted, ISO_EDATA,
            "%s: %s is damaged: its check sum is wrong", s->path, s->name);
done:
    return st;
}
