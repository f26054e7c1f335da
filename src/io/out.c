/* out.c: files written beside their place and renamed when whole; folders; see tensors.h. */
#include "tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void forget(iso_out *o)
{
    iso_free(o->path);
    iso_free(o->temp);
    *o = (iso_out){0};
}

iso_status iso_out_open(const char *path, iso_out *o, iso_error *err)
{
    iso_status st = ISO_OK;
    int fd = -1;
    mode_t mask = umask(0);
    umask(mask);
    *o = (iso_out){0};
    FAIL_IF(!(o->path = iso_strdup(path)) || !(o->temp = iso_sprintf("%s.XXXXXX", path)), ISO_EMEMORY, "out of memory");
    fd = mkstemp(o->temp);
    FAIL_IF(fd < 0, ISO_EIO, "%s cannot be written: %s", path, strerror(errno));
    o->file = fchmod(fd, 0666 & ~mask) == 0 ? fdopen(fd, "wb") : NULL;
    if (!o->file) {
        st = iso_fail(err, ISO_EIO, "%s cannot be written: %s", path, strerror(errno));
        close(fd);
        unlink(o->temp);
    }
done:
    if (st) forget(o);
    return st;
}

iso_status iso_out_commit(iso_out *o, iso_error *err)
{
    iso_status st = ISO_OK;
    errno = 0;
    bool bad = ferror(o->file) || fflush(o->file) != 0 || (fsync(fileno(o->file)) != 0 && errno != EINVAL);
    int why = errno;
    if (fclose(o->file) != 0 && !bad) bad = true, why = errno;
    o->file = NULL;
    FAIL_IF(bad, ISO_EIO, "%s could not be written whole: %s", o->path, why ? strerror(why) : "write error");
    FAIL_IF(rename(o->temp, o->path) != 0, ISO_EIO, "%s cannot be written: %s", o->path, strerror(errno));
done:
    if (st) unlink(o->temp);
    forget(o);
    return st;
}

void iso_out_discard(iso_out *o)
{
    if (o->file) fclose(o->file);
    if (o->temp) unlink(o->temp);
    forget(o);
}

iso_status iso_make_dir(const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    char *p = iso_strdup(path);
    struct stat s;
    FAIL_IF(!p, ISO_EMEMORY, "out of memory");
    for (char *c = p + 1; *p; c++) {
        if (*c && *c != '/') continue;
        char kept = *c;
        *c = '\0';
        FAIL_IF(mkdir(p, 0777) != 0 && errno != EEXIST, ISO_EIO, "folder %s cannot be made: %s", p, strerror(errno));
        *c = kept;
        if (!kept) break;
    }
    FAIL_IF(stat(path, &s) != 0 || !S_ISDIR(s.st_mode), ISO_EIO, "%s is not a folder", path);
done:
    iso_free(p);
    return st;
}
