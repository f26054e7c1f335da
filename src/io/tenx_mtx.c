/* tenx_mtx.c: 10x Genomics folders: a Matrix Market file of features x barcodes, and the names of both.
 *   matrix.mtx    "%%MatrixMarket matrix coordinate integer|real general", comments, "rows columns entries", then one
 *                 "row column value" a line, counted from 1. Repeated entries are added up.
 *   barcodes.tsv  one a line;  features.tsv  id, symbol, type;  genes.tsv  (Cell Ranger 1 and 2)  id, symbol
 * Each may be gzipped, and all may share a prefix (GSM123_matrix.mtx.gz). Source: math.nist.gov/MatrixMarket/formats. */
#include "csr.h"
#include "readers.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <zlib.h>

enum { LINE = 1 << 16, PATH = 4096 };

/* ------------------------------------------------------------------------------------- files */

/* If `name` ends in matrix.mtx or matrix.mtx.gz, the length of what is before that; else -1. */
static int prefix_length(const char *name)
{
    static const char *const ends[] = {"matrix.mtx", "matrix.mtx.gz"};
    size_t n = strlen(name);
    for (int i = 0; i < 2; i++) {
        size_t k = strlen(ends[i]);
        if (n >= k && !strcmp(name + n - k, ends[i])) return (int)(n - k);
    }
    return -1;
}

/* PREFIX + name, or the same with .gz, whichever exists. */
static bool find_file(const char *prefix, const char *name, char path[PATH])
{
    struct stat s;
    for (int gz = 0; gz < 2; gz++)
        if (snprintf(path, PATH, "%s%s%s", prefix, name, gz ? ".gz" : "") < PATH && stat(path, &s) == 0 && S_ISREG(s.st_mode))
            return true;
    return false;
}

/* What precedes "matrix.mtx": of the path itself, or of the one such file in the folder (with no prefix if there are
 * several). False if there is none. */
static bool find_prefix(const char *path, char prefix[PATH])
{
    struct stat s;
    char found[PATH];
    int n_found = 0, n = prefix_length(path);
    if (stat(path, &s) != 0) return false;
    if (S_ISREG(s.st_mode)) return n >= 0 && snprintf(prefix, PATH, "%.*s", n, path) < PATH;
    if (snprintf(prefix, PATH, "%s/", path) >= PATH) return false;
    if (find_file(prefix, "matrix.mtx", found)) return true;
    DIR *folder = opendir(path);
    for (struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder)) {
        n = prefix_length(e->d_name);
        if (n >= 0 && snprintf(prefix, PATH, "%s/%.*s", path, n, e->d_name) < PATH) n_found++;
    }
    if (folder) closedir(folder);
    return n_found == 1;
}

bool tenx_mtx_sniff(const char *path)
{
    char prefix[PATH];
    return find_prefix(path, prefix);
}

/* Lines of a file, plain or gzipped. */
typedef struct line_reader {
    char path[PATH];
    gzFile file;
    int64_t number;              /* of the line just read, from 1 */
    int64_t bytes;               /* of the file as it is stored */
    char *line;                  /* [LINE] */
} line_reader;

static void lines_close(line_reader *r)
{
    if (r->file) gzclose(r->file);
    iso_free(r->line);
    *r = (line_reader){0};
}

static iso_status lines_open(const char *prefix, const char *name, line_reader *r, iso_error *err)
{
    iso_status st = ISO_OK;
    struct stat s;
    *r = (line_reader){0};
    FAIL_IF(!find_file(prefix, name, r->path), ISO_EIO, "%s%s: there is no such file, nor one ending in .gz; a 10x folder has "
            "matrix.mtx, barcodes.tsv and features.tsv or genes.tsv", prefix, name);
    FAIL_IF(stat(r->path, &s) != 0, ISO_EIO, "%s: %s", r->path, strerror(errno));
    r->bytes = s.st_size;
    ALLOC(r->line, LINE, 1);
    r->file = gzopen(r->path, "rb");
    FAIL_IF(!r->file, ISO_EIO, "%s: %s", r->path, errno ? strerror(errno) : "cannot be opened");
    gzbuffer(r->file, 1 << 18);
done:
    return st;
}

/* Next line without its end; *more = false at the end of the file. Comments may be of any length, other lines not. */
static iso_status lines_next(line_reader *r, bool *more, iso_error *err)
{
    iso_status st = ISO_OK;
    int problem = Z_OK;
    *more = gzgets(r->file, r->line, LINE) != NULL;
    if (!*more || gzeof(r->file)) gzerror(r->file, &problem);
    FAIL_IF(problem != Z_OK && problem != Z_STREAM_END, ISO_EDATA, "%s: damaged or cut short after line %lld", r->path,
            (long long)r->number);
    if (!*more) goto done;
    r->number++;
    size_t n = strlen(r->line);
    bool whole = n && r->line[n - 1] == '\n';
    while (n && (r->line[n - 1] == '\n' || r->line[n - 1] == '\r')) r->line[--n] = 0;
    if (whole || gzeof(r->file)) goto done;
    FAIL_IF(r->line[0] != '%', ISO_EDATA, "%s: line %lld is too long, or holds bytes that are not text", r->path,
            (long long)r->number);
    for (int c = gzgetc(r->file); c != '\n' && c != -1; c = gzgetc(r->file)) {}
done:
    return st;
}

/* ------------------------------------------------------------------------------------- names */

/* Cuts the line at tabs; field[i] is "" past the last. */
static void split(char *line, char *field[3])
{
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(line, "\t");
        field[i] = line;
        bool last = line[n] == 0;
        line[n] = 0;
        line += last ? n : n + 1;
    }
}

/* All rows of a .tsv, up to three columns [*n] each. */
typedef struct name_table { char **column[3]; int64_t n, room; bool has_third; } name_table;

static void free_table(name_table *t)
{
    for (int k = 0; k < 3; k++) {
        for (int64_t i = 0; t->column[k] && i < t->n; i++) iso_free(t->column[k][i]);
        iso_free(t->column[k]);
    }
    *t = (name_table){0};
}

static iso_status read_table(const char *prefix, const char *name, name_table *t, iso_error *err)
{
    iso_status st = ISO_OK;
    line_reader r;
    bool more;
    char *field[3];
    TRY(lines_open(prefix, name, &r, err));
    for (;;) {
        TRY(lines_next(&r, &more, err));
        if (!more) break;
        if (t->n == t->room) {
            int64_t room = t->room * 2 + 1024;
            for (int k = 0; k < 3; k++) {
                char **grown = iso_realloc(t->column[k], t->n, room, sizeof *grown);
                FAIL_IF(!grown, ISO_EMEMORY, "out of memory for the names in %s", r.path);
                t->column[k] = grown;
            }
            t->room = room;
        }
        split(r.line, field);
        t->n++;
        t->has_third = t->has_third || *field[2];
        for (int k = 0; k < 3; k++)
            FAIL_IF(!(t->column[k][t->n - 1] = iso_strdup(field[k])), ISO_EMEMORY, "out of memory for the names in %s", r.path);
    }
done:
    lines_close(&r);
    return st;
}

/* Takes over text [n] of the table as a column, or as the index with name NULL. */
static iso_status take(name_table *t, int k, const char *name, iso_frame *f, iso_error *err)
{
    iso_status st = ISO_OK;
    if (!name) {
        f->index = t->column[k], t->column[k] = NULL;
        f->n_rows = t->n;
        FAIL_IF(!(f->index_name = iso_strdup("_index")), ISO_EMEMORY, "out of memory");
        ALLOC(f->columns, 2, sizeof *f->columns);
    } else {
        char *copy = iso_strdup(name);
        FAIL_IF(!copy, ISO_EMEMORY, "out of memory");
        f->columns[f->n_columns++] = (iso_column){.name = copy, .kind = ISO_COL_STRING, .strings = t->column[k]};
        t->column[k] = NULL;
    }
done:
    return st;
}

static iso_status read_names(const char *prefix, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    name_table barcodes = {0}, genes = {0};
    char path[PATH];
    bool v3 = find_file(prefix, "features.tsv", path);
    TRY(read_table(prefix, "barcodes.tsv", &barcodes, err));
    TRY(take(&barcodes, 0, NULL, &d->obs, err));
    TRY(read_table(prefix, v3 ? "features.tsv" : "genes.tsv", &genes, err));
    for (int64_t i = 0; i < genes.n; i++) {              /* a single column is both id and symbol */
        if (*genes.column[1][i]) continue;
        char *id = iso_strdup(genes.column[0][i]);
        FAIL_IF(!id, ISO_EMEMORY, "out of memory");
        iso_free(genes.column[1][i]);
        genes.column[1][i] = id;
    }
    if (genes.n == 0) ALLOC(genes.column[1], 0, sizeof *genes.column[1]);
    TRY(take(&genes, 1, NULL, &d->var, err));
    if (genes.n) TRY(take(&genes, 0, "gene_ids", &d->var, err));
    if (v3 && genes.has_third) TRY(take(&genes, 2, "feature_types", &d->var, err));
done:
    free_table(&genes);
    free_table(&barcodes);
    return st;
}

/* ------------------------------------------------------------------------------------ matrix */

/* The banner, comments, and the line of sizes. */
static iso_status read_header(line_reader *r, int64_t size[3], iso_error *err)
{
    iso_status st = ISO_OK;
    bool more;
    char word[5][16] = {{0}}, rest;
    long long n[3];
    TRY(lines_next(r, &more, err));
    int n_words = more ? sscanf(r->line, "%15s %15s %15s %15s %15s", word[0], word[1], word[2], word[3], word[4]) : 0;
    FAIL_IF(n_words != 5 || strcasecmp(word[0], "%%MatrixMarket") || strcasecmp(word[1], "matrix"), ISO_EDATA,
            "%s: does not begin with \"%%%%MatrixMarket matrix\"", r->path);
    bool number = !strcasecmp(word[3], "integer") || !strcasecmp(word[3], "real");
    FAIL_IF(strcasecmp(word[2], "coordinate") || !number || strcasecmp(word[4], "general"), ISO_EDATA,
            "%s: is \"%s %s %s\"; only coordinate, integer or real, general is read", r->path, word[2], word[3], word[4]);
    do TRY(lines_next(r, &more, err)); while (more && (r->line[0] == '%' || r->line[0] == 0));
    FAIL_IF(!more || sscanf(r->line, "%lld %lld %lld %c", &n[0], &n[1], &n[2], &rest) != 3 || n[0] < 0 || n[1] < 0 || n[2] < 0,
            ISO_EDATA, "%s: line %lld should hold rows, columns and entries", r->path, (long long)r->number);
    for (int i = 0; i < 3; i++) size[i] = n[i];
done:
    return st;
}

/* Digits at *s as a number from 1 to `most`; 0 if it is anything else. */
static int64_t read_index(char **s, int64_t most)
{
    int64_t v = 0;
    while (**s == ' ' || **s == '\t') ++*s;
    for (; **s >= '0' && **s <= '9' && v <= most; ++*s) v = v * 10 + (**s - '0');
    bool ends = **s == ' ' || **s == '\t';
    return ends && v >= 1 && v <= most ? v : 0;
}

/* False unless the rest of the line is one number. Whole numbers above 2^24 stay above it (see csr_check_exact). */
static bool read_value(char *s, float *out)
{
    char *end;
    double v = strtod(s, &end);
    bool good = end != s;
    while (*end == ' ' || *end == '\t') end++;
    *out = v > 16777216.0 && v < 16777218.0 ? 16777218.0f : (float)v;
    return good && *end == 0;
}

/* Entries in file order: entry p is in cell cells[p], gene m->indices[p]. */
static iso_status read_entries(iso_env *env, line_reader *r, const int64_t size[3], int32_t *cells, iso_csr *m, iso_error *err)
{
    iso_status st = ISO_OK;
    bool more;
    int64_t n = 0;
    for (;;) {
        TRY(lines_next(r, &more, err));
        if (!more) break;
        char *s = r->line;
        if (s[strspn(s, " \t")] == 0) continue;
        FAIL_IF(n == size[2], ISO_EDATA, "%s: line %lld: more than the %lld entries that were announced", r->path,
                (long long)r->number, (long long)size[2]);
        FAIL_IF((n & 0xffff) == 0 && iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted while reading %s", r->path);
        int64_t gene = read_index(&s, size[0]), cell = gene ? read_index(&s, size[1]) : 0;
        FAIL_IF(!gene || !cell || !read_value(s, &m->values[n]), ISO_EDATA,
                "%s: line %lld: should be row (1 to %lld), column (1 to %lld) and value", r->path, (long long)r->number,
                (long long)size[0], (long long)size[1]);
        m->indices[n] = (int32_t)(gene - 1);
        cells[n++] = (int32_t)(cell - 1);
    }
    FAIL_IF(n < size[2], ISO_EDATA, "%s: ends after line %lld with %lld of %lld entries; it was cut short", r->path,
            (long long)r->number, (long long)n, (long long)size[2]);
done:
    return st;
}

/* Sorts the entries of `read` (in file order) by cell into m; stable. */
static iso_status group_by_cell(const iso_csr *read, const int32_t *cells, int64_t n_cells, int64_t n_genes, iso_csr *m,
                                iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(csr_alloc(m, n_cells, n_genes, read->nnz, err));
    for (int64_t p = 0; p < read->nnz; p++) m->indptr[cells[p] + 1]++;
    int64_t start = 0;
    for (int64_t i = 0; i < n_cells; i++) {
        int64_t count = m->indptr[i + 1];
        m->indptr[i + 1] = start;
        start += count;
    }
    for (int64_t p = 0; p < read->nnz; p++) {
        int64_t to = m->indptr[cells[p] + 1]++;
        m->indices[to] = read->indices[p];
        m->values[to] = read->values[p];
    }
done:
    return st;
}

static iso_status read_matrix(iso_env *env, const char *prefix, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    line_reader r;
    iso_csr read = {0};
    int32_t *cells = NULL;
    int64_t size[3] = {0};                       /* features, barcodes, entries */
    TRY(lines_open(prefix, "matrix.mtx", &r, err));
    TRY(read_header(&r, size, err));
    bool turned = size[0] == d->obs.n_rows && size[1] == d->var.n_rows;
    FAIL_IF(size[0] != d->var.n_rows || size[1] != d->obs.n_rows, ISO_EDATA,
            "%s: is %lld features x %lld barcodes but there are names for %lld and %lld%s", r.path, (long long)size[0],
            (long long)size[1], (long long)d->var.n_rows, (long long)d->obs.n_rows, turned ? "; it is transposed" : "");
    /* an entry is at least "1 1 1\n"; deflate makes at most 1032 bytes out of one */
    FAIL_IF(size[2] / (gzdirect(r.file) ? 1 : 1032) > r.bytes / 5 + 1, ISO_EDATA, "%s: announces %lld entries, more than its %lld bytes can hold", r.path,
            (long long)size[2], (long long)r.bytes);
    TRY(csr_alloc(&read, 0, d->var.n_rows, size[2], err));
    ALLOC(cells, size[2], sizeof *cells);
    TRY(read_entries(env, &r, size, cells, &read, err));
    TRY(group_by_cell(&read, cells, size[1], size[0], &d->x, err));
    TRY(csr_tidy(&d->x, err));
    TRY(csr_check_exact(&d->x, r.path, (csr_axis){"cell", d->obs.n_rows, d->obs.index},
                        (csr_axis){"gene", d->var.n_rows, d->var.index}, err));
done:
    iso_free(cells);
    iso_csr_clear(&read);
    lines_close(&r);
    return st;
}

iso_status tenx_mtx_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err)
{
    iso_status st = ISO_OK;
    char prefix[PATH];
    FAIL_IF(layer && strcmp(layer, "X") && strcmp(layer, "matrix"), ISO_EUSAGE, "%s: a 10x folder has one matrix and no layer \"%s\"",
            path, layer);
    FAIL_IF(!find_prefix(path, prefix), ISO_EIO, "%s: has no matrix.mtx", path);
    TRY(read_names(prefix, d, err));
    TRY(read_matrix(env, prefix, d, err));
    TRY(tenx_keep_genes(env, d, err));
    FAIL_IF(!(d->source = iso_strdup("matrix")), ISO_EMEMORY, "out of memory");
done:
    return st;
}
