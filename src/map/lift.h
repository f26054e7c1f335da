/* lift.h: between a latent space and its picture. The picture is not a function of z, nor z of the picture, so each is read off
 * the cells near by: the mean of what they have, weighted by distance (modified Shepard weights, Franke & Nielson 1980, which
 * fall to 0 at the edge of the neighbourhood, so that nothing jumps). */
#ifndef ISO_LIFT_H
#define ISO_LIFT_H

#include "base/base.h"

enum { ISO_LIFT_CELLS = 15 };     /* in a neighbourhood */

typedef struct iso_lift {
    int64_t n, d;
    const float *xy, *z;          /* [n, 2] and [n, d], lent */
    float x0, y0, step;           /* a grid of side x side squares over the picture: */
    int64_t side;
    int32_t *first, *cell;        /* cells of square s: cell[first[s]] .. cell[first[s + 1] - 1] */
} iso_lift;

/* 1 <= n < 2^31; ISO_EDATA where a place is not finite. */
iso_status iso_lift_new(const float *xy, const float *z, int64_t n, int64_t d, iso_lift *out, iso_error *err);
void iso_lift_clear(iso_lift *l);
/* z [d] of a point of the picture; returns the distance of the nearest cell there. */
double iso_lift_up(const iso_lift *l, float x, float y, float *z);
/* The picture's point of z [d]. Cost: n d. */
void iso_lift_down(const iso_lift *l, const float *z, float *xy);
/* The k nearest cells to z [d], nearest first; returns how many there are, at most k. Cost: n d. */
int iso_lift_nearest(const iso_lift *l, const float *z, int k, int32_t *cell, float *distance);

#endif
