/* png_write.c: a picture as a PNG in memory. */
#include "images.h"

#include <png.h>
#include <string.h>

iso_status iso_png_encode(const uint8_t *rgb, int64_t height, int64_t width, uint8_t **bytes, size_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)width, .height = (png_uint_32)height, .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = 0;
    *bytes = NULL, *n = 0;
    FAIL_IF(height < 1 || width < 1 || height > 65535 || width > 65535, ISO_EUSAGE, "a PNG of %lld x %lld pixels cannot be", (long long)height, (long long)width);
    FAIL_IF(!png_image_write_get_memory_size(image, size, 0, rgb, 0, NULL), ISO_EMEMORY, "PNG: %s", image.message);
    ALLOC(*bytes, (int64_t)size, 1);
    FAIL_IF(!png_image_write_to_memory(&image, *bytes, &size, 0, rgb, 0, NULL), ISO_EMEMORY, "PNG: %s", image.message);
    *n = size;
done:
    if (st) iso_free(*bytes), *bytes = NULL;
    return st;
}
