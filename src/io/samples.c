/* samples.c: numbers as image files store them -> float; see image_file.h. */
#include "image_file.h"

#include <math.h>
#include <string.h>

typedef void convert_fn(const void *from, int64_t step, int64_t n, float *to);

#define CONVERT(name, type)                                                                                            \
    static void name(const void *from, int64_t step, int64_t n, float *to)                                             \
    {                                                                                                                  \
        const type *v = from;                                                                                          \
        for (int64_t i = 0; i < n; i++) to[i] = (float)v[i * step];                                                    \
    }
CONVERT(from_u8, uint8_t)
CONVERT(from_u16, uint16_t)
CONVERT(from_u32, uint32_t)
CONVERT(from_u64, uint64_t)
CONVERT(from_i8, int8_t)
CONVERT(from_i16, int16_t)
CONVERT(from_i32, int32_t)
CONVERT(from_i64, int64_t)
CONVERT(from_f32, float)
CONVERT(from_f64, double)

typedef struct sample_row {
    sample_type type;
    iso_pixel_kind pixel;
    bool may_round;
    convert_fn *convert;
} sample_row;
static const sample_row rows[] = {
    {{'b', 1}, ISO_PIXEL_U8, false, from_u8},     {{'u', 1}, ISO_PIXEL_U8, false, from_u8},
    {{'u', 2}, ISO_PIXEL_U16, false, from_u16},   {{'u', 4}, ISO_PIXEL_FLOAT, true, from_u32},
    {{'u', 8}, ISO_PIXEL_FLOAT, true, from_u64},  {{'i', 1}, ISO_PIXEL_FLOAT, false, from_i8},
    {{'i', 2}, ISO_PIXEL_FLOAT, false, from_i16}, {{'i', 4}, ISO_PIXEL_FLOAT, true, from_i32},
    {{'i', 8}, ISO_PIXEL_FLOAT, true, from_i64},  {{'f', 4}, ISO_PIXEL_FLOAT, false, from_f32},
    {{'f', 8}, ISO_PIXEL_FLOAT, false, from_f64},
};

static const sample_row *find(sample_type t)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].type.kind == t.kind && rows[i].type.bytes == t.bytes) return &rows[i];
    return NULL;
}

bool sample_known(sample_type t) { return find(t) != NULL; }

iso_pixel_kind sample_pixel_kind(sample_type t) { return find(t)->pixel; }

bool sample_floats(sample_type t, const void *from, int64_t step, int64_t n, float *to)
{
    const sample_row *row = find(t);
    row->convert(from, step, n, to);
    for (int64_t i = 0; row->may_round && i < n; i++)
        if (fabsf(to[i]) >= 16777216.0f) return false;
    return true;
}

void sample_swap(void *values, int64_t n, int bytes)
{
    unsigned char *b = values;
    for (int64_t i = 0; i < n; i++, b += bytes)
        for (int j = 0; j < bytes / 2; j++) {
            unsigned char t = b[j];
            b[j] = b[bytes - 1 - j];
            b[bytes - 1 - j] = t;
        }
}
