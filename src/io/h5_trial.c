/* h5_trial.c: what HDF5 may not survive is done by a child process.
 *
 * Releases of HDF5 in wide use crash on some damaged files, or never come back, in places that h5_header.c cannot see
 * (symbol tables, heaps, cache images); and after it failed to add to one, when the program ends. Then only the child
 * dies, and the file is refused. */
#include "h5.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 120 };                              /* of CPU time for the child */

static void look_at_array(hid_t id)
{
    hid_t type = H5Dget_type(id), space = H5Dget_space(id);
    hsize_t chunks;
    if (space >= 0 && H5Dget_storage_size(id) > 0) H5Dget_num_chunks(id, space, &chunks);
    h5_drop(space);
    h5_drop(type);
}

static herr_t look_at_attribute(hid_t object, const char *name, const H5A_info_t *info, void *arg)
{
    (void)info, (void)arg;
    hid_t id = H5Aopen(object, name, H5P_DEFAULT), type = id >= 0 ? H5Aget_type(id) : -1;
    h5_drop(type);
    h5_drop(id);
    return 0;
}

/* HDF5 1.12 renamed what is told of an object. */
#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info1_t object_info;
#else
typedef H5O_info_t object_info;
#endif

static herr_t look_at_object(hid_t root, const char *name, const object_info *info, void *arg)
{
    (void)info, (void)arg;
    hid_t id = H5Oopen(root, name, H5P_DEFAULT);
    if (id < 0) return 0;
    H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, look_at_attribute, NULL);
    if (H5Iget_type(id) == H5I_DATASET) look_at_array(id);
    h5_drop(id);
    return 0;
}

/* The child is quiet, an interrupt is for the parent, and it does not run for ever. */
static void settle_child(void)
{
    struct rlimit none = {0, 0}, some = {SECONDS, SECONDS};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);              /* the C library's last words */
    sigaction(SIGINT, &ignore, NULL);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &some);
}

/* What the child leaves in memory that both share. */
typedef struct answer { bool given; iso_status status; iso_error error; } answer;

iso_status h5_in_child(const char *path, h5_child_fn *fn, void *arg, iso_error *err)
{
    iso_status st = ISO_OK;
    int status = 0;
    answer *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FAIL_IF(a == MAP_FAILED, ISO_EMEMORY, "out of memory");
    pid_t child = fork();
    if (child == 0) {
        settle_child();
        a->status = fn(arg, &a->error);
        a->given = true;
        _exit(0);
    }
    FAIL_IF(child < 0, ISO_EMEMORY, "%s: no process to look at it with: %s", path, strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    FAIL_IF(!a->given, ISO_EDATA, "%s: HDF5 %s on this file; the file is damaged", path,
            WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU ? "does not come to an end" : "crashes");
    if (a->status != ISO_OK && err) *err = a->error;
    st = a->status;
done:
    if (a != MAP_FAILED) munmap(a, sizeof *a);
    return st;
}

typedef struct file_to_try { const char *path; hid_t fapl; } file_to_try;

/* What HDF5 itself finds wrong is not told: it will be, with its reason, when the file is read. */
static iso_status look_at_file(void *arg, iso_error *err)
{
    const file_to_try *t = arg;
    (void)err;
    hid_t file = H5Fopen(t->path, H5F_ACC_RDONLY, t->fapl);
    if (file < 0) return ISO_OK;
    H5Lexists(file, "/none such", H5P_DEFAULT);
    H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, look_at_object, NULL, H5O_INFO_BASIC);
    H5Fclose(file);
    return ISO_OK;
}

iso_status h5_try(const char *path, hid_t fapl, iso_error *err)
{
    return h5_in_child(path, look_at_file, &(file_to_try){path, fapl}, err);
}
