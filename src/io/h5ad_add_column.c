/* h5ad_add_column.c: an h5ad with one more column of obs: a copy, byte for byte, that HDF5 then adds to. */
#include "h5ad_frame.h"
#include "h5ad_write.h"
#include "tensors.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { COPY_BYTES = 4 << 20 };

static iso_status open_h5ad(iso_env *env, const char *path, h5_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    h5_what what;
    *f = (h5_file){.id = -1, .lapl = -1, .fd = -1};
    FAIL_IF(stat(path, &s) != 0, ISO_EIO, "%s: %s", path, strerror(errno));
    FAIL_IF(S_ISDIR(s.st_mode), ISO_EIO, "%s: is a folder; name an .h5ad, such as the latent.h5ad of a run", path);
    FAIL_IF(!h5_signature(path), ISO_EDATA, "%s: is no .h5ad, and to others no column can be added", path);
    TRY(h5_open(env, path, f, err));
    TRY(h5_look(f, "/obs", &what, err));
    FAIL_IF(what == H5_NOTHING, ISO_EDATA, "%s: has no obs; it is HDF5, but no .h5ad", path);
    FAIL_IF(what != H5_GROUP, ISO_EDATA,
            "%s: its obs is one table, as anndata wrote it before 0.7; let a newer one write it anew: "
            "anndata.read_h5ad(\"old.h5ad\").write_h5ad(\"new.h5ad\")",
            path);
done:
    return st;
}

iso_status iso_h5ad_read_obs(iso_env *env, const char *path, iso_frame *obs, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_file f;
    *obs = (iso_frame){0};
    TRY(open_h5ad(env, path, &f, err));
    TRY(h5ad_read_frame(&f, "/obs", obs, err));
done:
    h5_close(&f);
    return st;
}

/* column-order with one name more: *names [*n], the caller's. */
static iso_status extend_order(const h5_file *f, const char *name, char ***names, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_array order = {0};
    char **old = NULL, **all = NULL;
    bool found;
    *names = NULL, *n = 0;
    TRY(h5_attribute_open(f, "/obs", "column-order", &order, &found, err));
    FAIL_IF(!found, ISO_EDATA, "%s: /obs has no attribute column-order; is it a dataframe of anndata?", f->path);
    TRY(h5_read_text(&order, &old, err));
    ALLOC(all, order.n + 1, sizeof *all);
    for (int64_t i = 0; i < order.n; i++) all[i] = old[i], old[i] = NULL;
    FAIL_IF(!(all[order.n] = iso_strdup(name)), ISO_EMEMORY, "out of memory");
    *names = all, *n = order.n + 1, all = NULL;
done:
    iso_free_texts(all, order.n + 1);
    iso_free_texts(old, order.n);
    h5_array_close(&order);
    return st;
}

static iso_status check_name(const h5_file *f, const char *name, iso_error *err)
{
    iso_status st = ISO_OK;
    h5_what what;
    char *place = iso_sprintf("/obs/%s", name);
    const char *why = h5ad_refused_name(name);
    FAIL_IF(!place, ISO_EMEMORY, "out of memory");
    if (!why && (strchr(name, '/') || !strcmp(name, "_index"))) why = "anndata does not allow its name";
    FAIL_IF(why, ISO_EUSAGE, "a column cannot be called \"%s\": %s; give --column another name", name, why);
    TRY(h5_look(f, place, &what, err));
    FAIL_IF(what != H5_NOTHING, ISO_EUSAGE, "%s: obs has a column \"%s\" already; give --column another name", f->path, name);
done:
    iso_free(place);
    return st;
}

static iso_status copy_bytes(const h5_file *f, const iso_out *o, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char *bytes = NULL;
    ALLOC(bytes, COPY_BYTES, 1);
    for (int64_t at = 0, n; at < f->bytes; at += n) {
        n = f->bytes - at < COPY_BYTES ? f->bytes - at : COPY_BYTES;
        FAIL_IF(iso_env_interrupted(f->env), ISO_EINTERRUPT, "interrupted while writing %s", o->path);
        TRY(h5_read_bytes(f, at, n, bytes, err));
        FAIL_IF(fwrite(bytes, 1, (size_t)n, o->file) != (size_t)n, ISO_EIO, "%s: cannot be written: %s", o->path,
                strerror(errno));
    }
    FAIL_IF(fflush(o->file) != 0, ISO_EIO, "%s: cannot be written: %s", o->path, strerror(errno));
done:
    iso_free(bytes);
    return st;
}

/* What goes into the copy, whose bytes are in `fd`. */
typedef struct addition {
    iso_env *env;
    const char *path;
    int fd;
    const iso_column *column;
    int64_t n, n_names;
    char **names;                 /* [n_names] column-order */
} addition;

static iso_status add_to_copy(void *arg, iso_error *err)
{
    iso_status st = ISO_OK;
    const addition *a = arg;
    h5_sink sink = {.fd = a->fd};
    h5_file f;
    TRY(h5_extend(a->env, a->path, &sink, &f, err));
    TRY(h5ad_write_column(&f, "/obs", a->column, a->n, err));
    TRY(h5_note_texts(&f, "/obs", "column-order", (const char *const *)a->names, a->n_names, err));
    TRY(h5_finish(&f, err));
done:
    h5_close(&f);
    return st;
}

iso_status iso_h5ad_add_column(iso_env *env, const char *from, const char *to, const iso_column *c, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    addition a = {.env = env, .path = to, .column = c, .n = n};
    h5_file f;
    iso_out o = {0};
    TRY(open_h5ad(env, from, &f, err));
    TRY(check_name(&f, c->name, err));
    TRY(extend_order(&f, c->name, &a.names, &a.n_names, err));
    TRY(iso_out_open(to, &o, err));
    TRY(copy_bytes(&f, &o, err));
    a.fd = fileno(o.file);
    TRY(h5_in_child(from, add_to_copy, &a, err));
    TRY(iso_out_commit(&o, err));
done:
    h5_close(&f);
    iso_out_discard(&o);
    iso_free_texts(a.names, a.n_names);
    return st;
}
