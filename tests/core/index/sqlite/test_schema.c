/* Files that are damaged, foreign or of another version: an error that names the file, or work,
 * and never a crash. */
#include <check.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/index/collection.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"
#include "tests/support/store_suite.h"

enum { DAMAGES = 300, ITEMS = 120 };

static char *path_in(const char *folder, const char *name) {
    char *path = NULL;
    ck_assert_int_ge(asprintf(&path, "%s/%s", folder, name), 0);
    return path;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void fill_store(struct collections *c) {
    const char *names[] = {"one", "two"};
    char id[16], metadata[96];
    float e[STEP_DIM];
    uint8_t thumbnail[9000];
    memset(thumbnail, 'x', sizeof(thumbnail));
    for (size_t i = 0; i < 2; i++) {
        struct collection_spec spec = step_spec_of(names[i]);
        step_add_field(&spec, "n", COLLECTION_NUMBER);
        step_make(c, &spec);
        for (size_t j = 0; j < ITEMS; j++) {
            snprintf(id, sizeof(id), "item %zu", j);
            snprintf(metadata, sizeof(metadata), "{\"n\":%zu,\"tags\":[\"a\",\"b%zu\"]}", j, j % 7);
            struct item item = step_item_at(id, 0.01 * (double)j, e);
            item.metadata = bytes_of(metadata);
            item.text = bytes_of("a red car by the sea");
            item.thumbnail = (struct bytes){thumbnail, j % 10 ? 0 : sizeof(thumbnail)};
            step_must_put(c, names[i], item);
        }
    }
}

/* ---- damage ---- */

/* Any status but those that speak of a bug of ours; failures have a message. */
static void may_fail(enum status status, const struct error *err) {
    store_suite_must(status != STATUS_INTERNAL, "a bug: %s", err->message);
    store_suite_must(!status || *err->message, "no message");
}

static enum status look(void *context, const struct item *item, struct error *err) {
    volatile uint8_t *sum = context;
    (void)err;
    for (size_t i = 0; i < item->metadata.size; i++) *sum += item->metadata.data[i];
    for (size_t i = 0; i < item->text.size; i++) *sum += item->text.data[i];
    for (size_t i = 0; i < item->thumbnail.size; i++) *sum += item->thumbnail.data[i];
    for (size_t i = 0; item->embedding && i < STEP_DIM; i++) *sum += item->embedding[i] > 0;
    return STATUS_OK;
}

static enum status look_hit(void *context, const struct hit *hit, struct error *err) {
    return look(context, &hit->item, err);
}

/* Everything that a service would do. */
static void use(struct collections *c, const char *name) {
    unsigned all = ITEM_METADATA | ITEM_TEXT | ITEM_THUMBNAIL | ITEM_DIGEST | ITEM_EMBEDDING;
    const struct filter_value five = {.kind = FILTER_NUMBER, .number = 5};
    const struct filter_value tag = {.kind = FILTER_TEXT, .text = bytes_of("b3")};
    const struct filter range = {.kind = FILTER_RANGE, .field = "n", .low = {true, true, five}};
    const struct filter in = {.kind = FILTER_IN, .field = "tags", .values = &tag, .count = 1};
    struct error err[9];
    struct collection_upserted upserted;
    struct collection_stats stats;
    uint8_t sum = 0;
    uint64_t number;
    float e[STEP_DIM];
    for (size_t i = 0; i < 9; i++) err[i] = ERROR_NONE;
    struct search queries[] = {step_search_at(e, 10), step_search_at(e, 10), step_search_at(e, 10)};
    queries[1].filter = &range;
    queries[2].words = bytes_of("red car"), queries[2].words_weight = 0.5F;
    struct item item = step_item_at("item 7", 0.5, e);
    item.metadata = bytes_of("{\"n\":7}");
    item.text = bytes_of("blue");
    may_fail(collection_scroll(c, name, NULL, bytes_of(""), 1000,
                               &(struct item_visitor){all, look, &sum}, &err[0]),
             &err[0]);
    may_fail(collection_count(c, name, &in, &number, &err[1]), &err[1]);
    may_fail(
        collection_search(c, name, queries, 3, &(struct hit_visitor){all, look_hit, &sum}, &err[2]),
        &err[2]);
    may_fail(collection_stats(c, name, &stats, &err[3]), &err[3]);
    may_fail(
        collection_fetch(c, name, &item.id, 1, &(struct item_visitor){all, look, &sum}, &err[4]),
        &err[4]);
    may_fail(collection_upsert(c, name, step_digest_a, &item, 1, &upserted, &err[5]), &err[5]);
    may_fail(collection_delete(c, name, &item.id, 1, &number, &err[6]), &err[6]);
    may_fail(collection_delete_where(c, name, &range, &number, &err[7]), &err[7]);
    may_fail(collection_drop(c, name, &err[8]), &err[8]);
}

static void open_and_use(const char *folder) {
    struct error err = ERROR_NONE;
    struct collections *c = NULL;
    struct collections_options options = {.store = folder, .threads = 1};
    alarm(60);
    enum status status = collections_open(&c, &options, &err);
    may_fail(status, &err);
    if (status) {
        store_suite_must(strstr(err.message, folder), "the file is not named: %s", err.message);
        return;
    }
    use(c, "one");
    use(c, "two");
    collections_close(c);
}

static uint32_t next_random(uint32_t *state) {
    return *state = *state * 1664525U + 1013904223U, *state >> 8;
}

/* Flips bytes anywhere, or in one page's head where the structure is, or empties a page, or cuts
 * the end off. */
static void damage(struct buffer *file, uint32_t seed) {
    uint32_t state = seed;
    enum { PAGE = 8192 };
    size_t pages = file->size / PAGE, page = next_random(&state) % pages * PAGE;
    size_t count = 1 + next_random(&state) % 8;
    for (size_t i = 0; i < count && seed % 4 < 2; i++) {
        size_t at = seed % 4 ? page + next_random(&state) % 64 : next_random(&state) % file->size;
        file->data[at] ^= (uint8_t)(1 + next_random(&state) % 255);
    }
    if (seed % 4 == 2) memset(file->data + page, (int)(next_random(&state) % 2) * 255, PAGE);
    if (seed % 4 == 3) file->size = next_random(&state) % file->size;
}

START_TEST(test_damage) {
    char *whole = folder_make(), *path = path_in(whole, "collections.db");
    struct collections *c = step_open_store(whole);
    size_t crashes = 0;
    fill_store(c);
    collections_close(c);
    for (uint32_t seed = 0; seed < DAMAGES; seed++) {
        struct buffer file = files_load(path);
        char *folder = folder_make(), *copy = path_in(folder, "collections.db");
        damage(&file, seed);
        write_file(copy, file.data, file.size);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            open_and_use(folder);
            _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status)) {
            printf("damage %u: status %x\n", seed, (unsigned)status);
            crashes++;
        }
        buffer_free(&file);
        free(copy);
        folder_remove(folder);
    }
    ck_assert_uint_eq(crashes, 0);
    free(path);
    folder_remove(whole);
}
END_TEST

/* One byte of an embedding is no damage to SQLite; our checksum sees it. */
START_TEST(test_embedding_checksum) {
    char *folder = folder_make(), *path = path_in(folder, "collections.db");
    struct collections *c = step_open_store(folder);
    struct error err = ERROR_NONE;
    struct collections_options options = {.store = folder, .threads = 1};
    sqlite3 *db = NULL;
    fill_store(c);
    collections_close(c);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "UPDATE embeddings_1 SET embedding = zeroblob(32) WHERE row = 3",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_UNPROCESSABLE);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, "row 3"), "%s", err.message);
    free(path);
    folder_remove(folder);
}
END_TEST

/* What is found while the store is in use is no fault of who asks, and no business of his where
 * the file lies. */
START_TEST(test_damage_in_use) {
    static const char *const harms[] = {
        "UPDATE embeddings_1 SET embedding = zeroblob(32) WHERE row = 3",
        "UPDATE embeddings_1 SET checksum = 0 WHERE row = 3",
        "ALTER TABLE embeddings_1 RENAME COLUMN checksum TO other",
    };
    char *folder = folder_make(), *path = path_in(folder, "collections.db");
    struct collections *c = step_open_store(folder);
    struct error err = ERROR_NONE;
    struct bytes id = bytes_of("item 2");
    sqlite3 *db = NULL;
    uint8_t sum = 0;
    fill_store(c);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, harms[_i], NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct item_visitor visitor = {ITEM_EMBEDDING, look, &sum};
    ck_assert_int_eq(collection_fetch(c, "one", &id, 1, &visitor, &err), STATUS_IO);
    ck_assert_msg(strstr(err.message, "the store") && !strstr(err.message, folder), "%s",
                  err.message);
    collections_close(c);
    free(path);
    folder_remove(folder);
}
END_TEST

/* ---- others' files ---- */

/* What happens when the store is opened after the statement was run on its file. */
static const struct {
    const char *sql;
    enum status status;
    const char *message;
} changes[] = {
    {"PRAGMA user_version = 99", STATUS_UNSUPPORTED, "version 99"},
    {"PRAGMA user_version = -1", STATUS_UNSUPPORTED, "version -1"},
    {"PRAGMA application_id = 1", STATUS_UNPROCESSABLE, "no store of clipd"},
    {"CREATE TRIGGER t AFTER INSERT ON items_1 BEGIN SELECT 1; END", STATUS_UNPROCESSABLE,
     "triggers"},
    {"DROP TABLE values_1", STATUS_UNPROCESSABLE, "missing"},
    {"DROP TABLE thumbnails_1; CREATE TABLE thumbnails_1 (row, image)", STATUS_UNPROCESSABLE,
     "not as we make it"},
    {"DELETE FROM items_1 WHERE row = 2", STATUS_UNPROCESSABLE, "119 items and 120 embeddings"},
    {"UPDATE items_1 SET row = 1000 WHERE row = 2", STATUS_UNPROCESSABLE, "not of the same rows"},
    {"UPDATE collections SET name = '../x' WHERE number = 1", STATUS_UNPROCESSABLE, "damaged"},
    {"UPDATE collections SET dim = 1000000000000 WHERE number = 1", STATUS_UNPROCESSABLE,
     "damaged"},
    {"UPDATE collections SET dim = 7 WHERE number = 1", STATUS_UNPROCESSABLE, "damaged"},
    {"UPDATE fields SET path = 'a\"b'", STATUS_UNPROCESSABLE, "damaged"},
    {"ANALYZE", STATUS_OK, ""},
};

START_TEST(test_changed) {
    char *folder = folder_make(), *path = path_in(folder, "collections.db");
    struct collections *c = step_open_store(folder);
    struct error err = ERROR_NONE;
    struct collections_options options = {.store = folder, .threads = 1};
    sqlite3 *db = NULL;
    fill_store(c);
    collections_close(c);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, changes[_i].sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    c = NULL;
    enum status status = collections_open(&c, &options, &err);
    ck_assert_msg(status == changes[_i].status && strstr(err.message, changes[_i].message),
                  "%s: %s: %s", changes[_i].sql, status_name(status), err.message);
    collections_close(c);
    free(path);
    folder_remove(folder);
}
END_TEST

START_TEST(test_no_database) {
    char *folder = folder_make(), *path = path_in(folder, "collections.db");
    struct collections *c = NULL;
    struct error err = ERROR_NONE;
    struct collections_options options = {.store = folder};
    write_file(path, "This is a text, and quite a long one, as far as texts about nothing go.", 70);
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_UNPROCESSABLE);
    ck_assert_msg(strstr(err.message, path) != NULL, "%s", err.message);
    free(path);
    folder_remove(folder);
}
END_TEST

/* ---- the folder ---- */

START_TEST(test_folder) {
    char *parent = folder_make(), *folder = path_in(parent, "made");
    char *path = path_in(folder, "collections.db");
    struct collections *c = step_open_store(folder), *second = NULL;
    struct error err = ERROR_NONE;
    struct collections_options options = {.store = folder};
    struct stat stat_buffer;
    ck_assert_int_eq(stat(folder, &stat_buffer), 0);
    ck_assert_uint_eq(stat_buffer.st_mode & 0777, 0700);
    ck_assert_int_eq(stat(path, &stat_buffer), 0);
    ck_assert_uint_eq(stat_buffer.st_mode & 0777, 0600);
    ck_assert_int_eq(collections_open(&second, &options, &err), STATUS_UNAVAILABLE);
    ck_assert_msg(strstr(err.message, "in use") && strstr(err.message, folder), "%s", err.message);
    collections_close(c);
    c = step_open_store(folder);
    collections_close(c);
    options.store = path; /* no folder */
    err = ERROR_NONE;
    ck_assert_int_eq(collections_open(&c, &options, &err), STATUS_IO);
    free(path);
    free(folder);
    folder_remove(parent);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("schema");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_damage);
    tcase_add_test(tcase, test_embedding_checksum);
    tcase_add_loop_test(tcase, test_damage_in_use, 0, 3);
    tcase_add_loop_test(tcase, test_changed, 0, (int)(sizeof(changes) / sizeof(*changes)));
    tcase_add_test(tcase, test_no_database);
    tcase_add_test(tcase, test_folder);
    return program_run("sqlite_schema", tcase, CK_FORK_GETENV);
}
