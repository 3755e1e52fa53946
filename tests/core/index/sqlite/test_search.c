/* Searches while others write: what is there all the time is found every time. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/index/collection.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

enum { KEPT = 10, OTHERS = 60, RUN_MS = 1500, THREADS_MAX = 16 };

struct scene {
    struct collections *c;
    const char *folder;
    _Atomic bool stop;
    _Atomic uint64_t writes, searches;
};

/* Writes the kept items again and again, unchanged, so that their rows change all the time. */
static void *rewrite(void *argument) {
    struct scene *scene = argument;
    float e[KEPT][STEP_DIM];
    char ids[KEPT][8];
    struct item items[KEPT];
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < KEPT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "k%zu", i);
        items[i] = step_item_at(ids[i], 0.01 * (double)i, e[i]);
        items[i].metadata = bytes_of("{\"keep\":true}");
        items[i].text = bytes_of("kept");
    }
    while (!atomic_load(&scene->stop)) {
        step_must_be(step_put(scene->c, "busy", items, KEPT, &err), STATUS_OK, &err, "rewrite");
        atomic_fetch_add(&scene->writes, 1);
    }
    return NULL;
}

/* Puts in and deletes others, far away. */
static void *disturb(void *argument) {
    struct scene *scene = argument;
    float e[OTHERS][STEP_DIM];
    char ids[OTHERS][8];
    struct item items[OTHERS];
    struct bytes names[OTHERS];
    struct error err = ERROR_NONE;
    uint64_t deleted;
    for (size_t i = 0; i < OTHERS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "o%zu", i);
        names[i] = bytes_of(ids[i]);
        items[i] = step_item_at(ids[i], 2 + 0.01 * (double)i, e[i]);
    }
    while (!atomic_load(&scene->stop)) {
        step_must_be(step_put(scene->c, "busy", items, OTHERS, &err), STATUS_OK, &err, "disturb");
        step_must_be(collection_delete(scene->c, "busy", names, OTHERS, &deleted, &err), STATUS_OK,
                     &err, "delete");
        store_suite_must(deleted == OTHERS, "%llu were deleted", (unsigned long long)deleted);
    }
    return NULL;
}

static const char kept_ids[] = " k0 k1 k2 k3 k4 k5 k6 k7 k8 k9";

static void *search(void *argument) {
    struct scene *scene = argument;
    static const struct filter_value yes = {.kind = FILTER_BOOL, .boolean = true};
    const struct filter keep = {.kind = FILTER_IN, .field = "keep", .values = &yes, .count = 1};
    float e[STEP_DIM];
    struct search query = step_search_at(e, KEPT);
    while (!atomic_load(&scene->stop)) {
        query.filter = NULL;
        step_search_sees(scene->c, "busy", &query, 1, kept_ids, "search");
        query.filter = &keep;
        query.top_k = KEPT + 5;
        step_search_sees(scene->c, "busy", &query, 1, kept_ids, "search with a filter");
        query.words = bytes_of("kept");
        step_search_sees(scene->c, "busy", &query, 1, kept_ids, "search with words");
        query.words = (struct bytes){0};
        query.top_k = KEPT;
        step_scroll_sees(scene->c, "busy", &keep, "", 100, kept_ids, "scroll");
        atomic_fetch_add(&scene->searches, 1);
    }
    return NULL;
}

/* In memory only, where nothing but the embeddings tells what is there. */
static void *search_memory(void *argument) {
    struct scene *scene = argument;
    float e[STEP_DIM];
    const struct search query = step_search_at(e, KEPT);
    while (!atomic_load(&scene->stop)) {
        step_search_sees(scene->c, "busy", &query, 1, kept_ids, "search in memory");
        atomic_fetch_add(&scene->searches, 1);
    }
    return NULL;
}

static void *snapshot(void *argument) {
    struct scene *scene = argument;
    struct error err = ERROR_NONE;
    char path[256];
    snprintf(path, sizeof(path), "%s/snapshot.db", scene->folder);
    while (!atomic_load(&scene->stop))
        step_must_be(collections_snapshot(scene->c, path, &err), STATUS_OK, &err, "snapshot");
    return NULL;
}

/* Other collections come and go. */
static void *come_and_go(void *argument) {
    struct scene *scene = argument;
    struct collection_spec spec = step_spec_of("passing");
    struct collection_stats stats;
    while (!atomic_load(&scene->stop)) {
        step_make(scene->c, &spec);
        step_put_at(scene->c, "passing", "a", 0);
        collection_stats(scene->c, "passing", &stats, NULL);
        step_drop(scene->c, "passing");
    }
    return NULL;
}

/* This one is restored to what it was, of which the kept items are the same. */
static void *restore(void *argument) {
    struct scene *scene = argument;
    struct error err = ERROR_NONE;
    char path[256];
    snprintf(path, sizeof(path), "%s/restored.db", scene->folder);
    step_must_be(collections_snapshot(scene->c, path, &err), STATUS_OK, &err, "snapshot");
    while (!atomic_load(&scene->stop))
        step_must_be(collection_restore(scene->c, "busy", path, &err), STATUS_OK, &err, "restore");
    return NULL;
}

/* What reads the file alone. */
static void *count(void *argument) {
    struct scene *scene = argument;
    struct bytes id = bytes_of("k3");
    struct collection_stats stats;
    struct error err = ERROR_NONE;
    while (!atomic_load(&scene->stop)) {
        struct seen seen = {0};
        step_must_be(collection_stats(scene->c, "busy", &stats, &err), STATUS_OK, &err, "stats");
        step_must_be(collection_fetch(scene->c, "busy", &id, 1,
                                      &(struct item_visitor){0, step_see, &seen}, &err),
                     STATUS_OK, &err, "fetch");
        step_must_see(&seen, " k3", "fetch");
    }
    return NULL;
}

/* The first of `work` fills the collection, then all go on for a while. */
static void run_scene(void *(*const *work)(void *), size_t count) {
    char *folder = folder_make();
    struct scene scene = {.c = step_open_store(folder), .folder = folder};
    struct collection_spec spec = step_spec_of("busy");
    pthread_t threads[THREADS_MAX];
    step_add_field(&spec, "keep", COLLECTION_BOOL);
    step_make(scene.c, &spec);
    pthread_create(&threads[0], NULL, work[0], &scene);
    while (!atomic_load(&scene.writes)) continue;
    for (size_t i = 1; i < count; i++) pthread_create(&threads[i], NULL, work[i], &scene);
    uint64_t end = clock_now_ns() + (uint64_t)RUN_MS * CLOCK_NS_PER_MS;
    while (clock_now_ns() < end || !atomic_load(&scene.searches))
        nanosleep(&(struct timespec){.tv_nsec = CLOCK_NS_PER_MS}, NULL);
    atomic_store(&scene.stop, true);
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    printf("%llu writes, %llu searches\n", (unsigned long long)scene.writes,
           (unsigned long long)scene.searches);
    collections_close(scene.c);
    folder_remove(folder);
}

START_TEST(test_busy) {
    static void *(*const work[])(void *) = {rewrite, disturb,  search,
                                            search,  snapshot, come_and_go};
    run_scene(work, sizeof(work) / sizeof(*work));
}
END_TEST

/* More threads than there are CPUs, so that searches are interrupted while rows are replaced. */
START_TEST(test_replaced) {
    static void *(*const work[])(void *) = {
        rewrite,       rewrite,       rewrite,       rewrite,       search_memory, search_memory,
        search_memory, search_memory, search_memory, search_memory, search_memory, search_memory,
        search_memory, search_memory, search_memory, search_memory};
    run_scene(work, sizeof(work) / sizeof(*work));
}
END_TEST

START_TEST(test_restored) {
    static void *(*const work[])(void *) = {rewrite, restore,       search, search,
                                            search,  search_memory, count,  count};
    run_scene(work, sizeof(work) / sizeof(*work));
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("busy");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_busy);
    tcase_add_test(tcase, test_replaced);
    tcase_add_test(tcase, test_restored);
    return program_run("sqlite_search", tcase, CK_FORK_GETENV);
}
