#include "tests/support/trio.h"

#include <check.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "tests/support/files.h"

const char *const trio_names[TRIO] = {"a", "b", "c"};
static const uint32_t sizes[TRIO] = {16, 24, 32};

struct registry_model trio_model(size_t index, enum registry_load load) {
    return (struct registry_model){
        .engine = {.name = trio_names[index],
                   .path = "models/starter",
                   .precision = "fp32",
                   .image_size = sizes[index]},
        .is_default = index == 0,
        .load = load,
    };
}

enum status trio_configure(struct trio *trio, const struct registry_model *models, size_t count,
                           size_t memory_max, struct error *err) {
    struct registry_setup setup = {
        .models = models, .models_count = count, .memory_max = memory_max};
    return registry_configure(trio->registry, &setup, err);
}

void trio_configure_well(struct trio *trio, const struct registry_model *models, size_t count,
                         size_t memory_max) {
    struct error err = ERROR_NONE;
    ck_assert_msg(trio_configure(trio, models, count, memory_max, &err) == STATUS_OK, "%s",
                  err.message);
}

void trio_configure_lazy(struct trio *trio, size_t memory_max) {
    struct registry_model models[TRIO];
    for (size_t i = 0; i < TRIO; i++) models[i] = trio_model(i, REGISTRY_LAZY);
    trio_configure_well(trio, models, TRIO, memory_max);
}

enum status trio_embed(struct trio *trio, const char *name, uint64_t deadline_ns, float *out,
                       struct error *err) {
    struct engine *engine;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct bytes file = buffer_view(&trio->picture);
    enum status status = registry_acquire(trio->registry, name, deadline_ns, &engine, err);
    if (!status) status = engine_embed_images(engine, &file, 1, out, &call, err);
    registry_release(trio->registry, engine);
    return status;
}

bool trio_same(const float *found, const float *said) {
    for (size_t i = 0; i < TRIO_DIM_MAX; i++) {
        if (!(found[i] == said[i])) return false;
    }
    return true;
}

void trio_check(struct trio *trio, size_t index) {
    float found[TRIO_DIM_MAX] = {0};
    struct error err = ERROR_NONE;
    enum status status = trio_embed(trio, trio_names[index], CLOCK_NEVER, found, &err);
    ck_assert_msg(status == STATUS_OK, "%s: %s", trio_names[index], err.message);
    ck_assert_mem_eq(found, trio->expected[index], sizeof(found));
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

struct registry_view trio_view(struct trio *trio, const char *name) {
    struct search search = {.name = name};
    registry_each(trio->registry, visit, &search);
    ck_assert_ptr_nonnull(search.found.name);
    return search.found;
}

void trio_wait_until_it_is_to_go(struct trio *trio, const char *name) {
    while (trio_view(trio, name).state != REGISTRY_UNLOADING) usleep(1000);
}

void trio_open(struct trio *trio) {
    struct runtime_options options = runtime_options_default;
    struct error err = ERROR_NONE;
    options.threads = 2;
    log_init(LOG_OFF, LOG_TEXT);
    ck_assert_int_eq(registry_create(&trio->registry, &options, &err), STATUS_OK);
}

void trio_prepare(struct trio *trio) {
    trio->picture = files_load("docs/pictures/ship.jpg");
    trio_open(trio);
    trio_configure_lazy(trio, 0);
    for (size_t i = 0; i < TRIO; i++) {
        struct error err = ERROR_NONE;
        ck_assert_int_eq(trio_embed(trio, trio_names[i], CLOCK_NEVER, trio->expected[i], &err),
                         STATUS_OK);
        size_t bytes = trio_view(trio, trio_names[i]).bytes;
        if (bytes > trio->bytes) trio->bytes = bytes;
    }
    ck_assert_uint_gt(trio->bytes, (size_t)1 << 20);
    registry_destroy(trio->registry);
}

static void *ask(void *argument) {
    struct trio_member *member = argument;
    struct trio_crowd *crowd = member->crowd;
    for (size_t i = 0; member->turns ? i < member->turns : !atomic_load(&crowd->stop); i++) {
        float found[TRIO_DIM_MAX];
        member->seed = member->seed * 1664525 + 1013904223;
        size_t model = (member->seed >> 16) % crowd->models;
        bool good =
            trio_embed(crowd->trio, trio_names[model], CLOCK_NEVER, found, NULL) == STATUS_OK &&
            trio_same(found, crowd->trio->expected[model]);
        atomic_fetch_add(good ? &crowd->done : &crowd->wrong, 1);
    }
    return NULL;
}

void trio_crowd_start(struct trio_crowd *crowd, struct trio_member *members, size_t count,
                      size_t turns) {
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct trio_member){.crowd = crowd, .seed = (uint32_t)i + 1, .turns = turns};
        ck_assert_int_eq(pthread_create(&crowd->threads[i], NULL, ask, &members[i]), 0);
    }
}

void trio_crowd_end(struct trio_crowd *crowd, size_t count) {
    atomic_store(&crowd->stop, true);
    for (size_t i = 0; i < count; i++) pthread_join(crowd->threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&crowd->wrong), 0);
}

void trio_link_starter(const char *folder) {
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
