/* sha256.c: what a file holds, in 64 letters (FIPS 180-4, by OpenSSL's libcrypto). */
#include "tensors.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE = 1 << 20 };

static iso_status add_file(EVP_MD_CTX *c, const char *path, unsigned char *buffer, iso_error *err)
{
    iso_status st = ISO_OK;
    FILE *f = fopen(path, "rb");
    size_t n;
    FAIL_IF(!f, ISO_EIO, "%s: %s", path, strerror(errno));
    while ((n = fread(buffer, 1, PIECE, f)) > 0)
        FAIL_IF(EVP_DigestUpdate(c, buffer, n) != 1, ISO_EMEMORY, "%s: SHA-256 failed", path);
    FAIL_IF(ferror(f), ISO_EIO, "%s: %s", path, strerror(errno));
done:
    if (f) fclose(f);
    return st;
}

static int is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Paths of a folder's regular files, sorted. */
static iso_status list_files(const char *folder, char ***files, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    DIR *d = opendir(folder);
    int64_t room = 0;
    FAIL_IF(!d, ISO_EIO, "%s: %s", folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        char *path = iso_sprintf("%s/%s", folder, e->d_name);
        if (path && !is_file(path)) {
            iso_free(path);
            continue;
        }
        if (path && *n == room) {
            char **more = iso_realloc(*files, room, 2 * room + 8, sizeof *more);
            if (more) *files = more, room = 2 * room + 8;
        }
        if (path && *n < room) {
            (*files)[(*n)++] = path;
            continue;
        }
        iso_free(path);
        FAIL_IF(true, ISO_EMEMORY, "out of memory");
    }
    if (*n) qsort(*files, (size_t)*n, sizeof **files, by_name);
done:
    if (d) closedir(d);
    return st;
}

iso_status iso_sha256_path(const char *path, char *hex, iso_error *err)
{
    iso_status st = ISO_OK;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned char *buffer = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char **files = NULL;
    int64_t n = 0;
    struct stat s;
    ALLOC(buffer, PIECE, 1);
    FAIL_IF(!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1, ISO_EMEMORY, "%s: SHA-256 cannot start", path);
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
        TRY(list_files(path, &files, &n, err));
        for (int64_t i = 0; i < n; i++) TRY(add_file(c, files[i], buffer, err));
    } else {
        TRY(add_file(c, path, buffer, err));
    }
    FAIL_IF(EVP_DigestFinal_ex(c, digest, &size) != 1 || size != 32, ISO_EMEMORY, "%s: SHA-256 failed", path);
    for (unsigned i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
done:
    EVP_MD_CTX_free(c);
    for (int64_t i = 0; i < n; i++) iso_free(files[i]);
    iso_free(files);
    iso_free(buffer);
    return st;
}
