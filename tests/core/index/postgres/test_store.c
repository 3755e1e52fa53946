/* The store in PostgreSQL against a real server: what every store must do, the same hits as
 * the other store, and its approximate index. What happens when servers die is in
 * tests/chaos/. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/index/collection.h"
#include "core/kernels/isa.h"
#include "tests/support/folder.h"
#include "tests/support/postgres_database.h"
#include "tests/support/postgres_hold.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

static char *address;

START_TEST(the_suite_holds) {
    store_suite_run((size_t)_i, address);
}
END_TEST

/* ---- random items ---- */

enum { DIM = 64, ITEMS = 2000, SEARCHES = 200, BATCH = 500, TOP_K = 10, HITS = SEARCHES * TOP_K };

/* xorshift64*; every run has the same items. */
static double draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)(*state * 0x2545F4914F6CDD1DULL >> 11) / 9007199254740992.0 - 0.5;
}

struct made {
    char ids[BATCH][16], metadata[BATCH][96], texts[BATCH][32];
    float embeddings[BATCH][DIM];
    struct item items[BATCH];
};

static float crowd_at(size_t j) {
    return (float)(j % 5) - 1.7F;
}

/* Items 10 i and 10 i + 1 lie at one place, so that there are ties; the first 300 lie so close
 * together that the order of their scores is one of roundings. */
static void make_items(struct made *made, size_t first, uint64_t *state) {
    for (size_t i = 0; i < BATCH; i++) {
        size_t n = first + i;
        bool twin = n % 10 == 1;
        for (size_t j = 0; j < DIM; j++) {
            float value = (float)draw(state);
            if (n < 300) value = crowd_at(j) + value * 1e-6F;
            made->embeddings[i][j] = twin ? made->embeddings[i - 1][j] : value;
        }
        snprintf(made->ids[i], sizeof(*made->ids), "item-%zu", n * 7919 % 100000);
        snprintf(made->metadata[i], sizeof(*made->metadata),
                 "{\"group\":%zu,\"name\":\"n%zu\",\"tags\":[\"t%zu\",%zu],\"x\":%.17g}", n % 100,
                 n % 7, n % 3, n % 5, draw(state));
        snprintf(made->texts[i], sizeof(*made->texts), "word%zu other", n % 50);
        made->items[i] = (struct item){.id = bytes_of(made->ids[i]),
                                       .embedding = made->embeddings[i],
                                       .dim = DIM,
                                       .metadata = bytes_of(made->metadata[i]),
                                       .text = bytes_of(made->texts[i])};
    }
}

static struct collections *open_store(const char *store, uint64_t approximate_from) {
    struct error err = ERROR_NONE;
    struct collections *c = NULL;
    struct collections_options options = {.store = store,
                                          .features = isa_detect(),
                                          .threads = 2,
                                          .approximate_from = approximate_from,
                                          .timeout_ms = 60000};
    step_must_be(collections_open(&c, &options, &err), STATUS_OK, &err, "open");
    return c;
}

/* Puts all items in: anew, or in the place of what is there. */
static void put_all(struct collections *c, const char *name, bool again) {
    struct made *made = calloc(1, sizeof(*made));
    struct error err = ERROR_NONE;
    uint64_t state = 88172645463325252ULL;
    ck_assert_ptr_nonnull(made);
    for (size_t first = 0; first < ITEMS; first += BATCH) {
        struct collection_upserted done;
        make_items(made, first, &state);
        step_must_be(collection_upsert(c, name, step_digest_a, made->items, BATCH, &done, &err),
                     STATUS_OK, &err, "fill");
        ck_assert_uint_eq(done.inserted, again ? 0 : BATCH);
        ck_assert_uint_eq(done.updated, again ? BATCH : 0);
    }
    free(made);
}

static void fill(struct collections *c, const char *name) {
    struct collection_spec spec = step_spec_of(name);
    spec.dim = DIM;
    step_add_field(&spec, "group", COLLECTION_NUMBER);
    step_add_field(&spec, "name", COLLECTION_TEXT);
    step_make(c, &spec);
    put_all(c, name, false);
}

/* ---- hits ---- */

struct hits {
    size_t count, wrong; /* wrong: hits that do not fit the filter */
    char ids[HITS][16];
    float scores[HITS];
    size_t queries[HITS];
    const char *must_have; /* in the metadata; NULL: anything */
};

static enum status keep_hit(void *context, const struct hit *hit, struct error *err) {
    struct hits *hits = context;
    (void)err;
    size_t i = hits->count++;
    ck_assert_uint_lt(i, HITS);
    snprintf(hits->ids[i], sizeof(*hits->ids), "%.*s", (int)hit->item.id.size,
             (const char *)hit->item.id.data);
    hits->scores[i] = hit->score;
    hits->queries[i] = hit->query;
    if (hits->must_have && !memmem(hit->item.metadata.data, hit->item.metadata.size,
                                   hits->must_have, strlen(hits->must_have)))
        hits->wrong++;
    return STATUS_OK;
}

static void search(struct hits *out, struct collections *c, const char *name,
                   const struct filter *filter, bool exact) {
    static float embeddings[SEARCHES][DIM];
    struct search searches[SEARCHES];
    struct error err = ERROR_NONE;
    uint64_t state = 1234567;
    for (size_t i = 0; i < SEARCHES; i++) {
        for (size_t j = 0; j < DIM; j++) {
            embeddings[i][j] = (float)draw(&state);
            if (i % 20 == 0) embeddings[i][j] = crowd_at(j) + embeddings[i][j] * 0.1F;
        }
        searches[i] = (struct search){.embedding = embeddings[i],
                                      .dim = DIM,
                                      .top_k = TOP_K,
                                      .offset = (uint32_t)i % 3,
                                      .score_min = -1,
                                      .filter = filter,
                                      .exact = exact};
    }
    out->count = out->wrong = 0;
    struct hit_visitor visitor = {out->must_have ? ITEM_METADATA : 0, keep_hit, out};
    step_must_be(collection_search(c, name, searches, SEARCHES, &visitor, &err), STATUS_OK, &err,
                 "search");
}

static const struct filter_value group_7[] = {{.kind = FILTER_NUMBER, .number = 7}};
static const struct filter_value names[] = {
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"n3", 2}},
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"n5", 2}}};
static const struct filter_value tag[] = {
    {.kind = FILTER_TEXT, .text = {(const uint8_t *)"t1", 2}}};
static struct filter tagged[] = {{.kind = FILTER_IN, .field = "tags", .values = tag, .count = 1}};
static const struct filter filters[] = {
    {.kind = FILTER_AND},
    {.kind = FILTER_IN, .field = "group", .values = group_7, .count = 1},
    {.kind = FILTER_IN, .field = "name", .values = names, .count = 2},
    {.kind = FILTER_NOT, .children = tagged, .count = 1},
    {.kind = FILTER_RANGE, .field = "x", .low = {true, true, {.kind = FILTER_NUMBER}}},
};

/* The same data and the same searches: the same hits, in the same order, with the same bits. */
START_TEST(both_stores_give_the_same_hits) {
    char *folder = folder_make();
    struct collections *stores[] = {open_store(address, UINT64_MAX),
                                    open_store(folder, UINT64_MAX)};
    struct hits *hits[2];
    for (size_t i = 0; i < 2; i++) {
        hits[i] = calloc(1, sizeof(*hits[i]));
        ck_assert_ptr_nonnull(hits[i]);
        fill(stores[i], "equal");
    }
    for (size_t f = 0; f < sizeof(filters) / sizeof(*filters); f++) {
        for (size_t i = 0; i < 2; i++) search(hits[i], stores[i], "equal", &filters[f], true);
        ck_assert_uint_gt(hits[0]->count, 0);
        ck_assert_uint_eq(hits[0]->count, hits[1]->count);
        for (size_t i = 0; i < hits[0]->count; i++) {
            ck_assert_str_eq(hits[0]->ids[i], hits[1]->ids[i]);
            ck_assert_mem_eq(&hits[0]->scores[i], &hits[1]->scores[i], sizeof(float));
        }
    }
    for (size_t i = 0; i < 2; i++) {
        step_drop(stores[i], "equal");
        collections_close(stores[i]);
        free(hits[i]);
    }
    folder_remove(folder);
}
END_TEST

/* ---- the approximate index ---- */

static void wait_for_index(struct collections *c, const char *name) {
    struct collection_stats stats = {0};
    struct error err = ERROR_NONE;
    for (int i = 0; i < 600; i++) {
        step_must_be(collection_stats(c, name, &stats, &err), STATUS_OK, &err, "stats");
        if (strcmp(stats.index, "hnsw") == 0 && !stats.building) break;
        usleep(50000);
    }
    ck_assert_str_eq(stats.index, "hnsw");
    ck_assert(!stats.building);
    ck_assert_uint_eq(stats.indexed, stats.items);
    ck_assert_uint_gt(stats.bytes_stored, (uint64_t)ITEMS * DIM * sizeof(float));
}

static size_t count_common(const struct hits *a, const struct hits *b) {
    size_t common = 0;
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++)
            common += a->queries[i] == b->queries[j] && strcmp(a->ids[i], b->ids[j]) == 0;
    }
    return common;
}

START_TEST(the_approximate_index_finds_what_there_is) {
    struct collections *c = open_store(address, 1000);
    struct hits *exact = calloc(1, sizeof(*exact)), *near = calloc(1, sizeof(*near));
    struct error err = ERROR_NONE;
    ck_assert(exact && near);
    fill(c, "near");
    wait_for_index(c, "near");
    usleep(1100000); /* a store may believe for a second that there is none */
    search(exact, c, "near", NULL, true);
    search(near, c, "near", NULL, false);
    ck_assert_uint_eq(near->count, HITS);
    ck_assert_uint_ge(count_common(near, exact), HITS * 9 / 10);

    /* Every hundredth item, and two in all: as many hits as fit, and none that does not. */
    near->must_have = "\"group\":7,";
    search(near, c, "near", &filters[1], false);
    ck_assert_uint_eq(near->count, HITS);
    ck_assert_uint_eq(near->wrong, 0);
    struct filter_value low = {.kind = FILTER_NUMBER, .number = 0.3};
    struct filter both[] = {filters[1], filters[4]};
    struct filter narrow = {.kind = FILTER_AND, .children = both, .count = 2};
    both[1].low.value = low;
    uint64_t fit;
    step_must_be(collection_count(c, "near", &narrow, &fit, &err), STATUS_OK, &err, "count");
    ck_assert(fit > 0 && fit < TOP_K);
    search(exact, c, "near", &narrow, true);
    search(near, c, "near", &narrow, false);
    ck_assert_uint_eq(near->count, exact->count);
    ck_assert_uint_eq(near->wrong, 0);
    ck_assert_uint_eq(count_common(near, exact), exact->count);

    step_must_be(collection_reindex(c, "near", &err), STATUS_OK, &err, "reindex");
    near->must_have = NULL;
    search(near, c, "near", NULL, false);
    ck_assert_uint_eq(near->count, HITS);
    wait_for_index(c, "near");
    step_drop(c, "near");
    collections_close(c);
    free(exact);
    free(near);
}
END_TEST

/* As docs/scale-out.md says: the table may be split under the store's feet. */
START_TEST(a_table_may_be_partitioned) {
    struct collections *c = open_store(address, UINT64_MAX), *near = NULL;
    struct hits *hits = calloc(1, sizeof(*hits)), *exact = calloc(1, sizeof(*exact));
    struct error err = ERROR_NONE;
    struct collection_stats stats;
    ck_assert(hits && exact);
    fill(c, "split");
    search(exact, c, "split", &filters[2], true);
    free(postgres_database_run(
        address,
        "DO $$ DECLARE n text := 'clipd_items_' || (SELECT number FROM clipd_collections "
        "WHERE name = 'split'); BEGIN "
        "EXECUTE format('ALTER TABLE %1$s RENAME TO %1$s_old', n); "
        "EXECUTE format('CREATE TABLE %1$s (LIKE %1$s_old INCLUDING ALL) PARTITION BY HASH (id)', "
        "n); FOR i IN 0..3 LOOP EXECUTE format('CREATE TABLE %1$s_%2$s PARTITION OF %1$s FOR "
        "VALUES WITH (MODULUS 4, REMAINDER %2$s)', n, i); END LOOP; "
        "EXECUTE format('INSERT INTO %1$s SELECT * FROM %1$s_old', n); "
        "EXECUTE format('DROP TABLE %1$s_old', n); "
        "EXECUTE format('CREATE INDEX %1$s_hnsw ON %1$s USING hnsw ((embedding::halfvec(64)) "
        "halfvec_cosine_ops)', n); END $$"));
    search(hits, c, "split", &filters[2], true);
    ck_assert_uint_eq(hits->count, exact->count);
    ck_assert_mem_eq(hits->ids, exact->ids, sizeof(hits->ids));
    put_all(c, "split", true);
    step_must_be(collection_stats(c, "split", &stats, &err), STATUS_OK, &err, "stats");
    ck_assert_uint_eq(stats.items, ITEMS);
    ck_assert_uint_gt(stats.bytes_stored, (uint64_t)ITEMS * DIM * sizeof(float));
    ck_assert_str_eq(stats.index, "hnsw");
    near = open_store(address, 1000);
    search(exact, near, "split", NULL, true);
    search(hits, near, "split", NULL, false);
    ck_assert_uint_ge(count_common(hits, exact), HITS * 9 / 10);
    step_drop(c, "split");
    collections_close(near);
    collections_close(c);
    free(exact);
    free(hits);
}
END_TEST

/* ---- several at once ---- */

static void *open_and_close(void *context) {
    struct collections_options options = {.store = address};
    struct collections *c = NULL;
    struct error err = ERROR_NONE;
    *(enum status *)context = collections_open(&c, &options, &err);
    if (*(enum status *)context) fprintf(stderr, "%s\n", err.message);
    collections_close(c);
    return NULL;
}

START_TEST(replicas_may_start_together) {
    pthread_t threads[4];
    enum status got[4];
    free(postgres_database_run(address, "DROP TABLE IF EXISTS clipd_schema, clipd_collections"));
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, open_and_close, &got[i]);
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 4; i++) ck_assert_int_eq(got[i], STATUS_OK);
}
END_TEST

START_TEST(a_newer_schema_is_refused) {
    struct collections_options options = {.store = address};
    struct collections *c = NULL;
    struct error err = ERROR_NONE;
    free(postgres_database_run(address, "UPDATE clipd_schema SET version = 99"));
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "99"));
    free(postgres_database_run(address, "UPDATE clipd_schema SET version = 1"));
}
END_TEST

START_TEST(a_schema_of_its_own) {
    char *path = NULL;
    struct collections *c = NULL;
    struct error err = ERROR_NONE;
    free(postgres_database_run(address, "CREATE SCHEMA clips"));
    ck_assert_int_gt(asprintf(&path, "%s&options=-csearch_path%%3Dclips", address), 0);
    struct collections_options options = {.store = path};
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "in a schema that search_path does not name"));
    free(path);
    ck_assert_int_gt(asprintf(&path, "%s&options=-csearch_path%%3Dclips,public", address), 0);
    options.store = path;
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_OK);
    collections_close(c);
    char *where =
        postgres_database_run(address, "SELECT to_regclass('clips.clipd_collections') IS NOT NULL");
    ck_assert_str_eq(where, "t");
    free(where);
    free(path);
    free(postgres_database_run(address, "DROP SCHEMA clips CASCADE"));
}
END_TEST

static void *upsert_often(void *context) {
    struct collections *c = context;
    float embeddings[20][STEP_DIM];
    struct item items[20];
    char ids[20][8];
    for (size_t i = 0; i < 20; i++) {
        snprintf(ids[i], sizeof(*ids), "i%zu", i);
        items[i] = step_item_at(ids[i], 0.01 * (double)i, embeddings[i]);
    }
    for (int round = 0; round < 30; round++) {
        struct error err = ERROR_NONE;
        uint64_t deleted;
        struct bytes id = items[round % 20].id;
        step_must_be(step_put(c, "often", items, 20, &err), STATUS_OK, &err, "upsert often");
        if (round < 29)
            step_must_be(collection_delete(c, "often", &id, 1, &deleted, &err), STATUS_OK, &err,
                         "delete often");
    }
    return NULL;
}

/* Four threads of two replicas write the same items at the same time. */
START_TEST(writers_do_not_hurt_each_other) {
    struct collections *c[] = {step_open_store(address), step_open_store(address)};
    struct collection_spec spec = step_spec_of("often");
    struct error err = ERROR_NONE;
    pthread_t threads[4];
    uint64_t count;
    step_make(c[0], &spec);
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, upsert_often, c[i % 2]);
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    upsert_often(c[0]);
    step_must_be(collection_count(c[1], "often", NULL, &count, &err), STATUS_OK, &err, "count");
    ck_assert_uint_eq(count, 20);
    step_drop(c[0], "often");
    for (size_t i = 0; i < 2; i++) collections_close(c[i]);
}
END_TEST

/* Three items in one call, in some order. */
struct trio_put {
    struct collections *c;
    const char *ids[3];
};

static void *put_trio(void *context) {
    struct trio_put *put = context;
    float embeddings[3][STEP_DIM];
    struct item items[3];
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < 3; i++) items[i] = step_item_at(put->ids[i], 0.1, embeddings[i]);
    step_must_be(step_put(put->c, "order", items, 3, &err), STATUS_OK, &err, "upsert of three");
    return NULL;
}

/* Both wait, the one for a row in the middle, which somebody holds, the other for what the first
 * one has. Had the other begun with "z", they would wait for each other in the end. */
START_TEST(writers_lock_rows_in_one_order) {
    static const char waiting[] = "SELECT count(*) = %d FROM pg_stat_activity "
                                  "WHERE wait_event_type = 'Lock' AND datname = '%%s'";
    struct collections *c = step_open_store(address);
    struct collection_spec spec = step_spec_of("order");
    struct trio_put puts[] = {{c, {"a", "m", "z"}}, {c, {"z", "m", "a"}}};
    pthread_t threads[2];
    char sql[256];
    step_make(c, &spec);
    put_trio(&puts[0]);
    pthread_t holder = postgres_hold(
        address, "EXECUTE (SELECT 'SELECT FROM clipd_items_' || number || ' WHERE id = ''m'' FOR "
                 "UPDATE' FROM clipd_collections WHERE name = 'order')");
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, put_trio, &puts[i]);
        snprintf(sql, sizeof(sql), waiting, i + 1);
        postgres_database_wait_until(address, sql);
    }
    char *number =
        postgres_database_run(address, "SELECT number FROM clipd_collections WHERE name = 'order'");
    snprintf(sql, sizeof(sql),
             "SELECT id FROM clipd_items_%s WHERE id = 'z' FOR UPDATE SKIP LOCKED", number);
    char *unlocked = postgres_database_run(address, sql);
    postgres_hold_end(address, holder);
    for (size_t i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    ck_assert_str_eq(unlocked, "z");
    step_drop(c, "order");
    collections_close(c);
    free(unlocked);
    free(number);
}
END_TEST

/* A store heals from connections that are closed under it, without a word to the caller. */
START_TEST(closed_connections_are_replaced) {
    struct collections *c = step_open_store(address);
    struct collection_spec spec = step_spec_of("closed");
    step_make(c, &spec);
    for (int i = 0; i < 10; i++) {
        step_put_at(c, "closed", "a", 0.1);
        free(postgres_database_run(address,
                                   "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                   "WHERE application_name = 'clipd' AND datname = "
                                   "current_database()"));
        step_scroll_sees(c, "closed", NULL, "", 9, " a", "after its connections were closed");
    }
    step_drop(c, "closed");
    collections_close(c);
}
END_TEST

START_TEST(bad_addresses_are_refused) {
    static const struct {
        const char *store;
        enum status status;
    } cases[] = {
        {"postgresql://[", STATUS_INVALID},
        {"postgresql://127.0.0.1:1/nothing", STATUS_UNAVAILABLE},
        {"postgresql://nowhere.invalid/nothing", STATUS_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct collections_options options = {.store = cases[i].store};
        struct collections *c = NULL;
        struct error err = ERROR_NONE;
        ck_assert_int_eq(collections_open(&c, &options, &err), cases[i].status);
        ck_assert_ptr_null(strstr(err.message, "nothing"));
    }
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    log_init(LOG_ERROR, LOG_TEXT);
    TCase *tcase = tcase_create("postgres");
    tcase_add_test(tcase, replicas_may_start_together);
    tcase_add_loop_test(tcase, the_suite_holds, 0, (int)store_suite_count());
    tcase_add_test(tcase, both_stores_give_the_same_hits);
    tcase_add_test(tcase, the_approximate_index_finds_what_there_is);
    tcase_add_test(tcase, a_table_may_be_partitioned);
    tcase_add_test(tcase, a_newer_schema_is_refused);
    tcase_add_test(tcase, a_schema_of_its_own);
    tcase_add_test(tcase, writers_do_not_hurt_each_other);
    tcase_add_test(tcase, writers_lock_rows_in_one_order);
    tcase_add_test(tcase, closed_connections_are_replaced);
    tcase_add_test(tcase, bad_addresses_are_refused);
    int failed = program_run("postgres", tcase, CK_NOFORK);
    postgres_database_drop(address);
    return failed;
}
