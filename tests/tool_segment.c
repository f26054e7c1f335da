/* tool_segment: operations on planes, for tests/py. IN is an image file, of which the first plane is taken; OUT an npz.
 *   tool_segment IN OUT SIGMA MIN_PIXELS    labels, and what leads to them: smooth, threshold, inside, filled, distance
 *   tool_segment IN OUT LEAST               labels: the watershed of IN, over all pixels above 0 */
#include "image/image.h"
#include "io/npz_write.h"

#include <stdlib.h>
#include <string.h>

typedef struct planes {
    float *smooth, *distance, threshold;
    uint8_t *inside, *filled;
    int32_t *labels, n;
} planes;

static iso_status steps(const float *plane, iso_area a, double sigma, int64_t min_pixels, planes *p, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t size = a.height * a.width;
    memcpy(p->smooth, plane, (size_t)size * sizeof *plane);
    TRY(iso_blur(p->smooth, a, sigma, err));
    TRY(iso_otsu(p->smooth, size, &p->threshold, err));
    for (int64_t i = 0; i < size; i++) p->filled[i] = p->inside[i] = p->smooth[i] > p->threshold;
    TRY(iso_fill_holes(p->filled, a, err));
    TRY(iso_distance(p->inside, a, p->distance, err));
    TRY(iso_find_nuclei(plane, a, (iso_nuclei_how){sigma, min_pixels}, p->labels, &p->n, err));
done:
    return st;
}

static iso_status write_planes(const char *path, iso_area a, const planes *p, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_npz *z = NULL;
    const int64_t shape[2] = {a.height, a.width}, one = 1;
    TRY(iso_npz_create(path, &z, err));
    TRY(iso_npz_array(z, "smooth", "f4", 2, shape, p->smooth, err));
    TRY(iso_npz_array(z, "threshold", "f4", 1, &one, &p->threshold, err));
    TRY(iso_npz_array(z, "inside", "b1", 2, shape, p->inside, err));
    TRY(iso_npz_array(z, "filled", "b1", 2, shape, p->filled, err));
    TRY(iso_npz_array(z, "distance", "f4", 2, shape, p->distance, err));
    TRY(iso_npz_array(z, "labels", "i4", 2, shape, p->labels, err));
    TRY(iso_npz_commit(z, err));
done:
    iso_npz_free(z);
    return st;
}

int main(int argc, char **argv)
{
    iso_status st = ISO_OK;
    iso_error problem = {0}, *err = &problem;
    iso_images im = {0};
    planes p = {0};
    iso_env *env = iso_env_new(1);
    if (!env || argc < 4) return ISO_EUSAGE;
    TRY(iso_images_read_file(env, argv[1], "in", &im, err));
    const iso_area a = {im.height, im.width};
    int64_t size = a.height * a.width;
    ALLOC(p.smooth, size, sizeof *p.smooth);
    ALLOC(p.distance, size, sizeof *p.distance);
    ALLOC(p.inside, size, 1);
    ALLOC(p.filled, size, 1);
    ALLOC(p.labels, size, sizeof *p.labels);
    if (argc == 5) TRY(steps(im.pixels, a, atof(argv[3]), atoll(argv[4]), &p, err));
    for (int64_t i = 0; argc == 4 && i < size; i++) p.inside[i] = im.pixels[i] > 0;
    if (argc == 4) TRY(iso_watershed(im.pixels, p.inside, a, atof(argv[3]), p.labels, &p.n, err));
    TRY(write_planes(argv[2], a, &p, err));
done:
    if (st != ISO_OK) fprintf(stderr, "%s\n", problem.msg);
    iso_free(p.smooth), iso_free(p.distance), iso_free(p.inside), iso_free(p.filled), iso_free(p.labels);
    iso_images_clear(&im);
    iso_env_free(env);
    return st;
}
