/* What is counted of collections, and since when. */
#include "api/metrics.h"

#include <check.h>
#include <string.h>

#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

static char *folder;
static struct api *api;
static struct registry *registry;
static struct collections *c;

static void setup(void) {
    ck_assert_int_eq(registry_create(&registry, &runtime_options_default, NULL), STATUS_OK);
    ck_assert_int_eq(api_create(&api, &api_options_default, registry, NULL), STATUS_OK);
    folder = folder_make();
    c = step_open_store(folder);
}

static void teardown(void) {
    api_destroy(api);
    registry_destroy(registry);
    collections_close(c);
    folder_remove(folder);
}

static bool tells_of_stores(void) {
    struct fake_request fake;
    struct http_response response = {0};
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/metrics", NULL, (struct bytes){0});
    ck_assert_msg(metrics_get(api, &fake.request, &response, &err) == STATUS_OK, "%s", err.message);
    struct bytes text = buffer_view(&response.body);
    ck_assert_ptr_nonnull(memmem(text.data, text.size, "clipd_build_info{", 17));
    bool tells = memmem(text.data, text.size, "clipd_store_search_seconds", 26);
    buffer_free(&response.body);
    return tells;
}

/* The pointer is written by the thread that opens them, while others are asked already. */
START_TEST(collections_are_counted_once_they_are_open) {
    ck_assert(!tells_of_stores());
    api_set_collections(api, c, NULL);
    ck_assert(!tells_of_stores());
    api_set_state(api, API_READY);
    ck_assert(tells_of_stores());
    api_set_state(api, API_DRAINING);
    ck_assert(tells_of_stores());
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, collections_are_counted_once_they_are_open);
    return program_run("metrics", tests, CK_FORK_GETENV);
}
