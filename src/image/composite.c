/* composite.c: channels as one picture in colours. */
#include "image.h"

#include <math.h>
#include <strings.h>

/* One channel is grey; others add up, in colours that a colour-blind eye tells apart in pairs: green and magenta first. */
static const uint8_t grey[3] = {255, 255, 255}, primaries[][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
static const uint8_t colours[][3] = {{0, 255, 0}, {255, 0, 255}, {0, 160, 255}, {255, 200, 0}, {255, 255, 255}, {255, 60, 0}, {0, 255, 200}, {150, 90, 255}};
enum { N_COLOURS = sizeof colours / sizeof colours[0] };

bool iso_is_rgb(int64_t channels, char *const *names)
{
    static const char *const rgb[][3] = {{"red", "green", "blue"}, {"R", "G", "B"}};
    for (int k = 0; channels == 3 && k < 2; k++)
        if (!strcasecmp(names[0], rgb[k][0]) && !strcasecmp(names[1], rgb[k][1]) && !strcasecmp(names[2], rgb[k][2])) return true;
    return false;
}

const uint8_t *iso_channel_colour(int64_t channels, int64_t c, bool rgb)
{
    return channels == 1 ? grey : rgb ? primaries[c] : colours[c % N_COLOURS];
}

void iso_composite(const float *pixels, int64_t channels, iso_area a, const float *low, const float *scale, bool rgb, uint8_t *out)
{
    int64_t plane = a.height * a.width;
    for (int64_t i = 0; i < plane; i++) {
        float sum[3] = {0, 0, 0};
        for (int64_t c = 0; c < channels; c++) {
            float v = (pixels[c * plane + i] - low[c]) * scale[c];
            if (isnan(v)) sum[0] = sum[1] = sum[2] = 255;
            v = !(v > 0) ? 0 : v > 1 ? 1 : v;
            const uint8_t *colour = iso_channel_colour(channels, c, rgb);
            for (int64_t k = 0; k < 3; k++) sum[k] += v * (float)colour[k];
        }
        for (int64_t k = 0; k < 3; k++) out[i * 3 + k] = (uint8_t)(sum[k] > 255 ? 255 : sum[k]);
    }
}
