/* watershed.c: hills of a landscape, by flooding it from above: pixels are taken in falling height, and each joins the
 * hill of the highest of its neighbours, or begins one. Where two hills meet is their pass; the lower one is kept apart
 * if it stands out enough, else both become one (union-find). Source: Vincent & Soille 1991, doi:10.1109/34.87344; the
 * rule for merging is the persistence of a summit. */
#include "image.h"

#include <stdlib.h>

/* A pixel in the queue. The queue is a list sorted once: nothing is added while it is worked off. */
typedef struct pixel {
    float height;
    int32_t at;
} pixel;

static int from_above(const void *a, const void *b)
{
    const pixel *p = a, *q = b;
    if (p->height != q->height) return p->height < q->height ? 1 : -1;
    return (p->at > q->at) - (p->at < q->at);
}

typedef struct flood {
    iso_area a;
    const float *heights;
    int32_t *labels; /* [height, width] the hill that a pixel joined, from 1 */
    int32_t *parent; /* [n + 1] of a hill: the one that it became a part of, or itself */
    float *summit;   /* [n + 1] */
    int32_t n;
    double least;
} flood;

static int32_t whole_hill(flood *f, int32_t hill)
{
    while (f->parent[hill] != hill) hill = f->parent[hill] = f->parent[f->parent[hill]];
    return hill;
}

/* Two hills meet at this height; the higher one takes the lower one in, unless that stands out. */
static void meet(flood *f, int32_t one, int32_t other, float height)
{
    int32_t high = f->summit[one] >= f->summit[other] ? one : other, low = high == one ? other : one;
    if ((double)(f->summit[low] - height) <= f->least * (double)f->summit[low]) f->parent[low] = high;
}

static void take(flood *f, int32_t at)
{
    int64_t y = at / f->a.width, x = at % f->a.width;
    int32_t around[8], n = 0, highest = -1;
    for (int64_t v = y - 1; v <= y + 1; v++)
        for (int64_t u = x - 1; u <= x + 1; u++) {
            int64_t other = v * f->a.width + u;
            if (v < 0 || v >= f->a.height || u < 0 || u >= f->a.width || !f->labels[other]) continue;
            around[n++] = f->labels[other];
            if (highest < 0 || f->heights[other] > f->heights[highest]) highest = (int32_t)other;
        }
    if (n == 0) {
        f->labels[at] = ++f->n;
        f->parent[f->n] = f->n, f->summit[f->n] = f->heights[at];
        return;
    }
    f->labels[at] = f->labels[highest];
    for (int32_t i = 1; i < n; i++) {
        int32_t one = whole_hill(f, around[0]), other = whole_hill(f, around[i]);
        if (one != other) meet(f, one, other, f->heights[at]);
    }
}

/* Hills that became part of others get their number; numbers without gaps, in the order of the first pixel. */
static iso_status number_hills(flood *f, int32_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    int32_t *number = NULL;
    *n = 0;
    ALLOC(number, f->n + 1, sizeof *number);
    for (int64_t i = 0; i < f->a.height * f->a.width; i++) {
        if (!f->labels[i]) continue;
        int32_t hill = whole_hill(f, f->labels[i]);
        if (!number[hill]) number[hill] = ++*n;
        f->labels[i] = number[hill];
    }
done:
    iso_free(number);
    return st;
}

iso_status iso_watershed(const float *heights, const uint8_t *inside, iso_area a, double least, int32_t *labels,
                         int32_t *n, iso_error *err)
{
    iso_status st = ISO_OK;
    flood f = {.a = a, .heights = heights, .labels = labels, .least = least};
    pixel *queue = NULL;
    int64_t size = a.height * a.width, n_queue = 0;
    FAIL_IF(size > INT32_MAX - 1, ISO_EDATA, "a plane of %lld x %lld pixels is too large to be cut into objects",
            (long long)a.height, (long long)a.width);
    ALLOC(queue, size, sizeof *queue);
    ALLOC(f.parent, size + 1, sizeof *f.parent);
    ALLOC(f.summit, size + 1, sizeof *f.summit);
    for (int64_t i = 0; i < size; i++) {
        labels[i] = 0;
        if (inside[i]) queue[n_queue++] = (pixel){heights[i], (int32_t)i};
    }
    qsort(queue, (size_t)n_queue, sizeof *queue, from_above);
    for (int64_t i = 0; i < n_queue; i++) take(&f, queue[i].at);
    TRY(number_hills(&f, n, err));
done:
    iso_free(queue);
    iso_free(f.parent);
    iso_free(f.summit);
    return st;
}
