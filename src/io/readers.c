/* readers.c: which formats are read, in the order in which they are tried, and which are known but not read. */
#include "readers.h"

#include "h5.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

const iso_reader iso_readers[] = {
    {"10x-h5", "10x Genomics .h5 (Cell Ranger 1 and later)", tenx_h5_sniff, tenx_h5_read},
    {"h5ad", "AnnData .h5ad (any version)", h5ad_sniff, h5ad_read},
    {"10x-mtx", "10x Genomics folder with matrix.mtx, barcodes.tsv and features.tsv or genes.tsv, plain or .gz", tenx_mtx_sniff,
     tenx_mtx_read},
    {NULL, NULL, NULL, NULL},
};

static bool has_file(const char *folder, const char *name)
{
    char path[4096];
    struct stat s;
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && stat(path, &s) == 0;
}

static bool zarr_sniff(const char *path)
{
    return has_file(path, ".zgroup") || has_file(path, ".zattrs") || has_file(path, ".zmetadata") || has_file(path, "zarr.json");
}

/* The first bytes of a file; 0 if it cannot be read. */
static size_t read_start(const char *path, char *b, size_t n)
{
    struct stat s;
    FILE *f = stat(path, &s) == 0 && S_ISREG(s.st_mode) ? fopen(path, "rb") : NULL;
    if (!f) return 0;
    n = fread(b, 1, n, f);
    fclose(f);
    return n;
}

static bool hdf5_has(const char *path, const char *const *places)
{
    h5_file f;
    if (!h5_signature(path)) return false;
    bool all = h5_open(NULL, path, &f, NULL) == ISO_OK;
    for (int i = 0; all && places[i]; i++) {
        h5_what what;
        all = h5_look(&f, places[i], &what, NULL) == ISO_OK && what != H5_NOTHING;
    }
    h5_close(&f);
    return all;
}

static bool loom_sniff(const char *path) { return hdf5_has(path, (const char *const[]){"/matrix", "/row_attrs", "/col_attrs", NULL}); }
static bool mudata_sniff(const char *path) { return hdf5_has(path, (const char *const[]){"/mod", NULL}); }
static bool hdf5_sniff(const char *path) { return h5_signature(path); }

static bool zip_sniff(const char *path)
{
    char b[4];
    return read_start(path, b, 4) == 4 && memcmp(b, "PK\003\004", 4) == 0;
}

static bool gzip_sniff(const char *path)
{
    char b[2];
    return read_start(path, b, 2) == 2 && memcmp(b, "\037\213", 2) == 0;
}

static bool matrix_market_sniff(const char *path)
{
    char b[14];
    return read_start(path, b, 14) == 14 && memcmp(b, "%%MatrixMarket", 14) == 0;
}

/* Text with a comma, tab or semicolon in its first line. */
static bool table_sniff(const char *path)
{
    char b[4096];
    size_t n = read_start(path, b, sizeof b);
    bool separated = false;
    for (size_t i = 0; i < n && b[i] != '\n'; i++) {
        if (!isprint((unsigned char)b[i]) && !isspace((unsigned char)b[i]) && (unsigned char)b[i] < 128) return false;
        separated = separated || strchr(",\t;", b[i]) != NULL;
    }
    return separated;
}

#define TO_H5AD "; convert it in Python: import anndata; "
const iso_unsupported iso_unsupported_formats[] = {
    {"a Zarr store", zarr_sniff, "is not read yet" TO_H5AD "anndata.read_zarr(path).write_h5ad(\"cells.h5ad\")"},
    {"a loom file", loom_sniff, "is not read yet" TO_H5AD "anndata.io.read_loom(path).write_h5ad(\"cells.h5ad\")"},
    {"a MuData file", mudata_sniff, "holds several modalities; write one: mudata.read(path)[\"rna\"].write_h5ad(\"rna.h5ad\")"},
    {"an HDF5 file", hdf5_sniff, "is neither AnnData (obs, var and X) nor 10x (matrix, or a genome's group)"},
    {"a zip archive", zip_sniff, "is not read; unpack it (an .npz" TO_H5AD
     "anndata.AnnData(scipy.sparse.load_npz(path)).write_h5ad(\"cells.h5ad\"))"},
    {"a Matrix Market file", matrix_market_sniff, "is read when named matrix.mtx, with barcodes.tsv and features.tsv or genes.tsv "
     "beside it"},
    {"a gzip archive", gzip_sniff, "is not read; unpack it (10x: give the folder)"},
    {"a text table", table_sniff, "is not read yet" TO_H5AD "anndata.io.read_csv(path).write_h5ad(\"cells.h5ad\")"},
    {NULL, NULL, NULL},
};

char *iso_join(const char *const *names, int64_t n, const char *if_none)
{
    enum { MOST = 20 };
    char *all = iso_strdup(n ? names[0] : if_none);
    for (int64_t i = 1; all && i < n && i <= MOST; i++) {
        char *longer = i < MOST ? iso_sprintf("%s, %s", all, names[i]) : iso_sprintf("%s, ... (%lld in all)", all, (long long)n);
        iso_free(all);
        all = longer;
    }
    return all;
}
