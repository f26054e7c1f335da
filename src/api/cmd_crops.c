/* cmd_crops.c: `crops IMAGES`: one image a cell, out of whole fields. */
#include "cells_cut.h"
#include "commands.h"
#include "text_out.h"

#include <string.h>
#include <unistd.h>

/* Images of one file, and its masks if there are any. */
typedef struct field_file {
    iso_images fields, masks;
    bool has_masks;
} field_file;

static void clear_file(field_file *f)
{
    iso_images_clear(&f->fields);
    iso_images_clear(&f->masks);
    *f = (field_file){0};
}

static iso_status read_fields(iso_env *env, const iso_image_files *files, int64_t i, const iso_image_files *masks,
                              field_file *f, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t mask = masks->n == 1 && files->n == 1 ? 0 : iso_mask_of(files->names[i], masks);
    TRY(iso_images_read_file(env, files->paths[i], files->names[i], &f->fields, err));
    if (masks->n == 0) return ISO_OK;
    FAIL_IF(mask < 0, ISO_EDATA,
            "%s: there is no mask for it; masks are told by their names, such as field1_masks.tif for field1.tif",
            files->paths[i]);
    TRY(iso_images_read_file(env, masks->paths[mask], masks->names[mask], &f->masks, err));
    f->has_masks = true;
done:
    return st;
}

/* Every field of every file that is no mask. */
static iso_status cut_all(iso_env *env, const iso_crops_how *how, const iso_image_files *files,
                          const iso_image_files *masks, iso_crops *c, iso_error *err)
{
    iso_status st = ISO_OK;
    field_file f = {0};
    int64_t n, n_fields = 0;
    for (int64_t i = 0; i < files->n; i++) {
        if (files->n > 1 && iso_is_mask(files->names[i])) continue;
        TRY(read_fields(env, files, i, masks, &f, err));
        for (int64_t k = 0; k < f.fields.n; k++, n_fields++) {
            FAIL_IF(iso_env_interrupted(env), ISO_EINTERRUPT, "interrupted at %s", files->paths[i]);
            iso_progress(env, (double)i / (double)files->n, "%s", f.fields.obs.index[k]);
            TRY(iso_crops_add(c, how, &f.fields, k, f.has_masks ? &f.masks : NULL, &n, err));
            if (n == 0)
                iso_warn(env, "%s: no cell %s", f.fields.obs.index[k],
                         f.has_masks ? "in its mask that is whole" : "found that is whole");
        }
        clear_file(&f);
    }
    FAIL_IF(c->set.n == 0, ISO_EDATA,
            "no cell in any of the %lld fields; look at --channel, --min-area and --smooth, or give --masks",
            (long long)n_fields);
    iso_info(env, "%lld cells of %lld fields", (long long)c->set.n, (long long)n_fields);
done:
    clear_file(&f);
    return st;
}

static void report(iso_env *env, const iso_crops *c, int64_t size)
{
    if (c->n_edge)
        iso_info(env, "%lld cells touch the border of their field and are left out; --edge keep takes them too",
                 (long long)c->n_edge);
    if (c->n_large)
        iso_warn(env, "%lld cells are larger than %lld pixels and are cut; give a larger --size", (long long)c->n_large,
                 (long long)size);
}

iso_status iso_cmd_crops(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_image_files files = {0}, masks = {0};
    iso_crops c = {0};
    const char *path, *mask_path = iso_opt_text(o, "masks");
    char *given = NULL;
    const iso_crops_how how = {.size = iso_opt_int(o, "size"),
                               .channel = iso_opt_text(o, "channel"),
                               .nuclei = {iso_opt_real(o, "smooth"), iso_opt_int(o, "min_area")},
                               .keep_edge = !strcmp(iso_opt_text(o, "edge"), "keep")};
    (void)command_line;
    FAIL_IF(!(given = iso_opt_list_item(o, "inputs", 0)), ISO_EMEMORY, "out of memory");
    TRY(iso_output_path(o, "crops.npz", &path, err));
    TRY(iso_image_files_find(given, &files, err));
    if (mask_path) TRY(iso_image_files_find(mask_path, &masks, err));
    TRY(cut_all(env, &how, &files, &masks, &c, err));
    report(env, &c, how.size);
    size_t n = strlen(path);
    bool archive = n > 4 && !strcmp(path + n - 4, ".npz");
    FAIL_IF(!archive && access(path, F_OK) == 0, ISO_EIO,
            "%s exists, and what is in it is not overwritten; choose another --output", path);
    TRY((archive ? iso_crops_write_npz : iso_crops_write_folder)(&c, path, err));
    iso_info(env, "wrote %s", path);
done:
    iso_crops_clear(&c);
    iso_image_files_clear(&files);
    iso_image_files_clear(&masks);
    iso_free(given);
    return st;
}
