/* Searches in a collection that is made anew all the time. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/context.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/store_steps.h"

enum { SPACES = 2 << 20, TIMES = 100, WIDE = 4096 };

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

int main(void) {
    Suite *suite = suite_create("search");
    TCase *tests = tcase_create("search");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, made_wider);
    tcase_add_test(tests, made_of_another_model);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
