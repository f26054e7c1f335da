/* layers.c: see layers.h. */
#include "layers.h"

#include <math.h>

enum { NAME = ISO_TENSOR_NAME };
enum { BF16_WEIGHTS = 1 << 16, BF16_COLUMNS = 128 };       /* layers with fewer are not worth rounding */

/* A linear layer's bound in torch: weights and bias uniform in +-1/sqrt(fan_in). */
double iso_bound(double fan_in) { return 1 / sqrt(fan_in > 0 ? fan_in : 1); }

int iso_injected(const iso_vae_config *c)
{
    int n = 0;
    for (int k = 0; k < c->n_categorical; k++) n += c->n_categories[k] > 1 ? c->n_categories[k] : 0;
    return n;
}

/* x + W x' of every covariate category; W's rows are the one-hot columns of the layer's weight. */
int iso_inject(const iso_vae *v, const char *layer, int x, int n_out, double limit)
{
    char name[NAME];
    for (int k = 0; k < v->c.n_categorical; k++) {
        if (v->c.n_categories[k] < 2) continue;
        snprintf(name, sizeof name, "%s.category%d", layer, k);
        int in[] = {x, iso_graph_param(v->g, name, v->c.n_categories[k], n_out, limit)};
        x = iso_graph_op(v->g, &iso_op_category, &(iso_node){.i = {k}}, 2, in);
    }
    return x;
}

bool iso_linear_in_bf16(const iso_vae *v, int64_t n_in, int64_t n_out) { return v->c.bf16 && n_in * n_out >= BF16_WEIGHTS && n_out >= BF16_COLUMNS; }

static int linear(const iso_vae *v, const char *layer, int x, int n_in, int n_out, double limit, bool bias, bool by_column)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s.weight", layer);
    int w = iso_graph_param(v->g, name, n_out, n_in, limit);
    snprintf(name, sizeof name, "%s.bias", layer);
    int in[] = {x, w, bias ? iso_graph_param(v->g, name, 1, n_out, limit) : -1};
    return iso_graph_op(v->g, &iso_op_linear, &(iso_node){.i = {iso_linear_in_bf16(v, n_in, n_out), by_column}}, 3, in);
}

int iso_linear(const iso_vae *v, const char *layer, int x, int n_in, int n_out, double limit, bool bias)
{
    return linear(v, layer, x, n_in, n_out, limit, bias, false);
}

int iso_linear_by_column(const iso_vae *v, const char *layer, int x, int n_in, int n_out, double limit)
{
    return linear(v, layer, x, n_in, n_out, limit, true, true);
}

bool iso_kept_by_column(const iso_vae *v, int node) { return node >= 0 && v->g->nodes[node].op == &iso_op_linear && v->g->nodes[node].i[1]; }
