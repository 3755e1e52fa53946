/* Many make snapshots and collections at the same time: no more than the limits say. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/context.h"
#include "core/base/file.h"
#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

enum { MOST = 3, CALLERS = 12 };
static const char spec_text[] =
    "{\"model\":\"m\",\"dim\":4,\"model_digest\":"
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";

static char *folder, *snapshots;
static struct api *api;
static struct collections *c;

static void setup(void) {
    struct api_options options = api_options_default;
    struct collection_spec spec = step_spec_of("c");
    options.collections_max = options.snapshots_max = MOST;
    ck_assert_int_eq(api_create(&api, &options, NULL, NULL), STATUS_OK);
    folder = folder_make();
    snapshots = file_join(folder, "snapshots");
    c = step_open_store(folder);
    step_make(c, &spec);
    step_put_at(c, "c", "a", 0);
    api_set_collections(api, c, snapshots);
}

static void teardown(void) {
    api_destroy(api);
    collections_close(c);
    free(snapshots);
    folder_remove(folder);
}

struct caller {
    api_handler *handler;
    const char *body;
    char name[8];
    enum status status;
};

/* A struct caller; status says what came of it. */
static void *call(void *context) {
    struct caller *caller = context;
    struct fake_request fake;
    struct http_response response = {0};
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/", "application/json", bytes_of(caller->body));
    fake.request.params[0] = caller->name;
    caller->status = caller->handler(api, &fake.request, &response, &err);
    buffer_free(&response.body);
    return NULL;
}

/* How many get one, and that nobody else fails for another reason than these two. */
static size_t make_at_once(api_handler *handler, const char *body, enum status other) {
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    size_t made = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.handler = handler, .body = body};
        snprintf(callers[i].name, sizeof(callers[i].name), "n%zu", i);
        pthread_create(&threads[i], NULL, call, &callers[i]);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        enum status status = callers[i].status;
        ck_assert_msg(!status || status == STATUS_CONFLICT || status == other, "%d", status);
        made += !status;
    }
    return made;
}

static size_t count_snapshots(void) {
    struct fake_request fake;
    struct http_response response = {0};
    fake_request_init(&fake, "/snapshots", NULL, (struct bytes){0});
    ck_assert_int_eq(snapshots_get(api, &fake.request, &response, NULL), STATUS_OK);
    size_t count = 0;
    for (size_t i = 0; i + 6 <= response.body.size; i++)
        count += memcmp(response.body.data + i, "\"name\"", 6) == 0;
    buffer_free(&response.body);
    return count;
}

START_TEST(snapshots_have_a_limit) {
    size_t made = make_at_once(snapshot_put, "", STATUS_OVERLOADED);
    ck_assert_uint_ge(made, 1);
    ck_assert_uint_le(made, MOST);
    ck_assert_uint_eq(count_snapshots(), made);
}
END_TEST

/* Each takes as much of the disk as the store does, also in the place of another. */
START_TEST(one_snapshot_at_a_time) {
    struct caller first = {.handler = snapshot_put, .body = "", .name = "a"}, second = first;
    call(&first);
    ck_assert_int_eq(first.status, STATUS_OK);
    ck_assert(turn_take(&api->making_snapshot, 0));
    call(&second);
    ck_assert_int_eq(second.status, STATUS_OVERLOADED);
    turn_give(&api->making_snapshot);
    call(&second);
    ck_assert_int_eq(second.status, STATUS_OK);
}
END_TEST

static enum status count_one(void *context, const struct collection_spec *spec, struct error *err) {
    (void)spec, (void)err;
    ++*(size_t *)context;
    return STATUS_OK;
}

START_TEST(collections_have_a_limit) {
    size_t count = 0;
    ck_assert_uint_eq(make_at_once(collection_put, spec_text, STATUS_CONFLICT), MOST - 1);
    ck_assert_int_eq(collection_list(c, count_one, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, MOST);
}
END_TEST

/* A collection that is taken back counts as one that is made. */
START_TEST(restored_collections_have_a_limit) {
    struct caller whole = {.handler = snapshot_put, .body = "", .name = "s"};
    struct caller back = {
        .handler = collection_restore_post, .body = "{\"snapshot\":\"s\"}", .name = "c"};
    call(&whole);
    ck_assert_int_eq(whole.status, STATUS_OK);
    step_drop(c, "c");
    for (size_t i = 0; i < MOST; i++) {
        struct caller made = {.handler = collection_put, .body = spec_text};
        snprintf(made.name, sizeof(made.name), "n%zu", i);
        call(&made);
        ck_assert_int_eq(made.status, STATUS_OK);
    }
    call(&back);
    ck_assert_int_eq(back.status, STATUS_CONFLICT);
    step_drop(c, "n0");
    call(&back);
    ck_assert_int_eq(back.status, STATUS_OK);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("snapshots");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, snapshots_have_a_limit);
    tcase_add_test(tests, one_snapshot_at_a_time);
    tcase_add_test(tests, collections_have_a_limit);
    tcase_add_test(tests, restored_collections_have_a_limit);
    return program_run("snapshots", tests, CK_FORK_GETENV);
}
