/* h5_header.c: does an object's header say what HDF5 may believe?
 *
 * Releases of HDF5 in wide use (1.10 among them) decode types, layouts and attributes without looking whether they are
 * whole, and crash on a damaged file. So the header is looked at here before HDF5 opens the object. Only the first
 * version of headers is: the second has checksums, so that HDF5 itself notices damage.
 * A header: version 1, zero, number of messages (2 bytes), references (4), size (4), zero (4); then messages: type (2),
 * size (2), flags (1), zero (3), data. Allocates nothing.
 * Source: HDF5 File Format Specification 3.0, section IV. */
#include "h5.h"

#include <string.h>

enum { PREFIX = 16, MESSAGE = 8, MOST_BYTES = 65536, MOST_PARTS = 16, SHARED = 2, NESTED = 16 };

/* Bytes that are left to be looked at. */
typedef struct span { const unsigned char *at; size_t n; } span;

/* The next n bytes, or NULL if there are fewer. */
static const unsigned char *take(span *s, size_t n)
{
    if (n > s->n) return NULL;
    const unsigned char *at = s->at;
    s->at += n, s->n -= n;
    return at;
}

static size_t padded(size_t n) { return (n + 7) / 8 * 8; }

/* ------------------------------------------------------------------------------------- types */

static bool skip_type(span *s, uint64_t *size, int depth);

/* A name that ends with 0; versions before 3 pad it. */
static bool skip_name(span *s, int version)
{
    size_t n = strnlen((const char *)s->at, s->n) + 1;
    return take(s, version < 3 ? padded(n) : n) != NULL;
}

static bool skip_enumeration(span *s, int version, uint32_t n, uint64_t size, int depth)
{
    uint64_t base;
    if (!skip_type(s, &base, depth) || base != size || size > 8) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!skip_name(s, version)) return false;
    return take(s, n * size) != NULL;
}

static bool skip_table(span *s, int version, uint32_t n, uint64_t size, int depth)
{
    size_t offset_bytes = version < 3 ? 4 : size < 1 << 8 ? 1 : size < 1 << 16 ? 2 : size < 1 << 24 ? 3 : 4;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bytes;
        if (!skip_name(s, version)) return false;
        const unsigned char *offset = take(s, offset_bytes);
        if (!offset || (version == 1 && !take(s, 28)) || !skip_type(s, &bytes, depth)) return false;
        uint64_t at = h5_little_endian(offset, offset_bytes);
        if (bytes > size || at > size - bytes) return false;
    }
    return true;
}

static bool skip_dims(span *s, int version)
{
    const unsigned char *rank = take(s, version < 3 ? 4 : 1);
    return rank && take(s, (size_t)*rank * (version < 3 ? 8 : 4));
}

/* One type; *size is what a value of it takes in the file. */
static bool skip_type(span *s, uint64_t *size, int depth)
{
    enum { STRING = 3, OPAQUE = 5, TABLE = 6, REFERENCE = 7, ENUMERATION = 8, SEQUENCE = 9, ARRAY = 10 };
    static const size_t more[] = {4, 12, 2, 0, 4, 0, 0, 0, 0, 0, 0};       /* bytes that follow, by class */
    const unsigned char *head = take(s, 8);
    if (!head || depth > NESTED) return false;
    unsigned class = head[0] & 15u;
    int version = head[0] >> 4;
    uint32_t flags = (uint32_t)h5_little_endian(head + 1, 3), n = flags & 0xffff;
    uint64_t base;
    *size = h5_little_endian(head + 4, 4);
    if (class > ARRAY || !take(s, more[class])) return false;
    if (class == OPAQUE) return take(s, flags & 0xff) != NULL;
    if (class == TABLE) return skip_table(s, version, n, *size, depth + 1);
    if (class == ENUMERATION) return skip_enumeration(s, version, n, *size, depth + 1);
    if (class == SEQUENCE) return skip_type(s, &base, depth + 1);
    if (class == ARRAY) return skip_dims(s, version) && skip_type(s, &base, depth + 1);
    return true;
}

/* ---------------------------------------------------------------------------------- messages */

typedef bool message_fn(const h5_file *f, span s);

static bool type_is_whole(const h5_file *f, span s)
{
    uint64_t size;
    (void)f;
    return skip_type(&s, &size, 0);
}

/* Of chunks no side may be 0, and the rank cannot be. */
static bool layout_is_sane(const h5_file *f, span s)
{
    enum { CHUNKED = 2 };
    const unsigned char *head = take(&s, 3);
    if (!head) return false;
    if (head[0] != 3 || head[1] != CHUNKED) return true;
    const unsigned char *sides = take(&s, f->address_bytes) ? take(&s, 4u * head[2]) : NULL;
    for (int i = 0; sides && i < head[2]; i++)
        if (h5_little_endian(sides + 4 * i, 4) == 0) return false;
    return sides && head[2] > 0;
}

/* Number of values of a dataspace; 0 also if it is not understood. */
static uint64_t count_values(const h5_file *f, span s)
{
    const unsigned char *head = take(&s, 4);
    if (!head || (head[0] == 1 && !take(&s, 4)) || (head[0] == 2 && head[3] == 2)) return 0;
    uint64_t n = 1;
    for (int i = 0; i < head[1]; i++) {
        const unsigned char *dim = take(&s, f->size_bytes);
        if (!dim || __builtin_mul_overflow(n, h5_little_endian(dim, f->size_bytes), &n)) return 0;
    }
    return n;
}

static bool attribute_is_whole(const h5_file *f, span s)
{
    const unsigned char *head = take(&s, 8);
    if (!head || head[0] < 1 || head[0] > 3 || (head[0] == 3 && !take(&s, 1))) return true;      /* HDF5 will refuse it */
    size_t part[3];                              /* name, type, shape */
    span data[3];
    for (int i = 0; i < 3; i++) {
        part[i] = (size_t)h5_little_endian(head + 2 + 2 * i, 2);
        data[i] = (span){s.at, part[i]};
        if (!take(&s, head[0] == 1 ? padded(part[i]) : part[i])) return false;
    }
    uint64_t size, bytes;
    if (head[0] > 1 && head[1] & 3) return true;             /* type or shape is kept elsewhere */
    if (strnlen((const char *)data[0].at, part[0]) == part[0] || !skip_type(&data[1], &size, 0)) return false;
    return !__builtin_mul_overflow(count_values(f, data[2]), size, &bytes) && bytes <= s.n;
}

static const struct { unsigned type; const char *what; message_fn *good; } messages[] = {
    {3, "type", type_is_whole},
    {8, "layout", layout_is_sane},
    {12, "attribute", attribute_is_whole},
};
enum { N_MESSAGES = sizeof messages / sizeof *messages, CONTINUATION = 16 };

/* --------------------------------------------------------------------------------- the header */

/* Parts of a header that are still to be looked at. */
typedef struct parts { int n; struct { int64_t at, bytes; } part[MOST_PARTS]; } parts;

static bool is_within(const h5_file *f, int64_t at, uint64_t bytes)
{
    return at >= 0 && at <= f->bytes && bytes <= (uint64_t)(f->bytes - at);
}

static iso_status check_message(const h5_file *f, const char *place, unsigned type, span data, parts *todo, iso_error *err)
{
    iso_status st = ISO_OK;
    if (type == CONTINUATION && data.n >= f->address_bytes + f->size_bytes && todo->n < MOST_PARTS) {
        uint64_t at = h5_little_endian(data.at, f->address_bytes);
        uint64_t bytes = h5_little_endian(data.at + f->address_bytes, f->size_bytes);
        FAIL_IF(at > (uint64_t)(f->bytes - f->base) || !is_within(f, f->base + (int64_t)at, bytes), ISO_EDATA,
                "%s: the header of %s goes on past the end; the file is damaged or cut short", f->path, place);
        todo->part[todo->n].at = f->base + (int64_t)at;
        todo->part[todo->n++].bytes = (int64_t)bytes;
    }
    for (int i = 0; i < N_MESSAGES; i++)
        FAIL_IF(type == messages[i].type && !messages[i].good(f, data), ISO_EDATA,
                "%s: %s has a damaged header (%s); the file is damaged", f->path, place, messages[i].what);
done:
    return st;
}

static iso_status check_part(const h5_file *f, const char *place, int64_t at, int64_t bytes, parts *todo, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char head[MESSAGE], data[MOST_BYTES];
    for (int64_t end = at + bytes; end - at >= MESSAGE;) {
        TRY(h5_read_bytes(f, at, MESSAGE, head, err));
        unsigned type = (unsigned)h5_little_endian(head, 2);
        int64_t size = (int64_t)h5_little_endian(head + 2, 2);
        at += MESSAGE;
        FAIL_IF(size > end - at, ISO_EDATA, "%s: %s has a damaged header; the file is damaged", f->path, place);
        bool known = type == CONTINUATION;
        for (int i = 0; i < N_MESSAGES; i++) known = known || type == messages[i].type;
        if (known && !(head[4] & SHARED)) {
            TRY(h5_read_bytes(f, at, size, data, err));
            TRY(check_message(f, place, type, (span){data, (size_t)size}, todo, err));
        }
        at += size;
    }
done:
    return st;
}

iso_status h5_check_header(const h5_file *f, const char *place, uint64_t address, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char head[PREFIX];
    parts todo = {0};
    if (f->sink) return ISO_OK;                  /* a file of our own, being written */
    FAIL_IF(address > (uint64_t)(f->bytes - f->base) || !is_within(f, f->base + (int64_t)address, PREFIX), ISO_EDATA,
            "%s: %s is said to be past the end; the file is damaged or cut short", f->path, place);
    int64_t at = f->base + (int64_t)address;
    TRY(h5_read_bytes(f, at, PREFIX, head, err));
    if (head[0] != 1) goto done;                 /* another version, or damage that HDF5 notices */
    uint64_t bytes = h5_little_endian(head + 8, 4);
    FAIL_IF(!is_within(f, at + PREFIX, bytes), ISO_EDATA, "%s: the header of %s is cut off; the file is damaged or cut short",
            f->path, place);
    todo.n = 1, todo.part[0].at = at + PREFIX, todo.part[0].bytes = (int64_t)bytes;
    for (int looked_at = 0; todo.n > 0; looked_at++) {
        FAIL_IF(looked_at == MOST_BYTES, ISO_EDATA, "%s: the header of %s has no end; the file is damaged", f->path, place);
        todo.n--;
        TRY(check_part(f, place, todo.part[todo.n].at, todo.part[todo.n].bytes, &todo, err));
    }
done:
    return st;
}

/* -------------------------------------------------------------------------------- the superblock */

/* Superblock, versions 2 and 3: signature (8), version, bytes of an address, bytes of a size, flags, base address,
 * address of an extension. The extension is a header of version 2: "OHDR", version, flags, times (16, flag 32), bounds
 * (4, flag 16), size (1 << flags & 3), then messages: type (1), size (2), flags (1), order (2, flag 4), data. */
iso_status h5_check_superblock(const h5_file *f, iso_error *err)
{
    enum { CACHE_IMAGE = 24, FIXED = 12, EXTENSION = 512 };
    iso_status st = ISO_OK;
    unsigned char head[FIXED + 16], block[EXTENSION] = {0};
    int64_t at = 0, room;
    do {
        if (at + (int64_t)sizeof head > f->bytes) return ISO_OK;             /* not HDF5, which it will say itself */
        TRY(h5_read_bytes(f, at, sizeof head, head, err));
    } while (memcmp(head, "\211HDF\r\n\032\n", 8) != 0 && (at = at ? 2 * at : 512));
    if (head[8] < 2 || head[9] > 8) return ISO_OK;
    uint64_t extension = h5_little_endian(head + FIXED + head[9], head[9]) + (uint64_t)at;
    if (extension >= (uint64_t)f->bytes) return ISO_OK;                      /* none */
    room = f->bytes - (int64_t)extension < EXTENSION ? f->bytes - (int64_t)extension : EXTENSION;
    TRY(h5_read_bytes(f, (int64_t)extension, room, block, err));
    unsigned flags = block[5];
    span s = {block + 6, sizeof block - 6};
    take(&s, (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0) + ((size_t)1 << (flags & 3)));
    for (const unsigned char *m; (m = take(&s, flags & 4 ? 6 : 4));) {
        FAIL_IF(m[0] == CACHE_IMAGE || m[0] == CONTINUATION, ISO_EDATA,
                "%s: it holds an image of HDF5's cache, which is not read here; rewrite it with h5repack", f->path);
        if (!take(&s, h5_little_endian(m + 1, 2))) break;
    }
done:
    return st;
}
