/* memory.c: where each buffer lies in the work arena. Largest first, each at the lowest place where it overlaps no
 * buffer that is alive at the same time (greedy by size; Pisarchyk & Lee 2020, arXiv:2001.03288). */
#include "plan.h"

static bool alive_together(const iso_buffer *a, const iso_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset at which b fits among the placed ones. */
static int64_t lowest_offset(const iso_buffer *all, const int *order, int placed, const iso_buffer *b)
{
    int64_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < placed; i++) {
            const iso_buffer *o = &all[order[i]];
            if (alive_together(o, b) && offset < o->offset + o->elements && o->offset < offset + b->elements) {
                offset = o->offset + o->elements;
                moved = true;
            }
        }
    }
    return offset;
}

int64_t iso_place_buffers(iso_buffer *b, int n, int *order)
{
    int64_t size = 0;
    int own = 0;
    for (int i = 0; i < n; i++) {            /* insertion sort by falling size, stable */
        if (b[i].same_as >= 0) continue;
        int j = own++;
        for (; j > 0 && b[order[j - 1]].elements < b[i].elements; j--) order[j] = order[j - 1];
        order[j] = i;
    }
    for (int i = 0; i < own; i++) {
        iso_buffer *x = &b[order[i]];
        x->offset = lowest_offset(b, order, i, x);
        if (x->offset + x->elements > size) size = x->offset + x->elements;
    }
    for (int i = 0; i < n; i++) {
        int root = i;
        while (b[root].same_as >= 0) root = b[root].same_as;
        b[i].offset = b[root].offset;
    }
    return size;
}
