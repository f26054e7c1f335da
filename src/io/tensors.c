/* tensors.c: safetensors files.
 *
 * Layout: header size N (8 bytes, little-endian), N bytes of JSON padded with spaces to a multiple of 8, then the
 * tensors' bytes. The JSON maps each name to {"dtype", "shape", "data_offsets": [begin, end]}, offsets from the first
 * byte after the header; together they cover every byte once. "__metadata__" maps text to text.
 * Source: the format's description in the README of huggingface/safetensors. */
#include "tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they lie in memory");

enum { SIZE_BYTES = 8, MAX_HEADER_BYTES = 100000000 };

static const char metadata_key[] = "__metadata__", our_key[] = "isolario";
static const struct { const char *name; int64_t bytes; } types[] = {{"F32", 4}, {"F64", 8}};    /* by is_double */

void iso_tensors_clear(iso_tensor_file *f)
{
    for (int i = 0; f->tensors && i < f->n_tensors; i++) {
        iso_free(f->tensors[i].name);
        iso_free(f->tensors[i].values);
    }
    iso_free(f->tensors);
    iso_free(f->metadata);
    *f = (iso_tensor_file){0};
}

const iso_tensor *iso_tensors_find(const iso_tensor_file *f, const char *name)
{
    for (int i = 0; i < f->n_tensors; i++)
        if (!strcmp(f->tensors[i].name, name)) return &f->tensors[i];
    return NULL;
}

/* False when it does not fit in 63 bits or a size is negative. */
static bool tensor_bytes(const iso_tensor *t, int64_t *bytes)
{
    return iso_mul(t->shape[0], t->rank == 2 ? t->shape[1] : 1, bytes) &&
           iso_mul(*bytes, types[t->is_double].bytes, bytes);
}

/* ---------------------------------------------------------------------------------- writing */

/* Adds t to the header; *end is the first byte after the tensors so far. */
static iso_status describe(const char *path, json_t *header, const iso_tensor *t, int64_t *end, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t bytes, begin = *end;
    json_t *j = NULL;
    FAIL_IF(t->rank < 1 || t->rank > 2 || !tensor_bytes(t, &bytes) || __builtin_add_overflow(begin, bytes, end),
            ISO_EDATA, "%s: tensor \"%s\" has a shape that cannot be written", path, t->name);
    FAIL_IF(!strcmp(t->name, metadata_key) || json_object_get(header, t->name), ISO_EDATA,
            "%s: two tensors have the name \"%s\", or it is reserved", path, t->name);
    j = json_pack("{s:s, s:[I], s:[I, I]}", "dtype", types[t->is_double].name, "shape", (json_int_t)t->shape[0],
                  "data_offsets", (json_int_t)begin, (json_int_t)*end);
    FAIL_IF(!j || (t->rank == 2 && json_array_append_new(json_object_get(j, "shape"), json_integer(t->shape[1]))),
            ISO_EMEMORY, "out of memory");
    int bad = json_object_set_new(header, t->name, j);           /* takes j over, also on failure */
    j = NULL;
    FAIL_IF(bad, ISO_EDATA, "%s: the tensor name \"%s\" is not UTF-8", path, t->name);
done:
    json_decref(j);
    return st;
}

/* The header as text, padded; *n = its length. */
static iso_status make_header(const char *path, const iso_tensor_file *f, char **text, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *header = json_object(), *ours = f->metadata ? json_pack("{s:s}", our_key, f->metadata) : NULL;
    int64_t end = 0;
    *text = NULL, *n = 0;
    FAIL_IF(!header, ISO_EMEMORY, "out of memory");
    FAIL_IF(f->metadata && !ours, ISO_EDATA, "%s: the metadata is not UTF-8", path);
    FAIL_IF(ours && json_object_set(header, metadata_key, ours), ISO_EMEMORY, "out of memory");
    for (int i = 0; i < f->n_tensors; i++) TRY(describe(path, header, &f->tensors[i], &end, err));
    size_t length = json_dumpb(header, NULL, 0, JSON_COMPACT);
    FAIL_IF(length == 0, ISO_EMEMORY, "out of memory");
    FAIL_IF(length > MAX_HEADER_BYTES - SIZE_BYTES, ISO_EDATA, "%s: the header needs %zu bytes; the format allows %d",
            path, length, MAX_HEADER_BYTES);
    *n = (int64_t)(length + 7) / 8 * 8;
    ALLOC(*text, *n, 1);
    memset(*text, ' ', (size_t)*n);
    FAIL_IF(json_dumpb(header, *text, length, JSON_COMPACT) != length, ISO_EMEMORY, "out of memory");
done:
    json_decref(ours);
    json_decref(header);
    return st;
}

iso_status iso_tensors_write(const char *path, const iso_tensor_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out o = {0};
    char *header = NULL;
    int64_t n_header, bytes;
    TRY(make_header(path, f, &header, &n_header, err));
    TRY(iso_out_open(path, &o, err));
    uint64_t size = (uint64_t)n_header;
    bool good = fwrite(&size, sizeof size, 1, o.file) == 1 &&
                fwrite(header, 1, (size_t)n_header, o.file) == (size_t)n_header;
    for (int i = 0; good && i < f->n_tensors; i++)
        good = tensor_bytes(&f->tensors[i], &bytes) &&
               fwrite(f->tensors[i].values, 1, (size_t)bytes, o.file) == (size_t)bytes;
    FAIL_IF(!good, ISO_EIO, "%s: cannot be written: %s", path, strerror(errno));
    TRY(iso_out_commit(&o, err));
done:
    iso_out_discard(&o);
    iso_free(header);
    return st;
}

/* ---------------------------------------------------------------------------------- reading */

/* Where a tensor's bytes lie, from the end of the header. */
typedef struct span { int64_t begin, end; const char *name; } span;

static int by_place(const void *a, const void *b)
{
    const span *x = a, *y = b;
    int order = (x->begin > y->begin) - (x->begin < y->begin);
    return order ? order : (x->end > y->end) - (x->end < y->end);
}

/* Every byte in one span, and one only; sorts them. */
static iso_status check_tiling(const char *path, span *spans, int64_t n, int64_t n_bytes, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t end = 0;
    if (n) qsort(spans, (size_t)n, sizeof *spans, by_place);
    for (int64_t i = 0; i < n; i++) {
        FAIL_IF(spans[i].begin != end, ISO_EDATA,
                "%s: tensor \"%s\" begins at byte %" PRId64 ", %s; the file is damaged", path, spans[i].name,
                spans[i].begin, spans[i].begin < end ? "within another" : "after a gap");
        end = spans[i].end;
    }
    FAIL_IF(end != n_bytes, ISO_EDATA,
            "%s: its tensors end at byte %" PRId64 " but there are %" PRId64 "; it is cut short or damaged", path, end,
            n_bytes);
done:
    return st;
}

static bool int_at(const json_t *array, size_t i, int64_t *out)
{
    const json_t *v = json_array_get(array, i);
    *out = json_integer_value(v);
    return json_is_integer(v);
}

/* One entry of the header, checked against itself and the n_bytes of data. t's name is set by the caller. */
static iso_status read_entry(const char *path, const json_t *j, int64_t n_bytes, iso_tensor *t, span *at,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    const json_t *shape = json_object_get(j, "shape"), *offsets = json_object_get(j, "data_offsets");
    const char *type = json_string_value(json_object_get(j, "dtype"));
    int64_t bytes;
    FAIL_IF(!type || !json_is_array(shape) || json_array_size(offsets) != 2, ISO_EDATA,
            "%s: tensor \"%s\" lacks dtype, shape or data_offsets; the file is damaged", path, t->name);
    t->is_double = !strcmp(type, types[1].name);
    FAIL_IF(strcmp(type, types[t->is_double].name) != 0, ISO_EDATA,
            "%s: tensor \"%s\" has values of type %s; only F32 and F64 are read", path, t->name, type);
    FAIL_IF(json_array_size(shape) < 1 || json_array_size(shape) > 2, ISO_EDATA,
            "%s: tensor \"%s\" has %zu dimensions, not 1 or 2", path, t->name, json_array_size(shape));
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++)
        FAIL_IF(!int_at(shape, (size_t)i, &t->shape[i]) || t->shape[i] < 0, ISO_EDATA,
                "%s: tensor \"%s\" has a size that is no whole number >= 0; the file is damaged", path, t->name);
    FAIL_IF(!int_at(offsets, 0, &at->begin) || !int_at(offsets, 1, &at->end) || at->begin < 0 || at->end < at->begin ||
                at->end > n_bytes,
            ISO_EDATA, "%s: tensor \"%s\" lies outside of the file; it is cut short or damaged", path, t->name);
    FAIL_IF(!tensor_bytes(t, &bytes) || bytes != at->end - at->begin, ISO_EDATA,
            "%s: tensor \"%s\" has %" PRId64 " bytes, not what its shape needs; the file is damaged", path, t->name,
            at->end - at->begin);
    at->name = t->name;
done:
    return st;
}

static iso_status read_metadata(const char *path, const json_t *j, iso_tensor_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *text = json_string_value(json_object_get(j, our_key));
    FAIL_IF(!json_is_object(j), ISO_EDATA, "%s: %s is no object; the file is damaged", path, metadata_key);
    if (text) FAIL_IF(!(f->metadata = iso_strdup(text)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

/* Fills everything but the values; spans [number of tensors] in the order of f->tensors. */
static iso_status read_header(const char *path, json_t *header, int64_t n_bytes, iso_tensor_file *f, span *spans,
                              iso_error *err)
{
    iso_status st = ISO_OK;
    const char *name;
    json_t *j;
    json_object_foreach(header, name, j) {
        if (!strcmp(name, metadata_key)) {
            TRY(read_metadata(path, j, f, err));
            continue;
        }
        int i = f->n_tensors++;
        FAIL_IF(!(f->tensors[i].name = iso_strdup(name)), ISO_EMEMORY, "out of memory");
        TRY(read_entry(path, j, n_bytes, &f->tensors[i], &spans[i], err));
    }
done:
    return st;
}

/* The JSON at the beginning of the file. *n_bytes: what follows it. */
static iso_status load_header(const char *path, FILE *file, json_t **header, int64_t *n_bytes, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    json_error_t why;
    uint64_t size = 0;
    char *text = NULL;
    FAIL_IF(fstat(fileno(file), &s) || !S_ISREG(s.st_mode), ISO_EIO, "%s: not a regular file", path);
    FAIL_IF(fread(&size, sizeof size, 1, file) != 1 || size > (uint64_t)s.st_size - SIZE_BYTES ||
                size > MAX_HEADER_BYTES,
            ISO_EDATA, "%s: not a safetensors file, or cut short", path);
    ALLOC(text, (int64_t)size, 1);
    FAIL_IF(fread(text, 1, (size_t)size, file) != (size_t)size, ISO_EIO, "%s: cannot be read", path);
    FAIL_IF(size == 0 || text[0] != '{', ISO_EDATA, "%s: not a safetensors file: its header does not begin with {",
            path);
    *header = json_loadb(text, (size_t)size, JSON_REJECT_DUPLICATES, &why);
    FAIL_IF(!*header, ISO_EDATA, "%s: not a safetensors file: its header is no JSON (byte %d: %s)", path, why.position,
            why.text);
    *n_bytes = (int64_t)s.st_size - SIZE_BYTES - (int64_t)size;
done:
    iso_free(text);
    return st;
}

/* `file` stands at the end of the header. */
static iso_status read_values(const char *path, FILE *file, const span *spans, iso_tensor_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    const off_t start = ftello(file);
    for (int i = 0; i < f->n_tensors; i++) {
        int64_t bytes = spans[i].end - spans[i].begin;
        ALLOC(f->tensors[i].values, bytes, 1);
        FAIL_IF(start < 0 || fseeko(file, start + (off_t)spans[i].begin, SEEK_SET) ||
                fread(f->tensors[i].values, 1, (size_t)bytes, file) != (size_t)bytes, ISO_EIO,
                "%s: tensor \"%s\" cannot be read", path, f->tensors[i].name);
    }
done:
    return st;
}

iso_status iso_tensors_read(const char *path, iso_tensor_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    json_t *header = NULL;
    span *spans = NULL, *sorted = NULL;
    int64_t n_bytes, n_entries;
    FILE *file = fopen(path, "rb");
    *f = (iso_tensor_file){0};
    FAIL_IF(!file, ISO_EIO, "%s: %s", path, strerror(errno));
    TRY(load_header(path, file, &header, &n_bytes, err));
    n_entries = (int64_t)json_object_size(header);
    ALLOC(f->tensors, n_entries, sizeof *f->tensors);
    ALLOC(spans, n_entries, sizeof *spans);
    ALLOC(sorted, n_entries, sizeof *sorted);
    TRY(read_header(path, header, n_bytes, f, spans, err));
    memcpy(sorted, spans, (size_t)f->n_tensors * sizeof *sorted);
    TRY(check_tiling(path, sorted, f->n_tensors, n_bytes, err));
    TRY(read_values(path, file, spans, f, err));
done:
    iso_free(sorted);
    iso_free(spans);
    json_decref(header);
    if (file) fclose(file);
    if (st != ISO_OK) iso_tensors_clear(f);
    return st;
}
