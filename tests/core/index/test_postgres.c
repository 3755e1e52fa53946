/* The store in PostgreSQL against a real server: what every store must do, and the same hits
 * as the other store. What happens when servers die is in tests/chaos/. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/index/collection.h"
#include "tests/support/postgres_database.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

static char *address;

START_TEST(the_suite_holds) {
    store_suite_run((size_t)_i, address);
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    Suite *suite = suite_create("postgres");
    TCase *tcase = tcase_create("postgres");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, the_suite_holds, 0, (int)store_suite_count());
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    postgres_database_drop(address);
    return failed != 0;
}
