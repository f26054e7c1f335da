/* explore_page.c: index.html of the explorer: the page of src/web/page/ with what belongs at its {{marks}}. With its data it is
 * one file; without, it fetches map.json and the rest from beside itself. */
#include "explore_page.h"

#include "explore_site.h"
#include "io/report_web.h"
#include "io/tensors.h"

#include <assert.h>
#include <string.h>

typedef struct page { FILE *file; const iso_explore *x; bool alone; } page;

static void put_hash(FILE *f, const iso_web_file *w)
{
    fputs("'sha256-", f);
    text_base64(f, w->sha256, sizeof w->sha256);
    putc('\'', f);
}

static void slot_title(const page *p) { text_html(p->file, iso_explore_title(p->x)); }
static void slot_style_hash(const page *p) { put_hash(p->file, &iso_web_explorer_css); }
static void slot_script_hash(const page *p) { put_hash(p->file, &iso_web_explorer_js); }
static void slot_style(const page *p) { fwrite(iso_web_explorer_css.bytes, 1, iso_web_explorer_css.size, p->file); }
static void slot_script(const page *p) { fwrite(iso_web_explorer_js.bytes, 1, iso_web_explorer_js.size, p->file); }
static void slot_connect(const page *p) { fputs(p->alone ? "'none'" : "'self'", p->file); }

/* Packed, or without memory for that as it is. */
static void put_array(FILE *f, const char *name, const void *bytes, int64_t n)
{
    int64_t n_packed;
    uint8_t *packed = text_deflate(bytes, n, &n_packed);
    fprintf(f, "<script type=\"application/octet-stream\" data-name=\"%s\"%s>", name, packed ? " data-packed=\"deflate\"" : "");
    if (packed) text_base64(f, packed, n_packed);
    else text_base64(f, bytes, n);
    fputs("</script>\n", f);
    iso_free(packed);
}

static void slot_data(const page *p)
{
    if (!p->alone) return;
    fputs("<script type=\"application/json\" id=\"map\">", p->file);
    fwrite(p->x->map, 1, p->x->map_bytes, p->file);
    fputs("</script>\n", p->file);
    for (int i = 0; i < p->x->n_arrays; i++) put_array(p->file, p->x->arrays[i].name, p->x->arrays[i].values, p->x->arrays[i].bytes);
    put_array(p->file, "wasm", iso_web_explorer_wasm.bytes, (int64_t)iso_web_explorer_wasm.size);
}

static const struct { const char *mark; void (*write)(const page *); } slots[] = {
    {"{{title}}", slot_title}, {"{{style_hash}}", slot_style_hash}, {"{{script_hash}}", slot_script_hash}, {"{{connect}}", slot_connect},
    {"{{style}}", slot_style}, {"{{script}}", slot_script},         {"{{data}}", slot_data},
};
#define N_SLOTS (sizeof slots / sizeof *slots)

void iso_explore_put_page(const iso_explore *x, bool alone, FILE *f)
{
    page p = {f, x, alone};
    const char *at = (const char *)iso_web_explorer_html.bytes, *end = at + iso_web_explorer_html.size;
    while (at < end) {
        const char *mark = memmem(at, (size_t)(end - at), "{{", 2);
        size_t s = 0;
        fwrite(at, 1, (size_t)((mark ? mark : end) - at), f);
        if (!mark) return;
        while (s < N_SLOTS && strncmp(mark, slots[s].mark, strlen(slots[s].mark)) != 0) s++;
        assert(s < N_SLOTS && "a mark in src/web/page/index.html that no slot fills");
        slots[s].write(&p);
        at = mark + strlen(slots[s].mark);
    }
}

iso_status iso_explore_write_page(const iso_explore *x, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out out = {0};
    TRY(iso_out_open(path, &out, err));
    iso_explore_put_page(x, true, out.file);
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    return st;
}
