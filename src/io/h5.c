/* h5.c: files, links, and what an array is; see h5.h. Values and text are read in h5_values.c. */
#include "h5.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* HDF5 1.12 renamed what tells a link's address. */
#if H5_VERSION_GE(1, 12, 0)
typedef H5L_info1_t h5_link_info;
#define h5_get_link H5Lget_info1
#else
typedef H5L_info_t h5_link_info;
#define h5_get_link H5Lget_info
#endif

enum { SLACK_BYTES = 1 << 20, BLOCK_BYTES = 4 << 20, MAX_BLOCK_BYTES = 256 << 20, MAX_EXPANSION = 1100 };

bool h5_signature(const char *path)
{
    static const char signature[8] = "\211HDF\r\n\032\n";
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    bool found = false;
    for (long at = 0; !found && at <= 1 << 20; at = at ? at * 2 : 512) {
        char b[8];
        if (fseek(f, at, SEEK_SET) || fread(b, 1, 8, f) != 8) break;
        found = memcmp(b, signature, 8) == 0;
    }
    fclose(f);
    return found;
}

void h5_drop(hid_t id)
{
    if (id >= 0) H5Idec_ref(id);
}

static herr_t keep_first(unsigned n, const H5E_error2_t *e, void *arg)
{
    h5_reason *r = arg;
    if (n == 0 && e->desc) snprintf(r->text, sizeof r->text, "%s", e->desc);
    return 0;
}

const char *h5_why(h5_reason *r)
{
    snprintf(r->text, sizeof r->text, "no reason given");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, r);
    return r->text;
}

void h5_silence(h5_file *f)
{
    if (f->silenced) return;
    H5Eget_auto2(H5E_DEFAULT, &f->print, &f->print_arg);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    f->silenced = true;
}

void h5_unsilence(h5_file *f)
{
    if (f->silenced) H5Eset_auto2(H5E_DEFAULT, f->print, f->print_arg);
    f->silenced = false;
}

static herr_t refuse_link(const char *file, const char *group, const char *to_file, const char *to_object,
                          unsigned *flags, hid_t fapl, void *arg)
{
    (void)file, (void)group, (void)to_file, (void)to_object, (void)flags, (void)fapl, (void)arg;
    return -1;
}

uint64_t h5_little_endian(const unsigned char *b, size_t n)
{
    uint64_t v = 0;
    while (n-- > 0) v = v << 8 | b[n];
    return v;
}

iso_status h5_read_bytes(const h5_file *f, int64_t at, int64_t n, unsigned char *out, iso_error *err)
{
    for (int64_t got = 0; got < n;) {
        ssize_t k = pread(f->fd, out + got, (size_t)(n - got), at + got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return iso_fail(err, ISO_EIO, "%s: cannot be read: %s", f->path, k ? strerror(errno) : "it became shorter");
        got += k;
    }
    return ISO_OK;
}

/* How the file writes addresses and sizes. */
static iso_status read_sizes(h5_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    hsize_t base = 0;
    hid_t plist = H5Fget_create_plist(f->id);
    bool good = plist >= 0 && H5Pget_sizes(plist, &f->address_bytes, &f->size_bytes) >= 0 && H5Pget_userblock(plist, &base) >= 0;
    FAIL_IF(!good || f->address_bytes > 8 || f->size_bytes > 8 || base > (hsize_t)f->bytes, ISO_EDATA,
            "%s: its first bytes, on how sizes are written, are not understood; the file is damaged", f->path);
    f->base = (int64_t)base;
done:
    h5_drop(plist);
    return st;
}

iso_status h5_open(iso_env *env, const char *path, h5_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_reason why;
    struct stat s;
    hid_t fapl = -1;

    *f = (h5_file){.env = env, .path = path, .id = -1, .lapl = -1, .fd = -1};
    h5_silence(f);
    h5_register_lzf();
    FAIL_IF(stat(path, &s), ISO_EIO, "%s: %s", path, strerror(errno));
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    FAIL_IF(f->fd < 0, ISO_EIO, "%s: %s", path, strerror(errno));
    f->bytes = s.st_size;
    f->lapl = H5Pcreate(H5P_LINK_ACCESS);
    fapl = H5Pcreate(H5P_FILE_ACCESS);
    FAIL_IF(f->lapl < 0 || fapl < 0 || H5Pset_elink_cb(f->lapl, refuse_link, NULL) < 0, ISO_EMEMORY,
            "%s: HDF5 could not make its settings", path);
    H5Pset_file_locking(fapl, true, true);       /* ignore file systems that have no locks */
    TRY(h5_check_superblock(f, err));
    TRY(h5_try(path, fapl, err));
    f->id = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    FAIL_IF(f->id < 0, ISO_EDATA, "%s: not readable as HDF5 (%s); the file is damaged, cut short or still being written",
            path, h5_why(&why));
    TRY(read_sizes(f, err));
done:
    h5_drop(fapl);
    return st;
}

void h5_close(h5_file *f)
{
    h5_drop(f->lapl);
    h5_drop(f->id);
    if (f->fd >= 0) close(f->fd);
    f->id = f->lapl = -1, f->fd = -1;
    h5_unsilence(f);
}

/* ------------------------------------------------------------------------------------ names */

/* Link `place`, whose parents exist. *exists = false if there is none; the object's header is checked if it is a link
 * to an address. */
static iso_status check_link(const h5_file *f, const char *place, bool *exists, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_reason why;
    h5_link_info link;
    htri_t found = H5Lexists(f->id, place, f->lapl);
    *exists = found > 0;
    if (found == 0) goto done;
    FAIL_IF(found < 0 || h5_get_link(f->id, place, &link, f->lapl) < 0, ISO_EDATA,
            "%s: %s cannot be looked up (%s); the file is damaged", f->path, place, h5_why(&why));
    if (link.type == H5L_TYPE_HARD) TRY(h5_check_header(f, place, link.u.address, err));
done:
    return st;
}

/* Every link of the path: HDF5 wants the parents to exist, and each of them to be whole. Does not allocate: readers
 * sniff with this. */
static iso_status check_path(const h5_file *f, const char *place, bool *exists, iso_error *err)
{
    iso_status st = ISO_OK;
    char path[4096];
    FAIL_IF(snprintf(path, sizeof path, "%s", place) >= (int)sizeof path, ISO_EDATA, "%s: a name in it is %zu bytes long",
            f->path, strlen(place));
    *exists = true;
    for (char *end = path; *exists && *end && strcmp(path, "/") != 0;) {
        end = end + 1 + strcspn(end + 1, "/");
        char kept = *end;
        *end = 0;
        TRY(check_link(f, path, exists, err));
        *end = kept;
    }
done:
    return st;
}

/* *id = -1 if there is nothing of that name. External links are refused. */
static iso_status open_object(const h5_file *f, const char *place, hid_t *id, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_reason why;
    bool exists;
    *id = -1;
    TRY(check_path(f, place, &exists, err));
    if (!exists) goto done;
    *id = H5Oopen(f->id, place, f->lapl);
    FAIL_IF(*id < 0, ISO_EDATA, "%s: %s cannot be opened (%s); the file is damaged or it is a link to another file",
            f->path, place, h5_why(&why));
done:
    return st;
}

iso_status h5_look(const h5_file *f, const char *place, h5_what *what, iso_error *err)
{
    hid_t id;
    iso_status st = open_object(f, place, &id, err);
    H5I_type_t type = id < 0 ? H5I_BADID : H5Iget_type(id);
    *what = id < 0 ? H5_NOTHING : type == H5I_GROUP ? H5_GROUP : type == H5I_DATASET ? H5_ARRAY : H5_ELSE;
    h5_drop(id);
    return st;
}

/* By index and not by H5Literate, which looks at what every link points to and so at more of a damaged file. */
bool h5_name_at(const h5_file *f, const char *group, int64_t i, char *name, size_t room)
{
    ssize_t n = H5Lget_name_by_idx(f->id, group, H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, name, room, f->lapl);
    return n > 0 && (size_t)n < room;
}

iso_status h5_list(const h5_file *f, const char *group, char ***names, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    H5G_info_t info = {0};
    char name[1024], **list = NULL;
    int64_t n_list = 0;
    FAIL_IF(H5Gget_info_by_name(f->id, group, &info, f->lapl) < 0 || info.nlinks > (hsize_t)f->bytes, ISO_EDATA,
            "%s: %s is no group that can be listed", f->path, group);
    ALLOC(list, (int64_t)info.nlinks, sizeof *list);
    for (; n_list < (int64_t)info.nlinks; n_list++) {
        FAIL_IF(!h5_name_at(f, group, n_list, name, sizeof name), ISO_EDATA, "%s: %s cannot be listed; the file is damaged", f->path,
                group);
        FAIL_IF(!(list[n_list] = iso_strdup(name)), ISO_EMEMORY, "out of memory");
    }
done:
    if (st != ISO_OK) iso_free_texts(list, n_list), list = NULL, n_list = 0;
    *names = list, *n = n_list;
    return st;
}

/* ----------------------------------------------------------------------------------- arrays */

/* h5py's bool: an enumeration of FALSE and TRUE. */
static bool is_bool(hid_t type)
{
    if (H5Tget_nmembers(type) != 2) return false;
    bool same = true;
    for (unsigned i = 0; i < 2; i++) {
        char *name = H5Tget_member_name(type, i);
        same = same && name && (!strcmp(name, "FALSE") || !strcmp(name, "TRUE"));
        H5free_memory(name);
    }
    return same;
}

static h5_kind kind_of(hid_t type)
{
    size_t size = H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER: return size <= 8 ? H5_KIND_INT : H5_KIND_OTHER;
    case H5T_FLOAT: return size <= 16 ? H5_KIND_REAL : H5_KIND_OTHER;
    case H5T_ENUM: return size <= 8 && is_bool(type) ? H5_KIND_BOOL : H5_KIND_OTHER;
    case H5T_STRING: return H5_KIND_TEXT;
    case H5T_COMPOUND: return H5_KIND_TABLE;
    case H5T_REFERENCE: return H5Tequal(type, H5T_STD_REF_OBJ) > 0 ? H5_KIND_REFERENCE : H5_KIND_OTHER;
    default: return H5_KIND_OTHER;
    }
}

static iso_status read_shape(h5_array *a, hid_t space, iso_error *err)
{
    iso_status st = ISO_OK;
    hsize_t dims[H5S_MAX_RANK] = {0};
    H5S_class_t class = H5Sget_simple_extent_type(space);
    a->rank = class == H5S_NULL ? 1 : H5Sget_simple_extent_ndims(space);
    FAIL_IF(class == H5S_NO_CLASS || a->rank < 0 || (class == H5S_SIMPLE && H5Sget_simple_extent_dims(space, dims, NULL) < 0),
            ISO_EDATA, "%s: %s has no readable shape; the file is damaged", a->file->path, a->place);
    a->rows = a->rank >= 1 ? (int64_t)dims[0] : 1;
    a->cols = a->rank >= 2 ? (int64_t)dims[1] : 1;
    if (class == H5S_NULL) a->rows = 0;
    if (a->rank > 2) a->kind = H5_KIND_OTHER;
    int64_t bytes;
    FAIL_IF(!iso_mul(a->rows, a->cols, &a->n) || !iso_mul(a->n, 16, &bytes), ISO_EDATA,
            "%s: %s claims %lld x %lld values; the file is damaged", a->file->path, a->place, (long long)a->rows,
            (long long)a->cols);
done:
    return st;
}

/* A filter that HDF5 cannot undo: name it, since that is what the user can change. */
static iso_status check_filters(const h5_array *a, hid_t dcpl, iso_error *err)
{
    iso_status st = ISO_OK;
    int n = H5Pget_nfilters(dcpl);
    for (int i = 0; i < n; i++) {
        char name[64] = "";
        unsigned flags, config;
        size_t n_values = 0;
        H5Z_filter_t filter = H5Pget_filter2(dcpl, (unsigned)i, &flags, &n_values, NULL, sizeof name, name, &config);
        FAIL_IF(H5Zfilter_avail(filter) <= 0, ISO_EDATA, "%s: %s is compressed with filter %d (\"%s\"), which is not installed; "
                "install HDF5's plugin for it, or write the file with compression=\"gzip\"", a->file->path, a->place, (int)filter,
                name);
    }
done:
    return st;
}

/* HDF5 tells the size in memory, where text of variable length is a pointer. */
static size_t size_in_file(const h5_file *f, hid_t type)
{
    size_t size = H5Tget_size(type);
    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0) return h5_reference_bytes(f);
    for (int i = 0; H5Tget_class(type) == H5T_COMPOUND && i < H5Tget_nmembers(type); i++) {
        hid_t member = H5Tget_member_type(type, (unsigned)i);
        if (H5Tis_variable_str(member) > 0) size += h5_reference_bytes(f) - sizeof(char *);
        h5_drop(member);
    }
    return size;
}

/* Values must lie in this file, and there must be enough stored bytes for what the shape claims: deflate makes at
 * most 1032 bytes out of one, lzf 88. Also sets block_rows. */
static iso_status check_storage(h5_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    hsize_t chunk[H5S_MAX_RANK] = {1};
    int64_t need, row_bytes, chunk_bytes = (int64_t)size_in_file(a->file, a->type), type_bytes = chunk_bytes;
    hid_t dcpl = H5Dget_create_plist(a->id);
    H5D_layout_t layout = dcpl < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(dcpl);
    FAIL_IF(layout == H5D_LAYOUT_ERROR, ISO_EDATA, "%s: %s has no readable layout; the file is damaged", a->file->path,
            a->place);
    FAIL_IF(layout == H5D_VIRTUAL || H5Pget_external_count(dcpl) > 0, ISO_EDATA,
            "%s: %s keeps its values in other files, which is not supported; copy it with h5repack", a->file->path, a->place);
    TRY(check_filters(a, dcpl, err));
    int64_t stored = (int64_t)H5Dget_storage_size(a->id);
    if (stored < 0 || stored > a->file->bytes) stored = a->file->bytes;
    int64_t most = stored > (INT64_MAX >> 12) ? INT64_MAX >> 1 : stored * MAX_EXPANSION + SLACK_BYTES;
    bool fits = iso_mul(a->n, type_bytes, &need) && need <= most;
    FAIL_IF(!fits, ISO_EDATA, "%s: %s claims %lld x %lld values but only %lld bytes are stored; the file is damaged",
            a->file->path, a->place, (long long)a->rows, (long long)a->cols, (long long)stored);
    FAIL_IF(layout != H5D_CHUNKED && stored > 0 && need > stored, ISO_EDATA,
            "%s: %s claims %lld x %lld values but only %lld bytes are stored; the file is damaged", a->file->path, a->place,
            (long long)a->rows, (long long)a->cols, (long long)stored);
    if (layout == H5D_CHUNKED) {
        int chunk_rank = H5Pget_chunk(dcpl, H5S_MAX_RANK, chunk);
        for (int i = 0; i < chunk_rank; i++) fits = fits && iso_mul(chunk_bytes, (int64_t)chunk[i], &chunk_bytes);
        FAIL_IF(!fits || chunk_bytes > most, ISO_EDATA, "%s: %s is cut in chunks far larger than the file; it is damaged",
                a->file->path, a->place);
    }
    if (!iso_mul(a->cols, type_bytes > 8 ? type_bytes : 8, &row_bytes) || row_bytes < 1) row_bytes = 1;
    int64_t step = (int64_t)chunk[0], rows = BLOCK_BYTES / row_bytes;
    rows = (rows + step - 1) / step * step;
    if (rows > MAX_BLOCK_BYTES / row_bytes) rows = MAX_BLOCK_BYTES / row_bytes;
    a->block_rows = rows > 0 ? rows : 1;
done:
    h5_drop(dcpl);
    return st;
}

/* Takes over `id`, a dataset. */
static iso_status describe_dataset(const h5_file *f, hid_t id, const char *place, h5_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_reason why;
    hid_t space = -1;
    *a = (h5_array){.file = f, .id = id, .type = -1, .place = iso_strdup(place)};
    FAIL_IF(id >= 0 && !a->place, ISO_EMEMORY, "out of memory");
    FAIL_IF(id < 0, ISO_EDATA, "%s: %s is missing", f->path, place);
    FAIL_IF(H5Iget_type(id) != H5I_DATASET, ISO_EDATA, "%s: %s is a group where an array was expected", f->path, place);
    a->type = H5Dget_type(id);
    FAIL_IF(a->type < 0, ISO_EDATA, "%s: %s has no readable type (%s)", f->path, place, h5_why(&why));
    a->kind = kind_of(a->type);
    space = H5Dget_space(id);
    TRY(read_shape(a, space, err));
    TRY(check_storage(a, err));
done:
    h5_drop(space);
    if (st != ISO_OK) h5_array_close(a);
    return st;
}

iso_status h5_array_open(const h5_file *f, const char *place, h5_array *a, iso_error *err)
{
    hid_t id;
    *a = (h5_array){.id = -1, .type = -1};
    iso_status st = open_object(f, place, &id, err);
    return st == ISO_OK ? describe_dataset(f, id, place, a, err) : st;
}

iso_status h5_array_follow(const h5_array *reference, h5_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    hobj_ref_t ref = 0;
    char place[256] = "";
    *a = (h5_array){.id = -1, .type = -1};
    FAIL_IF(reference->kind != H5_KIND_REFERENCE || reference->n != 1 || !reference->is_attribute, ISO_EDATA,
            "%s: %s is no reference to one array", reference->file->path, reference->place);
    FAIL_IF(H5Aread(reference->id, H5T_STD_REF_OBJ, &ref) < 0, ISO_EDATA, "%s: %s cannot be read; the file is damaged",
            reference->file->path, reference->place);
    TRY(h5_check_header(reference->file, reference->place, ref, err));
    hid_t id = H5Rdereference2(reference->file->id, H5P_DEFAULT, H5R_OBJECT, &ref);
    if (id < 0 || H5Iget_name(id, place, sizeof place) <= 0) snprintf(place, sizeof place, "what %s points to", reference->place);
    st = describe_dataset(reference->file, id, place, a, err);
done:
    return st;
}

int h5_table_n_fields(const h5_array *table) { return H5Tget_nmembers(table->type); }

iso_status h5_array_field(const h5_array *table, int i, h5_array *a, iso_error *err)
{
    iso_status st = ISO_OK;
    *a = *table;
    char *name = H5Tget_member_name(table->type, (unsigned)i);
    a->place = name ? iso_sprintf("%s[%s]", table->place, name) : NULL;
    a->field = name ? iso_strdup(name) : NULL;
    a->type = H5Tget_member_type(table->type, (unsigned)i);
    H5Iinc_ref(a->id);
    FAIL_IF(!a->place || !a->field, ISO_EMEMORY, "out of memory");
    FAIL_IF(a->type < 0, ISO_EDATA, "%s: field %d of %s has no readable type", table->file->path, i, table->place);
    a->kind = kind_of(a->type);
done:
    H5free_memory(name);
    if (st != ISO_OK) h5_array_close(a);
    return st;
}

iso_status h5_attribute_open(const h5_file *f, const char *place, const char *name, h5_array *a, bool *found,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    h5_reason why;
    hid_t space = -1, object = -1;
    int64_t bytes;
    *found = false;
    *a = (h5_array){.file = f, .id = -1, .type = -1, .is_attribute = true};
    TRY(open_object(f, place, &object, err));
    FAIL_IF(object < 0, ISO_EDATA, "%s: %s is missing", f->path, place);
    htri_t exists = H5Aexists(object, name);
    FAIL_IF(exists < 0, ISO_EDATA, "%s: attributes of %s cannot be read (%s)", f->path, place, h5_why(&why));
    if (!exists) goto done;
    FAIL_IF(!(a->place = iso_sprintf("%s@%s", place, name)), ISO_EMEMORY, "out of memory");
    a->id = H5Aopen(object, name, H5P_DEFAULT);
    FAIL_IF(a->id < 0, ISO_EDATA, "%s: %s cannot be opened (%s)", f->path, a->place, h5_why(&why));
    a->type = H5Aget_type(a->id);
    space = H5Aget_space(a->id);
    FAIL_IF(a->type < 0 || space < 0, ISO_EDATA, "%s: %s has no readable type (%s)", f->path, a->place, h5_why(&why));
    a->kind = kind_of(a->type);
    TRY(read_shape(a, space, err));
    a->block_rows = a->rows;
    FAIL_IF(!iso_mul(a->n, (int64_t)H5Tget_size(a->type), &bytes) || bytes > f->bytes, ISO_EDATA,
            "%s: %s claims more bytes than the file has; it is damaged", f->path, a->place);
    *found = true;
done:
    h5_drop(space);
    h5_drop(object);
    if (st != ISO_OK) h5_array_close(a);
    return st;
}

void h5_array_close(h5_array *a)
{
    if (a->file) h5_drop(a->type), h5_drop(a->id);
    iso_free(a->place);
    iso_free(a->field);
    *a = (h5_array){.id = -1, .type = -1};
}
