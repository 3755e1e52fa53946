/* Several models at once: lazy loads that are shared, room that is made, configurations that
 * change under load. The models are the starter and the small goldens; whoever asks always gets the
 * same numbers as a model that is alone. */
#include "core/registry.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"

enum { MODELS = 3, DIM_MAX = 192 };

/* The starter at three small sizes of image: different models as far as anybody can tell, but of
 * about the same size in memory. */
static const char *const names[MODELS] = {"a", "b", "c"};
static const uint32_t sizes[MODELS] = {16, 24, 32};

static struct registry *registry;
static struct buffer picture;
static float expected[MODELS][DIM_MAX];
static size_t bytes_of_model; /* of the largest */

static struct registry_model model_of(size_t index, enum registry_load load) {
    return (struct registry_model){
        .engine = {.name = names[index],
                   .path = "models/starter",
                   .precision = "fp32",
                   .image_size = sizes[index]},
        .is_default = index == 0,
        .load = load,
    };
}

static enum status configure(const struct registry_model *models, size_t count, size_t memory_max,
                             struct error *err) {
    struct registry_setup setup = {
        .models = models, .models_count = count, .memory_max = memory_max};
    return registry_configure(registry, &setup, err);
}

static void configure_well(const struct registry_model *models, size_t count, size_t memory_max) {
    struct error err = ERROR_NONE;
    ck_assert_msg(configure(models, count, memory_max, &err) == STATUS_OK, "%s", err.message);
}

/* All three, lazy. */
static void configure_lazy(size_t memory_max) {
    struct registry_model models[MODELS];
    for (size_t i = 0; i < MODELS; i++) models[i] = model_of(i, REGISTRY_LAZY);
    configure_well(models, MODELS, memory_max);
}

static enum status embed(const char *name, uint64_t deadline_ns, float *out, struct error *err) {
    struct engine *engine;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct bytes file = buffer_view(&picture);
    enum status status = registry_acquire(registry, name, deadline_ns, &engine, err);
    if (!status) status = engine_embed_images(engine, &file, 1, out, &call, err);
    registry_release(registry, engine);
    return status;
}

/* To the bit: no embedding here has a zero or a NaN. */
static bool same(const float *found, const float *said) {
    for (size_t i = 0; i < DIM_MAX; i++) {
        if (!(found[i] == said[i])) return false;
    }
    return true;
}

static void check_model(size_t index) {
    float found[DIM_MAX] = {0};
    struct error err = ERROR_NONE;
    enum status status = embed(names[index], CLOCK_NEVER, found, &err);
    ck_assert_msg(status == STATUS_OK, "%s: %s", names[index], err.message);
    ck_assert_mem_eq(found, expected[index], sizeof(found));
}

/* What is known of one model. */
struct search {
    const char *name;
    struct registry_view found;
};

static void visit(void *context, const struct registry_view *view) {
    struct search *search = context;
    if (registry_view_is_called(view, search->name)) search->found = *view;
}

static struct registry_view view_of(const char *name) {
    struct search search = {.name = name};
    registry_each(registry, visit, &search);
    ck_assert_ptr_nonnull(search.found.name);
    return search.found;
}

/* Until another model's load has got as far as to want its room. */
static void wait_until_it_is_to_go(const char *name) {
    while (view_of(name).state != REGISTRY_UNLOADING) usleep(1000);
}

static void open_registry(void) {
    struct runtime_options options = runtime_options_default;
    struct error err = ERROR_NONE;
    options.threads = 2;
    log_init(LOG_OFF, LOG_TEXT);
    ck_assert_int_eq(registry_create(&registry, &options, &err), STATUS_OK);
}

static void prepare(void) {
    picture = files_load("docs/pictures/ship.jpg");
    open_registry();
    configure_lazy(0);
    for (size_t i = 0; i < MODELS; i++) {
        struct error err = ERROR_NONE;
        ck_assert_int_eq(embed(names[i], CLOCK_NEVER, expected[i], &err), STATUS_OK);
        size_t bytes = view_of(names[i]).bytes;
        if (bytes > bytes_of_model) bytes_of_model = bytes;
    }
    ck_assert_uint_gt(bytes_of_model, (size_t)1 << 20);
    registry_destroy(registry);
}

static void close_registry(void) {
    registry_destroy(registry);
}

START_TEST(eager_models_are_there_at_once) {
    struct registry_model models[] = {model_of(0, REGISTRY_EAGER), model_of(1, REGISTRY_LAZY)};
    const char *aliases[] = {"small", "tiny"};
    models[1].aliases = aliases;
    models[1].aliases_count = 2;
    configure_well(models, 2, 0);
    ck_assert_int_eq(view_of("a").state, REGISTRY_LOADED);
    ck_assert_int_eq(view_of("b").state, REGISTRY_UNLOADED);
    ck_assert_uint_eq(view_of("b").bytes, 0);
    float found[DIM_MAX];
    struct error err = ERROR_NONE;
    ck_assert_int_eq(embed(NULL, CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert_mem_eq(found, expected[0], sizeof(found));
    ck_assert_int_eq(embed("tiny", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert_mem_eq(found, expected[1], sizeof(found));
    ck_assert_int_eq(view_of("b").state, REGISTRY_LOADED);
    ck_assert_int_eq(embed("huge", CLOCK_NEVER, found, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "a, b, small, tiny"));
    ck_assert_str_eq(view_of("tiny").name, "b");
    models[0].aliases = aliases;
    models[0].aliases_count = 1;
    ck_assert_int_eq(configure(models, 2, 0, NULL), STATUS_CONFLICT);
    ck_assert_int_eq(embed("tiny", CLOCK_NEVER, found, NULL), STATUS_OK);
}
END_TEST

/* ---- many at once ---- */

struct crowd {
    pthread_t threads[8];
    _Atomic bool stop;
    _Atomic size_t done, wrong;
    size_t models;
};

struct member {
    struct crowd *crowd;
    uint32_t seed;
    size_t turns; /* 0: until told to stop */
};

static void *ask(void *argument) {
    struct member *member = argument;
    struct crowd *crowd = member->crowd;
    for (size_t i = 0; member->turns ? i < member->turns : !atomic_load(&crowd->stop); i++) {
        float found[DIM_MAX];
        member->seed = member->seed * 1664525 + 1013904223;
        size_t model = (member->seed >> 16) % crowd->models;
        bool good = embed(names[model], CLOCK_NEVER, found, NULL) == STATUS_OK &&
                    same(found, expected[model]);
        atomic_fetch_add(good ? &crowd->done : &crowd->wrong, 1);
    }
    return NULL;
}

static void start_crowd(struct crowd *crowd, struct member *members, size_t count, size_t turns) {
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct member){.crowd = crowd, .seed = (uint32_t)i + 1, .turns = turns};
        ck_assert_int_eq(pthread_create(&crowd->threads[i], NULL, ask, &members[i]), 0);
    }
}

static void end_crowd(struct crowd *crowd, size_t count) {
    atomic_store(&crowd->stop, true);
    for (size_t i = 0; i < count; i++) pthread_join(crowd->threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&crowd->wrong), 0);
}

START_TEST(a_load_is_shared) {
    struct crowd crowd = {.models = 1};
    struct member members[8];
    configure_lazy(0);
    start_crowd(&crowd, members, 8, 1);
    end_crowd(&crowd, 8);
    ck_assert_uint_eq(atomic_load(&crowd.done), 8);
    ck_assert_uint_eq(view_of("a").loads, 1);
    ck_assert_uint_eq(view_of("b").loads, 0);
}
END_TEST

START_TEST(the_least_recently_used_goes_first) {
    configure_lazy(2 * bytes_of_model);
    check_model(0);
    check_model(1);
    check_model(0);
    check_model(2);
    ck_assert_int_eq(view_of("a").state, REGISTRY_LOADED);
    ck_assert_int_eq(view_of("b").state, REGISTRY_UNLOADED);
    ck_assert_uint_eq(view_of("b").evictions, 1);
    ck_assert_int_eq(view_of("c").state, REGISTRY_LOADED);
    check_model(1);
    ck_assert_int_eq(view_of("a").state, REGISTRY_UNLOADED);
    configure_lazy(bytes_of_model);
    ck_assert_int_eq(view_of("b").state, REGISTRY_LOADED);
    ck_assert_int_eq(view_of("c").state, REGISTRY_UNLOADED);
}
END_TEST

/* With a model held, another that would need its room waits for it. */
START_TEST(what_is_in_use_stays) {
    struct engine *engine;
    float found[DIM_MAX];
    struct error err = ERROR_NONE;
    configure_lazy(bytes_of_model);
    ck_assert_int_eq(registry_acquire(registry, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    ck_assert_int_eq(embed("b", clock_deadline(50), found, &err), STATUS_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(err.message, "\"b\""));
    wait_until_it_is_to_go("a");
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct bytes file = buffer_view(&picture);
    ck_assert_int_eq(engine_embed_images(engine, &file, 1, found, &call, NULL), STATUS_OK);
    ck_assert_mem_eq(found, expected[0], sizeof(found));
    registry_release(registry, engine);
    check_model(1);
    ck_assert_int_eq(view_of("a").state, REGISTRY_UNLOADED);
    check_model(0);
}
END_TEST

/* A bound that one model fits: they take turns, and nobody is forgotten. */
START_TEST(taking_turns_under_load) {
    struct crowd crowd = {.models = MODELS};
    struct member members[8];
    configure_lazy(bytes_of_model);
    start_crowd(&crowd, members, 8, 6);
    end_crowd(&crowd, 8);
    ck_assert_uint_eq(atomic_load(&crowd.done), (size_t)8 * 6);
    ck_assert_uint_gt(view_of("a").evictions + view_of("b").evictions + view_of("c").evictions, 2);
}
END_TEST

START_TEST(eager_models_stay) {
    struct registry_model models[MODELS];
    struct error err = ERROR_NONE;
    float found[DIM_MAX];
    for (size_t i = 0; i < MODELS; i++) models[i] = model_of(i, i ? REGISTRY_LAZY : REGISTRY_EAGER);
    configure_well(models, MODELS, 2 * bytes_of_model);
    check_model(1);
    check_model(2);
    check_model(1);
    ck_assert_uint_eq(view_of("a").loads, 1);
    ck_assert_uint_eq(view_of("a").evictions, 0);
    /* No room at all beside it. */
    configure_well(models, MODELS, bytes_of_model + bytes_of_model / 4);
    ck_assert_int_eq(embed("b", CLOCK_NEVER, found, &err), STATUS_UNPROCESSABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "models_memory_max"));
    check_model(0);
    /* Nor can two be eager there. */
    models[1].load = REGISTRY_EAGER;
    err = ERROR_NONE;
    ck_assert_int_eq(configure(models, MODELS, bytes_of_model, &err), STATUS_UNPROCESSABLE);
    ck_assert_int_eq(view_of("b").load, REGISTRY_LAZY);
    check_model(0);
}
END_TEST

/* What is eager is judged by the configuration that comes, not by the one that was. */
START_TEST(eager_and_lazy_change_places) {
    struct registry_model models[MODELS];
    struct error err = ERROR_NONE;
    configure_lazy(bytes_of_model);
    for (size_t i = 0; i < 2; i++) models[i] = model_of(i, REGISTRY_EAGER);
    ck_assert_int_eq(configure(models, 2, bytes_of_model, &err), STATUS_UNPROCESSABLE);
    models[1].load = REGISTRY_LAZY;
    configure_well(models, 2, bytes_of_model);
    models[0].load = REGISTRY_LAZY;
    models[1].load = REGISTRY_EAGER;
    configure_well(models, 2, bytes_of_model);
    ck_assert_uint_eq(view_of("b").loads, 1);
    check_model(1);
}
END_TEST

/* ---- failures ---- */

/* The starter in a folder that is not there yet. */
static void link_starter(const char *folder) {
    static const char *const files[] = {"config.json",           "merges.txt",
                                        "model.safetensors",     "preprocessor_config.json",
                                        "tokenizer_config.json", "vocab.json"};
    char from[300], to[300], here[200];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(from, sizeof(from), "%s/models/starter/%s", here, files[i]);
        snprintf(to, sizeof(to), "%s/%s", folder, files[i]);
        unlink(to);
        ck_assert_int_eq(symlink(from, to), 0);
    }
}

START_TEST(a_failed_load_is_told_and_tried_again) {
    char *folder = folder_make();
    float found[DIM_MAX];
    struct error err = ERROR_NONE;
    struct registry_model models[] = {model_of(0, REGISTRY_EAGER), model_of(1, REGISTRY_LAZY)};
    models[1].engine.path = folder;
    configure_well(models, 2, 0);
    for (size_t i = 1; i <= 2; i++) {
        err = ERROR_NONE;
        ck_assert_int_eq(embed("b", CLOCK_NEVER, found, &err), STATUS_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(err.message, folder));
        ck_assert_uint_eq(view_of("b").failures, i);
        ck_assert_str_ne(view_of("b").failure, "");
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
    ck_assert_int_eq(embed("b", CLOCK_NEVER, found, &err), STATUS_UNPROCESSABLE);
    link_starter(folder);
    check_model(1);
    ck_assert_str_eq(view_of("b").failure, "");
    check_model(0);
    folder_remove(folder);
}
END_TEST

START_TEST(a_wrong_configuration_changes_nothing) {
    struct error err = ERROR_NONE;
    struct registry_model models[] = {model_of(0, REGISTRY_EAGER), model_of(1, REGISTRY_EAGER)};
    configure_well(models, 1, 0);
    models[1].engine.path = "/nonexistent/model";
    ck_assert_int_eq(configure(models, 2, 0, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/model"));
    ck_assert_int_eq(embed("b", CLOCK_NEVER, expected[1], NULL), STATUS_NOT_FOUND);
    check_model(0);
    ck_assert_uint_eq(view_of("a").loads, 1);
}
END_TEST

/* Asks for "a" until it need not be refused. */
static void *insist(void *argument) {
    enum status *status = argument;
    float found[DIM_MAX];
    do {
        usleep(1000);
        *status = embed("a", CLOCK_NEVER, found, NULL);
    } while (*status == STATUS_OVERLOADED);
    return NULL;
}

START_TEST(too_many_do_not_wait) {
    struct engine *engine;
    struct error err = ERROR_NONE;
    float found[DIM_MAX];
    struct registry_model models[] = {model_of(0, REGISTRY_LAZY), model_of(1, REGISTRY_LAZY)};
    struct registry_setup setup = {
        .models = models, .models_count = 2, .memory_max = bytes_of_model, .waiting_max = 1};
    ck_assert_int_eq(registry_configure(registry, &setup, &err), STATUS_OK);
    ck_assert_int_eq(registry_acquire(registry, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    enum status status = embed("b", clock_deadline(20), found, NULL), theirs;
    ck_assert_int_eq(status, STATUS_TIMEOUT);
    wait_until_it_is_to_go("a"); /* it takes no more requests */
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, insist, &theirs), 0);
    while (status == STATUS_TIMEOUT) {
        usleep(10000);
        status = embed("b", clock_deadline(20), found, NULL);
    }
    ck_assert_int_eq(status, STATUS_OVERLOADED);
    registry_release(registry, engine);
    pthread_join(thread, NULL);
    ck_assert_int_eq(theirs, STATUS_OK);
}
END_TEST

/* ---- configurations that change ---- */

START_TEST(what_is_unchanged_stays) {
    struct registry_model models[] = {model_of(0, REGISTRY_EAGER), model_of(1, REGISTRY_EAGER),
                                      model_of(2, REGISTRY_EAGER)};
    configure_well(models, 2, 0);
    const char *aliases[] = {"other"};
    models[0].aliases = aliases;
    models[0].aliases_count = 1;
    models[0].is_default = false;
    models[1] = models[2];
    models[1].is_default = true;
    configure_well(models, 2, 0);
    ck_assert_uint_eq(view_of("a").loads, 1);
    ck_assert(!view_of("a").is_default);
    ck_assert(view_of("c").is_default);
    float found[DIM_MAX];
    ck_assert_str_eq(view_of("other").name, "a");
    ck_assert_int_eq(embed("other", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert_mem_eq(found, expected[0], sizeof(found));
    ck_assert_int_eq(embed("b", CLOCK_NEVER, found, NULL), STATUS_NOT_FOUND);
    check_model(2);
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
    float found[DIM_MAX];
    struct registry_model model = model_of(1, REGISTRY_EAGER);
    link_starter(folder);
    model.engine.path = folder;
    configure_well(&model, 1, 0);
    configure_well(&model, 1, 0);
    ck_assert_uint_eq(view_of("b").loads, 1);
    check_model(1);
    change_files(folder);
    check_model(1);
    configure_well(&model, 1, 0);
    ck_assert_int_eq(embed("b", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert(!same(found, expected[1]));
    folder_remove(folder);
}
END_TEST

static void *ask_for_b(void *argument) {
    enum status *status = argument;
    float found[DIM_MAX];
    *status = embed("b", CLOCK_NEVER, found, NULL);
    return NULL;
}

static void *configure_again(void *argument) {
    configure_well(argument, 2, bytes_of_model);
    return NULL;
}

/* What a load has read already is not what the new configuration is about. */
START_TEST(files_that_change_while_they_are_loaded) {
    char *folder = folder_make();
    float found[DIM_MAX];
    struct engine *engine;
    enum status theirs;
    pthread_t waits, configures;
    struct registry_model models[] = {model_of(0, REGISTRY_LAZY), model_of(1, REGISTRY_LAZY)};
    link_starter(folder);
    models[1].engine.path = folder;
    configure_well(models, 2, bytes_of_model);
    ck_assert_int_eq(registry_acquire(registry, "a", CLOCK_NEVER, &engine, NULL), STATUS_OK);
    ck_assert_int_eq(pthread_create(&waits, NULL, ask_for_b, &theirs), 0);
    wait_until_it_is_to_go("a"); /* "b" has been measured and wants the room */
    change_files(folder);
    ck_assert_int_eq(pthread_create(&configures, NULL, configure_again, models), 0);
    while (view_of("b").state != REGISTRY_UNLOADED) usleep(1000); /* until it is the new one */
    registry_release(registry, engine);
    pthread_join(waits, NULL);
    pthread_join(configures, NULL);
    ck_assert_int_eq(theirs, STATUS_OK);
    ck_assert_int_eq(embed("b", CLOCK_NEVER, found, NULL), STATUS_OK);
    ck_assert(!same(found, expected[1]));
    folder_remove(folder);
}
END_TEST

START_TEST(collections_find_their_model_by_its_digest) {
    struct registry_model models[] = {model_of(0, REGISTRY_LAZY), model_of(1, REGISTRY_LAZY)};
    models[1].engine.path = "tests/golden/model/hf";
    models[1].engine.image_size = 0;
    models[1].engine.vocab = "models/starter"; /* too large for it */
    configure_well(models, 2, 0);
    struct engine *engine;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(registry_acquire(registry, "a", CLOCK_NEVER, &engine, &err), STATUS_OK);
    char digest[65];
    snprintf(digest, sizeof(digest), "%s", engine_info(engine)->sha256);
    registry_release(registry, engine);
    ck_assert_int_eq(registry_acquire_digest(registry, digest, "gone", CLOCK_NEVER, &engine, &err),
                     STATUS_OK);
    ck_assert_str_eq(engine_info(engine)->name, "a");
    registry_release(registry, engine);
    /* Unknown while it has not been loaded, unless it is called so. */
    models[0].engine.name = "renamed";
    configure_well(models, 1, 0);
    ck_assert_int_eq(registry_acquire_digest(registry, digest, "a", CLOCK_NEVER, &engine, &err),
                     STATUS_NOT_FOUND);
    err = ERROR_NONE;
    ck_assert_int_eq(
        registry_acquire_digest(registry, digest, "renamed", CLOCK_NEVER, &engine, &err),
        STATUS_OK);
    registry_release(registry, engine);
    ck_assert_int_eq(registry_acquire_digest(registry, digest, "a", CLOCK_NEVER, &engine, &err),
                     STATUS_OK);
    registry_release(registry, engine);
    digest[0] = digest[0] == '0' ? '1' : '0';
    ck_assert_int_eq(
        registry_acquire_digest(registry, digest, "renamed", CLOCK_NEVER, &engine, &err),
        STATUS_NOT_FOUND);
}
END_TEST

/* Models come, go, change and are evicted while requests for two of them run without a pause. */
START_TEST(changes_under_load) {
    struct crowd crowd = {.models = 2};
    struct member members[6];
    struct registry_model models[MODELS];
    for (size_t i = 0; i < MODELS; i++) models[i] = model_of(i, REGISTRY_LAZY);
    configure_well(models, MODELS, 0);
    start_crowd(&crowd, members, 6, 0);
    for (size_t round = 0; round < 8; round++) {
        models[0].load = round % 2 ? REGISTRY_LAZY : REGISTRY_EAGER;
        models[1].engine.queue_limit = 100 + (uint32_t)(round / 2); /* another model, then */
        size_t max = round % 3 == 0 ? 0 : round % 3 == 1 ? 2 * bytes_of_model : 3 * bytes_of_model;
        configure_well(models, round % 4 == 3 ? 2 : MODELS, max);
        if (round % 4 != 3) check_model(2);
        models[2].engine.path = "/nonexistent";
        models[2].load = REGISTRY_EAGER;
        ck_assert_int_eq(configure(models, MODELS, bytes_of_model * 8, NULL), STATUS_NOT_FOUND);
        models[2] = model_of(2, REGISTRY_LAZY);
    }
    end_crowd(&crowd, 6);
    ck_assert_uint_gt(atomic_load(&crowd.done), 12);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("registry");
    TCase *tests = tcase_create("registry");
    tcase_set_timeout(tests, 300);
    tcase_add_unchecked_fixture(tests, prepare, NULL);
    tcase_add_checked_fixture(tests, open_registry, close_registry);
    tcase_add_test(tests, eager_models_are_there_at_once);
    tcase_add_test(tests, a_load_is_shared);
    tcase_add_test(tests, the_least_recently_used_goes_first);
    tcase_add_test(tests, what_is_in_use_stays);
    tcase_add_test(tests, taking_turns_under_load);
    tcase_add_test(tests, eager_models_stay);
    tcase_add_test(tests, eager_and_lazy_change_places);
    tcase_add_test(tests, a_failed_load_is_told_and_tried_again);
    tcase_add_test(tests, a_wrong_configuration_changes_nothing);
    tcase_add_test(tests, too_many_do_not_wait);
    tcase_add_test(tests, what_is_unchanged_stays);
    tcase_add_test(tests, files_that_change_are_loaded_anew);
    tcase_add_test(tests, files_that_change_while_they_are_loaded);
    tcase_add_test(tests, collections_find_their_model_by_its_digest);
    tcase_add_test(tests, changes_under_load);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    buffer_free(&picture);
    return failed != 0;
}
