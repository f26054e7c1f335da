/* conv: y = convolution of images x with W, + b, relu'd if asked.
 *   in 0  x [B, height * width * in]      in 1  W [out, size * size * in]      in 2  b [1, out] or -1
 *   out   y [B, out height * out width * out];  attributes: conv.h */
#include "conv.h"

static iso_conv geometry(const iso_node *n, int64_t x_cols, int64_t w_rows, int64_t w_cols)
{
    return iso_conv_of(n, x_cols / ((int64_t)n->i[0] * n->i[1]), w_rows, w_cols);
}

static const char *shape(const iso_graph *g, iso_node *n)
{
    const char *wrong = iso_same_shape(g, n);
    if (wrong) return wrong;
    if (n->n_in != 3 || n->in[1] < 0 || !n->per_cell || n->i[0] < 1 || n->i[1] < 1 || n->i[2] < 1) return "needs x, W, b or -1, and sizes";
    const iso_node *w = &g->nodes[n->in[1]];
    if (n->cols % ((int64_t)n->i[0] * n->i[1])) return "x must be [height * width * channels]";
    iso_conv c = geometry(n, n->cols, w->rows, w->cols);
    if (w->per_cell || !c.size) return "W must be [out, size * size * in]";
    if (n->in[2] >= 0 && g->nodes[n->in[2]].cols != w->rows) return "b must be [1, out]";
    n->cols = iso_conv_height(&c) * iso_conv_width(&c) * c.out;
    return NULL;
}

static iso_conv conv_of(const iso_args *a)
{
    return iso_conv_now(a, geometry(a->node, a->in_cols[0], a->in_rows[1], a->in_cols[1]));
}

static int64_t work_size(const iso_graph *g, const iso_node *n, int64_t cells, bool backward)
{
    const iso_node *w = &g->nodes[n->in[1]];
    iso_conv c = geometry(n, g->nodes[n->in[0]].cols, w->rows, w->cols);
    return iso_conv_work_of(&c, cells, backward);
}

static void forward(const iso_args *a)
{
    iso_conv c = conv_of(a);
    iso_conv_gather(a->env, &c, a->rows, a->in[0], a->in[1], a->in[2], a->node->i[3], a->out, a->work);
}

static void backward(const iso_args *a)
{
    iso_conv c = conv_of(a);
    iso_conv_gradient g = iso_conv_gradient_of(a, false);
    iso_conv_backward(a->env, &c, a->rows, &g, a->work);
}

#define X(cols_) {true, .cols = cols_, .lo = -1, .hi = 1}
#define W(rows_, cols_) {.rows = rows_, .cols = cols_, .lo = -1, .hi = 1}
static const iso_example examples[] = {
    {.what = "strided 4 x 4", .cells = 3, .i = {8, 6, 2, 0}, .n_in = 3, .in = {X(8 * 6 * 2), W(3, 16 * 2), W(1, 3)}},
    {.what = "3 x 3, no bias", .cells = 2, .i = {5, 4, 1, 0}, .n_in = 3, .in = {X(5 * 4 * 3), W(2, 9 * 3), {0}}},
    {.what = "relu", .cells = 2, .i = {4, 4, 2, 1}, .n_in = 3, .in = {X(4 * 4), W(3, 16), W(1, 3)}},
    {.what = "1 x 1, more images than lanes", .cells = 19, .i = {2, 3, 1, 0}, .n_in = 3, .in = {X(2 * 3 * 4), W(3, 4), W(1, 3)}},
    {.what = "a kernel's rows apart", .cells = 2, .i = {4, 4, 2, 0}, .n_in = 3, .in = {X(4 * 4 * 9), W(5, 16 * 9), W(1, 5)}},
    {0},
};

const iso_op iso_op_conv = {.name = "conv", .shape = shape, .forward = forward, .backward = backward, .reads_in = 3, .reads_out = true,
                            .work_size = work_size, .examples = examples};
