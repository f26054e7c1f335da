/* zip.h: files within a zip archive (npz), read one after the other as a stream of bytes; for io/ alone. */
#ifndef ISO_ZIP_H
#define ISO_ZIP_H

#include "base/base.h"

#include <zlib.h>

typedef struct zip_entry {
    char *name;
    int64_t offset, packed, size;
    uint32_t crc;
    bool deflated;
} zip_entry;
typedef struct zip_file {
    const char *path;
    FILE *file;
    int64_t bytes, n;
    zip_entry *entries;
} zip_file;

/* Reads the directory; sizes are checked against the bytes of the file. */
iso_status zip_open(const char *path, zip_file *z, iso_error *err);
void zip_close(zip_file *z);

/* Bytes of a file from some place on, inflated if they are deflated; with a check sum to compare with in the end. */
typedef struct byte_source {
    const char *path, *name; /* name: of the entry, for messages */
    FILE *file;
    int64_t packed_left, left; /* bytes to come from the file; bytes to give */
    bool deflated, has_crc;
    uint32_t crc, crc_wanted;
    z_stream z;
    unsigned char *buffer; /* what is to be inflated */
} byte_source;
iso_status source_file(const char *path, FILE *f, int64_t bytes, byte_source *s,
                       iso_error *err); /* from its start, as it is */
iso_status source_entry(const zip_file *z, const zip_entry *e, byte_source *s, iso_error *err);
iso_status source_read(byte_source *s, void *to, int64_t n, iso_error *err); /* n bytes or an error */
void source_close(byte_source *s);

#endif
