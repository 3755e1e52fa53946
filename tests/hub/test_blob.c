/* A file on its way into the cache, fed by hand. */
#include "hub/blob.h"

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

#define TEXT "test content\n"
#define GIT "d670460b4b4aece5915caf5c68d12f560a9fe3e4" /* of it, by git itself */

enum { TEXT_SIZE = sizeof(TEXT) - 1 };

struct place {
    char *cache;
    struct snapshot snapshot;
};

static struct place open_place(void) {
    struct place place = {.cache = folder_make()};
    struct repository repository;
    ck_assert(repository_parse(&repository, "a/b"));
    ck_assert_int_eq(snapshot_open(&place.snapshot, place.cache, &repository,
                                   "0123456789abcdef0123456789abcdef01234567", NULL),
                     STATUS_OK);
    return place;
}

static void close_place(struct place *place) {
    snapshot_close(&place->snapshot);
    folder_remove(place->cache);
}

static struct blob open_blob(const struct place *place) {
    struct blob blob;
    ck_assert_int_eq(blob_init(&blob, &place->snapshot, "name", GIT, TEXT_SIZE, NULL), STATUS_OK);
    return blob;
}

static enum transfer_turn prepare(struct blob *blob, uint64_t from) {
    enum transfer_turn turn;
    uint64_t found = UINT64_MAX;
    ck_assert_int_eq(blob_sink.prepare(blob, &turn, &found, NULL), STATUS_OK);
    if (turn == TRANSFER_GO) ck_assert_uint_eq(found, from);
    return turn;
}

static void feed(struct blob *blob, uint64_t from, const char *text) {
    ck_assert_int_eq(blob_sink.begin(blob, from, NULL), STATUS_OK);
    ck_assert_int_eq(blob_sink.write(blob, bytes_of(text), NULL), STATUS_OK);
}

static const char *finish(struct blob *blob) {
    const char *again = NULL;
    ck_assert_int_eq(blob_sink.finish(blob, &again, NULL), STATUS_OK);
    return again;
}

static void expect_done(const struct blob *blob) {
    ck_assert(blob->done);
    ck_assert_int_eq(access(blob->draft, F_OK), -1);
    struct buffer file = files_load(blob->path);
    ck_assert_uint_eq(file.size, TEXT_SIZE);
    ck_assert_mem_eq(file.data, TEXT, TEXT_SIZE);
    buffer_free(&file);
}

START_TEST(whole) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    ck_assert_int_eq(prepare(&blob, 0), TRANSFER_GO);
    feed(&blob, 0, TEXT);
    ck_assert_int_eq(access(blob.path, F_OK), -1);
    ck_assert_ptr_null(finish(&blob));
    expect_done(&blob);
    struct blob same = open_blob(&place);
    ck_assert_uint_eq(same.have, TEXT_SIZE);
    ck_assert_int_eq(prepare(&same, 0), TRANSFER_SKIP);
    ck_assert(same.done);
    blob_close(&same);
    blob_close(&blob);
    close_place(&place);
}
END_TEST

START_TEST(in_parts) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    prepare(&blob, 0);
    feed(&blob, 0, "test ");
    ck_assert_ptr_nonnull(finish(&blob)); /* cut */
    blob_close(&blob);
    blob = open_blob(&place);
    ck_assert_uint_eq(blob.have, 5);
    ck_assert_int_eq(prepare(&blob, 5), TRANSFER_GO);
    feed(&blob, 5, "con");
    ck_assert_int_eq(prepare(&blob, 8), TRANSFER_GO);
    feed(&blob, 8, "tent\n");
    ck_assert_ptr_null(finish(&blob));
    expect_done(&blob);
    blob_close(&blob);
    close_place(&place);
}
END_TEST

START_TEST(a_part_that_does_not_fit) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    prepare(&blob, 0);
    feed(&blob, 0, "nice ");
    prepare(&blob, 5);
    feed(&blob, 5, "content\n");
    ck_assert_ptr_nonnull(finish(&blob)); /* once more, from the start */
    ck_assert_int_eq(prepare(&blob, 0), TRANSFER_GO);
    feed(&blob, 0, TEXT);
    ck_assert_ptr_null(finish(&blob));
    expect_done(&blob);
    blob_close(&blob);
    close_place(&place);
}
END_TEST

START_TEST(from_the_start_after_all) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    prepare(&blob, 0);
    feed(&blob, 0, "nice ");
    prepare(&blob, 5);
    feed(&blob, 0, TEXT); /* the range was ignored */
    ck_assert_ptr_null(finish(&blob));
    expect_done(&blob);
    blob_close(&blob);
    close_place(&place);
}
END_TEST

START_TEST(a_wrong_one) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    struct error err = ERROR_NONE;
    const char *again = NULL;
    prepare(&blob, 0);
    feed(&blob, 0, "test_content\n");
    ck_assert_int_eq(blob_sink.finish(&blob, &again, &err), STATUS_UNPROCESSABLE);
    ck_assert_msg(strstr(err.message, "expected " GIT) != NULL, "%s", err.message);
    ck_assert_int_eq(access(blob.path, F_OK), -1);
    ck_assert_int_eq(access(blob.draft, F_OK), -1);
    blob_close(&blob);
    close_place(&place);
}
END_TEST

START_TEST(too_long) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    prepare(&blob, 0);
    feed(&blob, 0, TEXT);
    ck_assert_int_eq(blob_sink.write(&blob, bytes_of("x"), NULL), STATUS_UNPROCESSABLE);
    blob_close(&blob);
    close_place(&place);
}
END_TEST

START_TEST(held_by_another) {
    struct place place = open_place();
    struct blob blob = open_blob(&place);
    int lock = open(blob.lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    ck_assert_int_eq(prepare(&blob, 0), TRANSFER_WAIT);
    ck_assert_int_eq(access(blob.draft, F_OK), -1);
    close(lock);
    ck_assert_int_eq(prepare(&blob, 0), TRANSFER_GO);
    struct blob other = open_blob(&place);
    ck_assert_int_eq(prepare(&other, 0), TRANSFER_WAIT);
    blob_close(&blob);
    ck_assert_int_eq(prepare(&other, 0), TRANSFER_GO);
    blob_close(&other);
    close_place(&place);
}
END_TEST

START_TEST(no_digest) {
    struct place place = open_place();
    struct blob blob;
    ck_assert_int_eq(blob_init(&blob, &place.snapshot, "name", "../../x", 1, NULL),
                     STATUS_UNPROCESSABLE);
    close_place(&place);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("blob");
    tcase_add_test(tcase, whole);
    tcase_add_test(tcase, in_parts);
    tcase_add_test(tcase, a_part_that_does_not_fit);
    tcase_add_test(tcase, from_the_start_after_all);
    tcase_add_test(tcase, a_wrong_one);
    tcase_add_test(tcase, too_long);
    tcase_add_test(tcase, held_by_another);
    tcase_add_test(tcase, no_digest);
    return program_run("blob", tcase, CK_NOFORK);
}
