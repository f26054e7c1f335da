/* fuzz_model: any bytes as a model file. */
#include "isolario.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    iso_env *env = iso_env_new(1);
    iso_model *model = NULL;
    iso_error err = {0};
    if (env && write(fd, data, size) == (ssize_t)size && iso_model_load(env, path, &model, &err) != ISO_OK && !err.msg[0])
        __builtin_trap();                        /* a failure without a message */
    iso_model_free(model);
    iso_env_free(env);
    close(fd);
    return 0;
}
