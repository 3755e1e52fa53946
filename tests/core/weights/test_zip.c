/* Archives as PyTorch writes them, and each way in which one can lie about itself. */
#include "core/weights/zip.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/archive.h"
#include "tests/support/program.h"

static void build(struct buffer *out) {
    struct archive_entry entries[] = {{"a/data.pkl", bytes_of("pickle")},
                                      {"a/data/0", bytes_of("0123")},
                                      {"a/data/1", bytes_of("")}};
    archive_build(out, entries, 3);
}

/* An exact copy, so that a sanitizer sees every byte read behind the end. */
static enum status open_copy(struct bytes file, struct bytes *data, struct error *err) {
    uint8_t *copy = malloc(file.size + 1);
    struct zip zip;
    ck_assert_ptr_nonnull(copy);
    if (file.size) memcpy(copy, file.data, file.size);
    enum status status = zip_open(&zip, (struct bytes){copy, file.size}, err);
    for (size_t i = 0; !status && i < zip.count; i++) {
        status = zip_data(data, &zip, &zip.entries[i], err);
        /* Every byte of it is there to be read. */
        volatile uint8_t sink = 0;
        for (size_t k = 0; !status && k < data->size; k++) sink = (uint8_t)(sink + data->data[k]);
    }
    zip_close(&zip);
    free(copy);
    return status;
}

START_TEST(entries) {
    struct buffer archive;
    struct zip zip;
    struct bytes data;
    build(&archive);
    ck_assert_int_eq(zip_open(&zip, buffer_view(&archive), NULL), STATUS_OK);
    ck_assert_uint_eq(zip.count, 3);
    ck_assert_ptr_null(zip_find(&zip, bytes_of("a/data")));
    ck_assert_ptr_null(zip_find(&zip, bytes_of("a/data/00")));
    const struct zip_entry *entry = zip_find(&zip, bytes_of("a/data/0"));
    ck_assert_ptr_nonnull(entry);
    ck_assert_int_eq(zip_data(&data, &zip, entry, NULL), STATUS_OK);
    ck_assert_uint_eq(data.size, 4);
    ck_assert_mem_eq(data.data, "0123", 4);
    zip_close(&zip);
    buffer_free(&archive);
}
END_TEST

/* Without the 64-bit records, and with a comment behind the end. */
START_TEST(older_archives) {
    static const uint8_t comment[] = "a comment";
    struct buffer archive;
    struct bytes data;
    build(&archive);
    size_t extra = 56 + 20, end = archive.size - 22;
    memmove(archive.data + end - extra, archive.data + end, 22);
    archive.size -= extra;
    struct error err = ERROR_NONE;
    ck_assert_msg(!open_copy(buffer_view(&archive), &data, &err), "%s", err.message);
    archive_patch(&archive, ARCHIVE_END, 20, 2, sizeof(comment));
    ck_assert_int_eq(buffer_append(&archive, comment, sizeof(comment), NULL), STATUS_OK);
    ck_assert_msg(!open_copy(buffer_view(&archive), &data, &err), "%s", err.message);
    buffer_free(&archive);
}
END_TEST

START_TEST(refused) {
    static const struct {
        enum archive_record record;
        size_t offset, size;
        uint64_t value;
        const char *message;
    } rows[] = {
        {ARCHIVE_END, 0, 4, 0, "has no directory at its end: it was cut off"},
        {ARCHIVE_END, 20, 2, 1, "has no directory at its end"},
        {ARCHIVE_END, 10, 2, 4, "two directory records say different things"},
        {ARCHIVE_END, 12, 4, 7, "two directory records say different things"},
        {ARCHIVE_END, 16, 4, 7, "two directory records say different things"},
        {ARCHIVE_LOCATOR, 8, 8, 0, "64-bit directory record is not before its locator"},
        {ARCHIVE_LOCATOR, 8, 8, UINT64_MAX, "64-bit directory record is not before its locator"},
        {ARCHIVE_END64, 0, 4, 0, "64-bit directory record is not before its locator"},
        {ARCHIVE_CENTRAL, 0, 4, 0, "entry 2 of 3 in the archive's directory is damaged"},
        {ARCHIVE_CENTRAL, 28, 2, 0xffff, "entry 2 of 3 in the archive's directory is damaged"},
        {ARCHIVE_CENTRAL, 30, 2, 0xffff, "entry 2 of 3 in the archive's directory is damaged"},
        {ARCHIVE_CENTRAL, 28, 2, 3, "the archive's directory has 5 bytes behind its last entry"},
        {ARCHIVE_CENTRAL, 53, 1, '0', "the archive has a/data/0 twice"},
        {ARCHIVE_CENTRAL, 24, 4, 1, "a/data/1 is compressed or encrypted (method 0, 0 of 1 bytes)"},
        {ARCHIVE_CENTRAL, 10, 2, 8, "a/data/1 is compressed or encrypted (method 8"},
        {ARCHIVE_CENTRAL, 8, 2, 1, "a/data/1 is compressed or encrypted"},
        {ARCHIVE_CENTRAL, 42, 4, 1, "a/data/1 is said to be 0 bytes at 1, which is not so"},
        {ARCHIVE_CENTRAL, 42, 4, 0, "a/data/1 is said to be 0 bytes at 0, which is not so"},
        {ARCHIVE_CENTRAL, 42, 4, 0xfffffffe, "which is not so"},
        {ARCHIVE_LOCAL, 26, 2, 0xffff, "a/data/1 is said to be"},
        {ARCHIVE_LOCAL, 28, 2, 0xffff, "a/data/1 is said to be"},
        {ARCHIVE_LOCAL, 30, 1, 'b', "a/data/1 is said to be"},
        {ARCHIVE_LOCAL, 0, 4, 0, "a/data/1 is said to be"},
    };
    struct buffer archive;
    struct bytes data;
    struct error err = ERROR_NONE;
    build(&archive);
    archive_patch(&archive, rows[_i].record, rows[_i].offset, rows[_i].size, rows[_i].value);
    ck_assert(open_copy(buffer_view(&archive), &data, &err));
    ck_assert_msg(strstr(err.message, rows[_i].message), "%s", err.message);
    buffer_free(&archive);
}
END_TEST

/* The two records agree on something that cannot be. */
START_TEST(impossible_directories) {
    static const struct {
        size_t at; /* in the 64-bit record */
        uint64_t value;
    } rows[] = {{32, UINT64_MAX}, {32, 4}, {40, UINT64_MAX}, {40, 0}, {48, UINT64_MAX}, {48, 0}};
    struct buffer archive;
    struct bytes data;
    struct error err = ERROR_NONE;
    build(&archive);
    archive_patch(&archive, ARCHIVE_END64, rows[_i].at, 8, rows[_i].value);
    archive_patch(&archive, ARCHIVE_END, 10, 2, 0xffff);
    archive_patch(&archive, ARCHIVE_END, 12, 8, UINT64_MAX);
    ck_assert(open_copy(buffer_view(&archive), &data, &err));
    buffer_free(&archive);
}
END_TEST

/* Sizes of 64 bits in an entry's extra field. */
START_TEST(wide_entries) {
    struct buffer archive;
    struct bytes data;
    struct error err = ERROR_NONE;
    struct archive_entry entry = {"a/data/0", bytes_of("0123")};
    archive_build(&archive, &entry, 1);
    /* The extra field takes the place of the end of a longer name. */
    static const uint8_t extra[] = {1, 0, 24, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 0,
                                    0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    size_t central = 30 + 8 + 5 + 4, behind = central + 46 + 8;
    struct buffer wide;
    buffer_init(&wide, 1 << 16);
    buffer_append(&wide, archive.data, behind, NULL);
    buffer_append(&wide, extra, sizeof(extra), NULL);
    buffer_append(&wide, archive.data + behind, archive.size - behind, NULL);
    archive_patch(&wide, ARCHIVE_CENTRAL, 30, 2, sizeof(extra));
    archive_patch(&wide, ARCHIVE_CENTRAL, 20, 8, UINT64_MAX);
    archive_patch(&wide, ARCHIVE_CENTRAL, 42, 4, UINT32_MAX);
    archive_patch(&wide, ARCHIVE_END64, 40, 8, 46 + 8 + sizeof(extra));
    archive_patch(&wide, ARCHIVE_END, 12, 8, UINT64_MAX);
    archive_patch(&wide, ARCHIVE_LOCATOR, 8, 8, behind + sizeof(extra));
    ck_assert_msg(!open_copy(buffer_view(&wide), &data, &err), "%s", err.message);
    ck_assert_uint_eq(data.size, 4);
    archive_patch(&wide, ARCHIVE_CENTRAL, 46 + 8 + 2, 2, 23); /* the third does not fit */
    ck_assert(open_copy(buffer_view(&wide), &data, &err));
    buffer_free(&wide);
    buffer_free(&archive);
}
END_TEST

START_TEST(every_length) {
    struct buffer archive;
    struct bytes data;
    build(&archive);
    for (size_t size = 0; size < archive.size; size++) {
        ck_assert(open_copy((struct bytes){archive.data, size}, &data, NULL));
    }
    buffer_free(&archive);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, entries);
    tcase_add_test(tests, older_archives);
    tcase_add_loop_test(tests, refused, 0, 23);
    tcase_add_loop_test(tests, impossible_directories, 0, 6);
    tcase_add_test(tests, wide_entries);
    tcase_add_test(tests, every_length);
    return program_run("zip", tests, CK_NOFORK);
}
