/* Searches by the ids of items, of a collection that is made anew all the time. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/context.h"
#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/store_steps.h"

enum { SPACES = 2 << 20, TIMES = 100, WIDE = 4096 };

static char *folder;
static struct api *api;
static struct collections *c;
static struct buffer body;
static _Atomic bool over;

static void setup(void) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(api_create(&api, &api_options_default, NULL, NULL), STATUS_OK);
    folder = folder_make();
    c = step_open_store(folder);
    api_set_collections(api, c, NULL);
    atomic_store(&over, false);
    /* Long to read, so that what is made anew is so amid a request. */
    buffer_init(&body, SPACES + 100);
    ck_assert_int_eq(
        buffer_printf(&body, &err, "%*s{\"id\":\"x\",\"top_k\":1,\"include\":[]}", SPACES, ""),
        STATUS_OK);
}

static void teardown(void) {
    api_destroy(api);
    collections_close(c);
    buffer_free(&body);
    folder_remove(folder);
}

static void make(uint32_t dim, const char *digest, const char *first, const char *second) {
    struct collection_spec spec = step_spec_of("c");
    struct collection_upserted upserted;
    struct error err = ERROR_NONE;
    float embeddings[2][WIDE] = {{1}, {0, 1}};
    struct item items[] = {{.id = bytes_of(first), .embedding = embeddings[0], .dim = dim},
                           {.id = bytes_of(second), .embedding = embeddings[1], .dim = dim}};
    spec.dim = dim;
    memcpy(spec.model_digest, digest, sizeof(spec.model_digest));
    step_make(c, &spec);
    step_must_be(collection_upsert(c, "c", digest, items, 2, &upserted, &err), STATUS_OK, &err,
                 "upsert");
}

static void *make_wider(void *unused) {
    for (int i = 0; i < TIMES; i++) make(i % 2 ? STEP_DIM : WIDE, step_digest_a, "x", "y");
    atomic_store(&over, true);
    return unused;
}

/* Searches until all has been made; an answer finds every item by itself. */
static void search_meanwhile(void *(*change)(void *)) {
    pthread_t thread;
    size_t found = 0, refused = 0;
    make(STEP_DIM, step_digest_a, "x", "y");
    pthread_create(&thread, NULL, change, NULL);
    while (!atomic_load(&over)) {
        struct fake_request fake;
        struct http_response response = {0};
        struct error err = ERROR_NONE;
        fake_request_init(&fake, "/collections/c/search", "application/json", buffer_view(&body));
        fake.request.params[0] = "c";
        enum status status = collection_search_post(api, &fake.request, &response, &err);
        if (status) {
            ck_assert_msg(status == STATUS_CONFLICT || status == STATUS_NOT_FOUND, "%s",
                          err.message);
            refused++;
        } else {
            struct bytes text = buffer_view(&response.body);
            ck_assert_ptr_nonnull(memmem(text.data, text.size, "\"x\"", 3));
            ck_assert_ptr_null(memmem(text.data, text.size, "\"y\"", 3));
            found++;
        }
        buffer_free(&response.body);
    }
    pthread_join(thread, NULL);
    printf("%zu found, %zu refused\n", found, refused);
}

START_TEST(made_wider) {
    search_meanwhile(make_wider);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("search");
    TCase *tests = tcase_create("search");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, made_wider);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
