/* Addresses: which are the hub's, what of them may be shown, how they are made. */
#include "hub/transfer_url.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

START_TEST(origins) {
    const char *hub = "https://huggingface.co";
    ck_assert(transfer_same_origin(hub, "https://huggingface.co/a?b"));
    ck_assert(transfer_same_origin(hub, "HTTPS://HuggingFace.co:443/a"));
    static const char *const others[] = {"http://huggingface.co/a",
                                         "https://huggingface.co:444/a",
                                         "https://cdn.huggingface.co/a",
                                         "https://huggingface.co.example/a",
                                         "https://huggingface.co@b.c/a",
                                         "https://b.c/https://huggingface.co",
                                         "https://b.c#@huggingface.co/a",
                                         "https://b.c\\@huggingface.co/",
                                         "huggingface.co/a",
                                         ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_msg(!transfer_same_origin(hub, others[i]), "%s", others[i]);
    ck_assert(transfer_same_origin("http://[::1]:8/x", "http://[::1]:8/y"));
    ck_assert(!transfer_same_origin("http://127.0.0.1:8", "http://127.0.0.1:9"));
}
END_TEST

START_TEST(shown) {
    char host[TRANSFER_HOST_SIZE];
    transfer_show_host(host, "https://me:secret@host:8/path?signature=secret");
    ck_assert_str_eq(host, "host:8");
    transfer_show_host(host, "host");
    ck_assert_str_eq(host, "host");
    char url[1000] = "https://";
    for (size_t i = 8; i + 1 < sizeof(url); i++) url[i] = 'h';
    transfer_show_host(host, url);
    ck_assert_uint_eq(strlen(host), TRANSFER_HOST_SIZE - 1);
}
END_TEST

START_TEST(made) {
    struct repository repository;
    char *url;
    ck_assert(repository_parse(&repository, "a/b@refs/pr 1"));
    ck_assert_int_eq(transfer_listing_url(&url, "https://h", &repository, NULL), STATUS_OK);
    ck_assert_str_eq(url, "https://h/api/models/a/b/revision/refs%2Fpr%201");
    free(url);
    ck_assert_int_eq(
        transfer_file_url(&url, "https://h", &repository, "0123", "c/d?e#f%g\303\244", NULL),
        STATUS_OK);
    ck_assert_str_eq(url, "https://h/a/b/resolve/0123/c/d%3Fe%23f%25g%C3%A4");
    free(url);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("transfer_url");
    tcase_add_test(tcase, origins);
    tcase_add_test(tcase, shown);
    tcase_add_test(tcase, made);
    return program_run("transfer_url", tcase, CK_NOFORK);
}
