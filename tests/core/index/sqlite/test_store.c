#include <check.h>
#include <stdio.h>

#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_suite.h"

START_TEST(test_suite) {
    char *folder = folder_make();
    store_suite_run((size_t)_i, folder);
    folder_remove(folder);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("suite");
    tcase_set_timeout(tcase, 120); /* each commit waits for the disk */
    tcase_add_loop_test(tcase, test_suite, 0, (int)store_suite_count());
    return program_run("sqlite", tcase, CK_FORK_GETENV);
}
