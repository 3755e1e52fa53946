/* One at a time, and nobody waits for longer than he wants to. */
#include "core/base/turn.h"

#include <check.h>

#include "core/base/clock.h"
#include "tests/support/program.h"

enum { THREADS = 4, ROUNDS = 5000 };

struct shared {
    struct turn turn;
    int count; /* by whose turn it is */
};

START_TEST(who_comes_too_late_gives_up) {
    struct turn turn;
    turn_init(&turn);
    ck_assert(turn_take(&turn, 0));
    ck_assert(!turn_take(&turn, 0));
    ck_assert(!turn_take(&turn, clock_deadline(20)));
    turn_give(&turn);
    ck_assert(turn_take(&turn, CLOCK_NEVER));
    turn_give(&turn);
    turn_free(&turn);
}
END_TEST

static void *count_up(void *context) {
    struct shared *shared = context;
    for (int i = 0; i < ROUNDS; i++) {
        if (!turn_take(&shared->turn, CLOCK_NEVER)) break;
        shared->count++;
        turn_give(&shared->turn);
    }
    return NULL;
}

START_TEST(one_at_a_time) {
    struct shared shared = {.count = 0};
    pthread_t threads[THREADS];
    turn_init(&shared.turn);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, count_up, &shared);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(shared.count, (int64_t)THREADS * ROUNDS);
    turn_free(&shared.turn);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("turn");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, who_comes_too_late_gives_up);
    tcase_add_test(tests, one_at_a_time);
    return program_run("turn", tests, CK_FORK_GETENV);
}
