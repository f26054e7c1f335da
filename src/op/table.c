/* table.c: all ops, and what their files share. */
#include "op.h"

const iso_op *const iso_ops[] = {
    &iso_op_csr_linear, &iso_op_linear, &iso_op_category, &iso_op_add, &iso_op_batch_norm, &iso_op_batch_norm_relu, &iso_op_relu,
    &iso_op_dropout,    &iso_op_softmax, &iso_op_reparameterize, &iso_op_gaussian_kl, &iso_op_likelihood, &iso_op_elbo,
    &iso_op_conv, &iso_op_conv_transpose, &iso_op_softplus, &iso_op_normal_kl, &iso_op_image_likelihood,
    NULL,
};

const char *iso_same_shape(const iso_graph *g, iso_node *n)
{
    if (n->n_in < 1 || n->in[0] < 0) return "needs an input";
    const iso_node *x = &g->nodes[n->in[0]];
    n->rows = x->rows, n->cols = x->cols, n->per_cell = x->per_cell;
    return NULL;
}

void iso_pass_gradient(real *d, bool add, real scale, const real *x, int64_t n)
{
    if (!d || (d == x && scale == 1 && !add)) return;
    if (add) for (int64_t i = 0; i < n; i++) d[i] += scale * x[i];
    else for (int64_t i = 0; i < n; i++) d[i] = scale * x[i];
}
