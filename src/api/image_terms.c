/* image_terms.c: between images as files have them and as a model sees them: sizes, scaling, photons; see model.h. */
#include "image/image.h"
#include "model.h"

#include <math.h>
#include <string.h>

enum { LEAST_SIDE = 16, MOST_SIDE = 512, MOST_CHANNELS = 16, LOOKED_AT = 1000000 };
static const double LOW = 0.01, HIGH = 0.999;          /* percentiles that become 0 and 1 */

void iso_image_terms_clear(iso_image_terms *t)
{
    iso_free_texts(t->names, t->channels);
    iso_free(t->low);
    iso_free(t->scale);
    iso_free(t->gain);
    iso_free(t->offset);
    *t = (iso_image_terms){0};
}

void iso_image_sizes(int64_t height, int64_t width, iso_image_config *c)
{
    int64_t least = height < width ? height : width, step = least >= 256 ? 64 : least >= 128 ? 32 : least >= 64 ? 16 : 8;
    c->height = (int)((height + step - 1) / step * step), c->width = (int)((width + step - 1) / step * step);
}

/* Percentiles of a channel, from at most LOOKED_AT of its pixels, evenly spaced. */
static iso_status scale_channel(const iso_images *im, int64_t c, const char *path, iso_image_terms *t, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t plane = im->height * im->width, all = im->n * plane, n = all < LOOKED_AT ? all : LOOKED_AT;
    double *v = NULL;
    ALLOC(v, n, sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = (int64_t)((double)i / (double)n * (double)all);
        v[i] = (double)im->pixels[(at / plane * im->channels + c) * plane + at % plane];
    }
    double low = iso_quantile(v, n, LOW), high = iso_quantile(v, n, HIGH), most = iso_quantile(v, n, 1);
    if (high <= low) high = most;
    FAIL_IF(high <= low, ISO_EDATA, "%s: channel %lld (\"%s\") has the same value in all images, %g; leave that channel out", path, (long long)c,
            im->channel_names[c], low);
    t->low[c] = (float)low, t->scale[c] = (float)(1 / (high - low));
done:
    iso_free(v);
    return st;
}

static iso_status find_photons(iso_env *env, const iso_dataset *d, const iso_options *o, iso_image_terms *t, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_images *im = d->images;
    for (int64_t c = 0; c < im->channels; c++) {
        t->gain[c] = iso_opt_real(o, "gain"), t->offset[c] = iso_opt_real(o, "offset");
        if (t->gain[c] > 0) continue;
        bool found = iso_photon_line(im->pixels + c * im->height * im->width, (iso_area){im->height, im->width}, im->n,
                                     im->channels * im->height * im->width, &t->gain[c], &t->offset[c]);
        FAIL_IF(!found, ISO_EDATA,
                "%s: the noise of channel \"%s\" does not grow with its brightness, so that its photons cannot be counted; give --gain and "
                "--offset, or take --likelihood gaussian",
                d->path, im->channel_names[c]);
        iso_info(env, "channel %s: %.4g units a photon, offset %.4g, from how the noise grows with brightness", im->channel_names[c], t->gain[c],
                 t->offset[c]);
    }
done:
    return st;
}

iso_status iso_image_terms_of(iso_env *env, const iso_dataset *d, const iso_options *o, iso_image_terms *t, iso_image_config *c, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_images *im = d->images;
    FAIL_IF(im->height < LEAST_SIDE || im->width < LEAST_SIDE || im->height > MOST_SIDE || im->width > MOST_SIDE, ISO_EDATA,
            "%s: images of %lld x %lld pixels; a model takes %d to %d pixels a side: cut cells out of whole fields with isolario crops", d->path,
            (long long)im->height, (long long)im->width, LEAST_SIDE, MOST_SIDE);
    FAIL_IF(im->channels > MOST_CHANNELS, ISO_EDATA, "%s: %lld channels; at most %d are modelled", d->path, (long long)im->channels, MOST_CHANNELS);
    *t = (iso_image_terms){.channels = im->channels, .height = im->height, .width = im->width, .augment = iso_opt_flag(o, "augment")};
    ALLOC(t->names, t->channels, sizeof *t->names);
    ALLOC(t->low, t->channels, sizeof *t->low);
    ALLOC(t->scale, t->channels, sizeof *t->scale);
    ALLOC(t->gain, t->channels, sizeof *t->gain);
    ALLOC(t->offset, t->channels, sizeof *t->offset);
    for (int64_t k = 0; k < t->channels; k++) {
        FAIL_IF(!(t->names[k] = iso_strdup(im->channel_names[k])), ISO_EMEMORY, "out of memory");
        TRY(scale_channel(im, k, d->path, t, err));
    }
    if (strcmp(iso_opt_text(o, "likelihood"), "photon") == 0) TRY(find_photons(env, d, o, t, err));
    *c = (iso_image_config){.channels = (int)t->channels, .first_channels = (int)iso_opt_int(o, "first_channels"), .grid = (int)iso_opt_int(o, "grid")};
    iso_image_sizes(t->height, t->width, c);
done:
    return st;
}

iso_status iso_image_value_names(iso_model *m, const iso_image_config *c, iso_error *err)
{
    iso_status st = ISO_OK;
    m->n_genes = (int64_t)c->height * c->width * c->channels;
    ALLOC(m->genes, m->n_genes, sizeof *m->genes);
    for (int64_t i = 0; i < m->n_genes; i++) {
        int64_t pixel = i / c->channels;
        m->genes[i] = iso_sprintf("%s:%lld:%lld", m->images.names[i % c->channels], (long long)(pixel / c->width), (long long)(pixel % c->width));
        FAIL_IF(!m->genes[i], ISO_EMEMORY, "out of memory");
    }
done:
    return st;
}

void iso_image_set_photons(iso_model *m)
{
    const iso_named *t = iso_graph_find(m->v.g, ISO_PHOTONS_NAME, true);
    const iso_image_terms *im = &m->images;
    for (int64_t c = 0; t && c < im->channels; c++) {
        m->v.g->state[t->offset + c] = (real)(1 / ((double)im->scale[c] * im->gain[c]));
        m->v.g->state[t->offset + im->channels + c] = (real)(((double)im->low[c] - im->offset[c]) / im->gain[c]);
    }
}

iso_status iso_image_bind(const iso_model *m, const iso_dataset *d, iso_bound *b, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_images *im = d->images;
    const iso_image_terms *t = &m->images;
    FAIL_IF(im->channels != t->channels, ISO_EDATA, "%s: %lld channels, but the model has %lld (\"%s\"%s)", d->path, (long long)im->channels,
            (long long)t->channels, t->names[0], t->channels > 1 ? ", ..." : "");
    FAIL_IF(im->height != t->height || im->width != t->width, ISO_EDATA, "%s: images of %lld x %lld pixels, but the model's are %lld x %lld; cut them with isolario crops --size",
            d->path, (long long)im->height, (long long)im->width, (long long)t->height, (long long)t->width);
    b->aligned = (iso_csr){.n_rows = im->n, .n_cols = m->n_genes};
    ALLOC(b->aligned.indptr, im->n + 1, sizeof *b->aligned.indptr);
    b->x = &b->aligned;
    b->pictures = (iso_pictures){.pixels = im->pixels, .channels = im->channels, .height = im->height, .width = im->width,
                                 .to_height = m->v.c.image.height, .to_width = m->v.c.image.width, .low = t->low, .scale = t->scale, .augment = t->augment};
done:
    return st;
}

/* A photon law's mean counts from no light, not from `low`. */
void iso_image_pixels(const iso_model *m, const float *decoded, float *pixels)
{
    const iso_image_terms *t = &m->images;
    bool photons = m->v.c.likelihood->image->photons;
    for (int64_t c = 0; c < t->channels; c++)
        for (int64_t y = 0; y < t->height; y++)
            for (int64_t x = 0; x < t->width; x++)
                pixels[(c * t->height + y) * t->width + x] =
                    decoded[(y * m->v.c.image.width + x) * t->channels + c] / t->scale[c] + (photons ? (float)t->offset[c] : t->low[c]);
}

typedef struct matrix_job { const iso_bound *b; iso_csr *out; } matrix_job;

static void matrix_row(void *arg, int64_t i)
{
    const matrix_job *j = arg;
    iso_csr *m = j->out;
    real *row = iso_calloc(m->n_cols, sizeof *row);
    if (row) iso_picture(&j->b->pictures, i, 0, row);
    for (int64_t k = 0; k < m->n_cols; k++) {
        float v = row ? (float)row[k] : 0;
        m->indices[i * m->n_cols + k] = (int32_t)k;
        m->values[i * m->n_cols + k] = v != 0 ? v : 1e-30f;      /* the format holds no zeros */
    }
    iso_free(row);
}

iso_status iso_image_matrix(iso_env *env, const iso_bound *b, iso_csr *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t n = b->x->n_rows, P = b->x->n_cols;
    *out = (iso_csr){.n_rows = n, .n_cols = P, .nnz = n * P};
    ALLOC(out->indptr, n + 1, sizeof *out->indptr);
    ALLOC(out->indices, n * P, sizeof *out->indices);
    ALLOC(out->values, n * P, sizeof *out->values);
    for (int64_t i = 0; i <= n; i++) out->indptr[i] = i * P;
    iso_parallel(env, n, matrix_row, &(matrix_job){b, out});
done:
    if (st) iso_csr_clear(out);
    return st;
}

void iso_many_pixels(const iso_model *m, const float *decoded, int64_t n, float *pixels)
{
    int64_t size = m->images.channels * m->images.height * m->images.width;
    for (int64_t i = 0; i < n; i++) iso_image_pixels(m, decoded + i * m->n_genes, pixels + i * size);
}
