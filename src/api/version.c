/* version.c: what this build is, for `--version` and provenance. */
#include "base/base.h"
#include "iso_build.h"
#include "kernel/kernel.h"

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *iso_version_long(void)
{
    static _Thread_local char text[512];        /* the same each time, but for the instruction set */
    snprintf(text, sizeof text,
             "isolario " ISO_VERSION "%s%s\n"
             "compiler: " COMPILER "\n"
             "instruction set: %s\n"
             "precision: " ISO_REAL_NAME "\n"
             "HDF5: " ISO_HDF5_VERSION "\n"
             "igraph: " ISO_IGRAPH_VERSION "\n"
             "oneDNN: " ISO_DNNL_VERSION "\n",
             *ISO_GIT_COMMIT ? ", commit " : "", ISO_GIT_COMMIT, iso_kernels_best()->name);
    return text;
}
