/* amx_frame.h: how images are laid out for the convolutions of amx_convolution.c, and numbers of bfloat16 in vectors. */
#ifndef ISO_AMX_FRAME_H
#define ISO_AMX_FRAME_H

#include "amx.h"

#include <string.h>

/* One side of a convolution as it is laid out. */
typedef struct frame {
    int64_t height, width, channels;             /* of the image */
    int64_t planes, rows, row, step;             /* rows of a plane, for one image; numbers of a row; from a place to the next */
    int64_t pad;                                 /* zeros above and before an image, in pixels */
    bool half;                                   /* the images are kept in bfloat16 */
} frame;

/* Numbers of one side's images. */
typedef struct pixels { const void *at; bool half; } pixels;

/* Behind the last image a product still reads: places up to a multiple of 32, and rows below. It meets weights of 0 there, or is dropped. */
static inline int64_t behind(const frame *f) { return 2 * f->row + PAIR * f->step + 4 * f->channels + PAIR; }
static inline int64_t plane_of(const frame *f, int64_t images) { return (images * f->rows * f->row + behind(f) + PAIR - 1) / PAIR * PAIR; }

/* Which row of the image the row `r` of a plane is, -1 for none. */
static inline int64_t row_of(const frame *f, int64_t plane, int64_t r)
{
    int64_t y = r * f->planes + plane - f->pad;
    return y < f->height ? y : -1;
}

static inline int64_t image_size(const frame *f) { return f->height * f->width * f->channels; }
static inline pixels from_number(pixels x, int64_t i)
{
    return (pixels){x.half ? (const void *)((const iso_bf16 *)x.at + i) : (const void *)((const float *)x.at + i), x.half};
}
static inline pixels image_of(const frame *f, const void *images, int64_t i) { return from_number((pixels){images, f->half}, i * image_size(f)); }

static inline __m512 widened(const iso_bf16 *x, int64_t left)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(the_first(left), x)), 16));
}

/* Numbers i .. i + 15 of which so many are left. */
static inline __m512 load_pixels(pixels x, int64_t i, int64_t left)
{
    return x.half ? widened((const iso_bf16 *)x.at + i, left) : load((const float *)x.at + i, left);
}

/* n numbers, and then zeros up to `wide`. */
static inline void round_row(pixels x, int64_t n, int64_t wide, iso_bf16 *to)
{
    for (int64_t i = 0; i < wide; i += PAIR) {
        __m512i v = in_a_row(load_pixels(x, i, n - i), load_pixels(x, i + TILE, n - i - TILE));
        _mm512_mask_storeu_epi16(to + i, (__mmask32)(wide - i >= PAIR ? 0xffffffffu : (1u << (wide - i)) - 1), v);
    }
}

/* The same of two rows, b.at NULL: zeros, interleaved. */
static inline void round_rows(pixels a, pixels b, int64_t n, int64_t wide, iso_bf16 *to)
{
    for (int64_t i = 0; i < wide; i += TILE) {
        __m512i v = in_pairs(load_pixels(a, i, n - i), b.at ? load_pixels(b, i, n - i) : _mm512_setzero_ps());
        _mm512_mask_storeu_epi32(to + 2 * i, the_first(wide - i), v);
    }
}

/* An image, the i-th of a frame of so many. */
static inline void lay_frame(const frame *f, pixels image, int64_t i, int64_t images, iso_bf16 *to)
{
    int64_t plane = plane_of(f, images), before = f->pad * f->channels, line = f->width * f->channels;
    for (int64_t p = 0; p < f->planes; p++) {
        iso_bf16 *row = to + p * plane + i * f->rows * f->row;
        for (int64_t r = 0; r < f->rows; r++, row += f->row) {
            int64_t y = row_of(f, p, r);
            memset(row, 0, (size_t)before * sizeof *row);
            if (y < 0) memset(row, 0, (size_t)f->row * sizeof *row);
            else round_row(from_number(image, y * line), line, f->row - before, row + before);
        }
        if (i == images - 1) memset(row, 0, (size_t)behind(f) * sizeof *row);
    }
}

/* Two images interleaved, the i-th pair of so many; b.at may be NULL. */
static inline void lay_pair(const frame *f, pixels a, pixels b, int64_t i, int64_t pairs, iso_bf16 *to)
{
    int64_t plane = plane_of(f, pairs), before = f->pad * f->channels, line = f->width * f->channels;
    for (int64_t p = 0; p < f->planes; p++) {
        iso_bf16 *row = to + 2 * (p * plane + i * f->rows * f->row);
        for (int64_t r = 0; r < f->rows; r++, row += 2 * f->row) {
            int64_t y = row_of(f, p, r);
            memset(row, 0, 2 * (size_t)before * sizeof *row);
            if (y < 0) memset(row, 0, 2 * (size_t)f->row * sizeof *row);
            else round_rows(from_number(a, y * line), b.at ? from_number(b, y * line) : b, line, f->row - before, row + 2 * before);
        }
        if (i == pairs - 1) memset(row, 0, 2 * (size_t)behind(f) * sizeof *row);
    }
}

/* The number of bfloat16 of each. */
static inline void store_half(iso_bf16 *to, __m512 x, int64_t left)
{
    _mm256_mask_storeu_epi16(to, the_first(left), (__m256i)_mm512_cvtneps_pbh(x));
}

/* pixels_unfinish of an image in bfloat16. */
static inline void unfinish_half(const frame *f, const iso_bf16 *d, const iso_bf16 *out, iso_bf16 *to, real *pixel_sums)
{
    for (int64_t k = 0; k < f->channels; k += TILE) {
        int64_t left = f->channels - k;
        __m512 sum = _mm512_setzero_ps();
        for (int64_t i = k; i < image_size(f); i += f->channels) {
            __m512 x = widened(d + i, left);
            if (out) {
                x = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(widened(out + i, left), _mm512_setzero_ps(), _CMP_GT_OQ), x);
                store_half(to + i, x, left);
            }
            sum = _mm512_add_ps(sum, x);
        }
        float all[TILE];
        _mm512_storeu_ps(all, sum);
        for (int64_t i = 0; pixel_sums && i < TILE && i < left; i++) pixel_sums[k + i] += all[i];
    }
}

#endif
