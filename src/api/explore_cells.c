/* explore_cells.c: the cells of map.json: places in the picture and in z, names, annotations, and each one's support. */
#include "explore.h"

#include <math.h>
#include <string.h>

enum { MOST_CATEGORIES = 1000 };          /* of a column of text; more are names, not categories */

static iso_status add_places(iso_explore *x, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = x->run.obs.n_rows, L = x->run.model->v.c.n_latent;
    float *to;
    TRY(iso_explore_add(x, "xy", ISO_FLOAT32, n, 2, &to, err));
    memcpy(to, x->xy, (size_t)(2 * n) * sizeof *to);
    TRY(iso_explore_add(x, "z", ISO_FLOAT32, n, L, &to, err));
    memcpy(to, x->run.mu, (size_t)(n * L) * sizeof *to);
done:
    return st;
}

/* One name a line. */
static iso_status add_names(iso_explore *x, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = x->run.obs.n_rows, bytes = 0;
    char *to;
    for (int64_t i = 0; i < n; i++) bytes += (int64_t)strlen(x->run.obs.index[i]) + 1;
    TRY(iso_explore_add(x, "cell_names", ISO_UINT8, bytes, 0, &to, err));
    for (int64_t i = 0; i < n; i++) {
        for (const char *c = x->run.obs.index[i]; *c; c++) *to++ = *c == '\n' || *c == '\r' ? ' ' : *c;
        *to++ = '\n';
    }
done:
    return st;
}

static void begin_column(const iso_explore *x, json *j, const char *name, const char *kind, char *array, size_t size)
{
    snprintf(array, size, "obs%d", x->n_arrays);
    js_open(j, '{');
    js_key(j, "name");
    js_string(j, name);
    js_key(j, "kind");
    js_string(j, kind);
    js_key(j, "array");
    js_string(j, array);
}

static iso_status write_numbers(iso_explore *x, json *j, const char *name, const double *values, iso_error *err)
{
    iso_status st = ISO_OK;
    char array[32];
    float *to;
    begin_column(x, j, name, "number", array, sizeof array);
    TRY(iso_explore_add(x, array, ISO_FLOAT32, x->run.obs.n_rows, 0, &to, err));
    for (int64_t i = 0; i < x->run.obs.n_rows; i++) to[i] = (float)values[i];
    js_close(j, '}');
done:
    return st;
}

/* Codes of one or two bytes, the largest of which means missing. */
static iso_status write_categories(iso_explore *x, json *j, const char *name, const int32_t *codes, char *const *names, int32_t n,
                                   iso_error *err)
{
    iso_status st = ISO_OK;
    char array[32];
    uint8_t *one;
    uint16_t *two;
    begin_column(x, j, name, "category", array, sizeof array);
    js_key(j, "categories");
    js_open(j, '[');
    for (int32_t k = 0; k < n; k++) js_string(j, names[k]);
    js_close(j, ']');
    js_close(j, '}');
    if (n < UINT8_MAX) {
        TRY(iso_explore_add(x, array, ISO_UINT8, x->run.obs.n_rows, 0, &one, err));
        for (int64_t i = 0; i < x->run.obs.n_rows; i++) one[i] = codes[i] < 0 ? UINT8_MAX : (uint8_t)codes[i];
    } else {
        TRY(iso_explore_add(x, array, ISO_UINT16, x->run.obs.n_rows, 0, &two, err));
        for (int64_t i = 0; i < x->run.obs.n_rows; i++) two[i] = codes[i] < 0 ? UINT16_MAX : (uint16_t)codes[i];
    }
done:
    return st;
}

static iso_status write_column(iso_explore *x, json *j, const iso_column *c, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t rows = x->run.obs.n_rows;
    int32_t *codes = NULL, n = 0;
    char **names = NULL;
    double *values = NULL;
    if (c->kind == ISO_COL_INT || c->kind == ISO_COL_REAL) {
        ALLOC(values, rows, sizeof *values);
        for (int64_t i = 0; i < rows; i++)
            values[i] = c->mask && c->mask[i] ? (double)NAN : c->kind == ISO_COL_INT ? (double)c->ints[i] : c->reals[i];
        TRY(write_numbers(x, j, c->name, values, err));
    } else {
        TRY(iso_column_factor(&x->run.obs, c, &codes, &names, &n, err));
        if (n <= MOST_CATEGORIES) TRY(write_categories(x, j, c->name, codes, names, n, err));
    }
done:
    iso_free(values);
    iso_free(codes);
    iso_free_texts(names, n);
    return st;
}

/* How well each cell's place is supported, for runs whose obs do not say it: p [cells]. */
static iso_status write_support(iso_explore *x, json *j, double *p, iso_error *err)
{
    iso_status st = ISO_OK;
    double *log_q = NULL;
    ALLOC(log_q, x->run.obs.n_rows, sizeof *log_q);
    TRY(iso_run_cells_p(x->env, &x->run, &x->judge.support, log_q, p, err));
    TRY(write_numbers(x, j, "log_density", log_q, err));
    TRY(write_numbers(x, j, "p_value", p, err));
done:
    iso_free(log_q);
    return st;
}

/* The class of each cell's own place: those with support, by p [cells], are observed without asking. */
static iso_status add_classes(iso_explore *x, const double *p, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = x->run.model->v.c.n_latent, n = 0, asked = 0;
    float *z = NULL;
    iso_place *places = NULL;
    uint8_t *is;
    TRY(iso_explore_add(x, "cell_class", ISO_UINT8, x->run.obs.n_rows, 0, &is, err));
    for (int64_t i = 0; i < x->run.obs.n_rows; i++) n += !(p[i] > ISO_VOID_P);
    ALLOC(z, n * L, sizeof *z);
    ALLOC(places, n, sizeof *places);
    for (int64_t i = 0; i < x->run.obs.n_rows; i++)
        if (!(p[i] > ISO_VOID_P)) memcpy(z + asked++ * L, x->run.mu + i * L, (size_t)L * sizeof *z);
    TRY(iso_run_judge_places(x->env, &x->run, &x->judge, z, n, places, err));
    asked = 0;
    for (int64_t i = 0; i < x->run.obs.n_rows; i++)
        if (!(p[i] > ISO_VOID_P)) is[i] = (uint8_t)places[asked++].is;
done:
    iso_free(z);
    iso_free(places);
    return st;
}

iso_status iso_explore_cells(iso_explore *x, json *j, iso_error *err)
{
    iso_status st = ISO_OK;
    double *p = NULL;
    const iso_column *known = iso_frame_column(&x->run.obs, "p_value");
    ALLOC(p, x->run.obs.n_rows, sizeof *p);
    TRY(add_places(x, err));
    TRY(add_names(x, err));
    js_key(j, "cell_names");
    js_string(j, "cell_names");
    js_key(j, "obs");
    js_open(j, '[');
    for (int k = 0; k < x->run.obs.n_columns; k++) TRY(write_column(x, j, &x->run.obs.columns[k], err));
    if (!iso_frame_column(&x->run.obs, "log_density")) TRY(write_support(x, j, p, err));
    else if (known && known->kind == ISO_COL_REAL) memcpy(p, known->reals, (size_t)x->run.obs.n_rows * sizeof *p);
    js_close(j, ']');
    TRY(add_classes(x, p, err));
done:
    iso_free(p);
    return st;
}
