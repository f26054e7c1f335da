/* fuzz_image: any bytes as an image file, TIFF, PNG, .npy or .npz, whatever their start says. Seeds: tests/fuzz_image. */
#include "io/images.h"

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
    iso_images im = {0};
    iso_error err = {0};
    if (env && write(fd, data, size) == (ssize_t)size && iso_images_open(env, path, NULL, &im, &err) != ISO_OK && !err.msg[0])
        __builtin_trap();                        /* a failure without a message */
    iso_images_clear(&im);
    iso_env_free(env);
    close(fd);
    return 0;
}
