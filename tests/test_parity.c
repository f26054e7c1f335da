/* The float build against scvi-tools 1.4.2 in float64: everything to 1e-4. */
#include "parity_common.h"

static void parity_files_agree(void **state)
{
    (void)state;
    for (int i = 0; i < N_PARITY_FILES; i++) check_file(parity_files[i], 1e-4, 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parity_files_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
