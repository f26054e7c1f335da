/* distance.c: squared Euclidean distances of one point to a tile of points, for the search of neighbours.
 *
 * (a - b)^2 is summed as it stands: the quicker |a|^2 + |b|^2 - 2ab loses the small distances, which are the ones that
 * matter there, and makes copies of a point differ. */
#include "isa.h"

#include <string.h>

/* One register; eight of them hold CHUNK distances while the dimensions are gone through. */
typedef float vec __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(float))));
enum { CHUNK = 8 * REGISTER_BYTES / sizeof(float) };

static inline vec square(vec x) { return x * x; }

static inline void chunk_distances(const float *q, const float *tile, int64_t d, float *d2)
{
    vec s0 = {0}, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    for (int64_t c = 0; c < d; c++) {
        const vec *x = (const vec *)(tile + c * ISO_TILE);
        float at = q[c];
        s0 += square(x[0] - at), s1 += square(x[1] - at), s2 += square(x[2] - at), s3 += square(x[3] - at);
        s4 += square(x[4] - at), s5 += square(x[5] - at), s6 += square(x[6] - at), s7 += square(x[7] - at);
    }
    vec *out = (vec *)d2;
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3, out[4] = s4, out[5] = s5, out[6] = s6, out[7] = s7;
}

/* In lanes, so that it vectorises. */
static inline float least_of(const float *d2)
{
    enum { LANES = 16 };
    float least[LANES];
    memcpy(least, d2, sizeof least);
    for (int t = LANES; t < ISO_TILE; t += LANES)
        for (int l = 0; l < LANES; l++) least[l] = d2[t + l] < least[l] ? d2[t + l] : least[l];
    for (int l = 1; l < LANES; l++) least[0] = least[l] < least[0] ? least[l] : least[0];
    return least[0];
}

float KERNEL(tile_distances)(const float *q, const float *tile, int64_t d, float *d2)
{
    for (int64_t t = 0; t < ISO_TILE; t += CHUNK) chunk_distances(q, tile + t, d, d2 + t);
    return least_of(d2);
}
