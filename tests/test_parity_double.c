/* The double build against scvi-tools 1.4.2: latent, rates, KL to 1e-10; reconstruction, gradients, five steps to
 * 1e-7. */
#include "parity_common.h"

static void parity_files_agree(void **state)
{
    (void)state;
    for (int i = 0; i < N_PARITY_FILES; i++) check_file(parity_files[i], 1e-10, 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parity_files_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
