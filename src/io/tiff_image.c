/* tiff_image.c: TIFF and BigTIFF files of one or many pages, in strips or tiles: 8, 16, 32 and 64-bit integers, and
 * floats. Values are as stored. What the pages mean is found in tiff_axes.c. Source: TIFF 6.0, and libtiff's manual. */
#include "image_file.h"
#include "tiff_axes.h"

#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>

enum { MOST_TIFF_PAGES = 1 << 20 };

typedef struct tiff_reader {
    const char *path;
    TIFF *tiff;
    int64_t bytes;     /* of the file */
    char message[256]; /* libtiff's first error */
} tiff_reader;

/* What all pages must share. */
typedef struct tiff_page {
    uint32_t width, height;
    uint16_t samples, bits, format, planar, photometric, compression;
    bool alpha;
} tiff_page;

typedef struct named_code {
    uint16_t code;
    const char *name;
    bool is_read;
} named_code;
static const named_code compressions[] = {
    {COMPRESSION_NONE, "none", true},
    {COMPRESSION_LZW, "LZW", true},
    {COMPRESSION_ADOBE_DEFLATE, "deflate", true},
    {COMPRESSION_DEFLATE, "deflate", true},
    {COMPRESSION_PACKBITS, "PackBits", true},
    {COMPRESSION_ZSTD, "Zstandard", true},
    {COMPRESSION_JPEG, "JPEG", false},
    {COMPRESSION_OJPEG, "JPEG", false},
    {COMPRESSION_JP2000, "JPEG 2000", false},
    {COMPRESSION_LZMA, "LZMA", false},
    {COMPRESSION_WEBP, "WebP", false},
    {COMPRESSION_CCITTFAX3, "fax", false},
    {COMPRESSION_CCITTFAX4, "fax", false},
    {33003, "JPEG 2000", false},
    {33005, "JPEG 2000", false},
};

bool tiff_sniff(const unsigned char *b, size_t n)
{
    return n >= 4 &&
           (!memcmp(b, "II*\0", 4) || !memcmp(b, "MM\0*", 4) || !memcmp(b, "II+\0", 4) || !memcmp(b, "MM\0+", 4));
}

/* ------------------------------------------------------------------------------------- opening */

static int keep_message(TIFF *tiff, void *arg, const char *module, const char *fmt, va_list ap)
{
    tiff_reader *r = arg;
    (void)tiff, (void)module;
    if (!r->message[0]) vsnprintf(r->message, sizeof r->message, fmt, ap);
    return 1; /* libtiff itself shall not print */
}

/* libtiff only warns of a tag that lies beyond the end of the file, such as the text that says which pages are
 * channels. */
static int keep_io_error(TIFF *tiff, void *arg, const char *module, const char *fmt, va_list ap)
{
    return strstr(fmt, "IO error") ? keep_message(tiff, arg, module, fmt, ap) : 1;
}

static iso_status open_tiff(const char *path, tiff_reader *r, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    *r = (tiff_reader){.path = path};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    FAIL_IF(!options, ISO_EMEMORY, "out of memory");
    FAIL_IF(stat(path, &s) != 0, ISO_EIO, "%s: cannot be opened", path);
    r->bytes = s.st_size;
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_message, r);
    TIFFOpenOptionsSetWarningHandlerExtR(options, keep_io_error, r);
    TIFFOpenOptionsSetMaxSingleMemAlloc(
        options, (tmsize_t)(r->bytes > INT64_MAX / MOST_INFLATED ? INT64_MAX : r->bytes * MOST_INFLATED + (1 << 20)));
    r->tiff = TIFFOpenExt(path, "rm", options); /* m: read, not mapped: a file that shrinks is no crash */
    FAIL_IF(!r->tiff, ISO_EDATA, "%s: no TIFF that can be read: %s", path, r->message);
done:
    TIFFOpenOptionsFree(options);
    return st;
}

/* --------------------------------------------------------------------------------------- pages */

static const named_code *find_compression(uint16_t code)
{
    for (size_t i = 0; i < sizeof compressions / sizeof compressions[0]; i++)
        if (compressions[i].code == code) return &compressions[i];
    return NULL;
}

static sample_type page_type(const tiff_page *p)
{
    const char kind = p->format == SAMPLEFORMAT_INT      ? 'i'
                      : p->format == SAMPLEFORMAT_IEEEFP ? 'f'
                      : p->format == SAMPLEFORMAT_UINT   ? 'u'
                                                         : '?';
    return (sample_type){kind, p->bits % 8 ? 0 : p->bits / 8};
}

static iso_status check_page(const tiff_reader *r, const tiff_page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    const named_code *c = find_compression(p->compression);
    bool gray = p->photometric == PHOTOMETRIC_MINISBLACK || p->photometric == PHOTOMETRIC_MINISWHITE ||
                p->photometric == PHOTOMETRIC_PALETTE;
    FAIL_IF(!c || !c->is_read, ISO_EDATA,
            "%s: its compression is %s (%d), which is not read; save it with deflate or none", r->path,
            c ? c->name : "unknown", p->compression);
    FAIL_IF(p->bits == 12 || p->bits < 8, ISO_EDATA, "%s: pixels of %d bits are not read; save it with 8 or 16",
            r->path, p->bits);
    FAIL_IF(!sample_known(page_type(p)), ISO_EDATA,
            "%s: pixels of %d bits and sample format %d are not read; save it with 8 or 16 bits", r->path, p->bits,
            p->format);
    FAIL_IF(!gray && p->photometric != PHOTOMETRIC_RGB, ISO_EDATA,
            "%s: its colours (photometric %d) are neither gray nor RGB; save it as one of these", r->path,
            p->photometric);
    FAIL_IF(p->width < 1 || p->height < 1 || p->samples < 1 || p->samples > MOST_CHANNELS, ISO_EDATA,
            "%s: a page of %u x %u pixels of %d values", r->path, p->width, p->height, p->samples);
done:
    return st;
}

static void look_at_page(TIFF *t, tiff_page *p)
{
    uint16_t n_extra = 0, *extra = NULL;
    *p = (tiff_page){0};
    TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &p->width);
    TIFFGetField(t, TIFFTAG_IMAGELENGTH, &p->height);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLESPERPIXEL, &p->samples);
    TIFFGetFieldDefaulted(t, TIFFTAG_BITSPERSAMPLE, &p->bits);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLEFORMAT, &p->format);
    TIFFGetFieldDefaulted(t, TIFFTAG_PLANARCONFIG, &p->planar);
    TIFFGetFieldDefaulted(t, TIFFTAG_COMPRESSION, &p->compression);
    if (!TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &p->photometric)) p->photometric = PHOTOMETRIC_MINISBLACK;
    TIFFGetFieldDefaulted(t, TIFFTAG_EXTRASAMPLES, &n_extra, &extra);
    p->alpha =
        p->photometric == PHOTOMETRIC_RGB && p->samples == 4 && n_extra == 1 && extra[0] != EXTRASAMPLE_UNSPECIFIED;
}

/* Smaller copies of a page, for quick looks, are passed over. */
static bool is_page(TIFF *t)
{
    uint32_t kind = 0;
    return !TIFFGetField(t, TIFFTAG_SUBFILETYPE, &kind) || !(kind & FILETYPE_REDUCEDIMAGE);
}

static bool same_size(const tiff_page *a, const tiff_page *b)
{
    return a->width == b->width && a->height == b->height && a->samples == b->samples;
}

static bool same_numbers(const tiff_page *a, const tiff_page *b)
{
    return a->bits == b->bits && a->format == b->format;
}

/* first: the page that all others are like; n_pages: how many there are. */
static iso_status look_at_pages(tiff_reader *r, tiff_page *first, int64_t *n_pages, iso_error *err)
{
    iso_status st = ISO_OK;
    *n_pages = 0;
    do {
        tiff_page page;
        if (!is_page(r->tiff)) continue;
        look_at_page(r->tiff, &page);
        TRY(check_page(r, &page, err));
        if (*n_pages == 0) *first = page;
        FAIL_IF(!same_size(&page, first), ISO_EDATA,
                "%s: page %lld has %u x %u pixels of %d values, the first one %u x %u of %d; pages must be alike",
                r->path, (long long)*n_pages + 1, page.width, page.height, page.samples, first->width, first->height,
                first->samples);
        FAIL_IF(!same_numbers(&page, first), ISO_EDATA,
                "%s: page %lld has other numbers (%d bits) than the first one (%d)", r->path, (long long)*n_pages + 1,
                page.bits, first->bits);
        FAIL_IF(++*n_pages > MOST_TIFF_PAGES, ISO_EDATA, "%s: more than %d pages", r->path, MOST_TIFF_PAGES);
    } while (TIFFReadDirectory(r->tiff));
    FAIL_IF(r->message[0] || !TIFFLastDirectory(r->tiff), ISO_EDATA, "%s: damaged after page %lld: %s", r->path,
            (long long)*n_pages, r->message[0] ? r->message : "what follows it is no page, or one that came before");
    FAIL_IF(*n_pages == 0, ISO_EDATA, "%s: has no page of full size", r->path);
done:
    return st;
}

/* -------------------------------------------------------------------------------------- pixels */

/* One strip or tile of a page. */
typedef struct tiff_block {
    uint32_t x, y, width, height;
    int64_t row_bytes;
    uint16_t plane;
} tiff_block;

/* Values of the block at `raw` that lie on the page go to their places. to: the page's channels, plane after plane. */
static bool place_block(const tiff_page *p, int64_t channels, const tiff_block *b, const unsigned char *raw, float *to)
{
    sample_type type = page_type(p);
    bool separate = p->planar == PLANARCONFIG_SEPARATE && p->samples > 1, good = true;
    int64_t plane = (int64_t)p->width * p->height, n = b->x + b->width > p->width ? p->width - b->x : b->width;
    for (uint32_t y = 0; y < b->height && b->y + y < p->height; y++)
        for (int64_t c = separate ? b->plane : 0; c < (separate ? b->plane + 1 : channels); c++) {
            const unsigned char *from = raw + y * b->row_bytes + (separate ? 0 : c * type.bytes);
            good = sample_floats(type, from, separate ? 1 : p->samples, n,
                                 to + c * plane + (int64_t)(b->y + y) * p->width + b->x) &&
                   good;
        }
    return good;
}

static int64_t read_block(TIFF *t, bool tiled, const tiff_block *b, void *raw, int64_t bytes)
{
    return tiled ? (int64_t)TIFFReadEncodedTile(t, TIFFComputeTile(t, b->x, b->y, 0, b->plane), raw, (tmsize_t)bytes)
                 : (int64_t)TIFFReadEncodedStrip(t, TIFFComputeStrip(t, b->y, b->plane), raw, (tmsize_t)bytes);
}

/* Size of the blocks of the current page. */
static iso_status block_shape(const tiff_reader *r, const tiff_page *p, tiff_block *b, int64_t *bytes, iso_error *err)
{
    iso_status st = ISO_OK;
    bool tiled = TIFFIsTiled(r->tiff);
    int64_t values = p->planar == PLANARCONFIG_SEPARATE ? 1 : p->samples, least;
    *b = (tiff_block){.width = p->width, .height = p->height};
    if (tiled)
        TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &b->width), TIFFGetField(r->tiff, TIFFTAG_TILELENGTH, &b->height);
    else TIFFGetFieldDefaulted(r->tiff, TIFFTAG_ROWSPERSTRIP, &b->height);
    if (!tiled && b->height > p->height) b->height = p->height;
    b->row_bytes = tiled ? TIFFTileRowSize(r->tiff) : TIFFScanlineSize(r->tiff);
    *bytes = tiled ? TIFFTileSize(r->tiff) : TIFFStripSize(r->tiff);
    FAIL_IF(b->width < 1 || b->height < 1 || b->width > MOST_SIDE || b->height > MOST_SIDE, ISO_EDATA,
            "%s: strips or tiles of %u x %u pixels", r->path, b->width, b->height);
    FAIL_IF(*bytes / MOST_INFLATED > r->bytes + 64, ISO_EDATA,
            "%s: announces strips or tiles of %lld bytes, more than its %lld bytes can hold", r->path,
            (long long)*bytes, (long long)r->bytes);
    bool fits = iso_mul((int64_t)b->width * values, p->bits / 8, &least) && b->row_bytes >= least &&
                iso_mul(b->row_bytes, b->height, &least) && *bytes >= least;
    FAIL_IF(!fits, ISO_EDATA, "%s: strips or tiles of %lld bytes cannot hold %u rows of %u pixels; the file is damaged",
            r->path, (long long)*bytes, b->height, b->width);
done:
    return st;
}

/* to [channels, height, width] */
static iso_status read_page(tiff_reader *r, const tiff_page *p, int64_t channels, float *to, iso_error *err)
{
    iso_status st = ISO_OK;
    tiff_block b;
    unsigned char *raw = NULL;
    int64_t bytes;
    bool tiled = TIFFIsTiled(r->tiff);
    int n_planes = p->planar == PLANARCONFIG_SEPARATE ? (int)channels : 1;
    TRY(block_shape(r, p, &b, &bytes, err));
    ALLOC(raw, bytes, 1);
    for (int plane = 0; plane < n_planes; plane++)
        for (b.plane = (uint16_t)plane, b.y = 0; b.y < p->height; b.y += b.height)
            for (b.x = 0; b.x < p->width; b.x += b.width) {
                int64_t rows = b.y + b.height > p->height && !tiled ? p->height - b.y : b.height;
                int64_t got = read_block(r->tiff, tiled, &b, raw, bytes);
                FAIL_IF(got < rows * b.row_bytes, ISO_EDATA, "%s: damaged or cut short%s%s", r->path,
                        r->message[0] ? ": " : "", r->message);
                FAIL_IF(!place_block(p, channels, &b, raw, to), ISO_EDATA,
                        "%s: holds whole numbers of 16,777,216 or more; scale them down", r->path);
            }
done:
    iso_free(raw);
    return st;
}

static iso_status read_pages(iso_env *env, tiff_reader *r, const tiff_page *first, const tiff_axes *a, iso_images *im,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t samples = im->channels / a->channels, plane = im->height * im->width, page = 0,
            block = a->stride * a->channels;
    FAIL_IF(!TIFFSetDirectory(r->tiff, 0), ISO_EDATA, "%s: damaged: %s", r->path, r->message);
    do {
        tiff_page p;
        if (!is_page(r->tiff)) continue;
        look_at_page(r->tiff, &p);
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while reading %s", r->path);
        FAIL_IF(page == im->n * a->channels || !same_size(&p, first) || !same_numbers(&p, first), ISO_EDATA,
                "%s: changes while it is read", r->path);
        int64_t channel = page / a->stride % a->channels, image = page / block * a->stride + page % a->stride;
        TRY(read_page(r, &p, samples, im->pixels + (image * im->channels + channel * samples) * plane, err));
        page++;
    } while (TIFFReadDirectory(r->tiff));
    FAIL_IF(page != im->n * a->channels, ISO_EDATA, "%s: damaged after page %lld: %s", r->path, (long long)page,
            r->message);
done:
    return st;
}

/* ----------------------------------------------------------------------------------------- all */

static iso_status check_axes(const char *path, const tiff_axes *a, int64_t n_pages, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(a->pages && a->pages != n_pages, ISO_EDATA,
            "%s: its %s speaks of %lld pages but there are %lld; it was cut short, or is one of several files that "
            "belong together: save it as one",
            path, a->source, (long long)a->pages, (long long)n_pages);
done:
    return st;
}

iso_status tiff_read(iso_env *env, const char *path, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    tiff_reader r = {0};
    tiff_page first;
    tiff_axes axes = {0};
    int64_t n_pages, samples;
    const char *description = NULL;
    TRY(open_tiff(path, &r, err));
    look_at_page(r.tiff, &first);
    TIFFGetField(r.tiff, TIFFTAG_IMAGEDESCRIPTION, &description);
    TRY(tiff_axes_find(path, description, first.samples, &axes, err)); /* before the next page frees the text */
    TRY(look_at_pages(&r, &first, &n_pages, err));
    TRY(check_axes(path, &axes, n_pages, err));
    samples = first.samples - first.alpha;
    im->n = n_pages / axes.channels, im->channels = axes.channels * samples;
    im->height = first.height, im->width = first.width;
    im->kind = sample_pixel_kind(page_type(&first));
    TRY(images_alloc(im, path, r.bytes, first.bits / 8, err));
    TRY(read_pages(env, &r, &first, &axes, im, err));
    if (axes.n_names == im->channels) im->channel_names = axes.names, axes.names = NULL, axes.n_names = 0;
done:
    tiff_axes_clear(&axes);
    if (r.tiff) TIFFClose(r.tiff);
    return st;
}
