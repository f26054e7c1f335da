/* fuzz_mtx: any bytes, gzipped or not, as the matrix.mtx of a 10x folder of 9 features and 12 barcodes. */
#include "io/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/fuzz_mtx_XXXXXX", barcodes[64], features[64], matrix[64];

static void remove_folder(void)
{
    remove(barcodes), remove(features), remove(matrix);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (!mkdtemp(folder)) abort();
    snprintf(barcodes, sizeof barcodes, "%s/barcodes.tsv", folder);
    snprintf(features, sizeof features, "%s/features.tsv", folder);
    snprintf(matrix, sizeof matrix, "%s/matrix.mtx", folder);
    FILE *b = fopen(barcodes, "w"), *g = fopen(features, "w");
    if (!b || !g) abort();
    for (int i = 0; i < 12; i++) fprintf(b, "b%d\n", i);
    for (int j = 0; j < 9; j++) fprintf(g, "id%d\tg%d\tGene Expression\n", j, j);
    fclose(b), fclose(g);
    atexit(remove_folder);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *f = fopen(matrix, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) return 0;
    iso_env *env = iso_env_new(1);
    iso_dataset *d = NULL;
    iso_error err = {0};
    if (env && iso_dataset_open(env, folder, NULL, &d, &err) != ISO_OK && !err.msg[0])
        __builtin_trap();                        /* a failure without a message */
    iso_dataset_free(d);
    iso_env_free(env);
    return 0;
}
