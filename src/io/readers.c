/* readers.c: which formats are read, in the order in which they are tried, and which are known but not read. */
#include "readers.h"

#include "h5.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <zlib.h>

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

/* The first bytes of a file, as they are or unpacked if it is gzipped; how many, 0 if it cannot be read. */
static size_t read_start(const char *path, bool unpack, char *b, size_t n)
{
    struct stat s;
    bool regular = stat(path, &s) == 0 && S_ISREG(s.st_mode);
    FILE *f = regular && !unpack ? fopen(path, "rb") : NULL;
    gzFile gz = regular && unpack ? gzopen(path, "rb") : NULL;
    int got = gz ? gzread(gz, b, (unsigned)n) : f ? (int)fread(b, 1, n, f) : 0;
    if (gz) gzclose(gz);
    if (f) fclose(f);
    return got > 0 ? (size_t)got : 0;
}

static bool starts_with(const char *path, bool unpack, const char *start, size_t n)
{
    char b[32];
    return read_start(path, unpack, b, n) == n && memcmp(b, start, n) == 0;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && strcasecmp(path + n - k, end) == 0;
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

static bool h5seurat_sniff(const char *path) { return hdf5_has(path, (const char *const[]){"/assays", "/cell.names", NULL}); }
static bool zip_sniff(const char *path) { return starts_with(path, false, "PK\003\004", 4); }
static bool gzip_sniff(const char *path) { return starts_with(path, false, "\037\213", 2); }
static bool gzipped_hdf5_sniff(const char *path) { return gzip_sniff(path) && starts_with(path, true, "\211HDF\r\n\032\n", 8); }
static bool matrix_market_sniff(const char *path) { return starts_with(path, true, "%%MatrixMarket", 14); }
static bool pointer_sniff(const char *path) { return starts_with(path, false, "version https://git-lfs", 23); }

/* By what saveRDS and save write, or by name, since they may compress in ways that are not undone here. */
static bool r_sniff(const char *path)
{
    static const char *const names[] = {".rds", ".rda", ".rdata"};
    bool named = false;
    struct stat s;
    for (int i = 0; i < 3; i++) named = named || ends_with(path, names[i]);
    return (named && stat(path, &s) == 0 && S_ISREG(s.st_mode)) || starts_with(path, true, "X\n\0\0\0", 5) ||
           starts_with(path, true, "RDX", 3);
}

static bool web_page_sniff(const char *path)
{
    char b[16] = "";
    read_start(path, false, b, sizeof b - 1);
    const char *start = b + strspn(b, " \t\r\n");
    return !strncasecmp(start, "<!doctype", 9) || !strncasecmp(start, "<html", 5);
}

/* Text, gzipped or not, with a comma, tab or semicolon in its first line. */
static bool table_sniff(const char *path)
{
    char b[4096];
    size_t n = read_start(path, true, b, sizeof b);
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
    {"an h5Seurat file", h5seurat_sniff, "is not read; convert it in R: SeuratDisk::Convert(path, dest = \"h5ad\")"},
    {"an HDF5 file", hdf5_sniff, "is neither AnnData (obs, var and X) nor 10x (matrix, or a genome's group)"},
    {"a file of R", r_sniff, "is not read; convert it in R: zellkonverter::writeH5AD(sce, \"cells.h5ad\"), where sce is the "
     "SingleCellExperiment (of a Seurat object: Seurat::as.SingleCellExperiment(object))"},
    {"a web page", web_page_sniff, "and not data: the download went wrong; look at it in a browser"},
    {"a pointer of Git LFS", pointer_sniff, "and not the data itself; get it with: git lfs pull"},
    {"a gzipped HDF5 file", gzipped_hdf5_sniff, "is not read; unpack it: gunzip FILE"},
    {"a zip archive", zip_sniff, "is not read; unpack it (an .npz" TO_H5AD
     "anndata.AnnData(scipy.sparse.load_npz(path)).write_h5ad(\"cells.h5ad\"))"},
    {"a Matrix Market file", matrix_market_sniff, "is read when named matrix.mtx, with barcodes.tsv and features.tsv or genes.tsv "
     "beside it"},
    {"a text table", table_sniff, "is not read yet" TO_H5AD "anndata.io.read_csv(path).write_h5ad(\"cells.h5ad\")"},
    {"a gzip archive", gzip_sniff, "is not read; unpack it (10x: give the folder)"},
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
