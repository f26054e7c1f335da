/* spectrum.c: power by spatial frequency, a plane as two products with the waves of its sides; see quality.h. */
#include "quality.h"

#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

const double iso_bands[ISO_BANDS][2] = {{0.05, 0.1}, {0.2, 0.25}, {0.35, 0.4}};

typedef struct spectrum {
    const float *images;
    iso_area a;
    int64_t half;                 /* frequencies along a row: width / 2 + 1; the others mirror them */
    real *across;                 /* [width, 2 half] cosines, then sines */
    real *down;                   /* [2 height, height] cosines, then sines */
    double *power;                /* [planes, ISO_BANDS] */
    double count[ISO_BANDS];      /* frequencies in each band */
    bool lost;
} spectrum;

static double frequency(int64_t k, int64_t n) { return (double)(2 * k <= n ? k : n - k) / (double)n; }

/* The band of frequency (v, u), or -1; *weight: how many of the whole plane's frequencies it stands for. */
static int band_of(const spectrum *s, int64_t v, int64_t u, double *weight)
{
    double radius = hypot(frequency(v, s->a.height), frequency(u, s->a.width));
    *weight = u == 0 || 2 * u == s->a.width ? 1 : 2;
    for (int b = 0; b < ISO_BANDS; b++)
        if (radius >= iso_bands[b][0] && radius < iso_bands[b][1]) return b;
    return -1;
}

static void add_power(const spectrum *s, const real *waves, double *power)
{
    int64_t H = s->a.height, K = s->half;
    double weight;
    for (int64_t v = 0; v < H; v++)
        for (int64_t u = 0; u < K; u++) {
            int b = band_of(s, v, u, &weight);
            if (b < 0) continue;
            double cc = (double)waves[v * 2 * K + u], cs = (double)waves[v * 2 * K + K + u];
            double sc = (double)waves[(H + v) * 2 * K + u], ss = (double)waves[(H + v) * 2 * K + K + u];
            power[b] += weight * ((cc - ss) * (cc - ss) + (cs + sc) * (cs + sc)) / s->count[b];
        }
}

static void one_plane(void *arg, int64_t i)
{
    spectrum *s = arg;
    int64_t H = s->a.height, W = s->a.width, K = s->half, plane = H * W;
    const float *from = s->images + i * plane;
    real *room = iso_calloc(plane + 6 * H * K, sizeof *room), *rows = room + plane, *waves = rows + 2 * H * K;
    double mean = 0;
    if (!room) {
        s->lost = true;
        return;
    }
    for (int64_t k = 0; k < plane; k++) mean += (double)from[k] / (double)plane;
    for (int64_t k = 0; k < plane; k++) room[k] = (real)((double)from[k] - mean);
    iso_gemm_serial(false, false, H, 2 * K, W, 1, room, W, s->across, 2 * K, 0, rows, 2 * K);
    iso_gemm_serial(false, false, 2 * H, 2 * K, H, 1, s->down, H, rows, 2 * K, 0, waves, 2 * K);
    add_power(s, waves, s->power + i * ISO_BANDS);
    iso_free(room);
}

static iso_status make_waves(spectrum *s, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t H = s->a.height, W = s->a.width, K = s->half;
    double weight;
    ALLOC(s->across, W * 2 * K, sizeof *s->across);
    ALLOC(s->down, 2 * H * H, sizeof *s->down);
    for (int64_t x = 0; x < W; x++)
        for (int64_t u = 0; u < K; u++) {
            double angle = 2 * M_PI * (double)(x * u % W) / (double)W;
            s->across[x * 2 * K + u] = (real)cos(angle), s->across[x * 2 * K + K + u] = (real)sin(angle);
        }
    for (int64_t v = 0; v < H; v++)
        for (int64_t y = 0; y < H; y++) {
            double angle = 2 * M_PI * (double)(y * v % H) / (double)H;
            s->down[v * H + y] = (real)cos(angle), s->down[(H + v) * H + y] = (real)sin(angle);
        }
    for (int64_t v = 0; v < H; v++)
        for (int64_t u = 0; u < K; u++) {
            int b = band_of(s, v, u, &weight);
            if (b >= 0) s->count[b] += weight;
        }
done:
    return st;
}

iso_status iso_band_power(iso_env *env, const float *images, int64_t n, int64_t channels, iso_area a, double *power, iso_error *err)
{
    iso_status st = ISO_OK;
    spectrum s = {.images = images, .a = a, .half = a.width / 2 + 1};
    memset(power, 0, (size_t)(channels * ISO_BANDS) * sizeof *power);
    ALLOC(s.power, n * channels * ISO_BANDS, sizeof *s.power);
    TRY(make_waves(&s, err));
    iso_parallel(env, n * channels, one_plane, &s);
    FAIL_IF(s.lost, ISO_EMEMORY, "out of memory");
    for (int64_t i = 0; i < n * channels * ISO_BANDS; i++) power[i % (channels * ISO_BANDS)] += s.power[i] / (double)n;
done:
    iso_free(s.power);
    iso_free(s.across);
    iso_free(s.down);
    return st;
}
