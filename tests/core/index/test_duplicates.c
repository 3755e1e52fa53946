/* Clusters of equal files and of near embeddings, through a store. */
#include "core/index/duplicates.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

static struct collections *collections;

struct found {
    char text[4096]; /* "file: a b; embedding: c d; " */
    size_t size;
    float score; /* of the last item */
    int pauses, pauses_max;
};

static enum status note(void *context, enum duplicates_tier tier, const struct duplicate *items,
                        size_t count, struct error *err) {
    struct found *found = context;
    (void)err;
    found->size += (size_t)snprintf(found->text + found->size, sizeof(found->text) - found->size,
                                    "%s:", tier == DUPLICATES_FILES ? "file" : "embedding");
    for (size_t i = 0; i < count; i++) {
        found->size +=
            (size_t)snprintf(found->text + found->size, sizeof(found->text) - found->size, " %.*s",
                             (int)items[i].id.size, (const char *)items[i].id.data);
        found->score = items[i].score;
    }
    found->size +=
        (size_t)snprintf(found->text + found->size, sizeof(found->text) - found->size, "; ");
    return STATUS_OK;
}

static enum status count_pause(void *context, struct error *err) {
    struct found *found = context;
    if (found->pauses++ < found->pauses_max) return STATUS_OK;
    return error_set(err, STATUS_UNAVAILABLE, "enough");
}

static struct found find(struct duplicates_options options, enum status expected, uint64_t *items) {
    struct found found = {.pauses_max = 1000};
    struct duplicates_visitor visitor = {note, count_pause, &found};
    struct error err = ERROR_NONE;
    uint64_t seen = 0;
    enum status status = duplicates_find(collections, "c", &options, &visitor, &seen, &err);
    ck_assert_msg(status == expected, "%s", err.message);
    if (items) *items = seen;
    return found;
}

static void put(const char *id, double angle, int digest) {
    float embedding[STEP_DIM];
    struct item item = step_item_at(id, angle, embedding);
    memset(item.digest, digest, sizeof(item.digest));
    item.has_digest = digest != 0;
    step_must_put(collections, "c", item);
}

static void setup(void) {
    struct collection_spec spec = step_spec_of("c");
    step_make(collections, &spec);
}

START_TEST(both_tiers) {
    struct duplicates_options options = {.threshold = 0.999F, .files = true, .embeddings = true};
    uint64_t items;
    ck_assert_str_eq(find(options, STATUS_OK, &items).text, "");
    ck_assert_uint_eq(items, 0);
    put("a", 0, 1);
    put("b", 0.5, 0);
    put("c", 0, 1);
    put("d", 1, 2);
    put("e", 1.01, 0);
    put("f", 1.02, 2);
    ck_assert_str_eq(find(options, STATUS_OK, &items).text,
                     "file: a c; file: d f; embedding: d e f; ");
    ck_assert_uint_eq(items, 6);
    options.files = false;
    struct found found = find(options, STATUS_OK, NULL);
    ck_assert_str_eq(found.text, "embedding: a c; embedding: d e f; ");
    ck_assert(found.score > 0.9999F && found.score < 1);
    options = (struct duplicates_options){.threshold = 0.999F, .files = true};
    ck_assert_str_eq(find(options, STATUS_OK, NULL).text, "file: a c; file: d f; ");
}
END_TEST

/* Many more than a page, a batch and the neighbours that are looked at. */
START_TEST(a_crowd_is_one_cluster) {
    struct duplicates_options options = {.threshold = 0.999F, .embeddings = true};
    char id[16];
    for (int i = 0; i < 300; i++) {
        snprintf(id, sizeof(id), "%04d", i);
        put(id, i % 3 ? 0.0001 * i : 2 + 0.01 * i, 0);
    }
    struct found found = find(options, STATUS_OK, NULL);
    const char *crowd = strstr(found.text, "embedding: 0001 0002 0004 0005");
    ck_assert_ptr_nonnull(crowd);
    /* All 200 of them, with a space before each and nothing of the others. */
    ck_assert_uint_eq(strcspn(crowd, ";"), strlen("embedding:") + 200 * strlen(" 0001"));
}
END_TEST

START_TEST(it_can_be_ended) {
    struct duplicates_options options = {.threshold = 0.999F, .files = true, .embeddings = true};
    struct found found = {.pauses_max = 0};
    struct duplicates_visitor visitor = {note, count_pause, &found};
    uint64_t items;
    put("a", 0, 1);
    ck_assert_int_eq(duplicates_find(collections, "c", &options, &visitor, &items, NULL),
                     STATUS_UNAVAILABLE);
    ck_assert_int_eq(duplicates_find(collections, "none", &options, &visitor, &items, NULL),
                     STATUS_NOT_FOUND);
}
END_TEST

static enum status make_wider(void *context, struct error *err) {
    struct collection_spec spec = step_spec_of("c");
    struct collection_upserted upserted;
    float embedding[2 * STEP_DIM] = {1};
    struct item item = {.id = bytes_of("a"), .embedding = embedding, .dim = 2 * STEP_DIM};
    (void)context;
    spec.dim = 2 * STEP_DIM;
    step_make(collections, &spec);
    return collection_upsert(collections, "c", step_digest_a, &item, 1, &upserted, err);
}

/* Of other dimensions than those that the search began with. */
START_TEST(made_anew_meanwhile) {
    struct duplicates_options options = {.threshold = 0.999F, .embeddings = true};
    struct found found = {.pauses_max = 0};
    struct duplicates_visitor visitor = {note, make_wider, &found};
    struct error err = ERROR_NONE;
    uint64_t items;
    put("a", 0, 0);
    ck_assert_int_eq(duplicates_find(collections, "c", &options, &visitor, &items, &err),
                     STATUS_CONFLICT);
    ck_assert_msg(strstr(err.message, "made anew") != NULL, "%s", err.message);
}
END_TEST

int main(void) {
    char *folder = folder_make();
    collections = step_open_store(folder);
    TCase *tests = tcase_create("duplicates");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, both_tiers);
    tcase_add_test(tests, a_crowd_is_one_cluster);
    tcase_add_test(tests, it_can_be_ended);
    tcase_add_test(tests, made_anew_meanwhile);
    int failed = program_run("duplicates", tests, CK_NOFORK);
    collections_close(collections);
    folder_remove(folder);
    return failed;
}
