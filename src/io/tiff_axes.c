/* tiff_axes.c: the ImageDescription of a TIFF, as OME-XML, ImageJ and Python's tifffile write it, says which of its
 * pages are channels. Time points and slices are images of their own. Only what is needed is looked for; everything is
 * checked against the pages later. Sources: the OME model's schema (Pixels, Channel), ImageJ's description (images,
 * channels), tifffile's JSON (shape, axes). */
#include "tiff_axes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 1024, MOST_NAME = 256 };
static const int64_t MOST_PAGES = 1 << 30;

void tiff_axes_clear(tiff_axes *a)
{
    iso_free_texts(a->names, a->n_names);
    *a = (tiff_axes){0};
}

/* axes: letters from slow to fast ("TZC"), sizes beside them. False if they are out of range. */
static bool lay_out(tiff_axes *a, const char *axes, const int64_t *sizes)
{
    a->channels = a->stride = a->pages = 1;
    for (int i = (int)strlen(axes) - 1; i >= 0; i--) {
        if (sizes[i] < 1 || sizes[i] > MOST_PAGES) return false;
        if (axes[i] == 'C') a->channels = sizes[i], a->stride = a->pages;
        if (!iso_mul(a->pages, sizes[i], &a->pages) || a->pages > MOST_PAGES) return false;
    }
    return true;
}

/* -------------------------------------------------------------------------------------- OME-XML */

/* The start of the next element of that name, with or without a namespace, between s and end; NULL: none. */
static const char *find_element(const char *s, const char *end, const char *name)
{
    size_t n = strlen(name);
    for (; s < end && (s = memchr(s, '<', (size_t)(end - s))); s++) {
        const char *word = s + 1, *colon = word + strcspn(word, ":> \t\r\n/");
        if (*colon == ':') word = colon + 1;
        if (!strncmp(word, name, n) && strchr(" \t\r\n/>", word[n]) && word[n]) return word + n;
    }
    return NULL;
}

/* The value of an attribute of the element whose name ends at s; false if it has none. */
static bool attribute(const char *s, const char *name, char *value, size_t room)
{
    const char *end = s + strcspn(s, ">");
    size_t n = strlen(name);
    for (const char *at = s; (at = memmem(at, (size_t)(end - at), name, n)); at++) {
        if (!strchr(" \t\r\n", at[-1]) || at[n] != '=' || !at[n + 1] || !strchr("\"'", at[n + 1])) continue;
        const char *text = at + n + 2, *close = strchr(text, at[n + 1]);
        if (!close || (size_t)(close - text) >= room) return false;
        memcpy(value, text, (size_t)(close - text));
        value[close - text] = 0;
        return true;
    }
    return false;
}

static int64_t size_attribute(const char *s, const char *name)
{
    char text[32];
    return attribute(s, name, text, sizeof text) ? strtoll(text, NULL, 10) : 1;
}

/* &amp; and the like, in place. */
static void decode_entities(char *s)
{
    static const char *const rows[][2] = {
        {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}};
    char *to = s;
    while (*s) {
        size_t used = 0;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !used; i++)
            if (!strncmp(s, rows[i][0], strlen(rows[i][0]))) used = strlen(rows[i][0]), *to++ = rows[i][1][0];
        if (!used) *to++ = *s, used = 1;
        s += used;
    }
    *to = 0;
}

/* The Name of each Channel, if all have one. */
static iso_status ome_names(const char *pixels, const char *end, tiff_axes *a, iso_error *err)
{
    iso_status st = ISO_OK;
    char name[MOST_NAME];
    const char *s = pixels;
    if (a->channels > MOST_NAMES) return ISO_OK;
    ALLOC(a->names, a->channels, sizeof *a->names);
    while ((s = find_element(s, end, "Channel")) && a->n_names < a->channels &&
           attribute(s, "Name", name, sizeof name)) {
        decode_entities(name);
        FAIL_IF(!(a->names[a->n_names++] = iso_strdup(name)), ISO_EMEMORY, "out of memory");
    }
    if (a->n_names < a->channels || s) { /* not one each: none */
        iso_free_texts(a->names, a->n_names);
        a->names = NULL, a->n_names = 0;
    }
done:
    return st;
}

static iso_status from_ome(const char *path, const char *text, int64_t samples, tiff_axes *a, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *end = text + strlen(text), *pixels = find_element(text, end, "Pixels");
    char order[8] = "XYCZT", axes[4] = "";
    int64_t sizes[3];
    FAIL_IF(!pixels, ISO_EDATA, "%s: its OME-XML has no Pixels element; save it anew as OME-TIFF", path);
    FAIL_IF(find_element(pixels, end, "Pixels"), ISO_EDATA,
            "%s: holds several OME image series; save each as a file of its own", path);
    attribute(pixels, "DimensionOrder", order, sizeof order);
    bool good = strlen(order) == 5 && !strncmp(order, "XY", 2) && strchr(order + 2, 'C') && strchr(order + 2, 'Z') &&
                strchr(order + 2, 'T');
    for (int i = 0; good && i < 3; i++) { /* the order names the fastest axis first */
        axes[i] = order[4 - i];
        sizes[i] = size_attribute(pixels, (const char[]){'S', 'i', 'z', 'e', axes[i], 0});
        if (axes[i] == 'C' && samples > 1) sizes[i] /= samples; /* SizeC counts the samples of a pixel */
    }
    FAIL_IF(!good || !lay_out(a, axes, sizes), ISO_EDATA,
            "%s: its OME-XML gives no sizes that make sense; save it anew as OME-TIFF", path);
    a->source = "OME-XML";
    if (samples == 1) TRY(ome_names(pixels, end, a, err));
done:
    return st;
}

/* --------------------------------------------------------------------------- ImageJ and tifffile */

/* "images=6\nchannels=2\n...": channels go fastest. */
static int64_t imagej_value(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *s = text; s; s = strchr(s, '\n')) {
        s += *s == '\n';
        if (!strncmp(s, key, n)) return strtoll(s + n, NULL, 10);
    }
    return 1;
}

static iso_status from_imagej(const char *path, const char *text, int64_t samples, tiff_axes *a, iso_error *err)
{
    int64_t images = imagej_value(text, "images="), channels = samples > 1 ? 1 : imagej_value(text, "channels=");
    const int64_t sizes[2] = {channels > 0 ? images / channels : 0, channels};
    if (!lay_out(a, "TC", sizes) || images % channels)
        return iso_fail(err, ISO_EDATA,
                        "%s: its ImageJ description speaks of %lld images in %lld channels; save it anew", path,
                        (long long)images, (long long)channels);
    a->source = "ImageJ description";
    return ISO_OK;
}

/* {"shape": [10, 2, 64, 64], "axes": "TCYX"}; without axes the last of two dimensions before Y is taken for channels.
 */
static iso_status from_shape(const char *path, const char *text, int64_t samples, tiff_axes *a, iso_error *err)
{
    json_t *doc = json_loads(text, 0, NULL), *shape = json_object_get(doc, "shape");
    const char *axes = json_string_value(json_object_get(doc, "axes"));
    char before[16] = "";
    int64_t sizes[16], given = (int64_t)json_array_size(shape), n = given - 2 - (samples > 1);
    bool known = n >= 0 && n < 16 && (!axes || (int64_t)strlen(axes) == given);
    for (int64_t i = 0; known && i < n; i++) {
        sizes[i] = json_integer_value(json_array_get(shape, (size_t)i));
        before[i] = axes ? axes[i] : n == 2 && i == 1 ? 'C' : 'T';
    }
    bool good = !known || lay_out(a, before, sizes);
    json_decref(doc);
    if (!good) return iso_fail(err, ISO_EDATA, "%s: the shape in its description makes no sense; save it anew", path);
    a->source = "description";
    if (!known) a->channels = a->stride = 1;
    return ISO_OK;
}

iso_status tiff_axes_find(const char *path, const char *description, int64_t samples, tiff_axes *a, iso_error *err)
{
    *a = (tiff_axes){.channels = 1, .stride = 1};
    if (!description) return ISO_OK;
    if (find_element(description, description + strlen(description), "OME"))
        return from_ome(path, description, samples, a, err);
    if (!strncmp(description, "ImageJ=", 7)) return from_imagej(path, description, samples, a, err);
    if (!strncmp(description, "{\"shape\"", 8)) return from_shape(path, description, samples, a, err);
    return ISO_OK;
}
