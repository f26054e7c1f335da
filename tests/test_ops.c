/* The float build of every op against the double build, forward and backward, for each instruction set of this CPU; and
 * the same bits for 1, 2 and 3 threads. */
#include "ops_common.h"

#include <stdlib.h>
#include <unistd.h>

static char double_program[4096];

static void compare(FILE *f, const real *x, int64_t n, const char *what, const char *op, const char *example)
{
    double *want = iso_calloc(n, sizeof *want), scale = 1e-6;
    assert_int_equal(fread(want, sizeof *want, (size_t)n, f), n);
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(want[i] - (double)x[i]) <= 1e-5 * fabs(want[i]) + 2e-6 * scale))
            fail_msg("%s, %s, %s [%lld]: float %.9g, double %.9g", op, example, what, (long long)i, (double)x[i],
                     want[i]);
    iso_free(want);
}

static void float_agrees_with_double(void **state)
{
    (void)state;
    static setting s;
    char path[] = "/tmp/isolario_ops_XXXXXX", command[8192];
    close(mkstemp(path));
    snprintf(command, sizeof command, "'%s' --dump '%s'", double_program, path);
    assert_int_equal(system(command), 0);
    iso_env *env = iso_env_new(2);
    for (int k = 0; iso_kernel_table[k]; k++) {
        if (!iso_kernel_table[k]->supported()) continue;
        setenv("ISOLARIO_ISA", iso_kernel_table[k]->name, 1);
        FILE *f = fopen(path, "rb");
        for (int o = 0; iso_ops[o]; o++)
            for (const iso_example *e = iso_ops[o]->examples; e->what; e++) {
                make_setting(&s, iso_ops[o], e, -1, true);
                run_setting(&s, env);
                const iso_node *n = &s.g->nodes[s.out];
                compare(f, iso_plan_value(s.plan, s.out), (n->per_cell ? e->cells : n->rows) * n->cols, "output",
                        iso_ops[o]->name, e->what);
                compare(f, s.g->grad, s.g->param_size, "gradient", iso_ops[o]->name, e->what);
                clear_setting(&s);
            }
        fclose(f);
        print_message("%s agrees\n", iso_kernel_table[k]->name);
    }
    unsetenv("ISOLARIO_ISA");
    iso_env_free(env);
    remove(path);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    static setting s;
    static real first[1 << 16];
    for (int o = 0; iso_ops[o]; o++)
        for (const iso_example *e = iso_ops[o]->examples; e->what; e++)
            for (int threads = 1; threads <= 3; threads++) {
                iso_env *env = iso_env_new(threads);
                make_setting(&s, iso_ops[o], e, -1, true);
                run_setting(&s, env);
                size_t bytes = (size_t)s.g->param_size * sizeof(real);
                if (threads == 1) memcpy(first, s.g->grad, bytes);
                assert_memory_equal(first, s.g->grad, bytes);
                clear_setting(&s);
                iso_env_free(env);
            }
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(double_program, sizeof double_program, "%s_double", argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_agrees_with_double),
        cmocka_unit_test(threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
