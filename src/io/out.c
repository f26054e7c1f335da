/* out.c: files that appear under their name only when they are whole; see tensors.h. */
#include "tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TRIES = 1000 };

/* Where the bytes go in the end: what a link points to, so that the link stays one. NULL: no memory. */
static char *follow_links(const char *path)
{
    char target[4096];
    char *at = iso_strdup(path);
    for (int depth = 0; at && depth < 16; depth++) {
        ssize_t n = readlink(at, target, sizeof target - 1);
        if (n < 0) break;
        target[n] = 0;
        const char *slash = strrchr(at, '/');
        int folder = slash && target[0] != '/' ? (int)(slash - at) + 1 : 0;
        char *next = iso_sprintf("%.*s%s", folder, at, target);
        iso_free(at);
        at = next;
    }
    return at;
}

/* A name beside the target that nobody has; not mkstemp, whose files only their owner may read. */
static int create_beside(const char *target, char **temp)
{
    int fd = -1;
    for (int i = 0; i < MAX_TRIES && fd < 0; i++) {
        iso_free(*temp);
        *temp = iso_sprintf("%s.part-%ld-%d", target, (long)getpid(), i);
        if (!*temp) {
            errno = ENOMEM;
            return -1;
        }
        fd = open(*temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (fd < 0) {
        iso_free(*temp);              /* not ours: nothing to remove */
        *temp = NULL;
    }
    return fd;
}

iso_status iso_out_open(const char *path, iso_out *o, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    int fd = -1;
    *o = (iso_out){0};
    FAIL_IF(!(o->path = follow_links(path)), ISO_EMEMORY, "out of memory");
    FAIL_IF(stat(o->path, &s) == 0 && !S_ISREG(s.st_mode), ISO_EIO, "%s: is %s; name a file to write to", path,
            S_ISDIR(s.st_mode) ? "a folder" : "not a regular file");
    fd = create_beside(o->path, &o->temp);
    FAIL_IF(fd < 0, errno == ENOMEM ? ISO_EMEMORY : ISO_EIO, "%s: cannot be written: %s", path, strerror(errno));
    o->file = fdopen(fd, "wb");
    FAIL_IF(!o->file, ISO_EIO, "%s: cannot be written: %s", path, strerror(errno));
    fd = -1;
done:
    if (fd >= 0) close(fd);
    if (st != ISO_OK) iso_out_discard(o);
    return st;
}

iso_status iso_out_commit(iso_out *o, iso_error *err)
{
    iso_status st = ISO_OK;
    bool failed = ferror(o->file) != 0;
    errno = failed ? EIO : 0;
    failed = failed || fflush(o->file) || fsync(fileno(o->file));
    int why = errno;
    if (fclose(o->file) && !failed) failed = true, why = errno;
    o->file = NULL;
    FAIL_IF(failed, ISO_EIO, "%s: cannot be written: %s", o->path, strerror(why));
    FAIL_IF(rename(o->temp, o->path), ISO_EIO, "%s: cannot be put in place: %s", o->path, strerror(errno));
    iso_free(o->temp);
    o->temp = NULL;
done:
    iso_out_discard(o);
    return st;
}

void iso_out_discard(iso_out *o)
{
    if (o->file) fclose(o->file);
    if (o->temp) unlink(o->temp);
    iso_free(o->temp);
    iso_free(o->path);
    *o = (iso_out){0};
}

iso_status iso_make_dir(const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    char *prefix = iso_strdup(path);
    FAIL_IF(!prefix, ISO_EMEMORY, "out of memory");
    FAIL_IF(!*path, ISO_EIO, "the name of a folder to make is empty");
    for (char *end = prefix; *end;) {            /* each parent in turn; those that exist are no error */
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = 0;
        if (mkdir(prefix, 0777) && (stat(prefix, &s) || !S_ISDIR(s.st_mode))) {
            int why = stat(prefix, &s) ? errno : ENOTDIR;
            FAIL_IF(true, ISO_EIO, "%s: the folder %s cannot be made: %s", path, prefix, strerror(why));
        }
        *end = kept;
    }
done:
    iso_free(prefix);
    return st;
}
