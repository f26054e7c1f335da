/* explorer.c: see explorer.h. */
#include "explorer.h"

#include "map/spread.h"

#include <string.h>

iso_status iso_explorer_open(iso_env *env, const uint8_t *bytes, int64_t n, const float *xy, const float *z, int64_t n_cells, iso_explorer *out,
                             iso_error *err)
{
    iso_status st = ISO_OK;
    *out = (iso_explorer){.env = env};
    TRY(iso_chart_unpack(bytes, n, &out->chart, err));
    const iso_vae_config *c = &out->chart.v.c;
    FAIL_IF(out->chart.n_normaliser != (c->likelihood->counts ? n_cells * iso_decode_combinations(c) : 0), ISO_EDATA,
            "the map's data are of other cells");
    TRY(iso_lift_new(xy, z, n_cells, c->n_latent, &out->lift, err));
    TRY(iso_decoder_new(env, &out->chart.v, false, &out->decoder, err));
    ALLOC(out->state, c->n_genes, sizeof *out->state);
    ALLOC(out->others, c->n_genes * out->chart.n_heads, sizeof *out->others);
    ALLOC(out->heads, out->chart.n_heads, sizeof *out->heads);
    for (int k = 0; k < out->chart.n_heads; k++) TRY(iso_decoder_new(env, &out->chart.heads[k], false, &out->heads[k], err));
done:
    if (st) iso_explorer_close(out);
    return st;
}

void iso_explorer_close(iso_explorer *e)
{
    iso_decoder_free(e->decoder);
    for (int k = 0; e->heads && k < e->chart.n_heads; k++) iso_decoder_free(e->heads[k]);
    iso_free(e->heads);
    iso_free(e->others);
    iso_lift_clear(&e->lift);
    iso_chart_clear(&e->chart);
    iso_free(e->state);
    *e = (iso_explorer){0};
}

iso_status iso_explorer_decode(iso_explorer *e, const float *z, int64_t n, float *out, iso_error *err)
{
    return iso_decoder_run(e->decoder, z, n, NULL, out, NULL, NULL, err);
}

/* e->state and e->others of one place; its spread [G] (NULL: not wanted) and its mean. */
static iso_status spread_at(iso_explorer *e, const float *z, float *spread, double *mean, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t G = e->chart.v.c.n_genes;
    TRY(iso_explorer_decode(e, z, 1, e->state, err));
    for (int k = 0; k < e->chart.n_heads; k++) TRY(iso_decoder_run(e->heads[k], z, 1, NULL, e->others + k * G, NULL, NULL, err));
    *mean = 0;
    if (e->chart.n_heads) iso_spread(e->env, e->state, e->others, e->chart.n_heads, 1, G, e->chart.v.c.likelihood->counts, spread, mean);
    else if (spread) memset(spread, 0, (size_t)G * sizeof *spread);
done:
    return st;
}

iso_status iso_explorer_spread(iso_explorer *e, const float *z, int64_t n, float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    double mean;
    for (int64_t i = 0; i < n; i++) TRY(spread_at(e, z + i * e->lift.d, out + i * e->chart.v.c.n_genes, &mean, err));
done:
    return st;
}

iso_status iso_explorer_judge(iso_explorer *e, const float *z, iso_place *out, iso_error *err)
{
    iso_status st = ISO_OK;
    double mean = 0;
    bool decoded = e->chart.judge.mixture.K || e->chart.n_heads;      /* else nothing looks at what is expressed there */
    if (decoded) TRY(spread_at(e, z, NULL, &mean, err));
    TRY(iso_judge_places(e->env, &e->chart.judge, z, decoded ? e->state : NULL, 1, out, err));
    out->disagreement = mean;
    out->uncertain = e->chart.n_heads && mean > e->chart.judge.most_disagreement;
done:
    return st;
}

iso_status iso_explorer_lift(iso_explorer *e, float x, float y, float *z, double *p, iso_error *err)
{
    iso_lift_up(&e->lift, x, y, z);
    return iso_route_p(e->env, &e->chart.judge.support, z, 1, p, err);
}

iso_status iso_explorer_gene(iso_explorer *e, int64_t gene, float *out, iso_error *err)
{
    iso_status st = ISO_OK;
    bool counts = e->chart.v.c.likelihood->counts;
    FAIL_IF(e->chart.v.c.image.channels, ISO_EUSAGE, "a model of images knows no genes");
    TRY(iso_decode_gene(e->env, &e->chart.v, gene, e->lift.z, e->lift.n, counts ? e->chart.normaliser : NULL, out, err));
    for (int64_t i = 0; counts && i < e->lift.n; i++) out[i] *= 1e4f;
done:
    return st;
}

iso_status iso_explorer_path(iso_explorer *e, const float *a, const float *b, bool along_data, int64_t n, float *z, double *p, iso_error *err)
{
    iso_status st = ISO_OK;
    FAIL_IF(n < 2, ISO_EUSAGE, "a path has two points at least");
    if (along_data) TRY(iso_route_along(e->env, &e->chart.route, &e->chart.judge.support, a, b, n, z, err));
    else iso_route_straight(a, b, e->lift.d, n, z);
    TRY(iso_route_p(e->env, &e->chart.judge.support, z, n, p, err));
done:
    return st;
}
