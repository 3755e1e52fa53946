/* Names of models and paths in them: what is taken for one, and what is not. */
#include "hub/repository.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

START_TEST(names) {
    struct repository repository;
    ck_assert(repository_parse(&repository, "openai/clip-vit-base-patch32"));
    ck_assert_str_eq(repository.name, "openai/clip-vit-base-patch32");
    ck_assert_str_eq(repository.revision, "main");
    ck_assert(repository_parse(&repository, "a/b_c.d@refs/pr/1"));
    ck_assert_str_eq(repository.name, "a/b_c.d");
    ck_assert_str_eq(repository.revision, "refs/pr/1");
}
END_TEST

START_TEST(what_is_no_name) {
    static const char *const texts[] = {
        "",         "a",        "/a",     "a/",     "a//b",   "a/b/c", "./a",  "../a",     "a/..",
        "a/.b",     "a/b..c",   "a--b/c", "a/b--c", "-a/b",   "a/b c", "a/b@", "a/b@../x", "a/b@/x",
        "a/b@x//y", "a/b@x\ny", "a\n/b",  "a/b?c",  "a/b%2e", "~/a",   "@a/b", "a@b/c"};
    struct repository repository;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_msg(!repository_parse(&repository, texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(lengths) {
    struct repository repository;
    char text[2 * REPOSITORY_NAME_MAX + 4];
    memset(text, 'a', sizeof(text));
    text[1] = '/';
    text[REPOSITORY_NAME_MAX] = 0;
    ck_assert(repository_parse(&repository, text));
    text[REPOSITORY_NAME_MAX] = 'a';
    text[REPOSITORY_NAME_MAX + 1] = 0;
    ck_assert(!repository_parse(&repository, text));
    memset(text, 'a', sizeof(text));
    memcpy(text, "a/b@", 4);
    text[4 + REPOSITORY_REVISION_MAX] = 0;
    ck_assert(repository_parse(&repository, text));
    text[4 + REPOSITORY_REVISION_MAX] = 'a';
    text[5 + REPOSITORY_REVISION_MAX] = 0;
    ck_assert(!repository_parse(&repository, text));
}
END_TEST

START_TEST(paths) {
    static const char *const safe[] = {"a", "a/b.c", "...", "a/..b", ".gitattributes", "a b"};
    static const char *const others[] = {"",     "/",    "/a",     "a/",   "a//b", "..",
                                         "../a", "a/..", "a/../b", "./a",  "a/.",  "a\\b",
                                         "a\nb", "a\tb", "\177",   "a/./b"};
    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
        ck_assert_msg(repository_path_is_safe(safe[i]), "%s", safe[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_msg(!repository_path_is_safe(others[i]), "%s", others[i]);
}
END_TEST

START_TEST(commits) {
    ck_assert(repository_is_commit("0123456789abcdef0123456789abcdef01234567"));
    ck_assert(!repository_is_commit("0123456789abcdef0123456789abcdef0123456"));
    ck_assert(!repository_is_commit("0123456789abcdef0123456789abcdef012345678"));
    ck_assert(!repository_is_commit("0123456789ABCDEF0123456789abcdef01234567"));
    ck_assert(!repository_is_commit("main"));
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("repository");
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, what_is_no_name);
    tcase_add_test(tcase, lengths);
    tcase_add_test(tcase, paths);
    tcase_add_test(tcase, commits);
    return program_run("repository", tcase, CK_NOFORK);
}
