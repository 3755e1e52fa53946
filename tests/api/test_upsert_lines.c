/* Reports of NDJSON when answers hold all the memory that they may have. */
#include <check.h>
#include <string.h>

#include "api/context.h"
#include "api/response.h"
#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

enum { LINES = 10000 };
static const size_t kib = 1 << 10;

static char *folder;
static struct api *api;
static struct collections *c;
static struct buffer text;

static void setup(void) {
    struct collection_spec spec = step_spec_of("c");
    ck_assert_int_eq(api_create(&api, &api_options_default, NULL, NULL), STATUS_OK);
    folder = folder_make();
    c = step_open_store(folder);
    step_make(c, &spec);
    api_set_collections(api, c, NULL);
    buffer_init(&text, (size_t)LINES * 4);
    for (int i = 0; i < LINES; i++)
        ck_assert_int_eq(buffer_append(&text, "{}\n", 3, NULL), STATUS_OK);
}

static void teardown(void) {
    buffer_free(&text);
    api_destroy(api);
    collections_close(c);
    folder_remove(folder);
}

static enum status all(struct http_request *request, size_t used, bool *ended, struct error *err) {
    (void)err;
    ck_assert_uint_eq(used, 0);
    request->body = buffer_view(&text);
    *ended = true;
    return STATUS_OK;
}

static void put(struct budget *memory, size_t least, size_t most, bool unreported) {
    struct fake_request fake;
    struct http_response response = {.memory = memory};
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/collections/c/items", "application/x-ndjson", (struct bytes){0});
    fake.request.params[0] = "c";
    fake.request.more = all;
    ck_assert_msg(items_post(api, &fake.request, &response, &err) == STATUS_OK, "%s", err.message);
    struct bytes body = buffer_view(&response.body);
    ck_assert_uint_ge(body.size, least);
    ck_assert_uint_le(body.size, most);
    ck_assert_ptr_nonnull(memmem(body.data, body.size, "\"failed\":10000", 14));
    ck_assert_int_eq(memmem(body.data, body.size, "unreported", 10) != NULL, unreported);
    response_init(&response, 200, NULL);
    buffer_free(&response.body);
}

START_TEST(reports_as_far_as_there_is_memory) {
    struct budget memory = {.max = 10000 * kib};
    put(NULL, 500 * kib, 4000 * kib, false);
    put(&memory, 500 * kib, 4000 * kib, false);
    ck_assert(budget_take(&memory, memory.max));
    put(&memory, 60 * kib, 128 * kib, true);
    ck_assert_uint_eq(budget_used(&memory), memory.max);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("upsert_lines");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, reports_as_far_as_there_is_memory);
    return program_run("upsert_lines", tests, CK_FORK_GETENV);
}
