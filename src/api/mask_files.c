/* mask_files.c: which file is the mask of which field; see cells_cut.h. */
#include "cells_cut.h"

#include <string.h>

/* Endings of names, before the dot, by which programs tell masks from images; longer ones first. */
static const char *const mask_endings[] = {"_cp_masks", "_seg_masks", "_masks", "_mask", "_labels", "_label", "_seg"};
static const char *const image_endings[] = {"_image", "_img"};
enum {
    N_MASK = sizeof mask_endings / sizeof mask_endings[0],
    N_IMAGE = sizeof image_endings / sizeof image_endings[0]
};

static int name_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (int)(dot - name) : (int)strlen(name);
}

/* Length of the name without the first of the endings that it has; without any, the length it has now. */
static int without_ending(const char *name, int length, const char *const *endings, int n)
{
    for (int i = 0; i < n; i++) {
        int k = (int)strlen(endings[i]);
        if (length > k && !strncmp(name + length - k, endings[i], (size_t)k)) return length - k;
    }
    return length;
}

bool iso_is_mask(const char *name)
{
    int length = name_length(name);
    return without_ending(name, length, mask_endings, N_MASK) < length;
}

int64_t iso_mask_of(const char *field, const iso_image_files *masks)
{
    int wanted = without_ending(field, name_length(field), image_endings, N_IMAGE);
    for (int64_t i = 0; i < 2 * masks->n; i++) { /* those called masks first: fields may lie in the same folder */
        const char *name = masks->names[i % masks->n];
        if (iso_is_mask(name) != (i < masks->n)) continue;
        int length = without_ending(name, name_length(name), mask_endings, N_MASK);
        length = without_ending(name, length, image_endings, N_IMAGE);
        if (length == wanted && !strncmp(name, field, (size_t)wanted)) return i % masks->n;
    }
    return -1;
}
