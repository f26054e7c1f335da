/* h5_tree.c: do the trees that HDF5 finds names and chunks by stay within the file?
 *
 * HDF5 1.10 crashes on an address that is all ones where there should be a node, and on a chunk that is said not to be
 * compressed but is too short. A node: "TREE", kind (1 byte), level (1), entries (2), two neighbours (addresses); then
 * key, child, key, child, ..., key. A key of names is a size, one of chunks: bytes stored (4), filters left out (4), and
 * 8 bytes for each side. Children of level 0 are leaves, which HDF5 checks itself.
 * Source: HDF5 File Format Specification 3.0, section III.A and III.D. */
#include "h5.h"

#include <string.h>

enum { HEAD = 8, MOST_ENTRY = 16 + 8 * 33, MOST_LEVELS = 8 };

typedef struct tree {
    const h5_file *file;
    unsigned kind;
    size_t key_bytes;
    uint64_t chunk_bytes;        /* of a chunk that is not compressed; 0 for names */
    bool short_chunk;            /* found: one that takes fewer */
    int64_t nodes_left;          /* no file can hold more */
} tree;

/* Is there room for n bytes at an address? */
bool h5_has_room(const h5_file *f, uint64_t address, uint64_t n)
{
    uint64_t end = (uint64_t)(f->bytes - f->base);
    return address <= end && n <= end - address;
}

static bool read_at(const h5_file *f, uint64_t address, size_t n, unsigned char *out)
{
    return h5_has_room(f, address, n) && h5_read_bytes(f, f->base + (int64_t)address, (int64_t)n, out, NULL) == ISO_OK;
}

static bool node_is_sane(tree *t, uint64_t address, int above)
{
    const h5_file *f = t->file;
    unsigned char head[HEAD], entry[MOST_ENTRY];
    const size_t entry_bytes = t->key_bytes + f->address_bytes;
    if (t->nodes_left-- <= 0 || entry_bytes > sizeof entry || !read_at(f, address, HEAD, head)) return false;
    const int level = head[5];
    if (memcmp(head, "TREE", 4) != 0 || head[4] != t->kind || level >= above) return false;
    address += HEAD + 2 * f->address_bytes;
    for (uint64_t n = h5_little_endian(head + 6, 2); n > 0; n--, address += entry_bytes) {
        if (!read_at(f, address, entry_bytes, entry)) return false;
        uint64_t child = h5_little_endian(entry + t->key_bytes, f->address_bytes);
        if (!h5_has_room(f, child, 1)) return false;
        bool is_short = t->chunk_bytes && level == 0 && h5_little_endian(entry, 4) < t->chunk_bytes;
        if (is_short && h5_little_endian(entry + 4, 4) != 0) return false;
        t->short_chunk = t->short_chunk || is_short;
        if (level > 0 && !node_is_sane(t, child, level)) return false;
    }
    return true;
}

bool h5_names_are_sane(const h5_file *f, uint64_t tree_address, uint64_t heap_address)
{
    unsigned char heap[HEAD + 24];
    tree t = {.file = f, .kind = 0, .key_bytes = f->size_bytes, .nodes_left = f->bytes / HEAD};
    if (!read_at(f, heap_address, HEAD + 2 * f->size_bytes + f->address_bytes, heap) || memcmp(heap, "HEAP", 4) != 0) return false;
    uint64_t bytes = h5_little_endian(heap + HEAD, f->size_bytes);
    uint64_t data = h5_little_endian(heap + HEAD + 2 * f->size_bytes, f->address_bytes);
    return h5_has_room(f, data, bytes) && node_is_sane(&t, tree_address, MOST_LEVELS);
}

bool h5_chunks_are_sane(const h5_file *f, uint64_t tree_address, int n_sides, uint64_t chunk_bytes, bool *short_chunk)
{
    tree t = {.file = f, .kind = 1, .key_bytes = 8 + 8 * (size_t)n_sides, .chunk_bytes = chunk_bytes, .nodes_left = f->bytes / HEAD};
    const uint64_t none = f->address_bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * f->address_bytes) - 1;
    bool sane = tree_address == none || node_is_sane(&t, tree_address, MOST_LEVELS);
    *short_chunk = t.short_chunk;
    return sane;
}
