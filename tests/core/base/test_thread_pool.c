/* Tasks run once each, queues are bounded, destruction finishes what was queued. */
#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/base/thread_pool.h"
#include "tests/support/program.h"

enum { TASKS = 500 };

struct work {
    _Atomic int runs[TASKS];
    _Atomic int total;
};

static void count(void *context, size_t index) {
    struct work *work = context;
    atomic_fetch_add(&work->runs[index], 1);
    atomic_fetch_add(&work->total, 1);
}

static struct thread_pool *create(uint32_t threads, uint32_t queue_limit) {
    struct thread_pool_options options = {
        .name = "test", .threads = threads, .queue_limit = queue_limit};
    struct thread_pool *pool = NULL;
    ck_assert_int_eq(thread_pool_create(&pool, &options, NULL), STATUS_OK);
    return pool;
}

START_TEST(run_calls_each_index_once) {
    struct work work = {0};
    struct thread_pool *pool = create(4, TASKS);
    ck_assert_int_eq(thread_pool_run(pool, count, &work, TASKS, NULL), STATUS_OK);
    for (int i = 0; i < TASKS; i++) ck_assert_int_eq(work.runs[i], 1);
    ck_assert_int_eq(thread_pool_run(pool, count, &work, 0, NULL), STATUS_OK);
    thread_pool_destroy(pool);
    thread_pool_destroy(NULL);
}
END_TEST

static void wait_for_gate(void *context, size_t index) {
    (void)index;
    pthread_mutex_t *gate = context;
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
}

static void sleep_a_little(void *context, size_t index) {
    (void)context;
    (void)index;
    usleep(2000);
}

START_TEST(a_full_queue_refuses_and_recovers) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct work work = {0};
    struct error err = ERROR_NONE;
    struct thread_pool *pool = create(1, 3);
    pthread_mutex_lock(&gate);
    ck_assert_int_eq(thread_pool_run(pool, sleep_a_little, NULL, 1, NULL), STATUS_OK);
    ck_assert_int_eq(thread_pool_submit(pool, wait_for_gate, &gate, NULL), STATUS_OK);
    while (thread_pool_waiting(pool)) usleep(1000); /* the thread has taken it */
    ck_assert_uint_eq(thread_pool_backlog_ns(pool), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(thread_pool_submit(pool, count, &work, NULL), STATUS_OK);
    }
    /* By the one that slept. */
    ck_assert_uint_ge(thread_pool_backlog_ns(pool), 3 * UINT64_C(2000000));
    ck_assert_int_eq(thread_pool_submit(pool, count, &work, &err), STATUS_OVERLOADED);
    ck_assert_str_eq(err.message, "the test queue is full (3 of 3 waiting)");
    ck_assert_int_eq(thread_pool_run(pool, count, &work, 1, NULL), STATUS_OVERLOADED);
    pthread_mutex_unlock(&gate);
    while (atomic_load(&work.total) < 3) usleep(1000);
    ck_assert_int_eq(thread_pool_run(pool, count, &work, 3, NULL), STATUS_OK);
    ck_assert_int_eq(thread_pool_run(pool, count, &work, 4, NULL), STATUS_OVERLOADED);
    thread_pool_destroy(pool);
    ck_assert_int_eq(work.total, 6);
}
END_TEST

START_TEST(destroy_finishes_what_was_queued) {
    struct work work = {0};
    struct thread_pool *pool = create(2, TASKS);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(thread_pool_submit(pool, count, &work, NULL), STATUS_OK);
    }
    thread_pool_destroy(pool);
    ck_assert_int_eq(work.total, TASKS);
}
END_TEST

static int threads_of_process(void) {
    DIR *tasks = opendir("/proc/self/task");
    int threads = 0;
    while (readdir(tasks)) threads++;
    closedir(tasks);
    return threads - 2; /* "." and ".." */
}

/* Each thread costs memory that is never given back. */
START_TEST(a_burst_starts_a_thread_for_each_task) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct thread_pool *pool = create(100, TASKS);
    int before = threads_of_process();
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(thread_pool_submit(pool, wait_for_gate, &gate, NULL), STATUS_OK);
    }
    ck_assert_int_eq(threads_of_process() - before, 20);
    while (thread_pool_waiting(pool)) usleep(1000); /* none waits for another */
    pthread_mutex_unlock(&gate);
    thread_pool_destroy(pool);
}
END_TEST

struct caller {
    struct thread_pool *pool;
    int refused; /* Check's assertions work on the main thread only */
    struct work work;
};

static void *call(void *argument) {
    struct caller *caller = argument;
    for (int i = 0; i < 50; i++) {
        if (thread_pool_run(caller->pool, count, &caller->work, 5, NULL)) caller->refused++;
    }
    return NULL;
}

START_TEST(many_callers_share_a_pool) {
    static struct caller callers[8];
    pthread_t threads[8];
    struct thread_pool *pool = create(3, 1000);
    for (int i = 0; i < 8; i++) {
        callers[i].pool = pool;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(callers[i].refused, 0);
        ck_assert_int_eq(callers[i].work.total, 250);
    }
    thread_pool_destroy(pool);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("thread_pool");
    tcase_add_test(tcase, run_calls_each_index_once);
    tcase_add_test(tcase, a_full_queue_refuses_and_recovers);
    tcase_add_test(tcase, destroy_finishes_what_was_queued);
    tcase_add_test(tcase, a_burst_starts_a_thread_for_each_task);
    tcase_add_test(tcase, many_callers_share_a_pool);
    return program_run("thread_pool", tcase, CK_NOFORK);
}
