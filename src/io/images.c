/* images.c: which image formats are read, files and folders of them, and what every set must satisfy; see images.h. */
#include "image_file.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const iso_image_reader iso_image_readers[] = {
    {"tiff", "TIFF (.tif, OME-TIFF, ImageJ stacks)", tiff_sniff, tiff_read},
    {"png", "PNG", png_sniff, png_read},
    {"npy", "NumPy array (.npy)", npy_sniff, npy_read},
    {"npz", "NumPy archive (.npz)", npz_sniff, npz_read},
    {NULL, NULL, NULL, NULL},
};

void iso_images_clear(iso_images *im)
{
    if (!im->lent) iso_free(im->pixels);
    iso_free_texts(im->channel_names, im->channels);
    iso_frame_clear(&im->obs);
    *im = (iso_images){0};
}

/* -------------------------------------------------------------------------------------- checks */

iso_status images_alloc(iso_images *im, const char *path, int64_t stored, int64_t sample, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t values = 1, bytes;
    const int64_t sizes[4] = {im->n, im->channels, im->height, im->width};
    FAIL_IF(im->n == 0, ISO_EDATA, "%s: holds no images", path);
    FAIL_IF(im->channels < 1 || im->channels > MOST_CHANNELS || im->height < 1 || im->height > MOST_SIDE ||
                im->width < 1 || im->width > MOST_SIDE,
            ISO_EDATA,
            "%s: images of %lld channels of %lld x %lld pixels; at most %d channels and %d pixels a side are read",
            path, (long long)im->channels, (long long)im->height, (long long)im->width, MOST_CHANNELS, MOST_SIDE);
    bool fits = true;
    for (int i = 0; i < 4; i++) fits = fits && iso_mul(values, sizes[i], &values);
    fits = fits && iso_mul(values, sample, &bytes) && bytes / MOST_INFLATED <= stored;
    FAIL_IF(
        !fits, ISO_EDATA,
        "%s: announces %lld images of %lld channels of %lld x %lld pixels, more than its bytes can hold; it is damaged",
        path, (long long)im->n, (long long)im->channels, (long long)im->height, (long long)im->width);
    ALLOC(im->pixels, values, sizeof *im->pixels);
done:
    return st;
}

static iso_status check_finite(const char *path, const iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t plane = im->height * im->width, image = im->channels * plane;
    for (int64_t i = 0; i < im->n * image; i++)
        FAIL_IF(!isfinite(im->pixels[i]), ISO_EDATA,
                "%s: image %lld, channel %lld, row %lld, column %lld is %s; put a number in its place, or leave the "
                "image out",
                path, (long long)(i / image), (long long)(i % image / plane), (long long)(i % plane / im->width),
                (long long)(i % im->width), isnan(im->pixels[i]) ? "NaN" : "infinite");
done:
    return st;
}

/* Channels that have no names get numbers. */
static iso_status name_channels(iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    if (im->channel_names) return ISO_OK;
    ALLOC(im->channel_names, im->channels, sizeof *im->channel_names);
    for (int64_t c = 0; c < im->channels; c++)
        FAIL_IF(!(im->channel_names[c] = iso_sprintf("%lld", (long long)c)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

/* name: NULL for images that are named by their place alone. */
static iso_status name_images(iso_images *im, const char *name, iso_error *err)
{
    iso_status st = ISO_OK;
    im->obs.n_rows = im->n;
    if (!im->obs.index_name) FAIL_IF(!(im->obs.index_name = iso_strdup("_index")), ISO_EMEMORY, "out of memory");
    if (im->obs.index) return ISO_OK;
    ALLOC(im->obs.index, im->n, sizeof *im->obs.index);
    for (int64_t i = 0; i < im->n; i++) {
        im->obs.index[i] = !name        ? iso_sprintf("%lld", (long long)i)
                           : im->n == 1 ? iso_strdup(name)
                                        : iso_sprintf("%s:%lld", name, (long long)i);
        FAIL_IF(!im->obs.index[i], ISO_EMEMORY, "out of memory");
    }
done:
    return st;
}

iso_status iso_images_complete(iso_images *im, const char *path, const char *name, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(check_finite(path, im, err));
    TRY(name_channels(im, err));
    TRY(name_images(im, name, err));
done:
    return st;
}

/* --------------------------------------------------------------------------------------- files */

static const iso_image_reader *find_reader(const char *path)
{
    unsigned char start[16];
    struct stat s;
    FILE *f = stat(path, &s) == 0 && S_ISREG(s.st_mode) ? fopen(path, "rb") : NULL;
    size_t n = f ? fread(start, 1, sizeof start, f) : 0;
    if (f) fclose(f);
    for (const iso_image_reader *r = iso_image_readers; r->name; r++)
        if (r->sniff(start, n)) return r;
    return NULL;
}

iso_status iso_images_read_file(iso_env *env, const char *path, const char *name, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    *im = (iso_images){0};
    FAIL_IF(stat(path, &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    FAIL_IF(s.st_size == 0, ISO_EDATA, "%s: the file is empty", path);
    const iso_image_reader *r = find_reader(path);
    FAIL_IF(!r, ISO_EDATA, "%s: no image format that is known; known are TIFF, PNG, .npy and .npz", path);
    TRY(r->read(env, path, im, err));
    TRY(iso_images_complete(im, path, name, err));
done:
    if (st != ISO_OK) iso_images_clear(im);
    return st;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static iso_status list_folder(const char *path, iso_image_files *f, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t room = 0;
    DIR *folder = opendir(path);
    FAIL_IF(!folder, ISO_EIO, "%s: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(folder));) {
        if (e->d_name[0] == '.') continue;
        char *full = iso_sprintf("%s/%s", path, e->d_name);
        FAIL_IF(!full, ISO_EMEMORY, "out of memory");
        bool wanted = find_reader(full) != NULL;
        iso_free(full);
        if (!wanted) continue;
        if (f->n == room) {
            char **more = iso_realloc(f->names, f->n, room = 2 * room + 64, sizeof *more);
            FAIL_IF(!more, ISO_EMEMORY, "out of memory");
            f->names = more;
        }
        FAIL_IF(!(f->names[f->n++] = iso_strdup(e->d_name)), ISO_EMEMORY, "out of memory");
    }
    FAIL_IF(f->n == 0, ISO_EDATA, "%s: no image file in this folder; known are TIFF, PNG, .npy and .npz", path);
    qsort(f->names, (size_t)f->n, sizeof *f->names, by_name);
done:
    if (folder) closedir(folder);
    return st;
}

iso_status iso_image_files_find(const char *path, iso_image_files *f, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    *f = (iso_image_files){0};
    FAIL_IF(stat(path, &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    bool folder = S_ISDIR(s.st_mode);
    if (folder) {
        TRY(list_folder(path, f, err));
    } else {
        const char *slash = strrchr(path, '/');
        ALLOC(f->names, 1, sizeof *f->names);
        FAIL_IF(!(f->names[f->n++] = iso_strdup(slash ? slash + 1 : path)), ISO_EMEMORY, "out of memory");
    }
    ALLOC(f->paths, f->n, sizeof *f->paths);
    for (int64_t i = 0; i < f->n; i++)
        FAIL_IF(!(f->paths[i] = folder ? iso_sprintf("%s/%s", path, f->names[i]) : iso_strdup(path)), ISO_EMEMORY,
                "out of memory");
done:
    if (st != ISO_OK) iso_image_files_clear(f);
    return st;
}

void iso_image_files_clear(iso_image_files *f)
{
    iso_free_texts(f->paths, f->n);
    iso_free_texts(f->names, f->n);
    *f = (iso_image_files){0};
}

bool iso_image_sniff(const char *path)
{
    iso_image_files f;
    struct stat s;
    if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode)) return find_reader(path) != NULL;
    bool some = iso_image_files_find(path, &f, NULL) == ISO_OK;
    iso_image_files_clear(&f);
    return some;
}

/* ------------------------------------------------------------------------------------- folders */

static iso_status check_alike(const iso_images *all, const iso_images *one, const char *first, const char *path,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(one->channels != all->channels, ISO_EDATA,
            "%s: %lld channels, but %s has %lld; all images need the same channels", path, (long long)one->channels,
            first, (long long)all->channels);
    FAIL_IF(one->height != all->height || one->width != all->width, ISO_EDATA,
            "%s: %lld x %lld pixels, but %s has %lld x %lld; all images need one size: \"isolario crops\" cuts cells "
            "of one size out of whole fields",
            path, (long long)one->height, (long long)one->width, first, (long long)all->height, (long long)all->width);
    for (int64_t c = 0; c < all->channels; c++)
        FAIL_IF(strcmp(one->channel_names[c], all->channel_names[c]) != 0, ISO_EDATA,
                "%s: channel %lld is \"%s\", but in %s it is \"%s\"; bring the channels into one order", path,
                (long long)c, one->channel_names[c], first, all->channel_names[c]);
done:
    return st;
}

/* Adds the images of `one`; room: how many `all` has memory for; left: how many more files there are. Columns of single files are not kept. */
static iso_status append(iso_images *all, iso_images *one, int64_t left, int64_t *room, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t image = all->channels * all->height * all->width, n = all->n + one->n;
    if (n > *room) {
        int64_t more = n + (left > n / 4 ? left : n / 4), values, old = all->n * image; /* room for one a file: most files hold one */
        FAIL_IF(!iso_mul(more, image, &values), ISO_EMEMORY, "out of memory for %lld images", (long long)n);
        float *pixels = iso_realloc(all->pixels, old, values, sizeof *pixels);
        FAIL_IF(!pixels, ISO_EMEMORY, "out of memory for %lld images", (long long)n);
        all->pixels = pixels;
        char **names = iso_realloc(all->obs.index, all->n, more, sizeof *names);
        FAIL_IF(!names, ISO_EMEMORY, "out of memory");
        all->obs.index = names;
        *room = more;
    }
    memcpy(all->pixels + all->n * image, one->pixels, (size_t)(one->n * image) * sizeof *one->pixels);
    memcpy(all->obs.index + all->n, one->obs.index, (size_t)one->n * sizeof *one->obs.index);
    memset(one->obs.index, 0, (size_t)one->n * sizeof *one->obs.index); /* the names are in `all` now */
    all->n = all->obs.n_rows = n;
    if (one->kind > all->kind) all->kind = one->kind;
done:
    return st;
}

static iso_status read_folder(iso_env *env, const iso_image_files *f, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_images one = {0};
    TRY(iso_images_read_file(env, f->paths[0], f->names[0], im, err));
    int64_t room = im->n;
    for (int64_t i = 1; i < f->n; i++) {
        FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while reading %s", f->paths[i]);
        TRY(iso_images_read_file(env, f->paths[i], f->names[i], &one, err));
        TRY(check_alike(im, &one, f->paths[0], f->paths[i], err));
        TRY(append(im, &one, f->n - i - 1, &room, err));
        iso_images_clear(&one);
    }
done:
    iso_images_clear(&one);
    return st;
}

/* A camera of 12 bits leaves the upper ones of 16 empty: worth knowing, and harmless, since pixels are scaled by
 * percentiles. */
static void note_depth(iso_env *env, const char *path, const iso_images *im)
{
    float most = 0;
    if (im->kind != ISO_PIXEL_U16) return;
    for (int64_t i = 0; i < im->n * im->channels * im->height * im->width; i++) most = fmaxf(most, im->pixels[i]);
    if (most < 4096)
        iso_info(env, "%s: 16 bits a pixel, but no value above %g: 12 bits or fewer are in use", path, (double)most);
}

iso_status iso_images_open(iso_env *env, const char *path, const char *labels, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_image_files f = {0};
    struct stat s;
    *im = (iso_images){0};
    FAIL_IF(stat(path, &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode)) {
        TRY(iso_image_files_find(path, &f, err));
        TRY(read_folder(env, &f, im, err));
    } else {
        TRY(iso_images_read_file(env, path, NULL, im, err));
    }
    if (labels) TRY(iso_images_add_labels(env, im, labels, err));
    note_depth(env, path, im);
done:
    iso_image_files_clear(&f);
    if (st != ISO_OK) iso_images_clear(im);
    return st;
}

/* ------------------------------------------------------------------------------ as a data set */

/* labels.csv or cells.csv in the folder `path`; the caller frees. NULL: none, or no memory. */
static char *labels_beside(const char *path)
{
    static const char *const names[] = {"labels.csv", "cells.csv"};
    for (int i = 0; i < 2; i++) {
        struct stat s;
        char *file = iso_sprintf("%s/%s", path, names[i]);
        if (file && stat(file, &s) == 0 && S_ISREG(s.st_mode)) return file;
        iso_free(file);
    }
    return NULL;
}

iso_status iso_images_as_dataset(iso_images *im, const char *path, iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    ALLOC(d, 1, sizeof *d);
    ALLOC(d->images, 1, sizeof *d->images);
    d->format = "images";
    FAIL_IF(!(d->path = iso_strdup(path)) || !(d->source = iso_strdup("pixels")), ISO_EMEMORY, "out of memory");
    d->x = (iso_csr){.n_rows = im->n, .n_cols = im->channels * im->height * im->width};
    ALLOC(d->x.indptr, d->x.n_rows + 1, sizeof *d->x.indptr);
    d->obs = im->obs, im->obs = (iso_frame){0};
    *d->images = *im, *im = (iso_images){0};
    *out = d, d = NULL;
done:
    iso_dataset_free(d);
    return st;
}

iso_status iso_images_dataset(iso_env *env, const char *path, const char *labels, iso_dataset **out, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_images im = {0};
    char *found = labels ? NULL : labels_beside(path);
    if (found) iso_info(env, "%s: labels from %s", path, found);
    TRY(iso_images_open(env, path, labels ? labels : found, &im, err));
    TRY(iso_images_as_dataset(&im, path, out, err));
done:
    iso_free(found);
    iso_images_clear(&im);
    return st;
}
