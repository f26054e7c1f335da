/* compare_images_out.c: what compare_images.c found, as a table and as a page of pictures. */
#include "compare_images.h"

#include "cells_in.h"
#include "io/report.h"
#include "picture_out.h"
#include "text_out.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* A column of the table; `shown`: its heading on the page, NULL: not there. */
typedef struct measure { const char *name, *shown, *format; double (*of)(const iso_rival *r); } measure;

#define OF(name, expression) static double name(const iso_rival *r) { return expression; }
OF(bits, r->bits_per_dim)
OF(psnr, r->sharpness.psnr)
OF(ssim, r->sharpness.ssim)
OF(low, r->sharpness.reconstructed[0])
OF(middle, r->sharpness.reconstructed[1])
OF(high, r->sharpness.reconstructed[2])
OF(made_low, r->sharpness.generated[0])
OF(made_middle, r->sharpness.generated[1])
OF(made_high, r->sharpness.generated[2])
OF(frechet, r->sharpness.frechet)
OF(frechet_floor, r->sharpness.frechet_floor)
OF(knn, r->knn_accuracy)
OF(probe, r->linear_probe)
OF(active, r->active_units)
OF(seconds, r->seconds)

static const measure measures[] = {
    {"bits_per_dim", "bits a pixel", "%.4f", bits},
    {"psnr", "PSNR, dB", "%.2f", psnr},
    {"ssim", "SSIM", "%.4f", ssim},
    {"power_low", "power, low", "%.3f", low},
    {"power_middle", "middle", "%.3f", middle},
    {"power_high", "high", "%.3f", high},
    {"generated_low", NULL, "%.3f", made_low},
    {"generated_middle", "new, middle", "%.3f", made_middle},
    {"generated_high", NULL, "%.3f", made_high},
    {"frechet", "Frechet", "%.3g", frechet},
    {"frechet_floor", NULL, "%.3g", frechet_floor},
    {"knn_accuracy", "kNN", "%.4f", knn},
    {"linear_probe", "probe", "%.4f", probe},
    {"active_units", NULL, "%.0f", active},
    {"seconds", "seconds", "%.1f", seconds},
};
enum { MEASURES = sizeof measures / sizeof *measures, WORDS = 16, MOST_PICTURES = 2 };

void iso_rivals_print(const iso_rivals *r, FILE *f)
{
    fputs("model", f);
    for (int k = 0; k < MEASURES; k++) fprintf(f, "\t%s", measures[k].name);
    fputs("\tverdict\n", f);
    for (int i = 0; i < r->n; i++) {
        fputs(r->rival[i].name, f);
        for (int k = 0; k < MEASURES; k++) {
            double x = measures[k].of(&r->rival[i]);
            putc('\t', f);
            if (!isnan(x)) fprintf(f, measures[k].format, x);
        }
        fprintf(f, "\t%s\n", r->rival[i].verdict);
    }
}

/* ------------------------------------------------------------------------------------------- the page */

typedef struct page {
    char *cells[(ISO_MOST_RIVALS + 1) * (MEASURES + 2)];       /* the page's own */
    int n_cells, columns;
    char *texts[WORDS];
    int n_texts;
    iso_report_picture pictures[MOST_PICTURES];
    uint8_t *png[MOST_PICTURES];
} page;

static iso_status cell(page *p, char *text, iso_error *err)
{
    if (!text) return iso_fail(err, ISO_EMEMORY, "out of memory");
    p->cells[p->n_cells++] = text;
    return ISO_OK;
}

static iso_status fill_table(page *p, const iso_rivals *r, iso_error *err)
{
    iso_status st = ISO_OK;
    TRY(cell(p, iso_strdup("model"), err));
    for (int k = 0; k < MEASURES; k++)
        if (measures[k].shown) TRY(cell(p, iso_strdup(measures[k].shown), err));
    TRY(cell(p, iso_strdup("latent space"), err));
    p->columns = p->n_cells;
    for (int i = 0; i < r->n; i++) {
        TRY(cell(p, iso_strdup(r->rival[i].name), err));
        for (int k = 0; k < MEASURES; k++) {
            double x = measures[k].of(&r->rival[i]);
            char number[32] = "–";
            if (!isnan(x)) snprintf(number, sizeof number, measures[k].format, x);
            if (measures[k].shown) TRY(cell(p, iso_strdup(number), err));
        }
        TRY(cell(p, iso_strdup(r->rival[i].verdict), err));
    }
done:
    return st;
}

/* One row a model, the first of the images themselves. */
static iso_status add_picture(page *p, const iso_rivals *r, int k, const char *title, const char *what, bool generated, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = r->shown, size = r->data->images->channels * r->data->images->height * r->data->images->width, rows = 1, height, width;
    float *sheet = NULL;
    uint8_t *rgb = NULL;
    size_t bytes = 0;
    char *text = iso_strdup(what);
    ALLOC(sheet, (r->n + 1) * n * size, sizeof *sheet);
    memcpy(sheet, r->held_out, (size_t)(n * size) * sizeof *sheet);
    for (int i = 0; i < r->n && text; i++) {
        const float *from = generated ? r->rival[i].generated : r->rival[i].reconstructed;
        if (!from) continue;
        memcpy(sheet + rows++ * n * size, from, (size_t)(n * size) * sizeof *sheet);
        char *longer = iso_sprintf("%s%s %s", text, rows == 2 ? "" : ",", r->rival[i].name);
        iso_free(text);
        text = longer;
    }
    FAIL_IF(!text, ISO_EMEMORY, "out of memory");
    TRY(iso_made_sheet(r->first.model, sheet, rows * n, n, &rgb, &height, &width, err));
    TRY(iso_png_encode(rgb, height, width, &p->png[k], &bytes, err));
    int64_t zoom = 96 / r->data->images->width;
    p->pictures[k] = (iso_report_picture){title, text, p->png[k], bytes, width, height, zoom < 1 ? 1 : zoom};
done:
    p->texts[p->n_texts++] = text;
    iso_free(sheet);
    iso_free(rgb);
    return st;
}

iso_status iso_rivals_report(iso_env *env, const iso_rivals *r, const char *command_line, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    page p = {0};
    iso_report_section table = {.title = "Measures"};
    TRY(fill_table(&p, r, err));
    TRY(add_picture(&p, r, 0, "The same images by each model", "Held-out images in the first row; below it their reconstructions by:", false, err));
    TRY(add_picture(&p, r, 1, "Generated images", "Held-out images in the first row; below it images that never were, by:", true, err));
    table.text = "On held-out images. Power: of the spectrum of reconstructions at low, middle and high frequencies over that of the images; 1 is as sharp. "
                 "Frechet: distance of random features of generated images from those of held-out ones. Bits a pixel compare within one likelihood alone: "
                 "between them the best is not the best image. New: generated images. kNN and probe: how well 15 neighbours, or a linear rule, tell --labels-key.";
    table.cells = (const char *const *)p.cells, table.n_columns = p.columns, table.n_rows = r->n + 1;
    const char *slash = strrchr(r->data->path, '/');
    TRY(iso_report_write(env, path,
                         &(iso_report){.title = slash && slash[1] ? slash + 1 : r->data->path, .n_cells = 0, .pictures = p.pictures, .n_pictures = MOST_PICTURES,
                                       .sections = &table, .n_sections = 1, .command = command_line, .version = iso_version_long()},
                         err));
    iso_info(env, "the same images by each model: %s", path);
done:
    for (int i = 0; i < p.n_cells; i++) iso_free(p.cells[i]);
    for (int i = 0; i < p.n_texts; i++) iso_free(p.texts[i]);
    for (int i = 0; i < MOST_PICTURES; i++) iso_free(p.png[i]);
    return st;
}

/* ---------------------------------------------------------------------------------------- the command */

iso_status iso_compare_images(iso_env *env, const iso_options *o, const char *path, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_dataset *d = NULL;
    iso_options *resolved = iso_resolve_options(o, true);
    iso_text_out t = {0};
    iso_rivals r = {0};
    int32_t *labels = NULL, n_labels = 0;
    char **names = NULL;
    const char *page_path = iso_opt_text(o, "report");
    FAIL_IF(!resolved, ISO_EMEMORY, "out of memory");
    FAIL_IF(access(page_path, F_OK) == 0 && !iso_opt_flag(o, "force"), ISO_EIO, "%s exists; choose another --report, or overwrite it with --force", page_path);
    TRY(iso_text_open(o, &t, err));
    TRY(iso_read_cells(env, path, NULL, o, &d, err));
    TRY(iso_read_labels(d, resolved, &labels, &names, &n_labels, err));
    TRY(iso_rivals_meet(env, d, resolved, labels, &r, err));
    iso_rivals_print(&r, t.file);
    TRY(iso_rivals_report(env, &r, command_line, page_path, err));
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_rivals_clear(&r);
    iso_free(labels);
    iso_free_texts(names, n_labels);
    iso_dataset_free(d);
    iso_options_free(resolved);
    return st;
}
