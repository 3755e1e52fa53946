/* NumPy's files: what we write, numpy's own headers, and damaged ones. */
#include "api/npy_body.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

static struct buffer file;
static struct bytes data;
static size_t rows;

static struct error err;

/* A file with this dictionary and so many bytes of numbers. */
static enum status read_dictionary(const char *dictionary, size_t size) {
    static const uint8_t zeros[256];
    uint8_t head[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)strlen(dictionary), 0};
    buffer_free(&file);
    buffer_init(&file, 4096);
    buffer_append(&file, head, sizeof(head), NULL);
    buffer_append(&file, dictionary, strlen(dictionary), NULL);
    buffer_append(&file, zeros, size, NULL);
    err = ERROR_NONE;
    return npy_body_read(&data, &rows, buffer_view(&file), 4, &err);
}

START_TEST(reads_what_it_writes) {
    static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    buffer_init(&file, 4096);
    ck_assert_int_eq(npy_body_write_header(&file, "<f4", (const size_t[]){2, 4}, 2, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(file.size % 64, 0);
    ck_assert_int_eq(file.data[file.size - 1], '\n');
    buffer_append(&file, numbers, sizeof(numbers), NULL);
    ck_assert_int_eq(npy_body_read(&data, &rows, buffer_view(&file), 4, NULL), STATUS_OK);
    ck_assert_uint_eq(rows, 2);
    ck_assert_mem_eq(data.data, numbers, sizeof(numbers));
    ck_assert_int_eq(npy_body_read(&data, &rows, buffer_view(&file), 5, NULL), STATUS_CONFLICT);
    for (size_t size = 0; size < file.size; size++) {
        struct bytes cut = {file.data, size};
        ck_assert_int_eq(npy_body_read(&data, &rows, cut, 4, NULL), STATUS_INVALID);
    }
    buffer_free(&file);
}
END_TEST

START_TEST(dictionaries) {
    ck_assert_int_eq(read_dictionary("{'descr':'<f4','fortran_order':False,'shape':(2,4)}", 32),
                     STATUS_OK);
    ck_assert_int_eq(
        read_dictionary("{'shape': (0 , 4), 'fortran_order': False, 'descr': '<f4'}\n", 0),
        STATUS_OK);
    static const char *const bad[] = {
        "",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 4), }",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 1), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': }",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr' '<f4', 'fortran_order': False, 'shape': (2, 4)}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(read_dictionary(bad[i], 32) == STATUS_INVALID, "%s", bad[i]);
    buffer_free(&file);
}
END_TEST

START_TEST(says_what_was_found) {
    static const char *const bad[][2] = {
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 4), }",
         "the .npy file has descr '<f8', expected '<f4', little-endian float32"},
        {"{'fortran_order': False, 'shape': (2, 4), 'descr': [('a', '<f4')]}",
         "the .npy file has descr [('a', expected '<f4', little-endian float32"},
        {"{'shape': (2, 4), 'descr': '<f4', 'fortran_order': True}",
         "the .npy file has fortran_order True, expected False, C order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }",
         "the .npy file has shape (8,), expected (rows, dim)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4",
         "the .npy file has shape (2, 4, expected (rows, dim)"},
        {"{'descr': '<f4', 'fortran_order': False}",
         "the .npy file has no shape, expected (rows, dim)"},
        {"{'descr': '012345678901234567890123456789012345678901234567890', 'shape': (2, 4)}",
         "the .npy file has descr '012345678901234567890123456789012345678, expected '<f4', "
         "little-endian float32"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(read_dictionary(bad[i][0], 32), STATUS_INVALID);
        ck_assert_str_eq(err.message, bad[i][1]);
    }
    buffer_free(&file);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("npy_body");
    tcase_add_test(tests, reads_what_it_writes);
    tcase_add_test(tests, dictionaries);
    tcase_add_test(tests, says_what_was_found);
    return program_run("npy_body", tests, CK_NOFORK);
}
