/* conv_transpose: the adjoint of a convolution, which makes images larger: y = conv^T(x) + b, relu'd if asked.
 *   in 0  x [B, small height * small width * out]      in 1  W [out, size * size * in]      in 2  b [1, in] or -1
 *   out   y [B, height * width * in];  attributes: conv.h */
#include "conv.h"

/* The larger side's channels are not seen from x: W has them, i.e. the size is given by the op's stride (size = 2 stride, or 3 at
 * stride 1). */
static int64_t size_of(const iso_node *n) { return n->i[2] == 1 ? 3 : 2 * (int64_t)n->i[2]; }
static iso_conv geometry(const iso_node *n, int64_t w_rows, int64_t w_cols)
{
    return iso_conv_of(n, w_cols / (size_of(n) * size_of(n)), w_rows, w_cols);
}

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 3 || n->in[1] < 0 || !n->per_cell || n->i[0] < 1 || n->i[1] < 1 || n->i[2] < 1) return "needs x, W, b or -1, and sizes";
    const iso_node *w = &g->nodes[n->in[1]];
    iso_conv c = geometry(n, w->rows, w->cols);
    if (w->per_cell || c.size != size_of(n)) return "W must be [out, size * size * in], size twice the stride";
    if (iso_conv_height(&c) * iso_conv_width(&c) * c.out != n->cols) return "x must be what the convolution would give";
    if (n->in[2] >= 0 && g->nodes[n->in[2]].cols != c.in) return "b must be [1, in]";
    n->cols = c.height * c.width * c.in;
    return NULL;
}

static iso_conv conv_of(const iso_args *a)
{
    return iso_conv_now(a, geometry(a->node, a->in_rows[1], a->in_cols[1]));
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    iso_conv c = geometry(n, g->nodes[n->in[1]].rows, g->nodes[n->in[1]].cols);
    return iso_conv_work_of(&c, cells, backward);
}

static void forward(const iso_args *a)
{
    iso_conv c = conv_of(a);
    iso_conv_scatter(a->env, &c, a->rows, a->in[0], a->in[1], a->in[2], a->node->i[3], a->out, a->work);
}

static void backward(const iso_args *a)
{
    iso_conv c = conv_of(a);
    iso_conv_gradient g = iso_conv_gradient_of(a, true);
    iso_conv_backward(a->env, &c, a->rows, &g, a->work);
}

#define X(cols_) {true, .cols = cols_, .lo = -1, .hi = 1}
#define W(rows_, cols_) {.rows = rows_, .cols = cols_, .lo = -1, .hi = 1}
static const iso_example examples[] = {
    {.what = "to twice the size", .cells = 3, .i = {8, 6, 2, 0}, .n_in = 3, .in = {X(4 * 3 * 3), W(3, 16 * 2), W(1, 2)}},
    {.what = "3 x 3, no bias", .cells = 2, .i = {5, 4, 1, 0}, .n_in = 3, .in = {X(5 * 4 * 2), W(2, 9 * 3), {0}}},
    {.what = "relu", .cells = 2, .i = {4, 4, 2, 1}, .n_in = 3, .in = {X(2 * 2 * 3), W(3, 16), W(1, 1)}},
    {.what = "a kernel's rows apart", .cells = 2, .i = {4, 4, 2, 0}, .n_in = 3, .in = {X(2 * 2 * 5), W(5, 16 * 9), W(1, 9)}},
    {0},
};

const iso_op iso_op_conv_transpose = {.name = "conv_transpose", .shape = shape, .forward = forward, .backward = backward, .reads_in = 3,
                                      .reads_out = true, .work_size = work_size, .examples = examples};
