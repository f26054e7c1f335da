/* fuzz_h5: any bytes as an HDF5 file, through the readers of h5ad and 10x h5. Small whole files make good seeds:
 *   build-fuzz/tests/fuzz_h5 CORPUS_FOLDER FOLDER_OF_H5AD_FILES */
#include "io/dataset.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* HDF5 itself leaks on damaged files. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    iso_env *env = iso_env_new(1);
    iso_dataset *d = NULL;
    iso_error err = {0};
    if (env && write(fd, data, size) == (ssize_t)size && iso_dataset_open(env, path, NULL, &d, &err) != ISO_OK && !err.msg[0])
        __builtin_trap();                        /* a failure without a message */
    iso_dataset_free(d);
    iso_env_free(env);
    close(fd);
    return 0;
}
