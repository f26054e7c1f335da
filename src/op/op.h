/* op.h: the ops. Each is one file and one row of table.c; its maths, inputs and attributes stand at the head of its
 * file. */
#ifndef ISO_OP_H
#define ISO_OP_H

#include "core/graph.h"

extern const iso_op iso_op_csr_linear, iso_op_linear, iso_op_category, iso_op_add, iso_op_batch_norm, iso_op_batch_norm_relu, iso_op_relu,
    iso_op_dropout, iso_op_reparameterize, iso_op_gaussian_kl, iso_op_likelihood, iso_op_elbo, iso_op_softmax,
    iso_op_conv, iso_op_conv_transpose, iso_op_softplus, iso_op_normal_kl, iso_op_image_likelihood;

extern const iso_op *const iso_ops[];       /* ends with NULL */

/* For the files in op/: shape rule of an op whose output has the shape of its first input. */
const char *iso_same_shape(const iso_graph *g, iso_node *n);
/* d (+)= scale * x, n elements; nothing when d is NULL or already x at scale 1. */
void iso_pass_gradient(real *d, bool add, real scale, const real *x, int64_t n);

#endif
