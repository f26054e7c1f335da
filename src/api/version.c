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
enum { NOTHING, BF16, TILES };        /* beside the kernels: instructions for products */
static const struct { const char *isa; int more; const char *text; } texts[] = {
    {"baseline", NOTHING, TEXT("baseline")}, {"avx2", NOTHING, TEXT("avx2")}, {"avx512", NOTHING, TEXT("avx512")},
    {"avx512", BF16, TEXT("avx512 (and bf16, for --precision bf16)")}, {"avx512", TILES, TEXT("avx512 and AMX (bf16, for --precision bf16 and large layers)")},
};

const char *iso_version_long(void)
{
    const char *isa = iso_kernels_best()->name;
    int more = strcmp(isa, "avx512") != 0 ? NOTHING : iso_tiles_usable() ? TILES : iso_bf16_is_fast() ? BF16 : NOTHING;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].isa, isa) == 0 && texts[i].more == more) return texts[i].text;
    return TEXT("unknown");
}
