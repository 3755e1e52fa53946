#include "tests/support/store_suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/kernel_sets.h"
#include "tests/support/store_filters.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite_search.h"

/* ---- collections ---- */

static enum status list_names(void *context, const struct collection_spec *spec,
                              struct error *err) {
    struct seen *seen = context;
    (void)err;
    if (strncmp(spec->name, "suite-", 6) != 0) return STATUS_OK;
    seen->size +=
        (size_t)snprintf(seen->ids + seen->size, STEP_SEEN_MAX - seen->size, " %s", spec->name);
    return STATUS_OK;
}

static void run_collections(const char *store) {
    struct collections *c = step_open_store(store);
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("suite-b"), got, other = step_spec_of("suite-a");
    bool created = true;
    collection_drop(c, "suite-a", NULL);
    collection_drop(c, "suite-b", NULL);
    step_add_field(&spec, "camera.model", COLLECTION_TEXT);
    step_add_field(&spec, "it's; drop table", COLLECTION_NUMBER);
    step_make(c, &spec);
    step_make(c, &other);
    step_must_be(collection_create(c, &spec, &created, &err), STATUS_OK, &err, "create again");
    store_suite_must(!created, "create again: says that it made one");
    step_must_be(collection_describe(c, "suite-b", &got, &err), STATUS_OK, &err, "describe");
    store_suite_must(strcmp(got.name, spec.name) == 0 && strcmp(got.model, spec.model) == 0 &&
                         strcmp(got.model_digest, spec.model_digest) == 0 && got.dim == STEP_DIM &&
                         got.precision == COLLECTION_FP32 && got.fields_count == 2 &&
                         strcmp(got.fields[0].path, "camera.model") == 0 &&
                         got.fields[0].kind == COLLECTION_TEXT &&
                         strcmp(got.fields[1].path, "it's; drop table") == 0 &&
                         got.fields[1].kind == COLLECTION_NUMBER,
                     "describe: something differs from what was made");
    struct seen names = {0};
    step_must_be(collection_list(c, list_names, &names, &err), STATUS_OK, &err, "list");
    step_must_see(&names, " suite-a suite-b", "list");

    struct collection_spec different[4] = {spec, spec, spec, spec};
    different[0].dim = STEP_DIM + 1;
    memcpy(different[1].model_digest, step_digest_b, sizeof(step_digest_b));
    different[2].precision = COLLECTION_INT8;
    different[3].fields_count = 1;
    for (size_t i = 0; i < 4; i++) {
        err = ERROR_NONE;
        step_must_be(collection_create(c, &different[i], &created, &err), STATUS_CONFLICT, &err,
                     "create another under a name that is taken");
    }
    step_drop(c, "suite-a");
    step_drop(c, "suite-b");
    err = ERROR_NONE;
    step_must_be(collection_drop(c, "suite-b", &err), STATUS_NOT_FOUND, &err, "drop twice");
    /* A new one under an old name is empty and may be another. */
    step_make(c, &other);
    step_put_at(c, "suite-a", "old", 0);
    step_drop(c, "suite-a");
    memcpy(other.model_digest, step_digest_b, sizeof(step_digest_b));
    step_make(c, &other);
    step_scroll_sees(c, "suite-a", NULL, "", 10, "", "made anew");
    step_drop(c, "suite-a");
    collections_close(c);
}

static void run_not_found(const char *store) {
    struct collections *c = step_open_store(store);
    const char *name = "suite-none";
    float embedding[STEP_DIM];
    struct item item = step_item_at("a", 0, embedding);
    struct search query = step_search_at(embedding, 1);
    struct collection_spec spec;
    struct collection_stats stats;
    struct seen seen = {0};
    uint64_t number;
    collection_drop(c, name, NULL);
    enum status got[] = {
        collection_describe(c, name, &spec, NULL),
        step_put(c, name, &item, 1, NULL),
        collection_fetch(c, name, &item.id, 1, &(struct item_visitor){0, step_see, &seen}, NULL),
        collection_scroll(c, name, NULL, bytes_of(""), 1,
                          &(struct item_visitor){0, step_see, &seen}, NULL),
        collection_count(c, name, NULL, &number, NULL),
        collection_delete(c, name, &item.id, 1, &number, NULL),
        collection_delete_where(c, name, NULL, &number, NULL),
        collection_search(c, name, &query, 1, &(struct hit_visitor){0, step_see_hit, &seen}, NULL),
        collection_stats(c, name, &stats, NULL),
        collection_reindex(c, name, NULL),
    };
    for (size_t i = 0; i < sizeof(got) / sizeof(*got); i++)
        store_suite_must(got[i] == STATUS_NOT_FOUND, "function %zu gave %s without a collection", i,
                         status_name(got[i]));
    collections_close(c);
}

/* ---- items ---- */

static void run_upsert(const char *store) {
    struct collections *c = step_open_store(store);
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("suite-a");
    struct collection_upserted done;
    float e[4][STEP_DIM];
    step_make(c, &spec);
    struct item items[] = {step_item_at("a", 0, e[0]), step_item_at("b", 1, e[1]),
                           step_item_at("a", 2, e[2]), step_item_at("\xC3\xA9", 3, e[3])};
    items[0].metadata = bytes_of("{\"n\":1}");
    items[2].metadata = bytes_of("{\"n\":2}");
    items[2].text = bytes_of("a text");
    items[2].thumbnail = bytes_of("picture");
    items[2].has_digest = true;
    memset(items[2].digest, 7, SHA256_SIZE);
    e[1][0] *= 1000, e[1][1] *= 1000;
    step_must_be(collection_upsert(c, "suite-a", step_digest_a, items, 4, &done, &err), STATUS_OK,
                 &err, "upsert");
    store_suite_must(done.inserted == 3 && done.updated == 0, "upsert: 3 are new");
    step_must_be(collection_upsert(c, "suite-a", step_digest_a, items, 2, &done, &err), STATUS_OK,
                 &err, "upsert again");
    store_suite_must(done.inserted == 0 && done.updated == 2, "upsert again: 2 are old");
    step_must_be(collection_upsert(c, "suite-a", step_digest_a, &items[2], 1, &done, &err),
                 STATUS_OK, &err, "upsert the last");

    unsigned all = ITEM_METADATA | ITEM_TEXT | ITEM_THUMBNAIL | ITEM_DIGEST | ITEM_EMBEDDING;
    struct seen a = step_fetch(c, "suite-a", "a", all), b = step_fetch(c, "suite-a", "b", all);
    store_suite_must(strcmp(a.metadata, "{\"n\":2}") == 0 && strcmp(a.text, "a text") == 0 &&
                         strcmp(a.thumbnail, "picture") == 0 && a.has_digest &&
                         memcmp(a.digest, items[2].digest, SHA256_SIZE) == 0,
                     "fetch: a part of \"a\" differs: %s %s %s", a.metadata, a.text, a.thumbnail);
    store_suite_must(strcmp(b.metadata, "{}") == 0 && !*b.text && !*b.thumbnail && !b.has_digest,
                     "fetch: \"b\" has parts that it was not given");
    store_suite_must(fabs(b.embedding[0] - cos(1)) < 1e-6 && fabs(b.embedding[1] - sin(1)) < 1e-6,
                     "fetch: an embedding is not scaled to length 1");
    store_suite_must(same_bits(a.embedding, e[2], sizeof(a.embedding)),
                     "fetch: an embedding of length 1 keeps its bits");

    struct seen seen = {0};
    struct bytes ids[] = {bytes_of("b"), bytes_of("none"), bytes_of("\xC3\xA9"), bytes_of("a")};
    step_must_be(
        collection_fetch(c, "suite-a", ids, 4, &(struct item_visitor){0, step_see, &seen}, &err),
        STATUS_OK, &err, "fetch");
    step_must_see(&seen, " b \xC3\xA9 a", "fetch in the order of the call");
    step_must_be(collection_upsert(c, "suite-a", step_digest_a, items, 0, &done, &err), STATUS_OK,
                 &err, "upsert nothing");
    step_drop(c, "suite-a");
    collections_close(c);
}

/* Everything that is wrong with an item, each beside a good one that must not go in either. */
static void run_refusals(const char *store) {
    struct collections *c = step_open_store(store);
    struct collection_spec spec = step_spec_of("suite-a");
    step_make(c, &spec);
    static char long_text[COLLECTION_TEXT_MAX + 2], long_id[COLLECTION_ID_MAX + 2];
    memset(long_text, 'x', sizeof(long_text) - 1);
    memset(long_id, 'x', sizeof(long_id) - 1);
    float e[2][STEP_DIM], zero[STEP_DIM] = {0}, infinite[STEP_DIM] = {1, INFINITY},
                          nan[STEP_DIM] = {NAN};
    struct item good = step_item_at("good", 0, e[0]), bad[14];
    enum status expected[14];
    for (size_t i = 0; i < 14; i++) {
        bad[i] = step_item_at("bad", 1, e[1]);
        expected[i] = STATUS_INVALID;
    }
    bad[0].embedding = zero;
    bad[1].embedding = infinite;
    bad[2].embedding = nan;
    bad[3].id = bytes_of("");
    bad[4].id = bytes_of("a\nb");
    bad[5].id = bytes_of("\xFF");
    bad[6].id = bytes_of(long_id);
    bad[7].metadata = bytes_of("[1]");
    bad[8].metadata = bytes_of("{\"a\":");
    bad[9].metadata = bytes_of("{\"a\":\"\\u0000\"}");
    bad[10].text = bytes_of("\xC3");
    bad[11].text = (struct bytes){(const uint8_t *)"a\0b", 3};
    bad[12].text = bytes_of(long_text), expected[12] = STATUS_TOO_LARGE;
    bad[13].dim = STEP_DIM - 1, expected[13] = STATUS_CONFLICT;
    for (size_t i = 0; i < 14; i++) {
        struct error err = ERROR_NONE;
        struct item all[] = {good, good, bad[i]}; /* the first is superseded, and counts */
        char what[32];
        snprintf(what, sizeof(what), "bad item %zu", i);
        step_must_be(step_put(c, "suite-a", all, 3, &err), expected[i], &err, what);
        store_suite_must(err.input == 2, "%s: err.input is %d", what, err.input);
        step_scroll_sees(c, "suite-a", NULL, "", 9, "", what);
    }
    struct error err = ERROR_NONE;
    struct collection_upserted done;
    step_must_be(collection_upsert(c, "suite-a", step_digest_b, &good, 1, &done, &err),
                 STATUS_CONFLICT, &err, "upsert of another model");
    store_suite_must(strstr(err.message, step_digest_a) && strstr(err.message, step_digest_b),
                     "the message does not name both models: %s", err.message);
    /* What only looks like U+0000. */
    good.metadata = bytes_of("{\"a\":\"\\\\u0000\"}");
    err = ERROR_NONE;
    step_must_be(step_put(c, "suite-a", &good, 1, &err), STATUS_OK, &err, "an escaped backslash");
    step_drop(c, "suite-a");
    collections_close(c);
}

static void run_scroll(const char *store) {
    struct collections *c = step_open_store(store);
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("suite-a");
    uint64_t number;
    step_make(c, &spec);
    const char *ids[] = {"b", "a", "\xC3\xA9", "B", "aa", "a b", "%", "'"};
    for (size_t i = 0; i < 8; i++) step_put_at(c, "suite-a", ids[i], (double)i);
    step_scroll_sees(c, "suite-a", NULL, "", 100, " % ' B a a b aa b \xC3\xA9", "scroll");
    step_scroll_sees(c, "suite-a", NULL, "a", 2, " a b aa", "scroll after a");
    step_scroll_sees(c, "suite-a", NULL, "aab", 2, " b \xC3\xA9", "scroll after what is not there");
    step_scroll_sees(c, "suite-a", NULL, "\xC3\xA9", 2, "", "scroll past all");
    step_must_be(collection_count(c, "suite-a", NULL, &number, &err), STATUS_OK, &err, "count");
    store_suite_must(number == 8, "count: %llu of 8", (unsigned long long)number);
    step_drop(c, "suite-a");
    collections_close(c);
}

static void run_delete(const char *store) {
    struct collections *c = step_open_store(store);
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("suite-a");
    float e[STEP_DIM];
    uint64_t number;
    step_add_field(&spec, "n", COLLECTION_NUMBER);
    step_make(c, &spec);
    for (int i = 0; i < 6; i++) {
        char id[8], metadata[32];
        snprintf(id, sizeof(id), "i%d", i);
        snprintf(metadata, sizeof(metadata), "{\"n\":%d}", i);
        struct item item = step_item_at(id, i * 0.1, e);
        item.metadata = bytes_of(metadata);
        step_must_put(c, "suite-a", item);
    }
    struct bytes ids[] = {bytes_of("i1"), bytes_of("none"), bytes_of("i1")};
    step_must_be(collection_delete(c, "suite-a", ids, 3, &number, &err), STATUS_OK, &err, "delete");
    store_suite_must(number == 1, "delete: %llu of 1", (unsigned long long)number);
    struct filter_value three = {.kind = FILTER_NUMBER, .number = 3};
    struct filter filter = {.kind = FILTER_RANGE,
                            .field = "n",
                            .low = {.set = true, .inclusive = true, .value = three}};
    step_must_be(collection_delete_where(c, "suite-a", &filter, &number, &err), STATUS_OK, &err,
                 "delete by filter");
    store_suite_must(number == 3, "delete by filter: %llu of 3", (unsigned long long)number);
    struct search query = step_search_at(e, 10);
    step_search_sees(c, "suite-a", &query, 1, " i0 i2", "what is left");
    step_must_be(collection_delete_where(c, "suite-a", NULL, &number, &err), STATUS_OK, &err,
                 "delete all");
    store_suite_must(number == 2, "delete all: %llu of 2", (unsigned long long)number);
    step_search_sees(c, "suite-a", &query, 1, "", "nothing is left");
    step_put_at(c, "suite-a", "i1", 0);
    step_search_sees(c, "suite-a", &query, 1, " i1", "back again");
    step_drop(c, "suite-a");
    collections_close(c);
}

/* ---- filters ---- */

/* The same filters over the same items, once with an index of the field and once without. */
static void run_filters(const char *store) {
    struct collections *c = step_open_store(store);
    for (int declared = 0; declared < 2; declared++) {
        struct collection_spec spec = step_spec_of("suite-f");
        float e[STEP_DIM];
        if (declared) {
            step_add_field(&spec, "n", COLLECTION_NUMBER);
            step_add_field(&spec, "n.m", COLLECTION_TEXT);
        }
        step_make(c, &spec);
        for (size_t i = 0; i < store_filters_items_count; i++) {
            struct item item = step_item_at(store_filters_items[i].id, (double)i * 0.1, e);
            item.metadata = bytes_of(store_filters_items[i].metadata);
            step_must_put(c, "suite-f", item);
        }
        for (size_t i = 0; i < store_filters_count; i++) {
            const struct store_filter *filter = &store_filters[i];
            struct error err = ERROR_NONE;
            uint64_t number = 0;
            struct seen seen = step_scroll(c, "suite-f", &filter->filter, "", 100);
            step_must_see(&seen, filter->fits, filter->name);
            step_must_be(collection_count(c, "suite-f", &filter->filter, &number, &err), STATUS_OK,
                         &err, filter->name);
            store_suite_must(number == seen.count, "%s: counts %llu", filter->name,
                             (unsigned long long)number);
            struct search query = step_search_at(e, 100);
            query.filter = &filter->filter;
            struct seen hits = step_search(c, "suite-f", &query, 1);
            store_suite_must(hits.count == seen.count, "%s: %zu hits of %zu", filter->name,
                             hits.count, seen.count);
        }
        step_drop(c, "suite-f");
    }
    collections_close(c);
}

static const struct {
    const char *name;
    void (*run)(const char *store);
} cases[] = {
    {"collections", run_collections}, {"not found", run_not_found},
    {"upsert", run_upsert},           {"refusals", run_refusals},
    {"scroll", run_scroll},           {"delete", run_delete},
    {"filters", run_filters},         {"search", store_suite_run_search},
    {"ties", store_suite_run_ties},   {"opposites", store_suite_run_opposites},
    {"words", store_suite_run_words}, {"reopen", store_suite_run_reopen},
    {"many", store_suite_run_many},
};

size_t store_suite_count(void) {
    return sizeof(cases) / sizeof(*cases);
}

const char *store_suite_name(size_t index) {
    return cases[index].name;
}

void store_suite_run(size_t index, const char *store) {
    cases[index].run(store);
}
