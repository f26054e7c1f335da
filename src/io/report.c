/* report.c: report.html, one self-contained file: the page of src/web/ with styles, scripts and data put in at its
 * {{marks}}. Arrays travel as base64 of little-endian numbers. Numbers to colour by are rounded to 8 bits (genes) or
 * 16 bits, places on the map to 16 bits; the largest code of each means missing. */
#include "report.h"

#include "report_text.h"
#include "report_web.h"
#include "tensors.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_SHOWN 100000      /* cells on the page; of more, every k-th is shown, and the page says so */

typedef struct page {
    FILE *file;
    const iso_report *r;
    int64_t n_shown;
} page;

static int64_t shown_cell(const page *p, int64_t i)
{
    return p->r->n_cells > MAX_SHOWN ? (int64_t)((double)i * (double)p->r->n_cells / (double)p->n_shown) : i;
}

/* ---------------------------------------------------------------------------------------------- arrays */

static void put_little_endian(unsigned char *b, uint32_t v, int width)
{
    for (int i = 0; i < width; i++) b[i] = (unsigned char)(v >> 8 * i);
}

static iso_status write_floats(json *j, const float *x, const page *p, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    unsigned char *bytes = NULL;
    ALLOC(bytes, n, 4);
    for (int64_t i = 0; i < n; i++) {
        uint32_t v;
        memcpy(&v, &x[p ? shown_cell(p, i) : i], 4);
        put_little_endian(bytes + 4 * i, v, 4);
    }
    js_base64(j, bytes, 4 * n);
done:
    iso_free(bytes);
    return st;
}

/* Range of the finite x[i * stride]; 0, 0 if there are none. */
static void find_range(const float *x, int64_t n, int stride, double *low, double *high)
{
    *low = (double)INFINITY, *high = -(double)INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)x[i * stride];
        if (!isfinite(v)) continue;
        if (v < *low) *low = v;
        if (v > *high) *high = v;
    }
    if (*low > *high) *low = *high = 0.0;
}

/* x from low..low + span to 0..most - 1; most if not finite. */
static uint32_t quantise(double x, double low, double span, uint32_t most)
{
    if (!isfinite(x)) return most;
    return span > 0.0 ? (uint32_t)lround((x - low) / span * (double)(most - 1)) : 0;
}

static iso_status write_xy(json *j, const page *p, iso_error *err)
{
    const float *xy = p->r->xy;
    iso_status st = ISO_OK;
    unsigned char *bytes = NULL;
    double low[2], high[2];
    for (int a = 0; a < 2; a++) find_range(xy + a, xy ? p->r->n_cells : 0, 2, &low[a], &high[a]);
    double span = fmax(high[0] - low[0], high[1] - low[1]);       /* one for both: the map keeps its shape */
    ALLOC(bytes, p->n_shown, 4);
    for (int64_t i = 0; i < 2 * p->n_shown; i++) {
        double v = xy ? (double)xy[2 * shown_cell(p, i / 2) + i % 2] : (double)NAN;
        put_little_endian(bytes + 2 * i, quantise(v, low[i % 2], span, 65535), 2);
    }
    js_key(j, "xy");
    js_base64(j, bytes, 4 * p->n_shown);
done:
    iso_free(bytes);
    return st;
}

/* ------------------------------------------------------------------------------- what the map is coloured by */

static iso_status write_codes(json *j, const page *p, const iso_report_color *c, iso_error *err)
{
    int width = c->n_categories < 255 ? 1 : c->n_categories < 65535 ? 2 : 4;
    uint32_t missing = width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
    iso_status st = ISO_OK;
    unsigned char *bytes = NULL;
    int64_t *counts = NULL;        /* [n_categories] over all cells, the ones left out too */
    ALLOC(bytes, p->n_shown, (size_t)width);
    ALLOC(counts, c->n_categories, sizeof *counts);
    for (int64_t i = 0; i < p->r->n_cells; i++) {
        FAIL_IF(c->codes[i] >= c->n_categories, ISO_EDATA,
                "report: cell %lld has category %d of \"%s\", which has %d categories", (long long)i, c->codes[i], c->name,
                c->n_categories);
        if (c->codes[i] >= 0) counts[c->codes[i]]++;
    }
    for (int64_t i = 0; i < p->n_shown; i++) {
        int32_t code = c->codes[shown_cell(p, i)];
        put_little_endian(bytes + width * i, code < 0 ? missing : (uint32_t)code, width);
    }
    js_key(j, "categories");
    js_open(j, '[');
    for (int i = 0; i < c->n_categories; i++) js_string(j, c->categories[i]);
    js_close(j, ']');
    js_key(j, "counts");
    js_open(j, '[');
    for (int i = 0; i < c->n_categories; i++) js_integer(j, counts[i]);
    js_close(j, ']');
    js_key(j, "width");
    js_integer(j, width);
    js_key(j, "codes");
    js_base64(j, bytes, width * p->n_shown);
done:
    iso_free(bytes);
    iso_free(counts);
    return st;
}

static iso_status write_values(json *j, const page *p, const iso_report_color *c, iso_error *err)
{
    int width = c->group && strcmp(c->group, "gene") == 0 ? 1 : 2;
    iso_status st = ISO_OK;
    unsigned char *bytes = NULL;
    double low, high;
    find_range(c->values, p->r->n_cells, 1, &low, &high);
    ALLOC(bytes, p->n_shown, (size_t)width);
    for (int64_t i = 0; i < p->n_shown; i++) {
        double v = (double)c->values[shown_cell(p, i)];
        put_little_endian(bytes + width * i, quantise(v, low, high - low, (1u << 8 * width) - 1), width);
    }
    js_key(j, "unit");
    js_string(j, c->unit);
    js_key(j, "low");
    js_number(j, low);
    js_key(j, "high");
    js_number(j, high);
    js_key(j, "width");
    js_integer(j, width);
    js_key(j, "values");
    js_base64(j, bytes, width * p->n_shown);
done:
    iso_free(bytes);
    return st;
}

static iso_status write_map(json *j, const page *p, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(write_xy(j, p, err));
    js_key(j, "colors");
    js_open(j, '[');
    for (int i = 0; i < p->r->n_colors; i++) {
        const iso_report_color *c = &p->r->colors[i];
        js_open(j, '{');
        js_key(j, "name");
        js_string(j, c->name);
        js_key(j, "group");
        js_string(j, c->group);
        TRY(c->codes ? write_codes(j, p, c, err) : write_values(j, p, c, err));
        js_close(j, '}');
    }
    js_close(j, ']');
done:
    return st;
}

/* ------------------------------------------------------------------------------------- training and latent */

/* Columns of iso_report_epoch that hold a double. */
static const struct { const char *name; size_t offset; } epoch_columns[] = {
    {"train_elbo", offsetof(iso_report_epoch, train_elbo)},
    {"train_reconstruction", offsetof(iso_report_epoch, train_reconstruction)},
    {"train_kl", offsetof(iso_report_epoch, train_kl)},
    {"validation_elbo", offsetof(iso_report_epoch, validation_elbo)},
    {"validation_reconstruction", offsetof(iso_report_epoch, validation_reconstruction)},
    {"validation_kl", offsetof(iso_report_epoch, validation_kl)},
    {"kl_weight", offsetof(iso_report_epoch, kl_weight)},
    {"learning_rate", offsetof(iso_report_epoch, learning_rate)},
    {"gradient_norm", offsetof(iso_report_epoch, gradient_norm)},
    {"seconds", offsetof(iso_report_epoch, seconds)},
};

static void write_epochs(json *j, const iso_report *r)
{
    js_key(j, "epochs");
    js_open(j, '{');
    js_key(j, "epoch");
    js_open(j, '[');
    for (int i = 0; i < r->n_epochs; i++) js_integer(j, r->epochs[i].epoch);
    js_close(j, ']');
    for (size_t c = 0; c < sizeof epoch_columns / sizeof *epoch_columns; c++) {
        js_key(j, epoch_columns[c].name);
        js_open(j, '[');
        for (int i = 0; i < r->n_epochs; i++) {
            double v;
            memcpy(&v, (const char *)&r->epochs[i] + epoch_columns[c].offset, sizeof v);
            js_number(j, v);
        }
        js_close(j, ']');
    }
    js_close(j, '}');
    js_key(j, "best_epoch");
    js_integer(j, r->best_epoch);
}

/* NULL: null. */
static void write_doubles(json *j, const char *key, const double *x, int64_t n)
{
    js_key(j, key);
    if (!x) {
        js_string(j, NULL);
        return;
    }
    js_open(j, '[');
    for (int64_t i = 0; i < n; i++) js_number(j, x[i]);
    js_close(j, ']');
}

static void write_latent(json *j, const iso_report *r)
{
    write_doubles(j, "kl_per_dim", r->kl_per_dim, r->n_latent);
    write_doubles(j, "var_mu", r->var_mu, r->n_latent);
    js_key(j, "active_threshold");
    js_number(j, r->active_threshold);
}

/* ------------------------------------------------------------------------------------------- pictures */

static void write_picture(json *j, const iso_report_picture *p)
{
    js_open(j, '{');
    js_key(j, "title");
    js_string(j, p->title);
    js_key(j, "text");
    js_string(j, p->text);
    js_key(j, "width");
    js_integer(j, p->width * p->zoom);
    js_key(j, "png");
    js_base64(j, p->png, (int64_t)p->bytes);
    js_close(j, '}');
}

/* ----------------------------------------------------------------------------------- data picture, sections */

static iso_status write_data_picture(json *j, const page *p, iso_error *err)
{
    const iso_report *r = p->r;
    iso_status st = ISO_OK;
    if (r->gene_mean && r->gene_zeros) {
        js_key(j, "gene_mean");
        TRY(write_floats(j, r->gene_mean, NULL, r->n_genes, err));
        js_key(j, "gene_zeros");
        TRY(write_floats(j, r->gene_zeros, NULL, r->n_genes, err));
        js_key(j, "gene_names");
        js_open(j, '[');
        for (int64_t i = 0; r->gene_names && i < r->n_genes; i++) js_string(j, r->gene_names[i]);
        js_close(j, ']');
    }
    if (r->cell_total) {
        js_key(j, "cell_total");
        TRY(write_floats(j, r->cell_total, p, p->n_shown, err));
    }
done:
    return st;
}

/* NULL: null. */
static iso_status write_array(json *j, const char *key, const float *x, int64_t n, iso_error *err)
{
    js_key(j, key);
    if (x) return write_floats(j, x, NULL, n, err);
    js_string(j, NULL);
    return ISO_OK;
}

static iso_status write_series(json *j, const iso_report_series *s, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    js_open(j, '{');
    js_key(j, "name");
    js_string(j, s->name);
    js_key(j, "dots");
    js_integer(j, s->dots);
    TRY(write_array(j, "values", s->values, n, err));
    TRY(write_array(j, "low", s->low, n, err));
    TRY(write_array(j, "high", s->high, n, err));
    js_close(j, '}');
done:
    return st;
}

static iso_status write_chart(json *j, const iso_report_chart *c, iso_error *err)
{
    iso_status st = ISO_OK;
    const struct { const char *key, *value; } words[] = {{"title", c->title}, {"x", c->x}, {"y", c->y}, {"shade", c->shade}};
    js_open(j, '{');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        js_key(j, words[i].key);
        js_string(j, words[i].value);
    }
    js_key(j, "diagonal");
    js_integer(j, c->diagonal);
    TRY(write_array(j, "at", c->at, c->n, err));
    js_key(j, "names");
    js_open(j, '[');
    for (int64_t i = 0; c->names && i < c->n; i++) js_string(j, c->names[i]);
    js_close(j, ']');
    js_key(j, "shaded");
    js_open(j, '[');
    for (int64_t i = 0; c->shaded && i < c->n; i++) js_integer(j, c->shaded[i]);
    js_close(j, ']');
    js_key(j, "series");
    js_open(j, '[');
    for (int i = 0; i < c->n_series; i++) TRY(write_series(j, &c->series[i], c->n, err));
    js_close(j, ']');
    js_close(j, '}');
done:
    return st;
}

static iso_status write_section(json *j, const iso_report_section *s, iso_error *err)
{
    iso_status st = ISO_OK;
    js_open(j, '{');
    js_key(j, "title");
    js_string(j, s->title);
    js_key(j, "text");
    js_string(j, s->text);
    js_key(j, "facts");
    js_open(j, '[');
    for (int i = 0; i < s->n_facts; i++) {
        js_open(j, '[');
        js_string(j, s->facts[i].key);
        js_string(j, s->facts[i].value);
        js_string(j, s->facts[i].note);
        js_close(j, ']');
    }
    js_close(j, ']');
    js_key(j, "rows");
    js_open(j, '[');
    for (int i = 0; s->n_columns > 0 && i < s->n_rows; i++) {
        js_open(j, '[');
        for (int k = 0; k < s->n_columns; k++) js_string(j, s->cells[(int64_t)i * s->n_columns + k]);
        js_close(j, ']');
    }
    js_close(j, ']');
    js_key(j, "charts");
    js_open(j, '[');
    for (int i = 0; i < s->n_charts; i++) TRY(write_chart(j, &s->charts[i], err));
    js_close(j, ']');
    js_close(j, '}');
done:
    return st;
}

static void write_words(json *j, const iso_report *r)
{
    const struct { const char *key, *value; } words[] = {
        {"title", r->title},     {"verdict", r->verdict}, {"verdict_text", r->verdict_text},
        {"cure", r->cure},       {"command", r->command}, {"version", r->version},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        js_key(j, words[i].key);
        js_string(j, words[i].value);
    }
}

/* ------------------------------------------------------------------------------------------------- the page */

static iso_status slot_data(const page *p, iso_error *err)
{
    json j = {p->file, false};
    iso_status st = ISO_OK;
    js_open(&j, '{');
    write_words(&j, p->r);
    js_key(&j, "n_cells");
    js_integer(&j, p->r->n_cells);
    js_key(&j, "n_shown");
    js_integer(&j, p->n_shown);
    js_key(&j, "n_genes");
    js_integer(&j, p->r->n_genes);
    TRY(write_map(&j, p, err));
    write_epochs(&j, p->r);
    write_latent(&j, p->r);
    TRY(write_data_picture(&j, p, err));
    js_key(&j, "pictures");
    js_open(&j, '[');
    for (int i = 0; i < p->r->n_pictures; i++) write_picture(&j, &p->r->pictures[i]);
    js_close(&j, ']');
    js_key(&j, "sections");
    js_open(&j, '[');
    for (int i = 0; i < p->r->n_sections; i++) TRY(write_section(&j, &p->r->sections[i], err));
    js_close(&j, ']');
    js_close(&j, '}');
done:
    return st;
}

static iso_status slot_title(const page *p, iso_error *err)
{
    (void)err;
    text_html(p->file, p->r->title && *p->r->title ? p->r->title : "Unnamed data");
    return ISO_OK;
}

static const iso_web_file *const scripts[] = {&iso_web_report_js, &iso_web_charts_js, &iso_web_series_js, &iso_web_coast_js, &iso_web_map_js};
#define N_SCRIPTS (sizeof scripts / sizeof *scripts)

/* Only our own scripts run: the page's policy names them by their hashes. */
static iso_status slot_script_hashes(const page *p, iso_error *err)
{
    (void)err;
    for (size_t i = 0; i < N_SCRIPTS; i++) {
        fputs(i ? " 'sha256-" : "'sha256-", p->file);
        text_base64(p->file, scripts[i]->sha256, sizeof scripts[i]->sha256);
        putc('\'', p->file);
    }
    return ISO_OK;
}

static iso_status slot_scripts(const page *p, iso_error *err)
{
    (void)err;
    for (size_t i = 0; i < N_SCRIPTS; i++) {
        fputs("<script>", p->file);
        fwrite(scripts[i]->bytes, 1, scripts[i]->size, p->file);
        fputs("</script>\n", p->file);
    }
    return ISO_OK;
}

static iso_status slot_style_hash(const page *p, iso_error *err)
{
    (void)err;
    text_base64(p->file, iso_web_report_css.sha256, sizeof iso_web_report_css.sha256);
    return ISO_OK;
}

static iso_status slot_style(const page *p, iso_error *err)
{
    (void)err;
    fwrite(iso_web_report_css.bytes, 1, iso_web_report_css.size, p->file);
    return ISO_OK;
}

static const struct { const char *mark; iso_status (*write)(const page *, iso_error *); } slots[] = {
    {"{{title}}", slot_title}, {"{{style_hash}}", slot_style_hash}, {"{{script_hashes}}", slot_script_hashes},
    {"{{style}}", slot_style}, {"{{scripts}}", slot_scripts},       {"{{data}}", slot_data},
};
#define N_SLOTS (sizeof slots / sizeof *slots)

static iso_status write_page(const page *p, iso_error *err)
{
    const char *at = (const char *)iso_web_report_html.bytes, *end = at + iso_web_report_html.size;
    iso_status st = ISO_OK;
    while (at < end) {
        const char *mark = memmem(at, (size_t)(end - at), "{{", 2);
        size_t before = (size_t)((mark ? mark : end) - at), s = 0;
        fwrite(at, 1, before, p->file);
        at += before;
        if (!mark) break;
        while (s < N_SLOTS && strncmp(mark, slots[s].mark, strlen(slots[s].mark)) != 0) s++;
        assert(s < N_SLOTS && "a mark in src/web/report.html that no slot fills");
        TRY(slots[s].write(p, err));
        at += strlen(slots[s].mark);
    }
done:
    return st;
}

iso_status iso_report_write(iso_env *env, const char *path, const iso_report *r, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out out = {0};
    (void)env;
    TRY(iso_out_open(path, &out, err));
    page p = {out.file, r, r->n_cells < MAX_SHOWN ? r->n_cells : MAX_SHOWN};
    TRY(write_page(&p, err));
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    return st;
}
