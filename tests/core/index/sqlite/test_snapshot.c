#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/index/collection.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

static char *folder, *path; /* of each test; the snapshot goes to `path` */
static struct collections *c;

static void put_item(const char *id, double angle, const char *metadata, const char *text) {
    float e[STEP_DIM];
    struct item item = step_item_at(id, angle, e);
    item.metadata = bytes_of(metadata);
    item.text = bytes_of(text);
    item.thumbnail = bytes_of("picture");
    item.has_digest = true;
    step_must_put(c, "a", item);
}

static void setup(void) {
    struct collection_spec spec = step_spec_of("a"), other = step_spec_of("b");
    struct error err = ERROR_NONE;
    folder = folder_make();
    ck_assert_int_ge(asprintf(&path, "%s/snapshot.db", folder), 0);
    c = step_open_store(folder);
    step_add_field(&spec, "n", COLLECTION_NUMBER);
    step_make(c, &spec);
    step_make(c, &other);
    put_item("x", 0.1, "{\"n\":1}", "red car");
    put_item("y", 0.2, "{\"n\":2}", "blue car");
    step_put_at(c, "b", "of b", 0);
    ck_assert_msg(collections_snapshot(c, path, &err) == STATUS_OK, "%s", err.message);
}

static void teardown(void) {
    collections_close(c);
    free(path);
    folder_remove(folder);
}

static void must_restore(void) {
    struct error err = ERROR_NONE;
    ck_assert_msg(collection_restore(c, "a", path, &err) == STATUS_OK, "%s", err.message);
}

static void must_be_as_before(void) {
    const struct filter_value two = {.kind = FILTER_NUMBER, .number = 2};
    const struct filter filter = {.kind = FILTER_IN, .field = "n", .values = &two, .count = 1};
    float e[STEP_DIM];
    struct search query = step_search_at(e, 10);
    struct search words = {.words = bytes_of("red"), .top_k = 10, .score_min = -1};
    step_scroll_sees(c, "a", NULL, "", 10, " x y", "scroll");
    step_scroll_sees(c, "a", &filter, "", 10, " y", "scroll with a filter");
    step_search_sees(c, "a", &query, 1, " x y", "search");
    step_search_sees(c, "a", &words, 1, " x", "search by words");
    struct seen x = step_fetch(c, "a", "x", ITEM_METADATA | ITEM_THUMBNAIL | ITEM_DIGEST);
    ck_assert_str_eq(x.metadata, "{\"n\":1}");
    ck_assert_str_eq(x.thumbnail, "picture");
    ck_assert(x.has_digest);
}

START_TEST(test_restore) {
    struct bytes y = bytes_of("y");
    uint64_t deleted;
    put_item("x", 3, "{\"n\":2}", "something else");
    put_item("z", 0, "{}", "red");
    collection_delete(c, "a", &y, 1, &deleted, NULL);
    step_put_at(c, "b", "later", 0);
    must_restore();
    must_be_as_before();
    step_scroll_sees(c, "b", NULL, "", 10, " later of b", "another collection");
    must_restore(); /* again */
    collections_close(c);
    c = step_open_store(folder);
    must_be_as_before();
    put_item("z", 0, "{}", "");
    step_scroll_sees(c, "a", NULL, "", 10, " x y z", "written after restoring");
}
END_TEST

START_TEST(test_restore_dropped) {
    step_drop(c, "a");
    must_restore();
    must_be_as_before();
}
END_TEST

/* It is a whole file of its own, for nobody else, and can be opened as a store. */
START_TEST(test_file) {
    char *other = NULL, *moved = NULL;
    struct stat stat_buffer;
    ck_assert_int_eq(stat(path, &stat_buffer), 0);
    ck_assert_uint_eq(stat_buffer.st_mode & 0777, 0600);
    ck_assert_int_ge(asprintf(&other, "%s/other", folder), 0);
    ck_assert_int_ge(asprintf(&moved, "%s/collections.db", other), 0);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    ck_assert_int_eq(rename(path, moved), 0);
    collections_close(c);
    c = step_open_store(other);
    must_be_as_before();
    free(other);
    free(moved);
}
END_TEST

START_TEST(test_refused) {
    struct error err = ERROR_NONE;
    struct collection_spec spec = step_spec_of("a");
    ck_assert_int_eq(collection_restore(c, "none", path, &err), STATUS_NOT_FOUND);
    err = ERROR_NONE;
    ck_assert_int_eq(collection_restore(c, "a", "/nowhere/x.db", &err), STATUS_NOT_FOUND);
    err = ERROR_NONE;
    ck_assert_int_eq(collections_snapshot(c, "/nowhere/x.db", &err), STATUS_IO);
    memcpy(spec.model_digest, step_digest_b, sizeof(step_digest_b));
    step_make(c, &spec);
    err = ERROR_NONE;
    ck_assert_int_eq(collection_restore(c, "a", path, &err), STATUS_CONFLICT);
    step_scroll_sees(c, "a", NULL, "", 10, "", "left as it was");
}
END_TEST

/* Whatever is wrong with the file, the collection stays as it is. */
START_TEST(test_damaged) {
    struct buffer file = files_load(path);
    struct error err = ERROR_NONE;
    for (size_t at = 50; at < file.size; at += file.size / 40) {
        FILE *out = fopen(path, "wb");
        ck_assert_ptr_nonnull(out);
        for (size_t i = 0; i < 16 && at + i < file.size; i++) file.data[at + i] ^= 0xA5;
        fwrite(file.data, 1, file.size, out);
        for (size_t i = 0; i < 16 && at + i < file.size; i++) file.data[at + i] ^= 0xA5;
        fclose(out);
        err = ERROR_NONE;
        enum status status = collection_restore(c, "a", path, &err);
        ck_assert_int_ne(status, STATUS_INTERNAL);
        if (status) ck_assert_msg(strstr(err.message, "the snapshot") != NULL, "%s", err.message);
        ck_assert_ptr_null(strstr(err.message, folder));
        must_be_as_before();
    }
    buffer_free(&file);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("snapshot");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_restore);
    tcase_add_test(tcase, test_restore_dropped);
    tcase_add_test(tcase, test_file);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_damaged);
    return program_run("sqlite_snapshot", tcase, CK_FORK_GETENV);
}
