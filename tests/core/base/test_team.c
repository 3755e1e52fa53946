/* Every unit of every step is done once, whoever comes and goes meanwhile, and nobody
 * sleeps through what concerns them. A hang is a failure: the runner stops it. */
#include "core/base/team.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/program.h"

enum { MEMBERS = 4, UNITS_MAX = 1000, NAP_US = 5000 };

/* ---- a step that checks itself ---- */

struct step {
    _Atomic uint32_t times[UNITS_MAX]; /* how often each unit was done */
    _Atomic uint32_t members;          /* bits: who did some */
    _Atomic uint32_t wrong;
    size_t units;
};

static void do_units(void *context, size_t begin, size_t end, uint32_t member) {
    struct step *step = context;
    if (begin >= end || end > step->units || member >= MEMBERS) atomic_fetch_add(&step->wrong, 1);
    atomic_fetch_or(&step->members, 1u << member);
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&step->times[i], 1);
}

static void run_step(struct team *team, size_t units) {
    struct step step = {.units = units};
    team_run(team, units, do_units, &step);
    uint32_t wrong = step.wrong;
    for (size_t i = 0; i < UNITS_MAX; i++) wrong += step.times[i] != (i < units);
    if (wrong) ck_abort_msg("%u of %zu units are wrong", wrong, units); /* checks are slow */
}

/* ---- helpers ---- */

struct helper {
    struct team *team;
    uint32_t number;
    _Atomic uint32_t leave, stop, joined;
    pthread_t thread;
};

static void *help_once(void *argument) {
    struct helper *helper = argument;
    if (team_help(helper->team, helper->number, &helper->leave)) {
        atomic_fetch_add(&helper->joined, 1);
    }
    return NULL;
}

static void *help_always(void *argument) {
    struct helper *helper = argument;
    while (!atomic_load(&helper->stop)) help_once(helper);
    return NULL;
}

static void start(struct helper *helpers, uint32_t count, struct team *team, void *(*run)(void *)) {
    for (uint32_t i = 0; i < count; i++) {
        helpers[i].team = team;
        helpers[i].number = i + 1;
        ck_assert_int_eq(pthread_create(&helpers[i].thread, NULL, run, &helpers[i]), 0);
    }
}

static void wait_for_members(struct team *team, uint32_t count) {
    while (atomic_load(&team->members) != count) usleep(100);
}

static void nap(void) {
    usleep(NAP_US); /* long enough that members sleep, too */
}

/* ---- tests ---- */

static void expect_whole(void *context, size_t begin, size_t end, uint32_t member) {
    const uint32_t *leader = context;
    ck_assert_uint_eq(begin, 0);
    ck_assert_uint_eq(end, 9);
    ck_assert_uint_eq(member, *leader);
}

START_TEST(alone_a_step_is_one_piece) {
    struct team team;
    uint32_t zero = 0, seven = 7;
    team_init(&team);
    ck_assert(!team_is_open(&team));
    team_run(NULL, 9, expect_whole, &zero);
    team_run(NULL, 0, expect_whole, NULL);
    team_open(&team, seven);
    ck_assert(team_is_open(&team));
    team_run(&team, 9, expect_whole, &seven);
    team_run(&team, 0, expect_whole, NULL);
    team_close(&team);
    ck_assert(!team_is_open(&team));
}
END_TEST

START_TEST(nobody_joins_a_closed_team) {
    struct team team;
    const _Atomic uint32_t stay = 0, leave = 1;
    team_init(&team);
    ck_assert(!team_help(&team, 1, &stay));
    team_open(&team, 0);
    ck_assert(team_help(&team, 1, &leave)); /* it was open, and left at once */
    team_close(&team);
    ck_assert(!team_help(&team, 1, &stay));
}
END_TEST

START_TEST(each_unit_once) {
    struct team team;
    struct helper helpers[MEMBERS - 1] = {0};
    static const size_t counts[] = {0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 999, 1000};
    team_init(&team);
    team_open(&team, 0);
    start(helpers, (uint32_t)_i, &team, help_once);
    wait_for_members(&team, (uint32_t)_i);
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            run_step(&team, counts[i]);
        }
    }
    team_close(&team);
    for (int i = 0; i < _i; i++) {
        pthread_join(helpers[i].thread, NULL);
        ck_assert_uint_eq(helpers[i].joined, 1);
    }
}
END_TEST

/* Stays in its share until all of `wanted` threads are inside one, so that a step ends
 * only if every member takes part. */
struct meeting {
    uint32_t wanted;
    _Atomic uint32_t inside;
};

static void meet(void *context, size_t begin, size_t end, uint32_t member) {
    (void)begin, (void)end, (void)member;
    struct meeting *meeting = context;
    atomic_fetch_add(&meeting->inside, 1);
    while (atomic_load(&meeting->inside) < meeting->wanted) usleep(50);
}

START_TEST(sleeping_members_wake_for_a_step) {
    struct team team;
    struct helper helpers[MEMBERS - 1] = {0};
    team_init(&team);
    team_open(&team, 0);
    start(helpers, MEMBERS - 1, &team, help_once);
    wait_for_members(&team, MEMBERS - 1);
    for (int round = 0; round < 5; round++) {
        struct meeting meeting = {.wanted = MEMBERS};
        while (atomic_load(&team.sleepers) != MEMBERS - 1) usleep(100);
        team_run(&team, 100, meet, &meeting);
        ck_assert_uint_ge(meeting.inside, MEMBERS);
    }
    while (atomic_load(&team.sleepers) != MEMBERS - 1) usleep(100);
    team_close(&team); /* sends sleepers home, too */
    for (int i = 0; i < MEMBERS - 1; i++) pthread_join(helpers[i].thread, NULL);
}
END_TEST

/* The leader has long finished its own share when the member finishes the last one. */
struct slow {
    struct meeting meeting;
    _Atomic uint32_t done;
};

static void be_slow(void *context, size_t begin, size_t end, uint32_t member) {
    struct slow *slow = context;
    meet(&slow->meeting, begin, end, member);
    if (member) nap();
    atomic_fetch_add(&slow->done, (uint32_t)(end - begin));
}

START_TEST(a_leader_sleeps_until_the_last_share_is_done) {
    struct team team;
    struct helper helper[1] = {0};
    team_init(&team);
    team_open(&team, 0);
    start(helper, 1, &team, help_once);
    wait_for_members(&team, 1);
    for (int round = 0; round < 10; round++) {
        struct slow slow = {.meeting = {.wanted = 2}};
        team_run(&team, 2, be_slow, &slow);
        ck_assert_uint_eq(slow.done, 2);
    }
    team_close(&team);
    pthread_join(helper->thread, NULL);
}
END_TEST

START_TEST(members_leave_when_told) {
    struct team team;
    struct helper helpers[2] = {0};
    team_init(&team);
    team_open(&team, 0);
    start(helpers, 2, &team, help_once);
    wait_for_members(&team, 2);
    if (_i) nap();
    atomic_store(&helpers[0].leave, 1);
    team_wake(&team);
    pthread_join(helpers[0].thread, NULL);
    ck_assert_uint_eq(team.members, 1); /* the other one stays */
    struct meeting meeting = {.wanted = 2};
    team_run(&team, 10, meet, &meeting);
    run_step(&team, 100);
    team_close(&team);
    pthread_join(helpers[1].thread, NULL);
    ck_assert_uint_eq(team.members, 0);
}
END_TEST

/* ---- hammers ---- */

/* What one step writes, the next one reads, on whichever threads. */
struct relay {
    uint64_t from[UNITS_MAX], to[UNITS_MAX];
};

static void pass_on(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    struct relay *relay = context;
    for (size_t i = begin; i < end; i++) {
        relay->to[i] = relay->from[(i * 7 + 3) % UNITS_MAX] * 31 + i;
    }
}

static void copy_back(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    struct relay *relay = context;
    for (size_t i = begin; i < end; i++) relay->from[i] = relay->to[UNITS_MAX - 1 - i];
}

static void relay_rounds(struct team *team, struct relay *relay, size_t rounds) {
    for (size_t i = 0; i < rounds; i++) {
        team_run(team, UNITS_MAX, pass_on, relay);
        team_run(team, UNITS_MAX, copy_back, relay);
    }
}

/* Tells members to leave at any time, as a batcher does when work arrives. */
struct pest {
    struct helper *helpers;
    uint32_t count;
    struct team *team;
    _Atomic uint32_t stop;
};

static void *annoy(void *argument) {
    struct pest *pest = argument;
    for (uint32_t i = 0; !atomic_load(&pest->stop); i++) {
        struct helper *helper = &pest->helpers[i % pest->count];
        atomic_store(&helper->leave, i / pest->count % 2);
        team_wake(pest->team);
        if (i % 64 == 0) usleep(20);
    }
    for (uint32_t i = 0; i < pest->count; i++) atomic_store(&pest->helpers[i].leave, 0);
    team_wake(pest->team);
    return NULL;
}

static void stop_helpers(struct helper *helpers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) atomic_store(&helpers[i].stop, 1);
    for (uint32_t i = 0; i < count; i++) pthread_join(helpers[i].thread, NULL);
}

START_TEST(coming_and_going) {
    static struct relay with, without;
    struct team team;
    struct helper helpers[MEMBERS - 1] = {0};
    struct pest pest = {.helpers = helpers, .count = MEMBERS - 1, .team = &team};
    pthread_t thread;
    team_init(&team);
    start(helpers, MEMBERS - 1, &team, help_always);
    ck_assert_int_eq(pthread_create(&thread, NULL, annoy, &pest), 0);
    for (size_t round = 0; round < 300; round++) {
        team_open(&team, 0);
        relay_rounds(&team, &with, 5);
        run_step(&team, round % 40);
        team_close(&team);
        ck_assert_uint_eq(team.open, 0);
    }
    atomic_store(&pest.stop, 1);
    pthread_join(thread, NULL);
    stop_helpers(helpers, MEMBERS - 1);
    relay_rounds(NULL, &without, (size_t)300 * 5);
    ck_assert_mem_eq(&with, &without, sizeof(with));
}
END_TEST

/* Nothing but the close itself wakes members here: one that misses it never leaves. */
START_TEST(short_openings) {
    struct team team;
    struct helper helpers[2] = {0};
    team_init(&team);
    start(helpers, (uint32_t)_i, &team, help_always);
    for (size_t round = 0; round < 100000; round++) {
        team_open(&team, 0);
        if (round % 4 == 0) run_step(&team, round / 4 % 20);
        team_close(&team);
    }
    stop_helpers(helpers, (uint32_t)_i);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, alone_a_step_is_one_piece);
    tcase_add_test(tests, nobody_joins_a_closed_team);
    tcase_add_loop_test(tests, each_unit_once, 0, MEMBERS);
    tcase_add_test(tests, sleeping_members_wake_for_a_step);
    tcase_add_test(tests, a_leader_sleeps_until_the_last_share_is_done);
    tcase_add_loop_test(tests, members_leave_when_told, 0, 2);
    tcase_add_test(tests, coming_and_going);
    tcase_add_loop_test(tests, short_openings, 1, 3);
    return program_run("team", tests, CK_NOFORK);
}
