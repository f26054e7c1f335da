/* selections.c: see selections.h. */
#include "selections.h"

#include "io/csv.h"

#include <stdlib.h>
#include <string.h>

typedef struct name_at { const char *name; int64_t at; } name_at;

static int by_name(const void *a, const void *b) { return strcmp(((const name_at *)a)->name, ((const name_at *)b)->name); }

/* The cells by name, and what the table has said of each. */
typedef struct matcher {
    const char *path, *file;
    name_at *sorted;              /* [n] */
    int64_t n;
    bool *seen;                   /* [n] a row of the table is about the cell */
    char **said;                  /* [n] lent; NULL: in no selection */
} matcher;

static const name_at *find(const matcher *m, const char *name)
{
    const name_at key = {name, 0};
    return bsearch(&key, m->sorted, (size_t)m->n, sizeof *m->sorted, by_name);
}

/* Another cell of the same name? They stand side by side. */
static bool is_ambiguous(const matcher *m, const name_at *cell)
{
    int64_t k = cell - m->sorted;
    return (k > 0 && !by_name(cell, cell - 1)) || (k + 1 < m->n && !by_name(cell, cell + 1));
}

static const char *or_none(const char *selection) { return selection ? selection : ""; }

static iso_status take_row(matcher *m, int64_t row, const char *name, char *selection, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(!name, ISO_EDATA, "%s: row %lld below its heading names no cell", m->path, (long long)row + 1);
    const name_at *cell = find(m, name);
    FAIL_IF(!cell, ISO_EDATA, "%s: its cell \"%s\" is not in %s; give the file that the map was made of, or the latent.h5ad of its run",
            m->path, name, m->file);
    FAIL_IF(selection && is_ambiguous(m, cell), ISO_EDATA,
            "%s: several cells of %s are called \"%s\"; make their names unique (obs_names_make_unique of anndata)", m->path, m->file,
            name);
    FAIL_IF(m->seen[cell->at] && strcmp(or_none(m->said[cell->at]), or_none(selection)) != 0, ISO_EDATA,
            "%s: its cell \"%s\" is in \"%s\" and, in another row, in \"%s\"; keep one row, which may say \"A;B\" for both", m->path,
            name, or_none(m->said[cell->at]), or_none(selection));
    m->seen[cell->at] = true;
    m->said[cell->at] = selection;
done:
    return st;
}

/* Which two columns of the table. */
static iso_status choose_columns(const matcher *m, const iso_frame *t, const iso_column **cell, const iso_column **selection,
                                 iso_error *err)
{
    iso_status st = ISO_OK;
    *cell = iso_frame_column(t, "cell");
    *selection = iso_frame_column(t, "selection");
    if (t->n_columns == 2) {
        if (!*cell) *cell = &t->columns[*selection == &t->columns[0]];
        if (!*selection) *selection = &t->columns[*cell == &t->columns[0]];
    }
    FAIL_IF(!*cell || !*selection, ISO_EDATA,
            "%s: needs the columns \"cell\" and \"selection\", or two columns, of which the first names the cells", m->path);
    FAIL_IF(find(m, (*cell)->name), ISO_EDATA,
            "%s: its first line is no heading but names the cell \"%s\"; write \"cell,selection\" above it", m->path, (*cell)->name);
done:
    return st;
}

static iso_status match(matcher *m, const iso_frame *t, const iso_frame *cells, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_column *cell, *selection;
    bool any = false;
    m->n = cells->n_rows;
    ALLOC(m->sorted, m->n, sizeof *m->sorted);
    ALLOC(m->seen, m->n, sizeof *m->seen);
    ALLOC(m->said, m->n, sizeof *m->said);
    for (int64_t i = 0; i < m->n; i++) m->sorted[i] = (name_at){cells->index[i], i};
    qsort(m->sorted, (size_t)m->n, sizeof *m->sorted, by_name);
    TRY(choose_columns(m, t, &cell, &selection, err));
    for (int64_t r = 0; r < t->n_rows; r++) {
        TRY(take_row(m, r, cell->strings[r], selection->strings[r], err));
        any = any || selection->strings[r];
    }
    FAIL_IF(!any, ISO_EDATA, "%s: no cell is in a selection", m->path);
done:
    return st;
}

iso_status iso_selections_read(const char *path, const char *file, const iso_frame *cells, const char *name, iso_column *column,
                               iso_error *err)
{
    iso_status st = ISO_OK;
    iso_frame table = {0};
    matcher m = {.path = path, .file = file};
    *column = (iso_column){.kind = ISO_COL_CATEGORY};
    TRY(iso_csv_read_texts(path, &table, err));
    TRY(match(&m, &table, cells, err));
    const iso_column texts = {.kind = ISO_COL_STRING, .strings = m.said};
    TRY(iso_column_factor(cells, &texts, &column->codes, &column->categories, &column->n_categories, err));
    FAIL_IF(!(column->name = iso_strdup(name)), ISO_EMEMORY, "out of memory");
done:
    if (st != ISO_OK) iso_column_clear(column, cells->n_rows);
    iso_frame_clear(&table);
    iso_free(m.sorted);
    iso_free(m.seen);
    iso_free(m.said);
    return st;
}
