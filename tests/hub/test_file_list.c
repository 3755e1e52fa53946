/* Lists of paths: what is in them, and how many fit. */
#include "hub/file_list.h"

#include <check.h>
#include <stdio.h>

#include "tests/support/program.h"

START_TEST(copies_and_finds) {
    struct file_list list = {0};
    char path[] = "a/b";
    ck_assert_int_eq(file_list_add(&list, path, NULL), STATUS_OK);
    path[0] = 'x';
    ck_assert(file_list_has(&list, "a/b"));
    ck_assert(!file_list_has(&list, "a"));
    ck_assert(!file_list_has(&list, ""));
    file_list_free(&list);
    ck_assert_uint_eq(list.count, 0);
    file_list_free(&list);
}
END_TEST

/* In the order in which they came, and found in whatever order. */
START_TEST(keeps_its_order) {
    static const char *const paths[] = {"m", "c", "x", "c/a", "a", "z", "m"};
    struct file_list list = {0};
    for (size_t i = 0; i < 7; i++) {
        for (size_t k = 0; k < 7; k++) {
            bool known = k < i || (k == 6 && i > 0);
            ck_assert_int_eq(file_list_has(&list, paths[k]), known);
        }
        ck_assert_int_eq(file_list_add(&list, paths[i], NULL), STATUS_OK);
    }
    for (size_t i = 0; i < 7; i++) ck_assert_str_eq(list.paths[i], paths[i]);
    ck_assert(!file_list_has(&list, "b"));
    ck_assert(!file_list_has(&list, "zz"));
    file_list_free(&list);
}
END_TEST

START_TEST(has_a_limit) {
    enum { FILES = 10000 };
    struct file_list list = {0};
    struct error err = ERROR_NONE;
    char path[16];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "%d", i);
        ck_assert_int_eq(file_list_add(&list, path, NULL), STATUS_OK);
    }
    ck_assert_int_eq(file_list_add(&list, "one more", &err), STATUS_TOO_LARGE);
    ck_assert_uint_eq(list.count, FILES);
    ck_assert_str_eq(list.paths[FILES - 1], "9999");
    file_list_free(&list);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("file_list");
    tcase_add_test(tcase, copies_and_finds);
    tcase_add_test(tcase, keeps_its_order);
    tcase_add_test(tcase, has_a_limit);
    return program_run("file_list", tcase, CK_NOFORK);
}
