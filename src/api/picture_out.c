/* picture_out.c: see picture_out.h. */
#include "picture_out.h"

#include "image/image.h"
#include "io/npz_write.h"
#include "io/tiff_write.h"
#include "text_out.h"

#include <math.h>
#include <string.h>

enum { MOST_ON_A_SHEET = 1000, GAP = 2 };

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

static int64_t image_size(const iso_model *m) { return m->images.channels * m->images.height * m->images.width; }

iso_status iso_made_pixels(const iso_model *m, const float *decoded, int64_t n, float **pixels, iso_error *err)
{
    iso_status st = ISO_OK;
    ALLOC(*pixels, n * image_size(m), sizeof **pixels);
    iso_many_pixels(m, decoded, n, *pixels);
done:
    return st;
}

iso_status iso_made_sheet(const iso_model *m, const float *pixels, int64_t n, int64_t columns, uint8_t **rgb, int64_t *height, int64_t *width,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_image_terms *t = &m->images;
    int64_t h = t->height, w = t->width, rows = (n + columns - 1) / columns;
    bool colour = iso_is_rgb(t->channels, t->names);
    uint8_t *one = NULL;
    *height = rows * (h + GAP) - GAP, *width = columns * (w + GAP) - GAP;
    ALLOC(one, h * w * 3, 1);
    ALLOC(*rgb, *height * *width * 3, 1);
    memset(*rgb, 255, (size_t)(*height * *width * 3));
    for (int64_t i = 0; i < n; i++) {
        iso_composite(pixels + i * image_size(m), t->channels, (iso_area){h, w}, t->low, t->scale, colour, one);
        for (int64_t y = 0; y < h; y++)
            memcpy(*rgb + ((i / columns * (h + GAP) + y) * *width + i % columns * (w + GAP)) * 3, one + y * w * 3, (size_t)(w * 3));
    }
done:
    iso_free(one);
    return st;
}

static iso_status write_sheet(const iso_model *m, const iso_made *made, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = made->n < MOST_ON_A_SHEET ? made->n : MOST_ON_A_SHEET, columns = made->columns, height, width;
    uint8_t *rgb = NULL, *bytes = NULL;
    size_t size = 0;
    iso_out out = {0};
    if (columns < 1) columns = (int64_t)ceil(sqrt((double)n));
    TRY(iso_made_sheet(m, made->pixels, n, columns, &rgb, &height, &width, err));
    TRY(iso_png_encode(rgb, height, width, &bytes, &size, err));
    TRY(iso_out_open(path, &out, err));
    fwrite(bytes, 1, size, out.file);
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    iso_free(rgb);
    iso_free(bytes);
    return st;
}

static iso_status write_archive(const iso_model *m, const iso_made *made, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_npz *z = NULL;
    const iso_image_terms *t = &m->images;
    const int64_t shape[4] = {made->n, t->channels, t->height, t->width}, z_shape[2] = {made->n, m->v.c.n_latent};
    TRY(iso_npz_create(path, &z, err));
    TRY(iso_npz_array(z, "images", "f4", 4, shape, made->pixels, err));
    TRY(iso_npz_texts(z, "channel_names", t->channels, t->names, err));
    TRY(iso_npz_texts(z, "name", made->n, (char *const *)made->names, err));
    if (made->z) TRY(iso_npz_array(z, "latent", "f4", 2, z_shape, made->z, err));
    TRY(iso_npz_commit(z, err));
done:
    iso_npz_free(z);
    return st;
}

/* A name may hold what a file's name must not. */
static char *file_name(const char *folder, const char *name)
{
    char *path = iso_sprintf("%s/%s.tif", folder, name);
    for (char *c = path ? path + strlen(folder) + 1 : NULL; c && *c; c++)
        if (*c == '/' || *c == ':') *c = '_';
    return path;
}

static iso_status write_folder(const iso_model *m, const iso_made *made, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_image_terms *t = &m->images;
    iso_images set = {.n = made->n, .channels = t->channels, .height = t->height, .width = t->width, .kind = ISO_PIXEL_FLOAT, .channel_names = t->names};
    char *file = NULL;
    TRY(iso_make_dir(path, err));
    for (int64_t i = 0; i < made->n; i++) {
        iso_free(file);
        FAIL_IF(!(file = file_name(path, made->names[i])), ISO_EMEMORY, "out of memory");
        TRY(iso_tiff_write(file, &set, made->pixels + i * image_size(m), err));
    }
done:
    iso_free(file);
    return st;
}

iso_status iso_made_write(iso_env *env, const iso_model *m, const iso_made *made, const char *path, iso_error *err)
{
    iso_status st = ends_in(path, ".npz")   ? write_archive(m, made, path, err)
                    : ends_in(path, ".png") ? write_sheet(m, made, path, err)
                                            : write_folder(m, made, path, err);
    if (!st) iso_info(env, "wrote %s: %lld images", path, (long long)made->n);
    return st;
}

iso_status iso_decoded_write(iso_env *env, iso_model *m, const float *z, int64_t n, const char *const *names, bool sharp, int64_t columns,
                             const iso_options *o, const char *otherwise, iso_error *err)
{
    iso_status st = ISO_OK;
    float *decoded = NULL, *pixels = NULL;
    const char *path;
    TRY(iso_output_path(o, otherwise, &path, err));
    ALLOC(decoded, n * m->n_genes, sizeof *decoded);
    if (sharp) TRY(iso_decode_sharp(env, &m->v, z, n, NULL, (uint64_t)iso_opt_int(o, "seed"), decoded, err));
    else TRY(iso_decode(env, &m->v, z, n, NULL, decoded, NULL, NULL, err));
    TRY(iso_made_pixels(m, decoded, n, &pixels, err));
    TRY(iso_made_write(env, m, &(iso_made){n, pixels, names, z, columns}, path, err));
done:
    iso_free(decoded);
    iso_free(pixels);
    return st;
}
