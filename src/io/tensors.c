/* tensors.c: safetensors: 8 bytes, the header's length; a JSON header; the tensors' bytes, end to end.
 * Format: https://github.com/huggingface/safetensors (README, "Format"). Nothing read is trusted. */
#include "tensors.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_HEADER = 100000000, MAX_TENSORS = 100000, ALIGN = 8 };

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are written as they lie in memory: a little-endian CPU is needed"
#endif

static size_t item_size(const iso_tensor *t) { return t->is_double ? 8 : 4; }
static int64_t n_items(const iso_tensor *t) { return t->rank > 1 ? t->shape[0] * t->shape[1] : t->shape[0]; }

/* --------------------------------------------------------------------------------------- writing */

static char *make_header(const iso_tensor_file *f)
{
    json_t *j = json_object();
    if (f->metadata) json_object_set_new(j, "__metadata__", json_pack("{s:s, s:s}", "format", "pt", "isolario", f->metadata));
    int64_t at = 0;
    for (int i = 0; i < f->n_tensors; i++) {
        const iso_tensor *t = &f->tensors[i];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->shape[k]));
        int64_t end = at + n_items(t) * (int64_t)item_size(t);
        json_object_set_new(j, t->name, json_pack("{s:s, s:o, s:[I,I]}", "dtype", t->is_double ? "F64" : "F32", "shape", shape,
                                                  "data_offsets", (json_int_t)at, (json_int_t)end));
        at = end;
    }
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

iso_status iso_tensors_write(const char *path, const iso_tensor_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out o = {0};
    char *header = make_header(f);
    FAIL_IF(!header, ISO_EMEMORY, "out of memory for the header of %s", path);
    uint64_t n = strlen(header), padded = (n + ALIGN - 1) / ALIGN * ALIGN;
    FAIL_IF(padded > MAX_HEADER, ISO_EDATA, "%s: the header would be larger than the format allows", path);
    TRY(iso_out_open(path, &o, err));
    fwrite(&padded, sizeof padded, 1, o.file);
    fwrite(header, 1, n, o.file);
    for (; n < padded; n++) putc(' ', o.file);
    for (int i = 0; i < f->n_tensors; i++) fwrite(f->tensors[i].values, item_size(&f->tensors[i]), (size_t)n_items(&f->tensors[i]), o.file);
    TRY(iso_out_commit(&o, err));
done:
    iso_out_discard(&o);
    free(header);               /* allocated by jansson */
    return st;
}

/* --------------------------------------------------------------------------------------- reading */

typedef struct span { int64_t begin, end; int tensor; } span;
static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin) : (x->end > y->end) - (x->end < y->end);
}

static iso_status read_entry(const char *path, const char *name, const json_t *j, int64_t bytes, iso_tensor *t, span *s, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *dtype = json_string_value(json_object_get(j, "dtype"));
    const json_t *shape = json_object_get(j, "shape"), *offsets = json_object_get(j, "data_offsets");
    int64_t items = 1, size;
    FAIL_IF(!dtype || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2, ISO_EDATA,
            "%s: tensor \"%s\" is not described as safetensors should be", path, name);
    FAIL_IF(strcmp(dtype, "F32") != 0 && strcmp(dtype, "F64") != 0, ISO_EDATA, "%s: tensor \"%s\" has type %s; F32 and F64 are known", path, name, dtype);
    t->is_double = strcmp(dtype, "F64") == 0;
    t->rank = (int)json_array_size(shape);
    FAIL_IF(t->rank < 1 || t->rank > 2, ISO_EDATA, "%s: tensor \"%s\" has %d dimensions; 1 and 2 are known", path, name, t->rank);
    for (int k = 0; k < t->rank; k++) {
        const json_t *length = json_array_get(shape, (size_t)k);
        FAIL_IF(!json_is_integer(length) || json_integer_value(length) < 0, ISO_EDATA, "%s: tensor \"%s\" has an impossible shape", path, name);
        t->shape[k] = json_integer_value(length);
        FAIL_IF(!iso_mul(items, t->shape[k], &items), ISO_EDATA, "%s: tensor \"%s\" has an impossible shape", path, name);
    }
    FAIL_IF(!json_is_integer(json_array_get(offsets, 0)) || !json_is_integer(json_array_get(offsets, 1)), ISO_EDATA,
            "%s: tensor \"%s\" has no place in the file", path, name);
    s->begin = json_integer_value(json_array_get(offsets, 0)), s->end = json_integer_value(json_array_get(offsets, 1));
    FAIL_IF(!iso_mul(items, (int64_t)item_size(t), &size) || s->begin < 0 || s->end < s->begin || s->end > bytes || s->end - s->begin != size, ISO_EDATA,
            "%s: tensor \"%s\" lies outside of the file, or its size is not that of its shape; the file is damaged", path, name);
    FAIL_IF(!(t->name = iso_strdup(name)), ISO_EMEMORY, "out of memory");
done:
    return st;
}

/* All tensors of the header; they must fill the `bytes` after it without a gap or an overlap. */
static iso_status read_entries(const char *path, json_t *j, int64_t bytes, iso_tensor_file *f, span *spans, iso_error *err)
{
    iso_status st = ISO_OK;
    const char *name;
    json_t *entry;
    int64_t at = 0;
    json_object_foreach(j, name, entry) {
        if (strcmp(name, "__metadata__") == 0) continue;
        spans[f->n_tensors].tensor = f->n_tensors;
        TRY(read_entry(path, name, entry, bytes, &f->tensors[f->n_tensors], &spans[f->n_tensors], err));
        f->n_tensors++;
    }
    qsort(spans, (size_t)f->n_tensors, sizeof *spans, by_begin);
    for (int i = 0; i < f->n_tensors; at = spans[i++].end)
        FAIL_IF(spans[i].begin != at, ISO_EDATA, "%s: tensor \"%s\" overlaps another or leaves a gap; the file is damaged", path,
                f->tensors[spans[i].tensor].name);
    FAIL_IF(at != bytes, ISO_EDATA, "%s: the tensors fill %lld of %lld bytes; the file is damaged", path, (long long)at, (long long)bytes);
done:
    return st;
}

static iso_status read_values(const char *path, FILE *file, iso_tensor_file *f, const span *spans, iso_error *err)
{
    iso_status st = ISO_OK;
    for (int i = 0; i < f->n_tensors; i++) {
        iso_tensor *t = &f->tensors[spans[i].tensor];
        ALLOC(t->values, n_items(t), item_size(t));
        FAIL_IF(fread(t->values, item_size(t), (size_t)n_items(t), file) != (size_t)n_items(t), ISO_EIO, "%s: tensor \"%s\" could not be read: %s", path,
                t->name, ferror(file) ? strerror(errno) : "the file ends");
    }
done:
    return st;
}

static iso_status read_header(const char *path, FILE *file, int64_t *rest, json_t **out, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    uint64_t n = 0;
    char *text = NULL;
    json_error_t why;
    FAIL_IF(fstat(fileno(file), &s) != 0 || !S_ISREG(s.st_mode), ISO_EIO, "%s: not a file", path);
    FAIL_IF(s.st_size < 10 || fread(&n, sizeof n, 1, file) != 1, ISO_EDATA, "%s: not a safetensors file: too short", path);
    FAIL_IF(n < 2 || n > MAX_HEADER || n > (uint64_t)s.st_size - 8, ISO_EDATA, "%s: not a safetensors file, or damaged: its header would have %llu bytes",
            path, (unsigned long long)n);
    ALLOC(text, (int64_t)n + 1, 1);
    FAIL_IF(fread(text, 1, n, file) != n, ISO_EIO, "%s: %s", path, strerror(errno));
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    FAIL_IF(!json_is_object(*out), ISO_EDATA, "%s: not a safetensors file, or damaged: its header is no JSON object", path);
    FAIL_IF(json_object_size(*out) > MAX_TENSORS, ISO_EDATA, "%s: more tensors than a model can have", path);
    *rest = (int64_t)s.st_size - 8 - (int64_t)n;
done:
    iso_free(text);
    return st;
}

iso_status iso_tensors_read(const char *path, iso_tensor_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    FILE *file = fopen(path, "rb");
    json_t *j = NULL;
    span *spans = NULL;
    int64_t bytes;
    *f = (iso_tensor_file){0};
    FAIL_IF(!file, ISO_EIO, "%s: %s", path, strerror(errno));
    TRY(read_header(path, file, &bytes, &j, err));
    ALLOC(f->tensors, (int64_t)json_object_size(j), sizeof *f->tensors);
    ALLOC(spans, (int64_t)json_object_size(j), sizeof *spans);
    TRY(read_entries(path, j, bytes, f, spans, err));
    TRY(read_values(path, file, f, spans, err));
    const char *metadata = json_string_value(json_object_get(json_object_get(j, "__metadata__"), "isolario"));
    FAIL_IF(metadata && !(f->metadata = iso_strdup(metadata)), ISO_EMEMORY, "out of memory");
done:
    if (file) fclose(file);
    json_decref(j);
    iso_free(spans);
    if (st) iso_tensors_clear(f);
    return st;
}

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
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    return NULL;
}
