/* deflate.c: bytes in zlib's format; see report_text.h. */
#include "report_text.h"

#include <zlib.h>

uint8_t *text_deflate(const void *bytes, int64_t n, int64_t *packed)
{
    uLongf size = compressBound((uLong)n);
    uint8_t *out = iso_calloc((int64_t)size, 1);
    if (!out || compress2(out, &size, bytes, (uLong)n, 6) != Z_OK) {
        iso_free(out);
        return NULL;
    }
    *packed = (int64_t)size;
    return out;
}
