/* h5_heap.c: is the storage of variable-length text whole?
 *
 * HDF5 keeps such text in "global heap collections". Releases in wide use (1.10 among them) follow the sizes in there
 * without a check, and crash or hang on a damaged one, so they are checked here before HDF5 sees them. A collection:
 *   "GCOL", version 1, 3 zero bytes, size (8 bytes); then objects: index (2), references (2), zero (4), size (8),
 *   bytes padded to a multiple of 8. Index 0 is the free rest, whose size includes its header.
 * Source: HDF5 File Format Specification 3.0, section III.E. Cost: one pass over the file. */
#include "h5.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 16, WINDOW = 1 << 20 };
static const char signature[8] = {'G', 'C', 'O', 'L', 1, 0, 0, 0};

static uint64_t little_endian(const unsigned char *b, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--) v = v << 8 | b[i];
    return v;
}

/* Whole read of n bytes at `at`; ISO_EIO otherwise. */
static iso_status read_at(const h5_file *f, int fd, int64_t at, int64_t n, unsigned char *out, iso_error *err)
{
    for (int64_t got = 0; got < n;) {
        ssize_t k = pread(fd, out + got, (size_t)(n - got), at + got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return iso_fail(err, ISO_EIO, "%s: cannot be read: %s", f->path, k ? strerror(errno) : "it became shorter");
        got += k;
    }
    return ISO_OK;
}

static bool objects_fit(const unsigned char *collection, uint64_t size)
{
    uint64_t at = HEADER;
    while (at + HEADER <= size) {
        uint64_t index = little_endian(collection + at, 2), bytes = little_endian(collection + at + 8, 8);
        if (bytes > size) return false;
        uint64_t need = index ? HEADER + (bytes + 7) / 8 * 8 : bytes;
        if (need < HEADER || need > size - at) return false;
        at += need;
    }
    return true;
}

/* *size = bytes of the collection at `at`, where the signature was found. */
static iso_status check_collection(const h5_file *f, int fd, int64_t at, int64_t *size, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char head[HEADER], *all = NULL;
    FAIL_IF(f->bytes - at < HEADER, ISO_EDATA, "%s: text stored at byte %lld is cut off", f->path, (long long)at);
    TRY(read_at(f, fd, at, HEADER, head, err));
    uint64_t claimed = little_endian(head + 8, 8);
    FAIL_IF(claimed < HEADER || claimed > (uint64_t)(f->bytes - at), ISO_EDATA,
            "%s: text stored at byte %lld claims %llu bytes; the file is damaged", f->path, (long long)at,
            (unsigned long long)claimed);
    *size = (int64_t)claimed;
    ALLOC(all, *size, 1);
    TRY(read_at(f, fd, at, *size, all, err));
    FAIL_IF(!objects_fit(all, claimed), ISO_EDATA, "%s: text stored at byte %lld (names or labels) is damaged", f->path,
            (long long)at);
done:
    iso_free(all);
    return st;
}

iso_status h5_check_text(const h5_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char *window = NULL;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    FAIL_IF(fd < 0, ISO_EIO, "%s: %s", f->path, strerror(errno));
    ALLOC(window, WINDOW, 1);
    for (int64_t at = 0; at + HEADER <= f->bytes;) {
        int64_t n = f->bytes - at < WINDOW ? f->bytes - at : WINDOW, size = 0;
        FAIL_IF(f->env && iso_env_interrupted(f->env), ISO_EINTERRUPT, "interrupted while reading %s", f->path);
        TRY(read_at(f, fd, at, n, window, err));
        const unsigned char *hit = memmem(window, (size_t)n, signature, sizeof signature);
        if (hit) {
            at += hit - window;
            TRY(check_collection(f, fd, at, &size, err));
            at += size;
        } else {
            at += n > (int64_t)sizeof signature ? n - (int64_t)sizeof signature + 1 : n;
        }
    }
done:
    if (fd >= 0) close(fd);
    iso_free(window);
    return st;
}
