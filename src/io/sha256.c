/* sha256.c: SHA-256 of a file, or of a folder. A folder's is that of the text that `sha256sum *` prints in it (its
 * regular files in byte order of their names, hidden ones left out), so that anyone can check it. */
#include "tensors.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK_BYTES = 1 << 20, HASH_BYTES = 32 };

static void to_hex(const unsigned char *hash, char *hex)
{
    for (int i = 0; i < HASH_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

static iso_status finish(EVP_MD_CTX *c, const char *path, char *hex, iso_error *err)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(c, hash, NULL) != 1) return iso_fail(err, ISO_EMEMORY, "%s: SHA-256 failed", path);
    to_hex(hash, hex);
    return ISO_OK;
}

static iso_status start(const char *path, EVP_MD_CTX **c, iso_error *err)
{
    *c = EVP_MD_CTX_new();
    bool good = *c && EVP_DigestInit_ex(*c, EVP_sha256(), NULL) == 1;
    return good ? ISO_OK : iso_fail(err, ISO_EMEMORY, "%s: OpenSSL could not start SHA-256", path);
}

static iso_status hash_file(const char *path, char *hex, iso_error *err)
{
    iso_status st = ISO_OK;
    EVP_MD_CTX *c = NULL;
    char *block = NULL;
    FILE *f = fopen(path, "rb");
    FAIL_IF(!f, ISO_EIO, "%s: %s", path, strerror(errno));
    ALLOC(block, BLOCK_BYTES, 1);
    TRY(start(path, &c, err));
    for (size_t n = 1; n > 0;) {
        n = fread(block, 1, BLOCK_BYTES, f);
        FAIL_IF(ferror(f), ISO_EIO, "%s: cannot be read: %s", path, strerror(errno));
        FAIL_IF(EVP_DigestUpdate(c, block, n) != 1, ISO_EMEMORY, "%s: SHA-256 failed", path);
    }
    TRY(finish(c, path, hex, err));
done:
    if (f) fclose(f);
    EVP_MD_CTX_free(c);
    iso_free(block);
    return st;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of the regular files, sorted; *n counts them, also on failure. */
static iso_status list_files(const char *folder, char ***names, int64_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    int64_t room = 0;
    char *path = NULL;
    DIR *d = opendir(folder);
    FAIL_IF(!d, ISO_EIO, "%s: %s", folder, strerror(errno));
    for (const struct dirent *e; (e = readdir(d));) {
        iso_free(path);
        FAIL_IF(!(path = iso_sprintf("%s/%s", folder, e->d_name)), ISO_EMEMORY, "out of memory");
        if (e->d_name[0] == '.' || stat(path, &s) || !S_ISREG(s.st_mode)) continue;
        if (*n == room) {
            char **more = iso_realloc(*names, *n, room = 2 * room + 16, sizeof *more);
            FAIL_IF(!more, ISO_EMEMORY, "out of memory for the names in %s", folder);
            *names = more;
        }
        FAIL_IF(!((*names)[*n] = iso_strdup(e->d_name)), ISO_EMEMORY, "out of memory");
        ++*n;
    }
    if (*n) qsort(*names, (size_t)*n, sizeof **names, by_name);
done:
    iso_free(path);
    if (d) closedir(d);
    return st;
}

static iso_status hash_folder(const char *folder, char *hex, iso_error *err)
{
    iso_status st = ISO_OK;
    EVP_MD_CTX *c = NULL;
    char **names = NULL, *path = NULL, *line = NULL;
    int64_t n = 0;
    TRY(list_files(folder, &names, &n, err));
    TRY(start(folder, &c, err));
    for (int64_t i = 0; i < n; i++) {
        iso_free(path);
        iso_free(line);
        line = NULL;
        FAIL_IF(!(path = iso_sprintf("%s/%s", folder, names[i])), ISO_EMEMORY, "out of memory");
        TRY(hash_file(path, hex, err));
        FAIL_IF(!(line = iso_sprintf("%s  %s\n", hex, names[i])), ISO_EMEMORY, "out of memory");
        FAIL_IF(EVP_DigestUpdate(c, line, strlen(line)) != 1, ISO_EMEMORY, "%s: SHA-256 failed", folder);
    }
    TRY(finish(c, folder, hex, err));
done:
    iso_free_texts(names, n);
    iso_free(path);
    iso_free(line);
    EVP_MD_CTX_free(c);
    return st;
}

iso_status iso_sha256_path(const char *path, char *hex, iso_error *err)
{
    struct stat s;
    *hex = 0;
    if (stat(path, &s)) return iso_fail(err, ISO_EIO, "%s: %s", path, strerror(errno));
    return S_ISDIR(s.st_mode) ? hash_folder(path, hex, err) : hash_file(path, hex, err);
}
