/* Batches form by themselves, queues are bounded, deadlines withdraw what waits, every
 * output belongs to its own input, and idle workers help. A hang is a failure: the
 * runner stops it. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/team.h"
#include "core/batch/batcher.h"
#include "tests/support/program.h"

/* The "model": doubles its input; can be held by a gate. */
struct model {
    pthread_mutex_t gate;
    _Atomic uint32_t batches, largest, running;
    _Atomic uint32_t wrong;         /* Check's assertions work on the main thread only */
    _Atomic uint64_t busy_until_ns; /* no batch is done before */
};

static void run(void *context, uint32_t worker, struct team *team,
                struct batch_entry *const *entries, uint32_t count) {
    (void)team;
    struct model *model = context;
    if (worker >= 2) atomic_fetch_add(&model->wrong, 1);
    atomic_fetch_add(&model->running, 1);
    pthread_mutex_lock(&model->gate);
    pthread_mutex_unlock(&model->gate);
    while (clock_now_ns() < atomic_load(&model->busy_until_ns)) usleep(500);
    atomic_fetch_add(&model->batches, 1);
    if (count > model->largest) model->largest = count;
    for (uint32_t i = 0; i < count; i++) {
        *(int *)entries[i]->output = 2 * *(const int *)entries[i]->input;
    }
    atomic_fetch_sub(&model->running, 1);
}

static const struct batch_patience for_ever = {.deadline_ns = CLOCK_NEVER};

struct fixture {
    struct model model;
    struct batcher *batcher;
    struct batch_queue *queue;
};

static void open_fixture(struct fixture *f, uint32_t workers, uint32_t batch_max,
                         uint32_t queue_limit) {
    *f = (struct fixture){0};
    pthread_mutex_init(&f->model.gate, NULL);
    struct batch_queue_options options = {
        .batch_max = batch_max, .queue_limit = queue_limit, .run = run, .context = &f->model};
    ck_assert_int_eq(batcher_create(&f->batcher, workers, NULL), STATUS_OK);
    ck_assert_int_eq(batch_queue_open(&f->queue, f->batcher, &options, NULL), STATUS_OK);
}

static void close_fixture(struct fixture *f) {
    batch_queue_close(f->queue);
    batcher_destroy(f->batcher);
    ck_assert_uint_eq(f->model.wrong, 0);
    pthread_mutex_destroy(&f->model.gate);
}

static enum status submit(struct fixture *f, int *inputs, int *outputs, size_t count,
                          const struct batch_patience *patience, struct error *err) {
    struct batch_entry entries[64];
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct batch_entry){.input = &inputs[i], .output = &outputs[i]};
    }
    return batch_queue_run(f->queue, entries, count, patience, err);
}

START_TEST(a_request_larger_than_a_batch) {
    struct fixture f;
    int inputs[20], outputs[20];
    open_fixture(&f, 2, 8, 100);
    for (int i = 0; i < 20; i++) inputs[i] = i;
    ck_assert_int_eq(submit(&f, inputs, outputs, 20, &for_ever, NULL), STATUS_OK);
    for (int i = 0; i < 20; i++) ck_assert_int_eq(outputs[i], i + i);
    ck_assert_uint_le(f.model.largest, 8);
    ck_assert_int_eq(submit(&f, inputs, outputs, 0, &for_ever, NULL), STATUS_OK);
    close_fixture(&f);
}
END_TEST

struct client {
    struct fixture *f;
    int first;
    enum status status;
    uint64_t timeout_ns;
    _Atomic bool gone;
};

static void *client(void *argument) {
    struct client *c = argument;
    int input = c->first, output = -1;
    struct batch_patience patience = {.deadline_ns = c->timeout_ns ? clock_now_ns() + c->timeout_ns
                                                                   : CLOCK_NEVER,
                                      .gone = &c->gone};
    c->status = submit(c->f, &input, &output, 1, &patience, NULL);
    if (c->status == STATUS_OK && output != 2 * c->first) atomic_fetch_add(&c->f->model.wrong, 1);
    return NULL;
}

static void wait_until_waiting(struct fixture *f, uint64_t count) {
    while (atomic_load(&batch_queue_stats(f->queue)->waiting) != count) usleep(500);
}

START_TEST(what_waits_becomes_one_batch) {
    struct fixture f;
    struct client clients[9];
    pthread_t threads[9];
    open_fixture(&f, 1, 16, 100);
    pthread_mutex_lock(&f.model.gate);
    for (int i = 0; i < 9; i++) {
        clients[i] = (struct client){.f = &f, .first = i};
        pthread_create(&threads[i], NULL, client, &clients[i]);
        if (i == 0) {
            while (!atomic_load(&f.model.running)) usleep(500);
        }
    }
    wait_until_waiting(&f, 8);
    pthread_mutex_unlock(&f.model.gate);
    for (int i = 0; i < 9; i++) pthread_join(threads[i], NULL);
    ck_assert_uint_eq(f.model.batches, 2);
    ck_assert_uint_eq(f.model.largest, 8);
    close_fixture(&f);
}
END_TEST

static void *submit_eight(void *argument) {
    struct client *c = argument;
    int inputs[8] = {0}, outputs[8];
    c->status = submit(c->f, inputs, outputs, 8, &for_ever, NULL);
    return NULL;
}

START_TEST(idle_workers_share) {
    struct fixture f;
    struct client eight = {.f = &f};
    pthread_t thread;
    open_fixture(&f, 2, 8, 100);
    while (batcher_idle(f.batcher) < 2) usleep(500);
    pthread_mutex_lock(&f.model.gate);
    pthread_create(&thread, NULL, submit_eight, &eight);
    while (atomic_load(&f.model.running) < 2) usleep(500);
    pthread_mutex_unlock(&f.model.gate);
    pthread_join(thread, NULL);
    ck_assert_int_eq(eight.status, STATUS_OK);
    ck_assert_uint_eq(f.model.batches, 2);
    ck_assert_uint_eq(f.model.largest, 4);
    close_fixture(&f);
}
END_TEST

START_TEST(a_full_queue_refuses_all_of_a_request) {
    struct fixture f;
    struct client holder = {.f = &f};
    pthread_t thread;
    int inputs[6] = {0}, outputs[6];
    struct error err = ERROR_NONE;
    open_fixture(&f, 1, 8, 5);
    pthread_mutex_lock(&f.model.gate);
    pthread_create(&thread, NULL, client, &holder);
    while (!atomic_load(&f.model.running)) usleep(500);
    ck_assert_int_eq(submit(&f, inputs, outputs, 6, &for_ever, &err), STATUS_OVERLOADED);
    ck_assert_uint_eq(batch_queue_stats(f.queue)->rejected, 6);
    ck_assert_uint_eq(batch_queue_stats(f.queue)->waiting, 0);
    pthread_mutex_unlock(&f.model.gate);
    pthread_join(thread, NULL);
    close_fixture(&f);
}
END_TEST

START_TEST(a_deadline_withdraws_what_waits_and_nothing_else) {
    struct fixture f;
    struct client holder = {.f = &f, .first = 1};
    struct client late = {.f = &f, .first = 2, .timeout_ns = 20 * (uint64_t)CLOCK_NS_PER_MS};
    struct client patient = {.f = &f, .first = 3};
    pthread_t threads[3];
    open_fixture(&f, 1, 8, 100);
    pthread_mutex_lock(&f.model.gate);
    pthread_create(&threads[0], NULL, client, &holder);
    while (!atomic_load(&f.model.running)) usleep(500);
    pthread_create(&threads[1], NULL, client, &late);
    pthread_create(&threads[2], NULL, client, &patient);
    pthread_join(threads[1], NULL);
    ck_assert_int_eq(late.status, STATUS_TIMEOUT);
    wait_until_waiting(&f, 1);
    pthread_mutex_unlock(&f.model.gate);
    pthread_join(threads[0], NULL);
    pthread_join(threads[2], NULL);
    ck_assert_int_eq(holder.status, STATUS_OK);
    ck_assert_int_eq(patient.status, STATUS_OK);
    ck_assert_uint_eq(batch_queue_stats(f.queue)->expired, 1);
    close_fixture(&f);
}
END_TEST

/* A worker takes it in time, and is not done in time. */
START_TEST(what_is_done_after_its_deadline_is_late) {
    struct fixture f;
    struct error err = ERROR_NONE;
    int input = 1, output = 0;
    open_fixture(&f, 1, 8, 100);
    struct batch_patience late = {clock_now_ns() + 100 * (uint64_t)CLOCK_NS_PER_MS, NULL};
    f.model.busy_until_ns = late.deadline_ns;
    ck_assert_int_eq(submit(&f, &input, &output, 1, &late, &err), STATUS_TIMEOUT);
    ck_assert_int_eq(err.status, STATUS_TIMEOUT);
    f.model.busy_until_ns = 0;
    struct batch_patience patience = {.deadline_ns = clock_deadline(60000)};
    ck_assert_int_eq(submit(&f, &input, &output, 1, &patience, NULL), STATUS_OK);
    close_fixture(&f);
}
END_TEST

/* Of what waits, by how long the batch before took; nothing is known before. */
START_TEST(what_waits_will_take_as_long_as_the_last) {
    struct fixture f;
    struct client clients[5];
    pthread_t threads[5];
    open_fixture(&f, 2, 8, 100);
    ck_assert_uint_eq(batcher_backlog_ns(f.batcher), 0);
    for (int i = 0; i < 5; i++) clients[i] = (struct client){.f = &f, .first = i};
    client(&clients[0]);
    uint64_t each_ns = batch_queue_stats(f.queue)->run_ns.sum;
    ck_assert_uint_eq(batcher_backlog_ns(f.batcher), 0);
    pthread_mutex_lock(&f.model.gate);
    for (int i = 0; i < 5; i++) {
        pthread_create(&threads[i], NULL, client, &clients[i]);
        while (i < 2 && atomic_load(&f.model.running) <= (uint32_t)i) usleep(500);
    }
    wait_until_waiting(&f, 3);
    ck_assert_uint_eq(batcher_backlog_ns(f.batcher), 3 * each_ns / 2);
    pthread_mutex_unlock(&f.model.gate);
    for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    ck_assert_uint_eq(batcher_backlog_ns(f.batcher), 0);
    close_fixture(&f);
}
END_TEST

/* Those behind it in the queue move up, whatever became of its neighbours. */
START_TEST(who_has_gone_is_not_encoded) {
    struct fixture f;
    struct client clients[] = {{.f = &f, .first = 1}, {.f = &f, .first = 2}, {.f = &f, .first = 3}};
    pthread_t threads[3];
    open_fixture(&f, 1, 8, 100);
    pthread_mutex_lock(&f.model.gate);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, client, &clients[i]);
        if (i == 0) {
            while (!atomic_load(&f.model.running)) usleep(500);
        }
    }
    wait_until_waiting(&f, 2);
    atomic_store(&clients[0].gone, true); /* too late: it is being encoded */
    atomic_store(&clients[1].gone, true);
    pthread_mutex_unlock(&f.model.gate);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(clients[0].status, STATUS_OK);
    ck_assert_int_eq(clients[1].status, STATUS_CANCELLED);
    ck_assert_int_eq(clients[2].status, STATUS_OK);
    ck_assert_uint_eq(batch_queue_stats(f.queue)->abandoned, 1);
    ck_assert_uint_eq(batch_queue_stats(f.queue)->waiting, 0);
    ck_assert_uint_eq(f.model.batches, 2);
    ck_assert_uint_eq(f.model.largest, 1);
    close_fixture(&f);
}
END_TEST

/* A batch of nobody is none, and the worker goes on. */
START_TEST(all_have_gone) {
    struct fixture f;
    struct client left = {.f = &f, .first = 1, .gone = true}, next = {.f = &f, .first = 2};
    open_fixture(&f, 2, 8, 100);
    for (int i = 0; i < 100; i++) {
        client(&left);
        ck_assert_int_eq(left.status, STATUS_CANCELLED);
    }
    client(&next);
    ck_assert_int_eq(next.status, STATUS_OK);
    ck_assert_uint_eq(f.model.batches, 1);
    close_fixture(&f);
}
END_TEST

START_TEST(who_has_gone_makes_room) {
    struct fixture f;
    struct client holder = {.f = &f, .first = 1};
    struct client left = {.f = &f, .first = 2}, next = {.f = &f, .first = 3};
    pthread_t threads[3];
    open_fixture(&f, 1, 8, 1);
    pthread_mutex_lock(&f.model.gate);
    pthread_create(&threads[0], NULL, client, &holder);
    while (!atomic_load(&f.model.running)) usleep(500);
    pthread_create(&threads[1], NULL, client, &left);
    wait_until_waiting(&f, 1);
    client(&next);
    ck_assert_int_eq(next.status, STATUS_OVERLOADED);
    atomic_store(&left.gone, true);
    pthread_create(&threads[2], NULL, client, &next);
    pthread_join(threads[1], NULL);
    ck_assert_int_eq(left.status, STATUS_CANCELLED);
    wait_until_waiting(&f, 1);
    pthread_mutex_unlock(&f.model.gate);
    pthread_join(threads[0], NULL);
    pthread_join(threads[2], NULL);
    ck_assert_int_eq(next.status, STATUS_OK);
    close_fixture(&f);
}
END_TEST

static void *hammer(void *argument) {
    struct client *c = argument;
    int inputs[7], outputs[7];
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 7; i++) inputs[i] = c->first + round * 7 + i;
        enum status status = submit(c->f, inputs, outputs, 7, &for_ever, NULL);
        bool good = status == STATUS_OK;
        for (int i = 0; i < 7; i++) good = good && outputs[i] == 2 * inputs[i];
        if (!good) atomic_fetch_add(&c->f->model.wrong, 1);
    }
    return NULL;
}

START_TEST(many_clients_get_their_own) {
    struct fixture f;
    struct client clients[8];
    pthread_t threads[8];
    open_fixture(&f, 2, 8, 100);
    for (int i = 0; i < 8; i++) {
        clients[i] = (struct client){.f = &f, .first = i * 100000};
        pthread_create(&threads[i], NULL, hammer, &clients[i]);
    }
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    ck_assert_uint_eq(batch_queue_stats(f.queue)->waiting, 0);
    close_fixture(&f);
}
END_TEST

/* ---- helping ---- */

enum { UNITS = 500 };

/* A batch of several steps, each of which reads what others wrote in the one before.
 * An input below 0 wants company: its batch goes on only when `guests` others are in. */
struct crew {
    uint32_t workers, guests;
    _Atomic uint32_t running, helped, wrong;
    _Atomic uint32_t hold; /* batches with input 1 wait while it is set */
};

struct job {
    struct crew *crew;
    uint32_t leader, wanted; /* threads that the first step waits for */
    _Atomic uint32_t inside;
    int from[UNITS], to[UNITS];
};

static void step(void *context, size_t begin, size_t end, uint32_t member) {
    struct job *job = context;
    if (member >= job->crew->workers) atomic_fetch_add(&job->crew->wrong, 1);
    if (member != job->leader) atomic_fetch_add(&job->crew->helped, 1);
    atomic_fetch_add(&job->inside, 1);
    while (atomic_load(&job->inside) < job->wanted) usleep(50);
    for (size_t i = begin; i < end; i++) job->to[i] = job->from[UNITS - 1 - i] + 1;
}

static void step_back(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    struct job *job = context;
    for (size_t i = begin; i < end; i++) job->from[i] = job->to[i];
}

static void run_crew(void *context, uint32_t worker, struct team *team,
                     struct batch_entry *const *entries, uint32_t count) {
    struct crew *crew = context;
    struct job job = {.crew = crew, .leader = worker};
    atomic_fetch_add(&crew->running, 1);
    int first = *(const int *)entries[0]->input;
    while (first == 1 && atomic_load(&crew->hold)) usleep(100);
    while (first < 0 && atomic_load(&team->members) < crew->guests) usleep(100);
    if (first < 0) job.wanted = 1 + crew->guests;
    for (int i = 0; i < 10; i++) {
        team_run(team, UNITS, step, &job);
        team_run(team, UNITS, step_back, &job);
    }
    for (size_t i = 0; i < UNITS; i++) {
        if (job.from[i] != 10) atomic_fetch_add(&crew->wrong, 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        *(int *)entries[i]->output = 2 * *(const int *)entries[i]->input;
    }
    atomic_fetch_sub(&crew->running, 1);
}

struct crew_fixture {
    struct crew crew;
    struct batcher *batcher;
    struct batch_queue *queue;
};

static void open_crew(struct crew_fixture *f, uint32_t workers) {
    *f = (struct crew_fixture){.crew = {.workers = workers, .guests = workers - 1}};
    struct batch_queue_options options = {
        .batch_max = 4, .queue_limit = 1000, .run = run_crew, .context = &f->crew};
    ck_assert_int_eq(batcher_create(&f->batcher, workers, NULL), STATUS_OK);
    ck_assert_int_eq(batch_queue_open(&f->queue, f->batcher, &options, NULL), STATUS_OK);
}

static void close_crew(struct crew_fixture *f) {
    batch_queue_close(f->queue);
    batcher_destroy(f->batcher);
    ck_assert_uint_eq(f->crew.wrong, 0);
    ck_assert_uint_eq(f->crew.running, 0);
}

struct order {
    struct crew_fixture *f;
    int input;
    pthread_t thread;
};

static void *place(void *argument) {
    struct order *order = argument;
    int output = 0;
    struct batch_entry entry = {.input = &order->input, .output = &output};
    enum status status = batch_queue_run(order->f->queue, &entry, 1, &for_ever, NULL);
    if (status || output != 2 * order->input) atomic_fetch_add(&order->f->crew.wrong, 1);
    return NULL;
}

static void place_order(struct order *order, struct crew_fixture *f, int input) {
    *order = (struct order){.f = f, .input = input};
    ck_assert_int_eq(pthread_create(&order->thread, NULL, place, order), 0);
}

START_TEST(all_idle_workers_help_a_lone_batch) {
    struct crew_fixture f;
    struct order order;
    open_crew(&f, (uint32_t)_i);
    for (int round = 0; round < 20; round++) {
        place_order(&order, &f, -1);
        pthread_join(order.thread, NULL);
    }
    ck_assert_uint_ge(f.crew.helped, (uint64_t)20 * f.crew.guests);
    close_crew(&f);
}
END_TEST

/* The helper of a batch that goes on and on takes what arrives meanwhile, and comes
 * back to help when that is done. */
START_TEST(helpers_leave_when_work_arrives) {
    struct crew_fixture f;
    struct order held, next;
    open_crew(&f, 2);
    atomic_store(&f.crew.hold, 1);
    place_order(&held, &f, 1);
    while (!atomic_load(&f.crew.running)) usleep(100);
    for (int round = 0; round < 20; round++) {
        usleep(round % 3 * 1000); /* the helper spins, or sleeps */
        place_order(&next, &f, 2);
        pthread_join(next.thread, NULL);
        ck_assert_uint_eq(f.crew.running, 1);
    }
    atomic_store(&f.crew.hold, 0);
    pthread_join(held.thread, NULL);
    place_order(&next, &f, -1);
    pthread_join(next.thread, NULL);
    close_crew(&f);
}
END_TEST

static void *place_many(void *argument) {
    struct order *order = argument;
    unsigned seed = (unsigned)order->input;
    for (int i = 0; i < 100; i++) {
        place(order);
        seed = seed * 1664525u + 1013904223u;
        if (seed >> 30 == 0) usleep(seed >> 16 & 1023);
    }
    return NULL;
}

START_TEST(light_and_heavy_load_alternate) {
    struct crew_fixture f;
    struct order orders[6];
    open_crew(&f, 4);
    for (int i = 0; i < 6; i++) {
        orders[i] = (struct order){.f = &f, .input = 10 + i};
        ck_assert_int_eq(pthread_create(&orders[i].thread, NULL, place_many, &orders[i]), 0);
    }
    for (int i = 0; i < 6; i++) pthread_join(orders[i].thread, NULL);
    close_crew(&f);
}
END_TEST

/* The workers may still be on their way out of a team when the end comes. */
START_TEST(the_end_comes_at_any_time) {
    for (int round = 0; round < 200; round++) {
        struct crew_fixture f;
        struct order order;
        open_crew(&f, 1 + (uint32_t)round % 4);
        if (round % 5) {
            place_order(&order, &f, round % 2 ? -1 : 2);
            pthread_join(order.thread, NULL);
        }
        close_crew(&f);
    }
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("batcher");
    tcase_add_test(tcase, a_request_larger_than_a_batch);
    tcase_add_test(tcase, what_waits_becomes_one_batch);
    tcase_add_test(tcase, idle_workers_share);
    tcase_add_test(tcase, a_full_queue_refuses_all_of_a_request);
    tcase_add_test(tcase, a_deadline_withdraws_what_waits_and_nothing_else);
    tcase_add_test(tcase, what_is_done_after_its_deadline_is_late);
    tcase_add_test(tcase, what_waits_will_take_as_long_as_the_last);
    tcase_add_test(tcase, who_has_gone_is_not_encoded);
    tcase_add_test(tcase, all_have_gone);
    tcase_add_test(tcase, who_has_gone_makes_room);
    tcase_add_test(tcase, many_clients_get_their_own);
    tcase_add_loop_test(tcase, all_idle_workers_help_a_lone_batch, 1, 5);
    tcase_add_test(tcase, helpers_leave_when_work_arrives);
    tcase_add_test(tcase, light_and_heavy_load_alternate);
    tcase_add_test(tcase, the_end_comes_at_any_time);
    return program_run("batcher", tcase, CK_NOFORK);
}
