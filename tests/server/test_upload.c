/* The turns of a handler and an I/O thread with a body. */
#include "server/upload.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/program.h"

enum { TURNS = 20000 };

/* What both threads change in their turns only: no lock, no atomics. */
struct shared {
    struct upload *upload;
    _Atomic bool resumed; /* stands for libmicrohttpd's own queue */
    int turns;
    bool told_to_leave, left_last;
};

static void resume(void *context) {
    struct shared *shared = context;
    atomic_store(&shared->resumed, true);
}

static void *handle(void *context) {
    struct shared *shared = context;
    while (upload_ask(shared->upload, resume, shared)) shared->turns++;
    shared->told_to_leave = true;
    shared->left_last = !upload_leave(shared->upload);
    return NULL;
}

static void wait_for_turn(struct shared *shared) {
    while (!atomic_exchange(&shared->resumed, false)) continue;
}

static void begin(struct shared *shared, pthread_t *thread, void *(*run)(void *context)) {
    ck_assert_int_eq(upload_create(&shared->upload, NULL), STATUS_OK);
    ck_assert_int_eq(pthread_create(thread, NULL, run, shared), 0);
}

START_TEST(turns_are_taken) {
    struct shared shared = {0};
    pthread_t handler;
    begin(&shared, &handler, handle);
    for (int i = 0; i < TURNS; i++) {
        wait_for_turn(&shared);
        ck_assert_int_eq(shared.turns, i);
        upload_give(shared.upload);
    }
    wait_for_turn(&shared);
    upload_abandon(shared.upload);
    ck_assert(shared.told_to_leave);
    ck_assert_int_eq(shared.turns, TURNS);
    pthread_join(handler, NULL);
    ck_assert(shared.left_last);
    upload_destroy(shared.upload);
}
END_TEST

static void *leave_at_once(void *context) {
    struct shared *shared = context;
    shared->left_last = !upload_leave(shared->upload);
    return NULL;
}

START_TEST(a_handler_that_wants_nothing) {
    struct shared shared = {0};
    pthread_t handler;
    begin(&shared, &handler, leave_at_once);
    pthread_join(handler, NULL);
    ck_assert(!shared.left_last);
    upload_abandon(shared.upload); /* does not wait */
    upload_destroy(shared.upload);
    upload_destroy(NULL);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("upload");
    tcase_add_test(tests, turns_are_taken);
    tcase_add_test(tests, a_handler_that_wants_nothing);
    return program_run("upload", tests, CK_NOFORK);
}
