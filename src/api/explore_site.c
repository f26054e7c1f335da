/* explore_site.c: see explore_site.h. */
#include "explore_site.h"

#include "explore_page.h"
#include "io/report_web.h"
#include "io/tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char BINARY[] = "application/octet-stream";

/* Takes `name` and `owned`, also in failure. */
static iso_status add(iso_site *s, iso_site_file f, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(!f.name, ISO_EMEMORY, "out of memory");
    if (s->n == s->room) {
        iso_site_file *more = iso_realloc(s->file, s->room, 2 * s->room + 64, sizeof *more);
        FAIL_IF(!more, ISO_EMEMORY, "out of memory");
        s->file = more, s->room = 2 * s->room + 64;
    }
    s->file[s->n++] = f;
done:
    if (st) iso_free(f.name), iso_free(f.owned);
    return st;
}

static iso_status add_page(const iso_explore *x, iso_site *s, iso_error *err)
{
    iso_status st = ISO_OK;
    char *text = NULL, *kept = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    FAIL_IF(!f, ISO_EMEMORY, "out of memory");
    iso_explore_put_page(x, false, f);
    bool failed = ferror(f) != 0;
    failed |= fclose(f) != 0;
    FAIL_IF(failed || !(kept = iso_calloc((int64_t)n, 1)), ISO_EMEMORY, "out of memory");
    memcpy(kept, text, n);
    TRY(add(s, (iso_site_file){iso_strdup("index.html"), "text/html; charset=utf-8", (uint8_t *)kept, (int64_t)n, kept}, err));
done:
    free(text);                   /* open_memstream's */
    return st;
}

static iso_status add_genes(const iso_explore *x, iso_site *s, iso_error *err)
{
    iso_status st = ISO_OK;
    for (int64_t g = 0; g < x->by_gene.n_rows; g++) {
        int64_t n;
        uint8_t *bytes = iso_explore_gene_file(x, g, &n);
        FAIL_IF(!bytes, ISO_EMEMORY, "out of memory");
        TRY(add(s, (iso_site_file){iso_sprintf("counts/%lld.bin", (long long)g), BINARY, bytes, n, bytes}, err));
    }
done:
    return st;
}

static int by_name(const void *a, const void *b) { return strcmp(((const iso_site_file *)a)->name, ((const iso_site_file *)b)->name); }

iso_status iso_site_new(const iso_explore *x, iso_site *s, iso_error *err)
{
    iso_status st = ISO_OK;
    *s = (iso_site){0};
    TRY(add_page(x, s, err));
    TRY(add(s, (iso_site_file){iso_strdup("map.json"), "application/json", (uint8_t *)x->map, (int64_t)x->map_bytes, NULL}, err));
    TRY(add(s, (iso_site_file){iso_strdup("explorer.wasm"), "application/wasm", iso_web_explorer_wasm.bytes,
                               (int64_t)iso_web_explorer_wasm.size, NULL}, err));
    for (int i = 0; i < x->n_arrays; i++)
        TRY(add(s, (iso_site_file){iso_sprintf("%s.bin", x->arrays[i].name), BINARY, x->arrays[i].values, x->arrays[i].bytes, NULL}, err));
    TRY(add_genes(x, s, err));
    qsort(s->file, (size_t)s->n, sizeof *s->file, by_name);
done:
    if (st) iso_site_clear(s);
    return st;
}

void iso_site_clear(iso_site *s)
{
    for (int64_t i = 0; i < s->n; i++) iso_free(s->file[i].name), iso_free(s->file[i].owned);
    iso_free(s->file);
    *s = (iso_site){0};
}

const iso_site_file *iso_site_find(const iso_site *s, const char *name)
{
    iso_site_file key = {.name = (char *)name};
    return bsearch(&key, s->file, (size_t)s->n, sizeof *s->file, by_name);
}

/* --------------------------------------------------------------------------------------- as a folder */

/* Thousands of small files: not each is waited for until it is on the disk, as io/out.c does. */
static iso_status write_file(const char *folder, const iso_site_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    FILE *file = NULL;
    char *path = iso_sprintf("%s/%s", folder, f->name);
    FAIL_IF(!path, ISO_EMEMORY, "out of memory");
    FAIL_IF(!(file = fopen(path, "wb")), ISO_EIO, "%s: cannot be written: %s", path, strerror(errno));
    bool failed = fwrite(f->bytes, 1, (size_t)f->n, file) != (size_t)f->n;
    failed |= fclose(file) != 0;
    FAIL_IF(failed, ISO_EIO, "%s: cannot be written: %s", path, strerror(errno));
done:
    iso_free(path);
    return st;
}

static iso_status write_files(const iso_site *s, const char *folder, iso_error *err)
{
    iso_status st = ISO_OK;
    char *counts = iso_sprintf("%s/counts", folder);
    FAIL_IF(!counts, ISO_EMEMORY, "out of memory");
    TRY(iso_make_dir(counts, err));
    for (int64_t i = 0; i < s->n; i++) TRY(write_file(folder, &s->file[i], err));
done:
    iso_free(counts);
    return st;
}

iso_status iso_site_write(const iso_site *s, const char *folder, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat there;
    size_t length = strlen(folder);
    char *beside = NULL;
    while (length > 1 && folder[length - 1] == '/') length--;
    FAIL_IF(!(beside = iso_sprintf("%.*s.part-%ld", (int)length, folder, (long)getpid())), ISO_EMEMORY, "out of memory");
    bool replace = stat(folder, &there) == 0;
    TRY(write_files(s, replace ? folder : beside, err));
    FAIL_IF(!replace && rename(beside, folder) != 0, ISO_EIO, "%s: cannot be put in place: %s", folder, strerror(errno));
done:
    iso_free(beside);
    return st;
}
