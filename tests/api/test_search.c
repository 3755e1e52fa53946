/* Searches in a collection that is made anew all the time, or has more than fits into an answer. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/context.h"
#include "api/response.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

enum { SPACES = 2 << 20, TIMES = 100, WIDE = 4096, HEAVY = 52 };

static char *folder;
static struct api *api;
static struct collections *c;
static struct registry *registry;
static struct engine *engine;
static struct buffer body;
static _Atomic bool over;

static void setup(void) {
    struct registry_model model = {.engine = {.name = "starter", .path = "models/starter"}};
    struct registry_setup models = {.models = &model, .models_count = 1};
    struct error err = ERROR_NONE;
    log_init(LOG_OFF, LOG_TEXT);
    registry_create(&registry, &runtime_options_default, &err);
    registry_configure(registry, &models, &err);
    registry_acquire(registry, NULL, CLOCK_NEVER, &engine, &err);
    api_create(&api, &api_options_default, registry, &err);
    ck_assert_msg(err.status == STATUS_OK, "%s", err.message);
    folder = folder_make();
    c = step_open_store(folder);
    api_set_collections(api, c, NULL);
    atomic_store(&over, false);
}

static void teardown(void) {
    api_destroy(api);
    registry_release(registry, engine);
    registry_destroy(registry);
    collections_close(c);
    buffer_free(&body);
    folder_remove(folder);
}

static void make(uint32_t dim, const char *digest, const char *id) {
    struct collection_spec spec = step_spec_of("c");
    struct collection_upserted upserted;
    struct error err = ERROR_NONE;
    float embedding[WIDE] = {1};
    struct item item = {.id = bytes_of(id), .embedding = embedding, .dim = dim};
    spec.dim = dim;
    memcpy(spec.model_digest, digest, sizeof(spec.model_digest));
    step_make(c, &spec);
    step_must_be(collection_upsert(c, "c", digest, &item, 1, &upserted, &err), STATUS_OK, &err,
                 "upsert");
}

static void *make_wider(void *unused) {
    for (int i = 0; i < TIMES; i++) make(i % 2 ? STEP_DIM : WIDE, step_digest_a, "x");
    atomic_store(&over, true);
    return unused;
}

/* Of the model that is there, and of another with as many dimensions. */
static void *make_of_another_model(void *unused) {
    const struct engine_info *info = engine_info(engine);
    for (int i = 0; i < TIMES; i++)
        make(info->embed_dim, i % 2 ? step_digest_a : info->sha256, i % 2 ? "other" : "x");
    atomic_store(&over, true);
    return unused;
}

/* Of the collection as it is; frees the answer, in which there is no "other". */
static enum status search(struct error *err) {
    struct fake_request fake;
    struct http_response response = {0};
    *err = ERROR_NONE;
    fake_request_init(&fake, "/collections/c/search", "application/json", buffer_view(&body));
    fake.request.params[0] = "c";
    enum status status = collection_search_post(api, &fake.request, &response, err);
    struct bytes text = buffer_view(&response.body);
    if (!status) ck_assert_ptr_null(memmem(text.data, text.size, "other", 5));
    buffer_free(&response.body);
    return status;
}

/* Searches for `what` until all has been made; what is found is "x". */
static void search_meanwhile(const char *what, void *(*change)(void *)) {
    pthread_t thread;
    struct error err = ERROR_NONE;
    size_t found = 0, refused = 0;
    /* Long to read, so that what is made anew is so amid a request. */
    buffer_init(&body, SPACES + 100);
    ck_assert_int_eq(buffer_printf(&body, &err, "%*s{%s,\"include\":[]}", SPACES, "", what),
                     STATUS_OK);
    pthread_create(&thread, NULL, change, NULL);
    while (!atomic_load(&over)) {
        enum status status = search(&err);
        ck_assert_msg(!status || status == STATUS_CONFLICT || status == STATUS_NOT_FOUND, "%s",
                      err.message);
        found += !status;
        refused += status != STATUS_OK;
    }
    pthread_join(thread, NULL);
    printf("%zu found, %zu refused\n", found, refused);
}

START_TEST(made_wider) {
    struct error err;
    search_meanwhile("\"id\":\"x\"", make_wider);
    ck_assert_msg(search(&err) == STATUS_OK, "when nothing changes any more: %s", err.message);
}
END_TEST

START_TEST(made_of_another_model) {
    struct error err;
    search_meanwhile("\"text\":\"a dog\"", make_of_another_model);
    ck_assert_int_eq(search(&err), STATUS_CONFLICT); /* the last is of the model that is not here */
}
END_TEST

static void put_heavy(void) {
    struct collection_spec spec = step_spec_of("c");
    struct collection_upserted upserted;
    float embedding[STEP_DIM] = {1};
    uint8_t *thumbnail = calloc(1, COLLECTION_THUMBNAIL_MAX);
    step_make(c, &spec);
    for (int i = 0; i < HEAVY; i++) {
        char id[] = {(char)('A' + i), 0};
        struct error err = ERROR_NONE;
        struct item item = {.id = bytes_of(id), .embedding = embedding, .dim = STEP_DIM};
        item.thumbnail = (struct bytes){thumbnail, COLLECTION_THUMBNAIL_MAX};
        step_must_be(collection_upsert(c, "c", spec.model_digest, &item, 1, &upserted, &err),
                     STATUS_OK, &err, "upsert");
    }
    free(thumbnail);
}

/* With `top_k` thumbnails, of which each has 1 MiB, and 4/3 as much in base64. */
static enum status search_heavy(int top_k, struct budget *memory, struct error *err) {
    struct fake_request fake;
    struct http_response response = {.memory = memory};
    *err = ERROR_NONE;
    body.size = 0;
    buffer_printf(&body, err, "{\"id\":\"A\",\"include\":[\"thumbnail\"],\"top_k\":%d}", top_k);
    fake_request_init(&fake, "/collections/c/search", "application/json", buffer_view(&body));
    fake.request.params[0] = "c";
    enum status status = collection_search_post(api, &fake.request, &response, err);
    buffer_free(&response.body);
    return status;
}

START_TEST(bounded_answers) {
    struct error err;
    struct budget memory = {.max = 300 << 20};
    buffer_init(&body, 1000);
    put_heavy();
    ck_assert_msg(search_heavy(40, &memory, &err) == STATUS_OK, "%s", err.message);
    ck_assert_uint_gt(budget_used(&memory), 40 << 20);
    /* Amid the making, not when all is there. */
    ck_assert(budget_take(&memory, 200 << 20));
    ck_assert_int_eq(search_heavy(40, &memory, &err), STATUS_OVERLOADED);
    ck_assert_uint_gt(budget_used(&memory), 295 << 20);
    ck_assert_int_eq(search_heavy(HEAVY, NULL, &err), STATUS_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(err.message, "fewer hits"));
}
END_TEST

START_TEST(bounded_pages) {
    struct fake_request fake;
    struct http_response response = {0};
    struct error err = ERROR_NONE;
    struct budget memory = {.max = 40 << 20};
    put_heavy();
    fake_request_init(&fake, "/collections/c/items", NULL, (struct bytes){0});
    fake.request.params[0] = "c";
    fake.query[0] = "include";
    fake.query[1] = "thumbnail";
    ck_assert_int_eq(items_get(api, &fake.request, &response, &err), STATUS_OK);
    ck_assert_uint_gt(response.body.size, 64 << 20);
    ck_assert_uint_lt(response.body.size, 66 << 20);
    response.memory = &memory;
    ck_assert_int_eq(items_get(api, &fake.request, &response, &err), STATUS_OK);
    ck_assert_uint_gt(response.body.size, 10 << 20);
    ck_assert_uint_lt(response.body.size, 12 << 20);
    ck_assert_uint_eq(response.charged, budget_used(&memory));
    response_init(&response, 200, NULL);
    ck_assert(budget_take(&memory, 35 << 20));
    ck_assert_int_eq(items_get(api, &fake.request, &response, &err), STATUS_OVERLOADED);
    ck_assert_uint_lt(response.body.size, 7 << 20);
    buffer_free(&response.body);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("search");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, made_wider);
    tcase_add_test(tests, made_of_another_model);
    tcase_add_test(tests, bounded_answers);
    tcase_add_test(tests, bounded_pages);
    return program_run("search", tests, CK_FORK_GETENV);
}
