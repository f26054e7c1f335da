/* objects.c: labelled objects of a plane: holes, sizes, places; see image.h. */
#include "image.h"

#include <string.h>

iso_status iso_fill_holes(uint8_t *inside, iso_area a, iso_error *err)
{
    iso_status st = ISO_OK;
    enum { OUTSIDE, INSIDE, REACHED };
    int64_t size = a.height * a.width, n = 0, *stack = NULL;
    ALLOC(stack, size, sizeof *stack);
    for (int64_t i = 0; i < size; i++) {
        bool border = i < a.width || i >= size - a.width || i % a.width == 0 || i % a.width == a.width - 1;
        if (border && inside[i] == OUTSIDE) inside[i] = REACHED, stack[n++] = i;
    }
    while (n > 0) {
        int64_t at = stack[--n], x = at % a.width;
        const int64_t next[4] = {at - a.width, at + a.width, x > 0 ? at - 1 : -1, x < a.width - 1 ? at + 1 : -1};
        for (int k = 0; k < 4; k++)
            if (next[k] >= 0 && next[k] < size && inside[next[k]] == OUTSIDE)
                inside[next[k]] = REACHED, stack[n++] = next[k];
    }
    for (int64_t i = 0; i < size; i++) inside[i] = inside[i] != REACHED;
done:
    iso_free(stack);
    return st;
}

void iso_measure_objects(const int32_t *labels, iso_area a, int32_t n, iso_object *objects)
{
    for (int32_t k = 0; k < n; k++) objects[k] = (iso_object){.top = a.height, .left = a.width};
    for (int64_t y = 0; y < a.height; y++)
        for (int64_t x = 0; x < a.width; x++) {
            if (!labels[y * a.width + x]) continue;
            iso_object *o = &objects[labels[y * a.width + x] - 1];
            o->pixels++, o->y += (double)y, o->x += (double)x;
            if (y < o->top) o->top = y;
            if (x < o->left) o->left = x;
            if (y >= o->bottom) o->bottom = y + 1;
            if (x >= o->right) o->right = x + 1;
        }
    for (int32_t k = 0; k < n; k++) {
        iso_object *o = &objects[k];
        if (o->pixels) o->y /= (double)o->pixels, o->x /= (double)o->pixels;
        o->cut = o->pixels && (o->top == 0 || o->left == 0 || o->bottom == a.height || o->right == a.width);
    }
}

iso_status iso_drop_small(int32_t *labels, iso_area a, int64_t min_pixels, int32_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_object *objects = NULL;
    int32_t *number = NULL, kept = 0;
    ALLOC(objects, *n, sizeof *objects);
    ALLOC(number, *n + 1, sizeof *number);
    iso_measure_objects(labels, a, *n, objects);
    for (int32_t k = 0; k < *n; k++)
        if (objects[k].pixels >= min_pixels) number[k + 1] = ++kept;
    for (int64_t i = 0; i < a.height * a.width; i++) labels[i] = number[labels[i]];
    *n = kept;
done:
    iso_free(objects);
    iso_free(number);
    return st;
}
