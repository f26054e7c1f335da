/* h5_sink.c: an HDF5 file driver onto a file that is open already, whose writes fail in silence.
 *
 * HDF5 tries what failed again when it closes the file and when the program ends, and then crashes (seen with 1.10.8
 * on a full disk). So it never hears of a failure: the first one is kept in h5_sink, which h5_write.c asks after every
 * step, and nothing is written after it.
 * Source: HDF5's "Virtual File Layer"; the interface is H5FD_class_t. */
#include "h5_write.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

/* What HDF5 holds of an open file; eof: the bytes that it has. It needs the first member. */
typedef struct driver_file { H5FD_t base; h5_sink *sink; haddr_t eoa, eof; } driver_file;

static H5FD_t *sink_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr)
{
    (void)name, (void)flags, (void)maxaddr;
    h5_sink *const *sink = H5Pget_driver_info(fapl);
    driver_file *d = sink ? iso_calloc(1, sizeof *d) : NULL;
    if (sink && !d) (*sink)->error = ENOMEM;
    if (!d) return NULL;
    struct stat s;
    d->sink = *sink;
    if (fstat(d->sink->fd, &s) == 0) d->eof = (haddr_t)s.st_size;
    return &d->base;
}

static herr_t sink_close(H5FD_t *file)
{
    iso_free(file);
    return 0;
}

static herr_t sink_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t sink_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)file)->eoa;
}

static herr_t sink_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t at)
{
    (void)type;
    ((driver_file *)file)->eoa = at;
    return 0;
}

static haddr_t sink_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)file)->eof;
}

/* Bytes that were never written are zero. */
static herr_t sink_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t at, size_t size, void *out)
{
    (void)type, (void)dxpl;
    h5_sink *sink = ((driver_file *)file)->sink;
    memset(out, 0, size);
    for (size_t done = 0; done < size && !sink->error;) {
        ssize_t n = pread(sink->fd, (char *)out + done, size - done, (off_t)(at + done));
        if (n == 0) break;
        if (n > 0) done += (size_t)n;
        else if (errno != EINTR) sink->error = errno;
    }
    return 0;
}

static herr_t sink_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t at, size_t size, const void *data)
{
    (void)type, (void)dxpl;
    driver_file *d = (driver_file *)file;
    for (size_t done = 0; done < size && !d->sink->error;) {
        ssize_t n = pwrite(d->sink->fd, (const char *)data + done, size - done, (off_t)(at + done));
        if (n > 0) done += (size_t)n;
        else if (n == 0 || errno != EINTR) d->sink->error = n == 0 ? ENOSPC : errno;
    }
    if (at + size > d->eof) d->eof = at + size;
    return 0;
}

/* The file ends where HDF5 thinks that it does. */
static herr_t sink_truncate(H5FD_t *file, hid_t dxpl, hbool_t closing)
{
    (void)dxpl, (void)closing;
    driver_file *d = (driver_file *)file;
    if (d->eoa != d->eof && !d->sink->error && ftruncate(d->sink->fd, (off_t)d->eoa)) d->sink->error = errno;
    d->eof = d->eoa;
    return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 511, /* of the range that is free for everyone's tests */
#endif
    .name = "isolario_sink",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(h5_sink *),
    .open = sink_open,
    .close = sink_close,
    .query = sink_query,
    .get_eoa = sink_get_eoa,
    .set_eoa = sink_set_eoa,
    .get_eof = sink_get_eof,
    .read = sink_read,
    .write = sink_write,
    .truncate = sink_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

bool h5_sink_use(hid_t fapl, h5_sink *sink)
{
    hid_t driver = H5FDregister(&driver_class);
    bool good = driver >= 0 && H5Pset_driver(fapl, driver, &sink) >= 0;
    h5_drop(driver);                  /* fapl keeps its own hold of it */
    return good;
}
