/* npz.c: NumPy's archives of arrays. One array holds the images; arrays with one element an image become columns:
 * "name" their names, "channel_names" those of the channels, all others labels. */
#include "npy.h"

#include <string.h>

bool npz_sniff(const unsigned char *start, size_t n)
{
    return n >= 4 && (!memcmp(start, "PK\3\4", 4) || !memcmp(start, "PK\5\6", 4));
}

/* Names under which images are commonly stored, best first; without one of them the array must be the only one of 3 or
 * 4 axes. */
static const char *const image_names[] = {"images", "train_images", "x", "X", "data", "arr_0"};

/* "images" of "images.npy", to be freed; NULL: no memory. */
static char *array_name(const zip_entry *e)
{
    size_t n = strlen(e->name);
    return iso_sprintf("%.*s", n > 4 && !strcmp(e->name + n - 4, ".npy") ? (int)n - 4 : (int)n, e->name);
}

static bool is_array(const zip_entry *e)
{
    size_t n = strlen(e->name);
    return n > 4 && !strcmp(e->name + n - 4, ".npy");
}

static bool entry_is(const zip_entry *e, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(e->name, name, n) && !strcmp(e->name + n, ".npy");
}

static iso_status look(const zip_file *z, const zip_entry *e, npy_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    byte_source s = {0};
    TRY(source_entry(z, e, &s, err));
    TRY(npy_header(&s, a, err));
done:
    source_close(&s);
    return st;
}

static iso_status find_images(const zip_file *z, const zip_entry **found, iso_error *err)
{
    iso_status st = ISO_OK;
    int n_found = 0;
    *found = NULL;
    for (size_t k = 0; k < sizeof image_names / sizeof image_names[0] && !*found; k++)
        for (int64_t i = 0; i < z->n && !*found; i++)
            if (entry_is(&z->entries[i], image_names[k])) *found = &z->entries[i];
    if (*found) return ISO_OK;
    for (int64_t i = 0; i < z->n; i++) {
        npy_array a;
        if (!is_array(&z->entries[i])) continue;
        TRY(look(z, &z->entries[i], &a, err));
        if (a.rank == 3 || a.rank == 4) *found = &z->entries[i], n_found++;
    }
    FAIL_IF(n_found != 1, ISO_EDATA,
            "%s: none of its arrays is called \"images\", and %d could be images; save them under that name", z->path,
            n_found);
done:
    return st;
}

static iso_status read_images(const zip_file *z, const zip_entry *e, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    byte_source s = {0};
    npy_array a;
    TRY(source_entry(z, e, &s, err));
    TRY(npy_header(&s, &a, err));
    TRY(npy_images(&s, &a, im, err));
done:
    source_close(&s);
    return st;
}

/* The texts of c, which then has none, if it holds any. */
static char **take_texts(iso_column *c)
{
    char **texts = c->strings;
    c->strings = NULL;
    return texts;
}

/* Puts a column to its use in im; what is left of it is the caller's. */
static void use_column(iso_images *im, iso_column *c, int64_t count)
{
    if (!strcmp(c->name, "channel_names") && count == im->channels && c->strings && !im->channel_names)
        im->channel_names = take_texts(c);
    else if (count != im->n) return;
    else if (!strcmp(c->name, "name") && c->strings && !im->obs.index)
        im->obs.index = take_texts(c), im->obs.n_rows = im->n;
    else {
        im->obs.columns[im->obs.n_columns++] = *c;
        *c = (iso_column){0};
    }
}

static iso_status read_column(const zip_file *z, const zip_entry *e, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    byte_source s = {0};
    npy_array a = {0};
    iso_column c = {0};
    char *name = array_name(e);
    FAIL_IF(!name, ISO_EMEMORY, "out of memory");
    TRY(source_entry(z, e, &s, err));
    TRY(npy_header(&s, &a, err));
    bool flat = a.rank == 1 || (a.rank == 2 && a.shape[1] == 1);
    if (flat && (a.count == im->n || a.count == im->channels)) {
        TRY(npy_column(&s, &a, name, &c, err));
        use_column(im, &c, a.count);
    }
done:
    iso_column_clear(&c, a.count);
    iso_free(name);
    source_close(&s);
    return st;
}

iso_status npz_read(iso_env *env, const char *path, iso_images *im, iso_error *err)
{
    iso_status st = ISO_OK;
    zip_file z = {0};
    const zip_entry *images;
    (void)env;
    TRY(zip_open(path, &z, err));
    TRY(find_images(&z, &images, err));
    TRY(read_images(&z, images, im, err));
    ALLOC(im->obs.columns, z.n, sizeof *im->obs.columns);
    im->obs.n_rows = im->n;
    for (int64_t i = 0; i < z.n; i++)
        if (&z.entries[i] != images && is_array(&z.entries[i])) TRY(read_column(&z, &z.entries[i], im, err));
done:
    zip_close(&z);
    return st;
}
