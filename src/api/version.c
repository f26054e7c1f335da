/* version.c: what this build is, for `--version` and provenance. */
#include "base/base.h"
#include "iso_build.h"
#include "kernel/kernel.h"

#include <string.h>

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* One constant text for each instruction set: a library keeps no state. */
#define TEXT(isa)                                                              \
    "isolario " ISO_VERSION ISO_GIT_NOTE "\n"                                        \
    "compiler: " COMPILER "\n"                                                 \
    "instruction set: " isa "\n"                                               \
    "precision: " ISO_REAL_NAME "\n"                                           \
    "HDF5: " ISO_HDF5_VERSION "\n"                                             \
    "igraph: " ISO_IGRAPH_VERSION "\n"                                         \
    "oneDNN: " ISO_DNNL_VERSION "\n"
static const struct { const char *isa; bool bf16; const char *text; } texts[] = {
    {"baseline", false, TEXT("baseline")}, {"avx2", false, TEXT("avx2")}, {"avx512", false, TEXT("avx512")},
    {"avx512", true, TEXT("avx512 (and bf16, for --precision bf16)")},
};

const char *iso_version_long(void)
{
    const char *isa = iso_kernels_best()->name;
    bool bf16 = strcmp(isa, "avx512") == 0 && iso_bf16_is_fast();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].isa, isa) == 0 && texts[i].bf16 == bf16) return texts[i].text;
    return TEXT("unknown");
}
