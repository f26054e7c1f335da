/* lift.c: see lift.h. */
#include "lift.h"

#include <math.h>

enum { PER_SQUARE = 4, MOST_SIDE = 1024 };

/* ------------------------------------------------------------------------------ the nearest so far */

typedef struct nearest { int n, most; int32_t *cell; float *square; } nearest;      /* squared distances, ascending */

static void offer(nearest *b, int32_t cell, float square)
{
    if (b->n == b->most && square >= b->square[b->n - 1]) return;
    int at = b->n < b->most ? b->n++ : b->most - 1;
    for (; at > 0 && b->square[at - 1] > square; at--) b->square[at] = b->square[at - 1], b->cell[at] = b->cell[at - 1];
    b->square[at] = square, b->cell[at] = cell;
}

/* Mean of rows [*, d] of the cells found, all but the last, whose distance is where weights become 0. */
static void weighted_mean(const nearest *b, const float *rows, int64_t d, float *out)
{
    double sum = 0, radius = sqrt((double)b->square[b->n - 1]);
    for (int64_t k = 0; k < d; k++) out[k] = rows[b->cell[0] * d + k];
    if (b->square[0] <= 0 || radius <= 0) return;
    double weight[ISO_LIFT_CELLS + 1];
    for (int i = 0; i < b->n; i++) {
        double far = sqrt((double)b->square[i]), edge = b->n > 1 ? (radius - far) / (radius * far) : 1;
        weight[i] = edge * edge, sum += weight[i];
    }
    if (sum <= 0) return;                                     /* all equally far */
    for (int64_t k = 0; k < d; k++) {
        double x = 0;
        for (int i = 0; i < b->n; i++) x += weight[i] / sum * (double)rows[b->cell[i] * d + k];
        out[k] = (float)x;
    }
}

/* ------------------------------------------------------------------------------------ the grid */

static int64_t column_of(const iso_lift *l, float x, float x0)
{
    double at = ((double)x - (double)x0) / (double)l->step;
    return !(at > 0) ? 0 : at >= (double)l->side ? l->side - 1 : (int64_t)at;
}

static int64_t square_of(const iso_lift *l, float x, float y) { return column_of(l, y, l->y0) * l->side + column_of(l, x, l->x0); }

static iso_status set_size(iso_lift *l, iso_error *err)
{
    iso_status st = ISO_OK;
    float low[2] = {l->xy[0], l->xy[1]}, high[2] = {l->xy[0], l->xy[1]};
    for (int64_t i = 0; i < 2 * l->n; i++) {
        FAIL_IF(!(fabsf(l->xy[i]) < 1e17f), ISO_EDATA, "cell %lld has no place on the picture", (long long)(i / 2 + 1));
        low[i % 2] = fminf(low[i % 2], l->xy[i]), high[i % 2] = fmaxf(high[i % 2], l->xy[i]);
    }
    for (int64_t i = 0; i < l->n * l->d; i++)
        FAIL_IF(!(fabsf(l->z[i]) < 1e17f), ISO_EDATA, "cell %lld has no place in the latent space", (long long)(i / l->d + 1));
    l->x0 = low[0], l->y0 = low[1];
    l->side = (int64_t)sqrt((double)l->n / PER_SQUARE) + 1;
    if (l->side > MOST_SIDE) l->side = MOST_SIDE;
    l->step = fmaxf(fmaxf(high[0] - low[0], high[1] - low[1]), 1e-6f) / (float)l->side;
done:
    return st;
}

iso_status iso_lift_new(const float *xy, const float *z, int64_t n, int64_t d, iso_lift *out, iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_lift){.n = n, .d = d, .xy = xy, .z = z};
    FAIL_IF(n < 1 || n >= INT32_MAX || d < 1, ISO_EUSAGE, "a picture needs cells");
    TRY(set_size(out, err));
    int64_t squares = out->side * out->side;
    ALLOC(out->first, squares + 2, sizeof *out->first);
    ALLOC(out->cell, n, sizeof *out->cell);
    for (int64_t i = 0; i < n; i++) out->first[square_of(out, xy[2 * i], xy[2 * i + 1]) + 2]++;
    for (int64_t s = 1; s < squares + 2; s++) out->first[s] += out->first[s - 1];
    for (int64_t i = 0; i < n; i++) out->cell[out->first[square_of(out, xy[2 * i], xy[2 * i + 1]) + 1]++] = (int32_t)i;
done:
    if (st) iso_lift_clear(out);
    return st;
}

void iso_lift_clear(iso_lift *l)
{
    iso_free(l->first);
    iso_free(l->cell);
    *l = (iso_lift){0};
}

/* The cells of one square of the grid. */
static void look_into(const iso_lift *l, int64_t row, int64_t column, float x, float y, nearest *b)
{
    if (row < 0 || row >= l->side || column < 0 || column >= l->side) return;
    int64_t s = row * l->side + column;
    for (int32_t e = l->first[s]; e < l->first[s + 1]; e++) {
        float u = l->xy[2 * l->cell[e]] - x, v = l->xy[2 * l->cell[e] + 1] - y;
        offer(b, l->cell[e], u * u + v * v);
    }
}

/* Squares in rings around that of the point, until what is left is farther than what was found. */
static void find_near(const iso_lift *l, float x, float y, nearest *b)
{
    int64_t row = column_of(l, y, l->y0), column = column_of(l, x, l->x0);
    float nearest_x = fminf(fmaxf(x, l->x0), l->x0 + l->step * (float)l->side), outside = fabsf(x - nearest_x);
    float nearest_y = fminf(fmaxf(y, l->y0), l->y0 + l->step * (float)l->side);
    outside = fmaxf(outside, fabsf(y - nearest_y));
    for (int64_t ring = 0; ring < l->side; ring++) {
        float least = fmaxf((float)(ring - 1) * l->step, outside);       /* no cell of this ring is nearer */
        if (b->n == b->most && ring > 0 && least * least > b->square[b->n - 1]) return;
        for (int64_t k = -ring; k <= ring; k++) {
            look_into(l, row - ring, column + k, x, y, b);
            if (ring > 0) look_into(l, row + ring, column + k, x, y, b);
            if (k == -ring || k == ring) continue;
            look_into(l, row + k, column - ring, x, y, b);
            look_into(l, row + k, column + ring, x, y, b);
        }
    }
}

double iso_lift_up(const iso_lift *l, float x, float y, float *z)
{
    int32_t cell[ISO_LIFT_CELLS + 1];
    float square[ISO_LIFT_CELLS + 1];
    nearest b = {0, l->n < ISO_LIFT_CELLS + 1 ? (int)l->n : ISO_LIFT_CELLS + 1, cell, square};
    find_near(l, x, y, &b);
    weighted_mean(&b, l->z, l->d, z);
    return sqrt((double)square[0]);
}

/* ----------------------------------------------------------------------------------- from z */

static void find_near_z(const iso_lift *l, const float *z, nearest *b)
{
    for (int64_t i = 0; i < l->n; i++) {
        float square = 0;
        for (int64_t k = 0; k < l->d; k++) square += (l->z[i * l->d + k] - z[k]) * (l->z[i * l->d + k] - z[k]);
        offer(b, (int32_t)i, square);
    }
}

void iso_lift_down(const iso_lift *l, const float *z, float *xy)
{
    int32_t cell[ISO_LIFT_CELLS + 1];
    float square[ISO_LIFT_CELLS + 1];
    nearest b = {0, l->n < ISO_LIFT_CELLS + 1 ? (int)l->n : ISO_LIFT_CELLS + 1, cell, square};
    find_near_z(l, z, &b);
    weighted_mean(&b, l->xy, 2, xy);
}

int iso_lift_nearest(const iso_lift *l, const float *z, int k, int32_t *cell, float *distance)
{
    nearest b = {0, k, cell, distance};
    if (k < 1) return 0;
    find_near_z(l, z, &b);
    for (int i = 0; i < b.n; i++) distance[i] = sqrtf(distance[i]);
    return b.n;
}
