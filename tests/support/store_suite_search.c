#include "tests/support/store_suite_search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

void store_suite_run_search(const char *store) {
    struct collections *c = step_open_store(store);
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("suite-s");
    float e[STEP_DIM], other[STEP_DIM];
    step_make(c, &spec);
    const char *ids[] = {"d", "b", "c", "a", "e"};
    const double angles[] = {0.4, 0.2, 0.3, 0.1, 2.0};
    struct search query = step_search_at(e, 3);
    step_search_sees(c, "suite-s", &query, 1, "", "search nothing");
    for (size_t i = 0; i < 5; i++) step_put_at(c, "suite-s", ids[i], angles[i]);
    struct seen seen = step_search(c, "suite-s", &query, 1);
    step_must_see(&seen, " a b c", "search");
    for (size_t i = 0; i < 3; i++) {
        store_suite_must(fabs(seen.scores[i] - cos(0.1 * (double)(i + 1))) < 1e-6,
                         "score %zu is %g", i, (double)seen.scores[i]);
        store_suite_must(seen.ranks[i] == i && seen.queries[i] == 0, "rank %zu", i);
    }
    query.offset = 2;
    seen = step_search(c, "suite-s", &query, 1);
    step_must_see(&seen, " c d e", "search with an offset");
    store_suite_must(seen.ranks[0] == 2, "ranks begin at the offset");
    query.offset = 5;
    step_search_sees(c, "suite-s", &query, 1, "", "offset past all");
    query.offset = 0, query.top_k = 10, query.score_min = (float)cos(0.25);
    step_search_sees(c, "suite-s", &query, 1, " a b", "least score");
    query.score_min = -1;
    step_item_at("", 2.1, other);
    struct search both[] = {query, query};
    both[0].embedding = other, both[0].top_k = 2, both[1].top_k = 2;
    seen = step_search(c, "suite-s", both, 2);
    step_must_see(&seen, " e d a b", "two searches");
    store_suite_must(seen.queries[1] == 0 && seen.queries[2] == 1 && seen.ranks[2] == 0,
                     "two searches: whose hits");
    /* A changed item is where it went, and nowhere else. */
    step_put_at(c, "suite-s", "a", 1.0);
    step_put_at(c, "suite-s", "e", 0.0);
    step_search_sees(c, "suite-s", &query, 1, " e b c d a", "moved items");

    struct search bad[] = {query, query, query, query, query, query};
    float zero[STEP_DIM] = {0};
    bad[0].top_k = 0;
    bad[1].top_k = COLLECTION_HITS_MAX, bad[1].offset = 1;
    bad[2].embedding = zero;
    bad[3].embedding = NULL;
    bad[4].words_weight = 2;
    bad[5].effort = COLLECTION_EFFORT_MAX + 1;
    for (size_t i = 0; i < 6; i++) {
        err = ERROR_NONE;
        step_must_be(collection_search(c, "suite-s", &bad[i], 1,
                                       &(struct hit_visitor){0, step_see_hit, &seen}, &err),
                     STATUS_INVALID, &err, "a bad search");
    }
    /* An embedding of another model has nothing to find here. */
    query.model_digest = step_digest_a;
    step_search_sees(c, "suite-s", &query, 1, " e b c d a", "the same model");
    query.model_digest = step_digest_b;
    err = ERROR_NONE;
    step_must_be(collection_search(c, "suite-s", &query, 1,
                                   &(struct hit_visitor){0, step_see_hit, &seen}, &err),
                 STATUS_CONFLICT, &err, "another model");
    step_drop(c, "suite-s");
    collections_close(c);
}

/* Many items at one place: which of them are hits, and in which order, is up to their ids. */
void store_suite_run_ties(const char *store) {
    struct collections *c = step_open_store(store);
    struct collection_spec spec = step_spec_of("suite-t");
    float e[STEP_DIM];
    step_make(c, &spec);
    for (int i = 0; i < 40; i++) {
        char id[8];
        snprintf(id, sizeof(id), "t%02d", i * 7 % 40);
        step_put_at(c, "suite-t", id, 0.5);
    }
    step_put_at(c, "suite-t", "z", 0.1);
    struct search query = step_search_at(e, 4);
    step_search_sees(c, "suite-t", &query, 1, " z t00 t01 t02", "ties");
    query.offset = 4;
    step_search_sees(c, "suite-t", &query, 1, " t03 t04 t05 t06", "ties on the next page");
    step_drop(c, "suite-t");
    collections_close(c);
}

/* Roundings put the score of what lies opposite below -1: it is a hit all the same. The sum of
 * these squares is above 1 in whichever order fp32 adds them. */
void store_suite_run_opposites(const char *store) {
    struct collections *c = step_open_store(store);
    struct collection_spec spec = step_spec_of("suite-o");
    float e[STEP_DIM], embedding[STEP_DIM];
    struct search query = step_search_at(e, 10);
    step_make(c, &spec);
    for (int i = 0; i < STEP_DIM; i++) {
        embedding[i] = (float)sin(1 + 2671 * STEP_DIM + i);
        e[i] = -embedding[i];
    }
    step_must_put(c, "suite-o",
                  (struct item){.id = bytes_of("o"), .embedding = embedding, .dim = STEP_DIM});
    for (int i = 1; i < 4; i++) {
        query.score_min = -(float)i;
        struct seen seen = step_search(c, "suite-o", &query, 1);
        step_must_see(&seen, " o", "the opposite");
    }
    step_drop(c, "suite-o");
    collections_close(c);
}

void store_suite_run_words(const char *store) {
    struct collections *c = step_open_store(store);
    struct collection_spec spec = step_spec_of("suite-w");
    float e[STEP_DIM];
    step_make(c, &spec);
    const char *ids[] = {"a", "b", "c", "d"};
    const char *texts[] = {"A red car", "the red, RED house by the sea", "a blue car", ""};
    for (size_t i = 0; i < 4; i++) {
        struct item item = step_item_at(ids[i], 0.1 * (double)(i + 1), e);
        item.text = bytes_of(texts[i]);
        step_must_put(c, "suite-w", item);
    }
    struct search query = step_search_at(e, 10), words = {.top_k = 10, .score_min = -1};
    words.words = bytes_of("car");
    struct seen seen = step_search(c, "suite-w", &words, 1);
    store_suite_must(seen.count == 2 && strstr(seen.ids, " a") && strstr(seen.ids, " c"),
                     "words: saw%s", seen.ids);
    for (size_t i = 0; i < seen.count; i++)
        store_suite_must(seen.scores[i] >= 0 && seen.scores[i] <= 1, "words: a rank of %g",
                         (double)seen.scores[i]);
    words.words = bytes_of("Red CAR");
    step_search_sees(c, "suite-w", &words, 1, " a", "both words");
    /* Query languages of the stores mean nothing here. */
    static const char *const hostile[] = {
        "\"",          "car\" OR \"red", "car AND NOT", "(",         "text:car*", "-",
        "' OR 1=1 --", "^car NEAR(",     "{}",          "car & | !", ":*",        "\\"};
    for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
        words.words = bytes_of(hostile[i]);
        step_search(c, "suite-w", &words, 1);
    }
    words.words = bytes_of("car OR house");
    step_search_sees(c, "suite-w", &words, 1, "", "\"or\" is a word");

    query.words = bytes_of("car"), query.words_weight = 0;
    step_search_sees(c, "suite-w", &query, 1, " a b c d", "words of no weight");
    query.words_weight = 0.9F;
    seen = step_search(c, "suite-w", &query, 1);
    store_suite_must(seen.count == 4 && strcmp(seen.ids + 4, " b d") == 0,
                     "hybrid: matches come first, the others by their cosines: saw%s", seen.ids);
    store_suite_must(fabs(seen.scores[2] - 0.1 * cos(0.2)) < 1e-6, "hybrid: the score is %g",
                     (double)seen.scores[2]);
    query.top_k = 1, query.offset = 3;
    step_search_sees(c, "suite-w", &query, 1, " d", "hybrid with an offset");

    /* The words of what was changed or deleted are gone. */
    struct item item = step_item_at("c", 0.3, e);
    uint64_t deleted;
    item.text = bytes_of("a bicycle");
    step_must_put(c, "suite-w", item);
    struct bytes id = bytes_of("a");
    collection_delete(c, "suite-w", &id, 1, &deleted, NULL);
    words.words = bytes_of("car");
    step_search_sees(c, "suite-w", &words, 1, "", "words that are gone");
    words.words = bytes_of("bicycle");
    step_search_sees(c, "suite-w", &words, 1, " c", "words that came");
    step_drop(c, "suite-w");
    collections_close(c);
}

void store_suite_run_reopen(const char *store) {
    struct collections *c = step_open_store(store);
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("suite-r"), other = step_spec_of("suite-q");
    struct collection_stats stats;
    float e[STEP_DIM];
    uint64_t number;
    step_add_field(&spec, "n", COLLECTION_NUMBER);
    step_make(c, &spec);
    step_make(c, &other);
    struct item item = step_item_at("a", 0.1, e);
    item.metadata = bytes_of("{\"n\":5}");
    item.text = bytes_of("red car");
    step_must_put(c, "suite-r", item);
    step_put_at(c, "suite-r", "b", 0.2);
    step_put_at(c, "suite-r", "c", 0.3);
    step_put_at(c, "suite-r", "c", 0.05);
    step_put_at(c, "suite-q", "of-another", 0);
    struct bytes gone = bytes_of("b");
    step_must_be(collection_delete(c, "suite-r", &gone, 1, &number, &err), STATUS_OK, &err,
                 "delete");
    collections_close(c);

    c = step_open_store(store);
    step_must_be(collections_ping(c, &err), STATUS_OK, &err, "ping");
    struct search query = step_search_at(e, 10), words = {.top_k = 1, .score_min = -1};
    words.words = bytes_of("car");
    step_search_sees(c, "suite-r", &query, 1, " c a", "opened again");
    step_search_sees(c, "suite-r", &words, 1, " a", "words, opened again");
    step_search_sees(c, "suite-q", &query, 1, " of-another", "the other");
    struct filter_value five = {.kind = FILTER_NUMBER, .number = 5};
    struct filter filter = {.kind = FILTER_IN, .field = "n", .values = &five, .count = 1};
    step_scroll_sees(c, "suite-r", &filter, "", 9, " a", "filter");
    step_must_be(collection_stats(c, "suite-r", &stats, &err), STATUS_OK, &err, "stats");
    store_suite_must(stats.items == 2 && stats.store && stats.index, "stats: %llu items",
                     (unsigned long long)stats.items);
    step_must_be(collection_reindex(c, "suite-r", &err), STATUS_OK, &err, "reindex");
    step_search_sees(c, "suite-r", &query, 1, " c a", "while it is built");
    step_drop(c, "suite-r");
    step_drop(c, "suite-q");
    collections_close(c);
}

/* So many collections that reading them takes more statements than a connection keeps. */
void store_suite_run_many(const char *store) {
    enum { MANY = 12 };
    struct collections *c = step_open_store(store);
    float e[STEP_DIM];
    char name[16], ids[MANY][16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "suite-m%02d", i);
        snprintf(ids[i], sizeof(ids[i]), " i%d", i);
        struct collection_spec spec = step_spec_of(name);
        step_make(c, &spec);
        step_put_at(c, name, ids[i] + 1, 0.1);
    }
    collections_close(c);

    c = step_open_store(store);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "suite-m%02d", i);
        struct search query = step_search_at(e, 10);
        step_search_sees(c, name, &query, 1, ids[i], name);
        step_scroll_sees(c, name, NULL, "", 10, ids[i], name);
        step_drop(c, name);
    }
    collections_close(c);
}
