/* The helpers of the tests are code, too. */
#include "tests/support/npy.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/program.h"

/* A version 1 file of the given header and values in a new temporary file. */
static enum status read_made(struct npy *out, const char *header, const void *values, size_t size) {
    char path[] = "/tmp/clipd-npy-XXXXXX";
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    FILE *file = fdopen(descriptor, "wb");
    size_t length = strlen(header);
    uint8_t start[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)length, 0};
    fwrite(start, 1, sizeof(start), file);
    fwrite(header, 1, length, file);
    fwrite(values, 1, size, file);
    fclose(file);
    enum status status = npy_read(out, path, NULL);
    unlink(path);
    return status;
}

START_TEST(reads_floats) {
    const float values[6] = {0, 1, 2, 3, 4, -0.5f};
    struct npy npy;
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
    ck_assert_int_eq(read_made(&npy, header, values, sizeof(values)), STATUS_OK);
    ck_assert_uint_eq(npy.dims, 2);
    ck_assert_uint_eq(npy.shape[0], 2);
    ck_assert_uint_eq(npy.shape[1], 3);
    ck_assert_uint_eq(npy.count, 6);
    ck_assert_ptr_null(npy.ints);
    ck_assert_float_eq(npy.floats[5], -0.5f);
    npy_free(&npy);
}
END_TEST

START_TEST(widens_integers) {
    const int32_t values[2] = {-7, 49407};
    struct npy npy;
    const char *header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n";
    ck_assert_int_eq(read_made(&npy, header, values, sizeof(values)), STATUS_OK);
    ck_assert_ptr_null(npy.floats);
    ck_assert_int_eq(npy.ints[0], -7);
    ck_assert_int_eq(npy.ints[1], 49407);
    npy_free(&npy);
    ck_assert_int_eq(read_made(&npy, header, values, sizeof(values) - 1), STATUS_INVALID);
    npy_free(&npy);
}
END_TEST

START_TEST(reads_scalars) {
    const uint8_t value = 200;
    struct npy npy;
    const char *header = "{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n";
    ck_assert_int_eq(read_made(&npy, header, &value, 1), STATUS_OK);
    ck_assert_uint_eq(npy.dims, 0);
    ck_assert_int_eq(npy.ints[0], 200);
    npy_free(&npy);
}
END_TEST

START_TEST(refuses_others) {
    const double values[1] = {0};
    struct npy npy;
    const char *doubles = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n";
    ck_assert_int_eq(read_made(&npy, doubles, values, 8), STATUS_UNSUPPORTED);
    ck_assert_int_eq(read_made(&npy, "{}", values, 4), STATUS_INVALID);
    ck_assert_int_eq(npy_read(&npy, "/nonexistent", NULL), STATUS_NOT_FOUND);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("npy");
    tcase_add_test(tcase, reads_floats);
    tcase_add_test(tcase, widens_integers);
    tcase_add_test(tcase, reads_scalars);
    tcase_add_test(tcase, refuses_others);
    return program_run("npy", tcase, CK_NOFORK);
}
