/* tiff_write.c: one image as an OME-TIFF, its channels as pages. Source: the OME-TIFF specification, version 2016-06.
 */
#include "tiff_write.h"

#include <string.h>
#include <tiffio.h>

typedef struct number_row {
    int bits, format;
    const char *ome;
} number_row;
static const number_row numbers[] = {
    [ISO_PIXEL_U8] = {8, SAMPLEFORMAT_UINT, "uint8"},
    [ISO_PIXEL_U16] = {16, SAMPLEFORMAT_UINT, "uint16"},
    [ISO_PIXEL_FLOAT] = {32, SAMPLEFORMAT_IEEEFP, "float"},
};

static int keep_message(TIFF *tiff, void *arg, const char *module, const char *fmt, va_list ap)
{
    char *message = arg;
    (void)tiff, (void)module;
    if (!message[0]) vsnprintf(message, 256, fmt, ap);
    return 1;
}

/* The text with one more piece at its end; NULL: no memory. Frees `text`. */
static char *longer(char *text, char *piece)
{
    char *both = text && piece ? iso_sprintf("%s%s", text, piece) : NULL;
    iso_free(text);
    iso_free(piece);
    return both;
}

/* A name as the value of an attribute of XML. */
static char *escaped(const char *name)
{
    char *text = iso_strdup("");
    for (const char *c = name; *c && text; c++) {
        bool special = strchr("<>&\"", *c) || (unsigned char)*c < 32;
        text = longer(text, special ? iso_sprintf("&#%d;", *c) : iso_sprintf("%c", *c));
    }
    return text;
}

static char *describe(const iso_images *set)
{
    char *text = iso_sprintf(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\">"
        "<Image ID=\"Image:0\"><Pixels ID=\"Pixels:0\" DimensionOrder=\"XYCZT\" Type=\"%s\" SizeX=\"%lld\" "
        "SizeY=\"%lld\" "
        "SizeC=\"%lld\" SizeZ=\"1\" SizeT=\"1\">",
        numbers[set->kind].ome, (long long)set->width, (long long)set->height, (long long)set->channels);
    for (int64_t c = 0; c < set->channels; c++) {
        char *name = escaped(set->channel_names[c]);
        text = longer(text, name ? iso_sprintf("<Channel ID=\"Channel:0:%lld\" Name=\"%s\" SamplesPerPixel=\"1\"/>",
                                               (long long)c, name)
                                 : NULL);
        iso_free(name);
    }
    return longer(text, iso_strdup("<TiffData/></Pixels></Image></OME>"));
}

/* n pixels as the file's numbers */
static void convert(iso_pixel_kind kind, const float *pixels, int64_t n, void *row)
{
    uint8_t *u8 = row;
    uint16_t *u16 = row;
    if (kind == ISO_PIXEL_FLOAT) memcpy(row, pixels, (size_t)n * sizeof *pixels);
    for (int64_t i = 0; i < n && kind == ISO_PIXEL_U8; i++) u8[i] = (uint8_t)pixels[i];
    for (int64_t i = 0; i < n && kind == ISO_PIXEL_U16; i++) u16[i] = (uint16_t)pixels[i];
}

static bool write_page(TIFF *t, const iso_images *set, const float *plane, const char *description, void *row)
{
    const number_row *number = &numbers[set->kind];
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, (uint32_t)set->width);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, (uint32_t)set->height);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, number->bits);
    TIFFSetField(t, TIFFTAG_SAMPLEFORMAT, number->format);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, (uint32_t)set->height);
    if (description) TIFFSetField(t, TIFFTAG_IMAGEDESCRIPTION, description);
    bool good = true;
    for (int64_t y = 0; y < set->height && good; y++) {
        convert(set->kind, plane + y * set->width, set->width, row);
        good = TIFFWriteScanline(t, row, (uint32_t)y, 0) == 1;
    }
    return good && TIFFWriteDirectory(t);
}

iso_status iso_tiff_write(const char *path, const iso_images *set, const float *pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    char message[256] = "", *description = NULL;
    void *row = NULL;
    TIFF *t = NULL;
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    FAIL_IF(!options || !(description = describe(set)), ISO_EMEMORY, "out of memory");
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_message, message);
    TIFFOpenOptionsSetWarningHandlerExtR(options, keep_message, message);
    ALLOC(row, set->width, sizeof(float));
    t = TIFFOpenExt(path, "w", options);
    bool good = t != NULL;
    for (int64_t c = 0; c < set->channels && good; c++)
        good = write_page(t, set, pixels + c * set->height * set->width, c ? NULL : description, row);
    FAIL_IF(!good, ISO_EIO, "%s: cannot be written: %s", path, message);
done:
    if (t) TIFFClose(t);
    TIFFOpenOptionsFree(options);
    iso_free(description);
    iso_free(row);
    return st;
}
