/* What was acknowledged survives kill -9. A child writes batches and tells of each through a pipe
 * once it is acknowledged; it is killed at a random moment. Then the store must hold exactly what
 * was told, or that and the one batch that was under way. CLIPD_KILLS=200 is the full
 * measure, that of make chaos. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/checksum.h"
#include "core/index/collection.h"
#include "tests/support/folder.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

enum { POOL = 1000, BATCH = 25, DIM = 64, KILLS = 12 };

/* versions[i] is the batch that wrote item i last; 0: it is not there. */
struct model {
    uint32_t versions[POOL];
};

static size_t member(uint32_t batch, size_t i) {
    return ((size_t)batch * BATCH + i) * 7 % POOL;
}

static bool deletes(uint32_t batch) {
    return batch % 6 == 5;
}

static void apply(struct model *model, uint32_t batch) {
    for (size_t i = 0; i < BATCH; i++)
        model->versions[member(batch, i)] = deletes(batch) ? 0 : batch;
}

static void fill(float embedding[DIM], size_t index, uint32_t version) {
    uint64_t state = (uint64_t)index << 32 | version;
    double sum = 0;
    for (size_t i = 0; i < DIM; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        embedding[i] = (float)((double)(state >> 40) / (1 << 24) - 0.5);
        sum += (double)embedding[i] * embedding[i];
    }
    for (size_t i = 0; i < DIM; i++) embedding[i] = (float)(embedding[i] / sqrt(sum));
}

/* ---- the child ---- */

static void write_batch(struct collections *c, uint32_t batch) {
    static float embeddings[BATCH][DIM];
    static char ids[BATCH][16], metadata[BATCH][96];
    struct item items[BATCH];
    struct bytes names[BATCH];
    struct error err = ERROR_NONE;
    uint64_t deleted;
    for (size_t i = 0; i < BATCH; i++) {
        size_t index = member(batch, i);
        fill(embeddings[i], index, batch);
        struct bytes bytes = {(const uint8_t *)embeddings[i], sizeof(embeddings[i])};
        snprintf(ids[i], sizeof(ids[i]), "i%zu", index);
        snprintf(metadata[i], sizeof(metadata[i]), "{\"version\":%u,\"sum\":\"%016llx\"}", batch,
                 (unsigned long long)checksum(bytes));
        names[i] = bytes_of(ids[i]);
        items[i] = (struct item){.id = names[i],
                                 .embedding = embeddings[i],
                                 .dim = DIM,
                                 .metadata = bytes_of(metadata[i]),
                                 .text = bytes_of("some words")};
    }
    if (deletes(batch))
        step_must_be(collection_delete(c, "kill", names, BATCH, &deleted, &err), STATUS_OK, &err,
                     "delete");
    else
        step_must_be(step_put(c, "kill", items, BATCH, &err), STATUS_OK, &err, "upsert");
}

static void write_for_ever(const char *store, uint32_t batch, int acknowledge) {
    struct collections *c = step_open_store(store);
    for (;; batch++) {
        write_batch(c, batch);
        if (write(acknowledge, &batch, sizeof(batch)) != sizeof(batch)) _exit(1);
    }
}

/* ---- what is there afterwards ---- */

struct check {
    struct model model;
    size_t count;
};

static enum status note(void *context, const struct item *item, struct error *err) {
    struct check *check = context;
    char id[16], text[128];
    unsigned version = 0;
    unsigned long long sum = 0;
    size_t index = POOL;
    float embedding[DIM];
    (void)err;
    snprintf(id, sizeof(id), "%.*s", (int)item->id.size, (const char *)item->id.data);
    snprintf(text, sizeof(text), "%.*s", (int)item->metadata.size,
             (const char *)item->metadata.data);
    store_suite_must(sscanf(id, "i%zu", &index) == 1 && index < POOL, "an id like %s", id);
    store_suite_must(sscanf(text, "{\"version\":%u,\"sum\":\"%llx\"}", &version, &sum) == 2,
                     "metadata like %s", text);
    struct bytes bytes = {(const uint8_t *)item->embedding, sizeof(embedding)};
    store_suite_must(checksum(bytes) == sum, "%s is torn", id);
    fill(embedding, index, version);
    store_suite_must(same_bits(embedding, item->embedding, sizeof(embedding)),
                     "%s has the embedding of another", id);
    check->model.versions[index] = version;
    check->count++;
    return STATUS_OK;
}

static enum status note_id(void *context, const struct hit *hit, struct error *err) {
    (void)err;
    snprintf(context, 16, "%.*s", (int)hit->item.id.size, (const char *)hit->item.id.data);
    return STATUS_OK;
}

static void must_find_itself(struct collections *c, size_t index, uint32_t version) {
    struct error err = ERROR_NONE;
    float embedding[DIM];
    char expected[16], found[16] = "";
    struct search query = {
        .embedding = embedding, .dim = DIM, .top_k = 1, .score_min = -1, .exact = true};
    fill(embedding, index, version);
    snprintf(expected, sizeof(expected), "i%zu", index);
    step_must_be(
        collection_search(c, "kill", &query, 1, &(struct hit_visitor){0, note_id, found}, &err),
        STATUS_OK, &err, "search");
    store_suite_must(strcmp(found, expected) == 0, "%s finds %s", expected, found);
}

/* Returns whether the batch after the last one that was told is there, too. */
static bool verify(const char *store, struct model *model, uint32_t next) {
    static struct check check;
    struct model with_next = *model;
    struct error err = ERROR_NONE;
    struct collection_stats stats;
    uint64_t words = 0;
    struct collections *c = step_open_store(store);
    check = (struct check){0};
    apply(&with_next, next);
    step_must_be(collection_scroll(
                     c, "kill", NULL, bytes_of(""), POOL + 1,
                     &(struct item_visitor){ITEM_METADATA | ITEM_EMBEDDING, note, &check}, &err),
                 STATUS_OK, &err, "scroll");
    bool applied = memcmp(&check.model, &with_next, sizeof(with_next)) == 0;
    store_suite_must(applied || memcmp(&check.model, model, sizeof(*model)) == 0,
                     "what is there is neither what was acknowledged nor one batch more");
    *model = check.model;
    step_must_be(collection_stats(c, "kill", &stats, &err), STATUS_OK, &err, "stats");
    step_must_be(collection_count(c, "kill", NULL, &words, &err), STATUS_OK, &err, "count");
    store_suite_must(stats.items == check.count && words == check.count,
                     "%llu items are counted, %zu are there", (unsigned long long)stats.items,
                     check.count);
    for (size_t i = 0; i < POOL; i += 1 + POOL / 200) {
        if (model->versions[i]) must_find_itself(c, i, model->versions[i]);
    }
    collections_close(c);
    return applied;
}

static size_t kills_wanted(void) {
    const char *text = getenv("CLIPD_KILLS");
    return text ? strtoul(text, NULL, 10) : KILLS;
}

/* Lets a child write from batch `next` on, kills it, and returns the first batch that it did not
 * tell of. */
static uint32_t write_and_kill(const char *store, uint32_t next, unsigned delay_us,
                               struct model *model) {
    int ends[2];
    uint32_t told;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(ends[0]);
        write_for_ever(store, next, ends[1]);
    }
    close(ends[1]);
    usleep(delay_us);
    kill(child, SIGKILL);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(ends[0], &told, sizeof(told)) == sizeof(told)) {
        ck_assert_uint_eq(told, next);
        apply(model, told);
        next++;
    }
    close(ends[0]);
    return next;
}

START_TEST(test_kill) {
    char *folder = folder_make();
    struct collection_spec spec = step_spec_of("kill");
    static struct model model;
    size_t kills = kills_wanted(), acknowledged = 0;
    uint32_t next = 1;
    spec.dim = DIM;
    step_add_field(&spec, "version", COLLECTION_NUMBER);
    struct collections *c = step_open_store(folder);
    step_make(c, &spec);
    collections_close(c);
    srand(7);
    for (size_t i = 0; i < kills; i++) {
        uint32_t before = next;
        next = write_and_kill(folder, next, (unsigned)(rand() % 150000), &model);
        acknowledged += (size_t)(next - before) * BATCH;
        if (verify(folder, &model, next)) next++;
    }
    printf("%zu kills, %zu items acknowledged, none lost, none torn\n", kills, acknowledged);
    folder_remove(folder);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("kill");
    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_kill);
    return program_run("sqlite_items", tcase, CK_FORK_GETENV);
}
