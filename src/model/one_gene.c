/* one_gene.c: see one_gene.h. Batch norm in evaluation is y = scale (x - mean) + beta with scale = gamma / sqrt(variance + eps), so that
 * W, the bias and the columns of the categories become scale W and scale (bias + columns - mean) + beta. */
#include "one_gene.h"

#include "layers.h"

#include <math.h>

typedef struct tensor { const real *x; int64_t rows, cols; } tensor;

/* A tensor of a layer; x is NULL where the model has none. */
static tensor find(const iso_vae *v, const char *layer, const char *part)
{
    char name[ISO_TENSOR_NAME];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    bool state = iso_graph_find(v->g, name, true) != NULL;
    const iso_named *t = iso_graph_find(v->g, name, state);
    return t ? (tensor){(state ? v->g->state : v->g->param) + t->offset, t->rows, t->cols} : (tensor){0};
}

/* What the categories of combination c add to an output. */
static double of_categories(const iso_vae *v, const char *layer, int64_t c, int64_t output)
{
    double sum = 0;
    for (int k = 0; k < v->c.n_categorical; c /= v->c.n_categories[k++]) {
        char part[ISO_TENSOR_NAME];
        snprintf(part, sizeof part, "category%d", k);
        tensor t = find(v, layer, part);
        if (t.x) sum += (double)t.x[c % t.rows * t.cols + output];
    }
    return sum;
}

/* A layer with all its outputs, or of the head over genes one. */
static iso_status fold(const iso_vae *v, const char *layer, int64_t gene, iso_one_gene *g, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_affine *a = &g->layer[g->n_layers++];
    tensor w = find(v, layer, "weight"), bias = find(v, layer, "bias"), gamma = find(v, layer, "gamma"), beta = find(v, layer, "beta");
    tensor mean = find(v, layer, "running_mean"), variance = find(v, layer, "running_variance");
    a->n_in = w.cols, a->n_out = gene < 0 ? w.rows : 1;
    ALLOC(a->w, a->n_out * a->n_in, sizeof *a->w);
    ALLOC(a->b, g->combinations * a->n_out, sizeof *a->b);
    for (int64_t o = 0; o < a->n_out; o++) {
        int64_t from = gene < 0 ? o : gene;
        double scale = gamma.x ? (double)gamma.x[from] / sqrt((double)variance.x[from] + ISO_BATCH_NORM_EPS) : 1;
        for (int64_t k = 0; k < a->n_in; k++) a->w[o * a->n_in + k] = (real)(scale * (double)w.x[from * a->n_in + k]);
        for (int64_t c = 0; c < g->combinations; c++) {
            double x = (bias.x ? (double)bias.x[from] : 0) + of_categories(v, layer, c, from);
            a->b[c * a->n_out + o] = (real)(gamma.x ? scale * (x - (double)mean.x[from]) + (double)beta.x[from] : x);
        }
    }
    if (a->n_in > g->width) g->width = a->n_in;
    if (a->n_out > g->width) g->width = a->n_out;
done:
    return st;
}

iso_status iso_one_gene_new(const iso_vae *v, int64_t gene, int64_t combinations, iso_one_gene *out, iso_error *err)
{
    iso_status st = ISO_OK;
    char layer[ISO_LAYER_NAME];
    int n_hidden_layers = v->c.linear_decoder ? 0 : v->c.n_layers ? v->c.n_layers : 1;
    *out = (iso_one_gene){.combinations = combinations};
    FAIL_IF(gene < 0 || gene >= v->c.n_genes, ISO_EUSAGE, "there is no gene %lld", (long long)gene);
    ALLOC(out->layer, n_hidden_layers + 1, sizeof *out->layer);
    for (int l = 0; l < n_hidden_layers; l++) {
        snprintf(layer, sizeof layer, "decoder.layer%d", l);
        TRY(fold(v, layer, -1, out, err));
    }
    TRY(fold(v, "decoder.mean", gene, out, err));
done:
    if (st) iso_one_gene_clear(out);
    return st;
}

void iso_one_gene_clear(iso_one_gene *g)
{
    for (int l = 0; l < g->n_layers; l++) iso_free(g->layer[l].w), iso_free(g->layer[l].b);
    iso_free(g->layer);
    *g = (iso_one_gene){0};
}
