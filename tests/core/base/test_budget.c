/* Bytes are taken up to the limit and no further, whoever takes them. */
#include "core/base/budget.h"

#include <check.h>
#include <pthread.h>
#include <stdint.h>

#include "tests/support/program.h"

START_TEST(takes_up_to_the_limit) {
    struct budget budget = {.max = 10};
    ck_assert(budget_take(&budget, 0));
    ck_assert(budget_take(&budget, 7));
    ck_assert(!budget_take(&budget, 4));
    ck_assert(!budget_take(&budget, SIZE_MAX));
    ck_assert_uint_eq(budget_used(&budget), 7);
    ck_assert(budget_take(&budget, 3));
    ck_assert(!budget_take(&budget, 1));
    budget_give(&budget, 7);
    ck_assert(budget_take(&budget, 7));
    ck_assert_uint_eq(budget_used(&budget), 10);
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 5 };

static void *take_and_give(void *argument) {
    struct budget *budget = argument;
    for (int i = 0; i < ROUNDS; i++) {
        if (!budget_take(budget, 2)) continue;
        ck_assert_uint_le(budget_used(budget), LIMIT);
        budget_give(budget, 2);
    }
    return NULL;
}

START_TEST(many_take_together) {
    struct budget budget = {.max = LIMIT};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, &budget), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    ck_assert_uint_eq(budget_used(&budget), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("budget");
    tcase_add_test(tests, takes_up_to_the_limit);
    tcase_add_test(tests, many_take_together);
    return program_run("budget", tests, CK_NOFORK);
}
