/* Several models by their names, and configurations that change, also under load. Whoever asks
 * always gets the same numbers as from a model that is alone. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/support/files.h"
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

START_TEST(eager_models_are_there_at_once) {
    struct registry_model models[] = {trio_model(0, REGISTRY_EAGER), trio_model(1, REGISTRY_LAZY)};
    const char *aliases[] = {"small", "tiny"};
    models[1].aliases = aliases;
    models[1].aliases_count = 2;
    trio_configure_well(&trio, models, 2, 0);
    ck_assert_int_eq(trio_view(&trio, "a").state, REGISTRY_LOADED);
    ck_assert_int_eq(trio_view(&trio, "b").state, REGISTRY_UNLOADED);
    ck_assert_uint_eq(trio_view(&trio, "b").bytes, 0);
    float found[TRIO_DIM_MAX];
    struct error err = ERROR_NONE;
    ck_assert_int_eq(trio_embed(&trio, NULL, CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert_mem_eq(found, trio.expected[0], sizeof(found));
    ck_assert_int_eq(trio_embed(&trio, "tiny", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert_mem_eq(found, trio.expected[1], sizeof(found));
    ck_assert_int_eq(trio_view(&trio, "b").state, REGISTRY_LOADED);
    ck_assert_int_eq(trio_embed(&trio, "huge", CLOCK_NEVER, found, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "a, b, small, tiny"));
    ck_assert_str_eq(trio_view(&trio, "tiny").name, "b");
    models[0].aliases = aliases;
    models[0].aliases_count = 1;
    ck_assert_int_eq(trio_configure(&trio, models, 2, 0, NULL), STATUS_CONFLICT);
    ck_assert_int_eq(trio_embed(&trio, "tiny", CLOCK_NEVER, found, NULL), STATUS_OK);
}
END_TEST

/* What is eager is judged by the configuration that comes, not by the one that was. */
START_TEST(eager_and_lazy_change_places) {
    struct registry_model models[TRIO];
    struct error err = ERROR_NONE;
    trio_configure_lazy(&trio, trio.bytes);
    for (size_t i = 0; i < 2; i++) models[i] = trio_model(i, REGISTRY_EAGER);
    ck_assert_int_eq(trio_configure(&trio, models, 2, trio.bytes, &err), STATUS_UNPROCESSABLE);
    models[1].load = REGISTRY_LAZY;
    trio_configure_well(&trio, models, 2, trio.bytes);
    models[0].load = REGISTRY_LAZY;
    models[1].load = REGISTRY_EAGER;
    trio_configure_well(&trio, models, 2, trio.bytes);
    ck_assert_uint_eq(trio_view(&trio, "b").loads, 1);
    trio_check(&trio, 1);
}
END_TEST

START_TEST(a_wrong_configuration_changes_nothing) {
    struct error err = ERROR_NONE;
    struct registry_model models[] = {trio_model(0, REGISTRY_EAGER), trio_model(1, REGISTRY_EAGER)};
    trio_configure_well(&trio, models, 1, 0);
    models[1].engine.path = "/nonexistent/model";
    ck_assert_int_eq(trio_configure(&trio, models, 2, 0, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/model"));
    ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, trio.expected[1], NULL), STATUS_NOT_FOUND);
    trio_check(&trio, 0);
    ck_assert_uint_eq(trio_view(&trio, "a").loads, 1);
}
END_TEST

START_TEST(what_is_unchanged_stays) {
    struct registry_model models[] = {trio_model(0, REGISTRY_EAGER), trio_model(1, REGISTRY_EAGER),
                                      trio_model(2, REGISTRY_EAGER)};
    trio_configure_well(&trio, models, 2, 0);
    const char *aliases[] = {"other"};
    models[0].aliases = aliases;
    models[0].aliases_count = 1;
    models[0].is_default = false;
    models[1] = models[2];
    models[1].is_default = true;
    trio_configure_well(&trio, models, 2, 0);
    ck_assert_uint_eq(trio_view(&trio, "a").loads, 1);
    ck_assert(!trio_view(&trio, "a").is_default);
    ck_assert(trio_view(&trio, "c").is_default);
    float found[TRIO_DIM_MAX];
    ck_assert_str_eq(trio_view(&trio, "other").name, "a");
    ck_assert_int_eq(trio_embed(&trio, "other", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert_mem_eq(found, trio.expected[0], sizeof(found));
    ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, found, NULL), STATUS_NOT_FOUND);
    trio_check(&trio, 2);
}
END_TEST

/* Images are normalised in another way from now on. */
static void change_files(const char *folder) {
    char path[300];
    struct buffer text = files_load("models/starter/preprocessor_config.json");
    ck_assert_int_eq(buffer_append(&text, "", 1, NULL), STATUS_OK);
    char *mean = strstr((char *)text.data, "0.48145466");
    ck_assert_ptr_nonnull(mean);
    mean[2] = '6';
    snprintf(path, sizeof(path), "%s/preprocessor_config.json", folder);
    unlink(path);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs((const char *)text.data, file);
    fclose(file);
    buffer_free(&text);
}

START_TEST(files_that_change_are_loaded_anew) {
    char *folder = folder_make();
    float found[TRIO_DIM_MAX];
    struct registry_model model = trio_model(1, REGISTRY_EAGER);
    trio_link_starter(folder);
    model.engine.path = folder;
    trio_configure_well(&trio, &model, 1, 0);
    trio_configure_well(&trio, &model, 1, 0);
    ck_assert_uint_eq(trio_view(&trio, "b").loads, 1);
    trio_check(&trio, 1);
    change_files(folder);
    trio_check(&trio, 1);
    trio_configure_well(&trio, &model, 1, 0);
    ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert(!trio_same(found, trio.expected[1]));
    folder_remove(folder);
}
END_TEST

/* One merge less. */
static void change_vocabulary(const char *folder) {
    char path[300];
    struct buffer text = files_load("models/starter/merges.txt");
    snprintf(path, sizeof(path), "%s/merges.txt", folder);
    unlink(path);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    const uint8_t *end = memrchr(text.data, '\n', text.size - 1);
    size_t size = (size_t)(end - text.data) + 1;
    ck_assert_uint_eq(fwrite(text.data, 1, size, file), size);
    fclose(file);
    buffer_free(&text);
}

static void read_identity(char out[65]) {
    struct engine *engine;
    ck_assert_int_eq(registry_acquire(trio.registry, "b", CLOCK_NEVER, &engine, NULL), STATUS_OK);
    snprintf(out, 65, "%s", engine_info(engine)->identity);
    registry_release(trio.registry, engine);
}

/* Beside the weights, or as a folder or a file of its own. */
START_TEST(a_vocabulary_that_changes_is_loaded_anew) {
    char *folder = folder_make();
    char file[300], before[65], after[65];
    struct registry_model model = trio_model(1, REGISTRY_EAGER);
    trio_link_starter(folder);
    snprintf(file, sizeof(file), "%s/vocab.json", folder);
    if (_i == 0)
        model.engine.path = folder;
    else
        model.engine.vocab = _i == 1 ? folder : file;
    trio_configure_well(&trio, &model, 1, 0);
    read_identity(before);
    trio_configure_well(&trio, &model, 1, 0);
    read_identity(after);
    ck_assert_str_eq(before, after);
    change_vocabulary(folder);
    trio_configure_well(&trio, &model, 1, 0);
    read_identity(after);
    ck_assert_str_ne(before, after);
    trio_check(&trio, 1);
    folder_remove(folder);
}
END_TEST

static void *ask_for_b(void *argument) {
    enum status *status = argument;
    float found[TRIO_DIM_MAX];
    *status = trio_embed(&trio, "b", CLOCK_NEVER, found, NULL);
    return NULL;
}

static void *configure_again(void *argument) {
    trio_configure_well(&trio, argument, 2, trio.bytes);
    return NULL;
}

/* What a load has read already is not what the new configuration is about. */
START_TEST(files_that_change_while_they_are_loaded) {
    char *folder = folder_make();
    float found[TRIO_DIM_MAX];
    struct engine *engine;
    enum status theirs;
    pthread_t waits, configures;
    struct registry_model models[] = {trio_model(0, REGISTRY_LAZY), trio_model(1, REGISTRY_LAZY)};
    trio_link_starter(folder);
    models[1].engine.path = folder;
    trio_configure_well(&trio, models, 2, trio.bytes);
    ck_assert_int_eq(registry_acquire(trio.registry, "a", CLOCK_NEVER, &engine, NULL), STATUS_OK);
    ck_assert_int_eq(pthread_create(&waits, NULL, ask_for_b, &theirs), 0);
    trio_wait_until_it_is_to_go(&trio, "a"); /* "b" has been measured and wants the room */
    change_files(folder);
    ck_assert_int_eq(pthread_create(&configures, NULL, configure_again, models), 0);
    while (trio_view(&trio, "b").state != REGISTRY_UNLOADED)
        usleep(1000); /* until it is the new one */
    registry_release(trio.registry, engine);
    pthread_join(waits, NULL);
    pthread_join(configures, NULL);
    ck_assert_int_eq(theirs, STATUS_OK);
    ck_assert_int_eq(trio_embed(&trio, "b", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert(!trio_same(found, trio.expected[1]));
    folder_remove(folder);
}
END_TEST

START_TEST(collections_find_their_model_by_its_digest) {
    struct registry_model models[] = {trio_model(0, REGISTRY_LAZY), trio_model(1, REGISTRY_LAZY)};
    models[1].engine.path = "tests/golden/model/hf";
    models[1].engine.image_size = 0;
    models[1].engine.vocab = "models/starter"; /* too large for it */
    trio_configure_well(&trio, models, 2, 0);
    struct engine *engine;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(registry_acquire(trio.registry, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    char digest[65];
    snprintf(digest, sizeof(digest), "%s", engine_info(engine)->sha256);
    registry_release(trio.registry, engine);
    ck_assert_int_eq(
        registry_acquire_digest(trio.registry, digest, "gone", CLOCK_NEVER, &engine, &err),
        STATUS_OK);
    ck_assert_str_eq(engine_info(engine)->name, "a");
    registry_release(trio.registry, engine);
    /* Unknown while it has not been loaded, unless it is called so. */
    models[0].engine.name = "renamed";
    trio_configure_well(&trio, models, 1, 0);
    ck_assert_int_eq(
        registry_acquire_digest(trio.registry, digest, "a", CLOCK_NEVER, &engine, &err),
        STATUS_NOT_FOUND);
    err = ERROR_NONE;
    ck_assert_int_eq(
        registry_acquire_digest(trio.registry, digest, "renamed", CLOCK_NEVER, &engine, &err),
        STATUS_OK);
    registry_release(trio.registry, engine);
    ck_assert_int_eq(
        registry_acquire_digest(trio.registry, digest, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    registry_release(trio.registry, engine);
    digest[0] = digest[0] == '0' ? '1' : '0';
    ck_assert_int_eq(
        registry_acquire_digest(trio.registry, digest, "renamed", CLOCK_NEVER, &engine, &err),
        STATUS_NOT_FOUND);
}
END_TEST

/* Models come, go, change and are evicted while requests for two of them run without a pause. */
START_TEST(changes_under_load) {
    struct trio_crowd crowd = {.trio = &trio, .models = 2};
    struct trio_member members[6];
    struct registry_model models[TRIO];
    for (size_t i = 0; i < TRIO; i++) models[i] = trio_model(i, REGISTRY_LAZY);
    trio_configure_well(&trio, models, TRIO, 0);
    trio_crowd_start(&crowd, members, 6, 0);
    for (size_t round = 0; round < 8; round++) {
        models[0].load = round % 2 ? REGISTRY_LAZY : REGISTRY_EAGER;
        models[1].engine.queue_limit = 100 + (uint32_t)(round / 2); /* another model, then */
        size_t max = round % 3 == 0 ? 0 : round % 3 == 1 ? 2 * trio.bytes : 3 * trio.bytes;
        trio_configure_well(&trio, models, round % 4 == 3 ? 2 : TRIO, max);
        if (round % 4 != 3) trio_check(&trio, 2);
        models[2].engine.path = "/nonexistent";
        models[2].load = REGISTRY_EAGER;
        ck_assert_int_eq(trio_configure(&trio, models, TRIO, trio.bytes * 8, NULL),
                         STATUS_NOT_FOUND);
        models[2] = trio_model(2, REGISTRY_LAZY);
    }
    trio_crowd_end(&crowd, 6);
    ck_assert_uint_gt(atomic_load(&crowd.done), 12);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("registry");
    tcase_set_timeout(tests, 300);
    tcase_add_unchecked_fixture(tests, prepare, NULL);
    tcase_add_checked_fixture(tests, open_registry, close_registry);
    tcase_add_test(tests, eager_models_are_there_at_once);
    tcase_add_test(tests, eager_and_lazy_change_places);
    tcase_add_test(tests, a_wrong_configuration_changes_nothing);
    tcase_add_test(tests, what_is_unchanged_stays);
    tcase_add_test(tests, files_that_change_are_loaded_anew);
    tcase_add_loop_test(tests, a_vocabulary_that_changes_is_loaded_anew, 0, 3);
    tcase_add_test(tests, files_that_change_while_they_are_loaded);
    tcase_add_test(tests, collections_find_their_model_by_its_digest);
    tcase_add_test(tests, changes_under_load);
    int failed = program_run("registry", tests, CK_NOFORK);
    buffer_free(&trio.picture);
    return failed;
}
