/* h5_heap.c: text of variable length, read without HDF5's help.
 *
 * HDF5 stores such a text as a reference: length (4 bytes), address of a "global heap collection", index in it (4).
 * Releases in wide use (1.10 among them) trust all of these when they follow a reference: on a damaged file they crash,
 * hang, or take gigabytes. So HDF5 only hands over the references (h5_values.c), and they are followed here, checked.
 * A collection: "GCOL", version 1, 3 zero bytes, its size; then objects: index (2 bytes), references (2), zero (4), size;
 * bytes, padded to a multiple of 8. Index 0 is the free rest, whose size includes its header. Sizes and addresses have
 * as many bytes as the file says, at most 8.
 * References are followed in the order of the file, so that each collection is read once.
 * Source: HDF5 File Format Specification 3.0, section III.E. */
#include "h5.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 16 };                            /* bytes, of a collection and of an object */

typedef struct reference { uint64_t address; uint32_t index, length; int64_t row; } reference;

/* The collection at hand. */
typedef struct heap {
    const h5_file *file;
    int64_t at, size;
    unsigned char *bytes;        /* [size], NULL before the first */
    uint32_t *place;             /* [n_places] of object i in bytes; 0 if there is none */
    int64_t n_places;
    int64_t unread;              /* bytes that can be in further collections: they do not overlap */
    int64_t room;                /* bytes that texts may still take; many references may be to the same one */
} heap;

size_t h5_reference_bytes(const h5_file *f) { return 4 + f->address_bytes + 4; }

/* Object at *at of the collection; false at its end, at the free rest and where it is damaged. Moves *at past it. */
static bool next_object(const heap *h, int64_t *at, uint32_t *index)
{
    uint64_t left = (uint64_t)(h->size - *at);
    if (left < HEADER) return false;
    uint64_t bytes = h5_little_endian(h->bytes + *at + 8, h->file->size_bytes);
    *index = (uint32_t)h5_little_endian(h->bytes + *at, 2);
    if (*index == 0 || bytes > left - HEADER) return false;
    uint64_t step = HEADER + (bytes + 7) / 8 * 8;
    *at += (int64_t)(step < left ? step : left);
    return true;
}

static iso_status index_collection(heap *h, iso_error *err)
{
    iso_status st = ISO_OK;
    uint32_t index, largest = 0;
    for (int64_t at = HEADER; next_object(h, &at, &index);) largest = index > largest ? index : largest;
    h->n_places = (int64_t)largest + 1;
    ALLOC(h->place, h->n_places, sizeof *h->place);
    for (int64_t at = HEADER, here = at; next_object(h, &at, &index); here = at) h->place[index] = (uint32_t)here;
done:
    return st;
}

static void drop_collection(heap *h)
{
    iso_free(h->place);
    iso_free(h->bytes);
    h->place = NULL, h->bytes = NULL;
}

/* The collection at `at`, unless it is the one at hand. */
static iso_status load_collection(heap *h, int64_t at, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char head[HEADER];
    if (h->bytes && h->at == at) return ISO_OK;
    drop_collection(h);
    TRY(h5_read_bytes(h->file, at, HEADER, head, err));
    uint64_t size = h5_little_endian(head + 8, h->file->size_bytes);
    FAIL_IF(memcmp(head, "GCOL\1", 5) != 0 || size < HEADER || size > (uint64_t)(h->file->bytes - at) ||
            size > (uint64_t)h->unread || size > UINT32_MAX, ISO_EDATA,
            "%s: text stored at byte %lld (names or labels) is damaged or cut off", h->file->path, (long long)at);
    h->at = at, h->size = (int64_t)size;
    h->unread -= h->size;
    ALLOC(h->bytes, h->size, 1);
    TRY(h5_read_bytes(h->file, at, h->size, h->bytes, err));
    TRY(index_collection(h, err));
done:
    if (st != ISO_OK) drop_collection(h);
    return st;
}

static iso_status follow(heap *h, const reference *r, char **out, iso_error *err)
{
    iso_status st = ISO_OK;
    const h5_file *f = h->file;
    const char *text = "";
    size_t length = 0;
    if (r->address != 0 && r->length != 0) {
        FAIL_IF(f->bytes - f->base < HEADER || r->address > (uint64_t)(f->bytes - f->base - HEADER), ISO_EDATA,
                "%s: text (names or labels) is said to be at byte %llu, past the end; the file is damaged or cut short",
                f->path, (unsigned long long)r->address);
        TRY(load_collection(h, f->base + (int64_t)r->address, err));
        const unsigned char *object = r->index < h->n_places && h->place[r->index] ? h->bytes + h->place[r->index] : NULL;
        FAIL_IF(!object || r->length > h5_little_endian(object + 8, f->size_bytes), ISO_EDATA,
                "%s: text stored at byte %lld (names or labels) is damaged", f->path, (long long)h->at);
        text = (const char *)object + HEADER;
        length = strnlen(text, r->length);
    }
    h->room -= (int64_t)length;
    FAIL_IF(h->room < 0, ISO_EDATA, "%s: its text is far larger than the file; it is damaged", f->path);
    FAIL_IF(!(*out = iso_calloc((int64_t)length + 1, 1)), ISO_EMEMORY, "out of memory for text of %s", f->path);
    memcpy(*out, text, length);
done:
    return st;
}

static int by_place(const void *a, const void *b)
{
    const reference *x = a, *y = b;
    if (x->address != y->address) return x->address < y->address ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

iso_status h5_follow_references(const h5_file *f, const unsigned char *bytes, int64_t n, char **out, iso_error *err)
{
    iso_status st = ISO_OK;
    heap h = {.file = f, .unread = f->bytes, .room = (f->bytes < INT64_MAX >> 5 ? f->bytes : INT64_MAX >> 5) * 16 + (64 << 20)};
    reference *list = NULL;
    bool in_order = true;
    ALLOC(list, n, sizeof *list);
    for (int64_t i = 0; i < n; i++, bytes += h5_reference_bytes(f)) {
        list[i] = (reference){.address = h5_little_endian(bytes + 4, f->address_bytes),
                              .index = (uint32_t)h5_little_endian(bytes + 4 + f->address_bytes, 4),
                              .length = (uint32_t)h5_little_endian(bytes, 4), .row = i};
        in_order = in_order && (i == 0 || list[i - 1].address <= list[i].address);
    }
    if (!in_order) qsort(list, (size_t)n, sizeof *list, by_place);
    for (int64_t i = 0; i < n; i++) TRY(follow(&h, &list[i], &out[list[i].row], err));
done:
    drop_collection(&h);
    iso_free(list);
    return st;
}
