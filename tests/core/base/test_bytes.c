/* buffers, base64, sha256, sizes and errors: the small tools under everything. */
#include <check.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/bytes.h"
#include "core/base/sha256.h"
#include "tests/support/program.h"

START_TEST(buffer_stops_at_its_limit) {
    struct buffer buffer;
    struct error err = ERROR_NONE;
    buffer_init(&buffer, 10);
    ck_assert_int_eq(buffer_append(&buffer, "0123456789", 10, &err), STATUS_OK);
    ck_assert_int_eq(buffer_append(&buffer, "x", 1, &err), STATUS_TOO_LARGE);
    ck_assert_uint_eq(buffer.size, 10);
    ck_assert_mem_eq(buffer.data, "0123456789", 10);
    ck_assert_str_eq(err.message, "more than the limit of 10 bytes");
    buffer_free(&buffer);
    ck_assert_ptr_null(buffer.data);
}
END_TEST

START_TEST(buffer_grows_and_prints) {
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        ck_assert_int_eq(buffer_printf(&buffer, NULL, "%04d,", i), STATUS_OK);
    }
    ck_assert_uint_eq(buffer.size, 50000);
    ck_assert_mem_eq(buffer.data + 49995, "9999,", 5);
    buffer_free(&buffer);
}
END_TEST

START_TEST(a_zeroed_buffer_cannot_grow) {
    struct buffer buffer = {0};
    ck_assert_int_eq(buffer_append(&buffer, "x", 1, NULL), STATUS_TOO_LARGE);
    ck_assert_int_eq(buffer_append(&buffer, "", 0, NULL), STATUS_OK);
}
END_TEST

START_TEST(sizes_do_not_overflow) {
    size_t out = 7;
    ck_assert(size_multiply(&out, SIZE_MAX, 1) && out == SIZE_MAX);
    ck_assert(size_multiply(&out, SIZE_MAX, 0) && out == 0);
    ck_assert(!size_multiply(&out, SIZE_MAX / 2 + 1, 2));
    ck_assert(!size_multiply(&out, (size_t)1 << 32, (size_t)1 << 32));
}
END_TEST

START_TEST(the_first_error_wins) {
    struct error err = ERROR_NONE;
    ck_assert_int_eq(error_set_at(&err, STATUS_INVALID, "/a/0", "found %d", 1), STATUS_INVALID);
    ck_assert_int_eq(error_set(&err, STATUS_IO, "later"), STATUS_IO);
    ck_assert_int_eq(err.status, STATUS_INVALID);
    ck_assert_str_eq(err.message, "found 1");
    ck_assert_str_eq(err.where, "/a/0");
    ck_assert_int_eq(error_set(NULL, STATUS_IO, "nobody asked"), STATUS_IO);
}
END_TEST

static void check_decode(const char *text, enum status expected, const char *bytes) {
    struct buffer out;
    buffer_init(&out, 1000);
    ck_assert_msg(base64_decode(&out, bytes_of(text), NULL) == expected, "%s", text);
    if (bytes) {
        ck_assert_uint_eq(out.size, strlen(bytes));
        ck_assert_mem_eq(out.data, bytes, out.size);
    }
    buffer_free(&out);
}

START_TEST(base64_takes_what_clients_send) {
    check_decode("", STATUS_OK, "");
    check_decode("Zg==", STATUS_OK, "f");
    check_decode("Zm8=", STATUS_OK, "fo");
    check_decode("Zm9v", STATUS_OK, "foo");
    check_decode("Zg", STATUS_OK, "f");
    check_decode("Zm8", STATUS_OK, "fo");
    check_decode("Zm 9v\r\nYmFy", STATUS_OK, "foobar");
    check_decode("Zm9vY", STATUS_INVALID, NULL);
    check_decode("Zm9v-_", STATUS_INVALID, NULL);
    check_decode("Zg==Zg==", STATUS_INVALID, NULL);
    check_decode("Z", STATUS_INVALID, NULL);
}
END_TEST

START_TEST(base64_comes_back) {
    uint8_t data[300];
    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)(i * 37);
    for (size_t size = 0; size <= sizeof(data); size++) {
        struct buffer text, back;
        buffer_init(&text, 1000);
        buffer_init(&back, 1000);
        struct bytes view = {.data = data, .size = size};
        ck_assert_int_eq(base64_encode(&text, view, NULL), STATUS_OK);
        ck_assert_uint_eq(text.size, (size + 2) / 3 * 4);
        ck_assert_int_eq(base64_decode(&back, buffer_view(&text), NULL), STATUS_OK);
        ck_assert_uint_eq(back.size, size);
        if (size) ck_assert_mem_eq(back.data, data, size);
        buffer_free(&text);
        buffer_free(&back);
    }
}
END_TEST

START_TEST(sha256_is_the_standard_one) {
    char hex[SHA256_HEX_SIZE];
    sha256_hex(hex, bytes_of("abc"));
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex(hex, (struct bytes){0});
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("bytes");
    tcase_add_test(tcase, buffer_stops_at_its_limit);
    tcase_add_test(tcase, buffer_grows_and_prints);
    tcase_add_test(tcase, a_zeroed_buffer_cannot_grow);
    tcase_add_test(tcase, sizes_do_not_overflow);
    tcase_add_test(tcase, the_first_error_wins);
    tcase_add_test(tcase, base64_takes_what_clients_send);
    tcase_add_test(tcase, base64_comes_back);
    tcase_add_test(tcase, sha256_is_the_standard_one);
    return program_run("bytes", tcase, CK_NOFORK);
}
