/* Models that share memory: lazy loads that are waited for together, room that is made, and what is
 * told when there is none. Whoever asks always gets the same numbers as a model that is alone. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/trio.h"

static struct trio trio;

static void prepare(void) {
    trio_prepare(&trio);
}

static void open_registry(void) {
    trio_open(&trio);
}

static void close_registry(void) {
    registry_destroy(trio.registry);
}

START_TEST(a_load_is_shared) {
    struct trio_crowd crowd = {.trio = &trio, .models = 1};
    struct trio_member members[8];
    trio_configure_lazy(&trio, 0);
    trio_crowd_start(&crowd, members, 8, 1);
    trio_crowd_end(&crowd, 8);
    ck_assert_uint_eq(atomic_load(&crowd.done), 8);
    ck_assert_uint_eq(trio_view(&trio, "a").loads, 1);
    ck_assert_uint_eq(trio_view(&trio, "b").loads, 0);
}
END_TEST

START_TEST(the_least_recently_used_goes_first) {
    trio_configure_lazy(&trio, 2 * trio.bytes);
    trio_check(&trio, 0);
    trio_check(&trio, 1);
    trio_check(&trio, 0);
    trio_check(&trio, 2);
    ck_assert_int_eq(trio_view(&trio, "a").state, REGISTRY_LOADED);
    ck_assert_int_eq(trio_view(&trio, "b").state, REGISTRY_UNLOADED);
    ck_assert_uint_eq(trio_view(&trio, "b").evictions, 1);
    ck_assert_int_eq(trio_view(&trio, "c").state, REGISTRY_LOADED);
    trio_check(&trio, 1);
    ck_assert_int_eq(trio_view(&trio, "a").state, REGISTRY_UNLOADED);
    trio_configure_lazy(&trio, trio.bytes);
    ck_assert_int_eq(trio_view(&trio, "b").state, REGISTRY_LOADED);
    ck_assert_int_eq(trio_view(&trio, "c").state, REGISTRY_UNLOADED);
}
END_TEST

/* With a model held, another that would need its room waits for it. */
START_TEST(what_is_in_use_stays) {
    struct engine *engine;
    float found[TRIO_DIM_MAX];
    struct error err = ERROR_NONE;
    trio_configure_lazy(&trio, trio.bytes);
    ck_assert_int_eq(registry_acquire(trio.registry, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    ck_assert_int_eq(trio_embed(&trio, "b", clock_deadline(50), found, &err), STATUS_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(err.message, "\"b\""));
    trio_wait_until_it_is_to_go(&trio, "a");
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct bytes file = buffer_view(&trio.picture);
    ck_assert_int_eq(engine_embed_images(engine, &file, 1, found, &call, NULL), STATUS_OK);
    ck_assert_mem_eq(found, trio.expected[0], sizeof(found));
    registry_release(trio.registry, engine);
    trio_check(&trio, 1);
    ck_assert_int_eq(trio_view(&trio, "a").state, REGISTRY_UNLOADED);
    trio_check(&trio, 0);
}
END_TEST

/* A bound that one model fits: they take turns, and nobody is forgotten. */
START_TEST(taking_turns_under_load) {
    struct trio_crowd crowd = {.trio = &trio, .models = TRIO};
    struct trio_member members[8];
    trio_configure_lazy(&trio, trio.bytes);
    trio_crowd_start(&crowd, members, 8, 6);
    trio_crowd_end(&crowd, 8);
    ck_assert_uint_eq(atomic_load(&crowd.done), (size_t)8 * 6);
    ck_assert_uint_gt(trio_view(&trio, "a").evictions + trio_view(&trio, "b").evictions +
                          trio_view(&trio, "c").evictions,
                      2);
}
END_TEST

START_TEST(eager_models_stay) {
    struct registry_model models[TRIO];
    struct error err = ERROR_NONE;
    float found[TRIO_DIM_MAX];
    for (size_t i = 0; i < TRIO; i++) models[i] = trio_model(i, i ? REGISTRY_LAZY : REGISTRY_EAGER);
    trio_configure_well(&trio, models, TRIO, 2 * trio.bytes);
    trio_check(&trio, 1);
    trio_check(&trio, 2);
    trio_check(&trio, 1);
    ck_assert_uint_eq(trio_view(&trio, "a").loads, 1);
    ck_assert_uint_eq(trio_view(&trio, "a").evictions, 0);
    /* No room at all beside it. */
    trio_configure_well(&trio, models, TRIO, trio.bytes + trio.bytes / 4);
    ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, found, &err), STATUS_UNPROCESSABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "models_memory_max"));
    trio_check(&trio, 0);
    /* Nor can two be eager there. */
    models[1].load = REGISTRY_EAGER;
    err = ERROR_NONE;
    ck_assert_int_eq(trio_configure(&trio, models, TRIO, trio.bytes, &err), STATUS_UNPROCESSABLE);
    ck_assert_int_eq(trio_view(&trio, "b").load, REGISTRY_LAZY);
    trio_check(&trio, 0);
}
END_TEST

START_TEST(a_failed_load_is_told_and_tried_again) {
    char *folder = folder_make();
    float found[TRIO_DIM_MAX];
    struct error err = ERROR_NONE;
    struct registry_model models[] = {trio_model(0, REGISTRY_EAGER), trio_model(1, REGISTRY_LAZY)};
    models[1].engine.path = folder;
    trio_configure_well(&trio, models, 2, 0);
    for (size_t i = 1; i <= 2; i++) {
        err = ERROR_NONE;
        ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, found, &err), STATUS_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(err.message, folder));
        ck_assert_uint_eq(trio_view(&trio, "b").failures, i);
        ck_assert_str_ne(trio_view(&trio, "b").failure, "");
    }
    char path[300];
    snprintf(path, sizeof(path), "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("{\"model_type\": \"nothing\"", file);
    fclose(file);
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("not this", file);
    fclose(file);
    err = ERROR_NONE;
    ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, found, &err), STATUS_UNPROCESSABLE);
    trio_link_starter(folder);
    trio_check(&trio, 1);
    ck_assert_str_eq(trio_view(&trio, "b").failure, "");
    trio_check(&trio, 0);
    folder_remove(folder);
}
END_TEST

/* Asks for "a" until it need not be refused. */
static void *insist(void *argument) {
    enum status *status = argument;
    float found[TRIO_DIM_MAX];
    do {
        usleep(1000);
        *status = trio_embed(&trio, "a", CLOCK_NEVER, found, NULL);
    } while (*status == STATUS_OVERLOADED);
    return NULL;
}

START_TEST(too_many_do_not_wait) {
    struct engine *engine;
    struct error err = ERROR_NONE;
    float found[TRIO_DIM_MAX];
    struct registry_model models[] = {trio_model(0, REGISTRY_LAZY), trio_model(1, REGISTRY_LAZY)};
    struct registry_setup setup = {
        .models = models, .models_count = 2, .memory_max = trio.bytes, .waiting_max = 1};
    ck_assert_int_eq(registry_configure(trio.registry, &setup, &err), STATUS_OK);
    ck_assert_int_eq(registry_acquire(trio.registry, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    enum status status = trio_embed(&trio, "b", clock_deadline(20), found, NULL), theirs;
    ck_assert_int_eq(status, STATUS_TIMEOUT);
    trio_wait_until_it_is_to_go(&trio, "a"); /* it takes no more requests */
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, insist, &theirs), 0);
    while (status == STATUS_TIMEOUT) {
        usleep(10000);
        status = trio_embed(&trio, "b", clock_deadline(20), found, NULL);
    }
    ck_assert_int_eq(status, STATUS_OVERLOADED);
    registry_release(trio.registry, engine);
    pthread_join(thread, NULL);
    ck_assert_int_eq(theirs, STATUS_OK);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("residents");
    tcase_set_timeout(tests, 300);
    tcase_add_unchecked_fixture(tests, prepare, NULL);
    tcase_add_checked_fixture(tests, open_registry, close_registry);
    tcase_add_test(tests, a_load_is_shared);
    tcase_add_test(tests, the_least_recently_used_goes_first);
    tcase_add_test(tests, what_is_in_use_stays);
    tcase_add_test(tests, taking_turns_under_load);
    tcase_add_test(tests, eager_models_stay);
    tcase_add_test(tests, a_failed_load_is_told_and_tried_again);
    tcase_add_test(tests, too_many_do_not_wait);
    int failed = program_run("residents", tests, CK_NOFORK);
    buffer_free(&trio.picture);
    return failed;
}
