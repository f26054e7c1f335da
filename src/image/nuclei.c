/* nuclei.c: finds bright blobs on a darker background; see image.h. */
#include "image.h"

#include <string.h>

/* Two summits of the distance map are two nuclei if the lower one stands out above the pass between them by this share of
 * its height: if the neck is narrower by that much. */
static const double LEAST_NECK = 0.07;
/* The distance map is smoothed a little, so that a ragged outline makes no summits. */
static const double DISTANCE_SIGMA = 1;

iso_status iso_find_nuclei(const float *plane, iso_area a, iso_nuclei_how how, int32_t *labels, int32_t *n,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t size = a.height * a.width;
    float *smooth = NULL, *distance = NULL, threshold;
    uint8_t *inside = NULL;
    ALLOC(smooth, size, sizeof *smooth);
    ALLOC(distance, size, sizeof *distance);
    ALLOC(inside, size, sizeof *inside);
    memcpy(smooth, plane, (size_t)size * sizeof *smooth);
    TRY(iso_blur(smooth, a, how.sigma, err));
    TRY(iso_otsu(smooth, size, &threshold, err));
    for (int64_t i = 0; i < size; i++) inside[i] = smooth[i] > threshold;
    TRY(iso_fill_holes(inside, a, err));
    TRY(iso_distance(inside, a, distance, err));
    TRY(iso_blur(distance, a, DISTANCE_SIGMA, err));
    TRY(iso_watershed(distance, inside, a, LEAST_NECK, labels, n, err));
    TRY(iso_drop_small(labels, a, how.min_pixels, n, err));
done:
    iso_free(smooth);
    iso_free(distance);
    iso_free(inside);
    return st;
}
