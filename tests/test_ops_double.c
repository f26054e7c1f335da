/* Every op's backward against central differences, signed, in double: each example of its row, with its inputs read by
 * the op alone and by others too (fan-out), straight from parameters and through planned memory, with dead buffers
 * poisoned. With `--dump FILE`: writes outputs and gradients for the float build to compare (test_ops.c). */
#include "ops_common.h"

static int checked;

static void check(const iso_op *op, const iso_example *e, int fan_out, bool via)
{
    static setting s;
    iso_env *env = iso_env_new(2);
    make_setting(&s, op, e, fan_out, via);
    double loss = run_setting(&s, env);
    assert_true(isfinite(loss));
    real *grad = iso_calloc(s.g->param_size, sizeof(real));
    memcpy(grad, s.g->grad, (size_t)s.g->param_size * sizeof(real));
    double scale = 0;
    for (int64_t i = 0; i < s.g->param_size; i++) scale = fmax(scale, fabs(grad[i]));
    for (int k = 0; k < s.g->n_params; k++)
        for (int64_t i = 0; i < s.g->params[k].rows * s.g->params[k].cols; i++) {
            real *x = &s.g->param[s.g->params[k].offset + i], kept = *x, h = 1e-5 * fmax(1, fabs(*x));
            *x = kept + h;
            double up = run_setting(&s, env);
            *x = kept - h;
            double down = run_setting(&s, env);
            *x = kept;
            double numeric = (up - down) / (2 * h), analytic = grad[s.g->params[k].offset + i];
            if (!(fabs(numeric - analytic) <= 1e-6 * fabs(numeric) + 1e-7 * (1 + scale)))
                fail_msg("%s, %s, input %s [%lld], fan-out %d, via %d: backward says %.9g, differences %.9g", op->name,
                         e->what, s.g->params[k].name, (long long)i, fan_out, via, analytic, numeric);
            checked++;
        }
    iso_free(grad);
    clear_setting(&s);
    iso_env_free(env);
}

static void gradients(void **state)
{
    (void)state;
    for (int o = 0; iso_ops[o]; o++) {
        assert_non_null(iso_ops[o]->examples);
        assert_non_null(iso_ops[o]->backward);
        for (const iso_example *e = iso_ops[o]->examples; e->what; e++)
            for (int fan_out = -1; fan_out < e->n_in; fan_out++) {
                if (fan_out >= 0 && e->in[fan_out].is_state) continue; /* state has no gradient, and ops write to it */
                for (int via = 0; via < 2; via++) check(iso_ops[o], e, fan_out, via);
            }
    }
    print_message("%d gradients checked\n", checked);
}

/* The check itself must see a wrong sign, a wrong scale, a missing accumulation and a read of dead memory. */
static void wrong_sign(const iso_args *a) { iso_pass_gradient(a->d_in[0], a->add[0], -1, a->d_out, a->rows * a->cols); }
static void wrong_accumulation(const iso_args *a)
{
    iso_pass_gradient(a->d_in[0], false, 1, a->d_out, a->rows * a->cols);
}
static void dead_read(const iso_args *a) { iso_pass_gradient(a->d_in[0], a->add[0], 1, a->out, a->rows * a->cols); }
static void copy(const iso_args *a) { memcpy(a->out, a->in[0], (size_t)(a->rows * a->cols) * sizeof(real)); }

static bool gradient_is_right(const iso_op *op, const iso_example *e)
{
    static setting s;
    iso_env *env = iso_env_new(1);
    make_setting(&s, op, e, 0, true);
    run_setting(&s, env);
    real analytic = s.g->grad[0], *x = &s.g->param[0], kept = *x;
    *x = kept + 1e-5;
    double up = run_setting(&s, env);
    *x = kept - 1e-5;
    double down = run_setting(&s, env);
    clear_setting(&s);
    iso_env_free(env);
    return fabs((up - down) / 2e-5 - analytic) < 1e-6;
}

static void the_check_can_fail(void **state)
{
    (void)state;
    const iso_example e = {.what = "copy", .cells = 3, .n_in = 1, .in = {{true, .cols = 2, .lo = 1, .hi = 2}}};
    iso_op op = {.name = "copy", .shape = iso_same_shape, .forward = copy, .backward = wrong_sign};
    assert_false(gradient_is_right(&op, &e));
    op.backward = wrong_accumulation;
    assert_false(gradient_is_right(&op, &e));
    op.backward = dead_read;
    assert_false(gradient_is_right(&op, &e));
}

/* Outputs and gradients are finite though every dead buffer is NaN; memory of in-place ops is really shared. */
static void in_place_saves_memory(void **state)
{
    (void)state;
    static setting s;
    const iso_example *e = &iso_op_likelihood.examples[0];
    make_setting(&s, &iso_op_likelihood, e, -1, true);
    size_t shared = iso_plan_bytes(s.plan);
    clear_setting(&s);
    make_setting(&s, &iso_op_likelihood, e, 0, true);
    size_t apart = iso_plan_bytes(s.plan);
    clear_setting(&s);
    assert_true(shared < apart);
}

static void builder_refuses_nonsense(void **state)
{
    (void)state;
    iso_error err;
    iso_graph *g = iso_graph_new();
    int w = iso_graph_param(g, "w", 3, 4, 0.1);
    int x = iso_graph_input(g, 0, 5);
    assert_int_equal(iso_graph_op(g, &iso_op_linear, NULL, 3, (int[]){x, w, -1}), -1);
    assert_int_equal(iso_graph_status(g, &err), ISO_EUSAGE);
    assert_non_null(strstr(err.msg, "linear"));
    assert_int_equal(iso_graph_param(g, "v", 1, 1, 0), -1);      /* sticky */
    iso_graph_free(g);
    g = iso_graph_new();
    iso_graph_param(g, "w", 3, 4, 0.1);
    assert_int_equal(iso_graph_param(g, "w", 4, 3, 0.1), -1);
    iso_graph_free(g);
}

static void dump(const char *path)
{
    static setting s;
    FILE *f = fopen(path, "wb");
    iso_env *env = iso_env_new(1);
    for (int o = 0; iso_ops[o]; o++)
        for (const iso_example *e = iso_ops[o]->examples; e->what; e++) {
            make_setting(&s, iso_ops[o], e, -1, true);
            run_setting(&s, env);
            const iso_node *n = &s.g->nodes[s.out];
            fwrite(iso_plan_value(s.plan, s.out), sizeof(real), (size_t)((n->per_cell ? e->cells : n->rows) * n->cols),
                   f);
            fwrite(s.g->grad, sizeof(real), (size_t)s.g->param_size, f);
            clear_setting(&s);
        }
    iso_env_free(env);
    fclose(f);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--dump") == 0) return dump(argv[2]), 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(the_check_can_fail),
        cmocka_unit_test(in_place_saves_memory),
        cmocka_unit_test(builder_refuses_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
