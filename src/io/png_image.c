/* png_image.c: PNG files: one image, gray or RGB, 8 or 16 bits. Values are as stored: no gamma, alpha is dropped,
 * palettes become RGB. Source: the PNG specification (W3C) and libpng's manual. */
#include "image_file.h"

#include <errno.h>
#include <png.h>
#include <string.h>
#include <sys/stat.h>

/* What is open while a file is read; libpng leaves by longjmp, so nothing of it lives in local variables. */
typedef struct png_reader {
    FILE *file;
    png_structp png;
    png_infop info;
    unsigned char *rows;   /* [height, row_bytes] */
    png_bytep *row_starts; /* [height] */
    char message[256];
} png_reader;

bool png_sniff(const unsigned char *start, size_t n)
{
    return n >= 8 && png_sig_cmp((png_const_bytep)start, 0, 8) == 0;
}

static void on_error(png_structp png, png_const_charp message)
{
    png_reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) { (void)png, (void)message; }

/* False when libpng found an error, which is in r->message. */
static bool read_header(png_reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_init_io(r->png, r->file);
    png_set_user_limits(r->png, MOST_SIDE, MOST_SIDE);
    png_set_chunk_malloc_max(r->png, 1 << 24);
    png_set_chunk_cache_max(r->png, 64);
    png_read_info(r->png, r->info);
    png_set_expand(r->png);
    png_set_strip_alpha(r->png);
    if (png_get_bit_depth(r->png, r->info) == 16) png_set_swap(r->png); /* to little-endian */
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    return true;
}

static bool read_rows(png_reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_read_image(r->png, r->row_starts);
    png_read_end(r->png, NULL);
    return true;
}

static iso_status open_reader(const char *path, png_reader *r, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(!(r->file = fopen(path, "rb")), ISO_EIO, "%s: %s", path, strerror(errno));
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    FAIL_IF(!r->png || !(r->info = png_create_info_struct(r->png)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

static iso_status read_pixels(const char *path, png_reader *r, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    const sample_type type = {'u', png_get_bit_depth(r->png, r->info) / 8};
    int64_t row_bytes = (int64_t)png_get_rowbytes(r->png, r->info), plane = im->height * im->width;
    ALLOC(r->rows, im->height, (size_t)row_bytes);
    ALLOC(r->row_starts, im->height, sizeof *r->row_starts);
    for (int64_t y = 0; y < im->height; y++) r->row_starts[y] = r->rows + y * row_bytes;
    FAIL_IF(!read_rows(r), ISO_EDATA, "%s: damaged or cut short: %s", path, r->message);
    for (int64_t y = 0; y < im->height; y++)
        for (int64_t c = 0; c < im->channels; c++)
            sample_floats(type, r->row_starts[y] + c * type.bytes, im->channels, im->width,
                          im->pixels + c * plane + y * im->width);
done:
    return st;
}

iso_status png_read(iso_env *env, const char *path, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    png_reader r = {0};
    struct stat s;
    (void)env;
    TRY(open_reader(path, &r, err));
    FAIL_IF(fstat(fileno(r.file), &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    FAIL_IF(!read_header(&r), ISO_EDATA, "%s: no PNG that can be read: %s", path, r.message);
    im->n = 1, im->channels = png_get_channels(r.png, r.info);
    im->height = png_get_image_height(r.png, r.info), im->width = png_get_image_width(r.png, r.info);
    int bytes = png_get_bit_depth(r.png, r.info) / 8;
    im->kind = bytes == 2 ? ISO_PIXEL_U16 : ISO_PIXEL_U8;
    TRY(images_alloc(im, path, 8 * s.st_size, bytes, err)); /* 8: pixels of 1 bit are unpacked */
    TRY(read_pixels(path, &r, im, err));
done:
    if (r.png) png_destroy_read_struct(&r.png, &r.info, NULL);
    if (r.file) fclose(r.file);
    iso_free(r.rows);
    iso_free(r.row_starts);
    return st;
}
