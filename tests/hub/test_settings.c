/* Where the settings come from, and which of them goes before which. */
#include "hub/settings.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/folder.h"
#include "tests/support/program.h"

static struct hub_settings read_good(const char *const *environment) {
    struct hub_settings settings;
    struct error err = ERROR_NONE;
    enum status status = settings_read(&settings, environment, &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.message);
    return settings;
}

static void expect_refused(const char *const *environment, const char *message) {
    struct hub_settings settings;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(settings_read(&settings, environment, &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
}

START_TEST(defaults) {
    const char *const environment[] = {"HOME=/nonexistent", NULL};
    struct hub_settings settings = read_good(environment);
    ck_assert_str_eq(settings.endpoint, "https://huggingface.co");
    ck_assert_str_eq(settings.cache, "/nonexistent/.cache/huggingface/hub");
    ck_assert_ptr_null(settings.token);
    ck_assert(!settings.offline);
    settings_free(&settings);
    ck_assert_ptr_null(settings.cache);
}
END_TEST

START_TEST(what_is_set) {
    const char *const environment[] = {
        "HOME=/nonexistent",   "HF_ENDPOINT=http://127.0.0.1:80/hub//",
        "HF_TOKEN= hf_a ",     "HUGGING_FACE_HUB_TOKEN=hf_b",
        "HF_HUB_CACHE=~/c",    "HF_HOME=/h",
        "HF_HUB_OFFLINE=true", NULL};
    struct hub_settings settings = read_good(environment);
    ck_assert_str_eq(settings.endpoint, "http://127.0.0.1:80/hub");
    ck_assert_str_eq(settings.token, "hf_a");
    ck_assert_str_eq(settings.cache, "/nonexistent/c");
    ck_assert(settings.offline);
    settings_free(&settings);
}
END_TEST

START_TEST(without_a_home) {
    const char *const environment[] = {"HF_HUB_CACHE=/c", NULL};
    struct hub_settings settings = read_good(environment);
    ck_assert_str_eq(settings.cache, "/c");
    ck_assert_ptr_null(settings.token);
    settings_free(&settings);
    const char *const with_token[] = {"HF_HUB_CACHE=/c", "HF_TOKEN=hf_a", NULL};
    settings = read_good(with_token);
    ck_assert_str_eq(settings.token, "hf_a");
    settings_free(&settings);
    const char *const tilde[] = {"HF_HUB_CACHE=~/c", NULL};
    expect_refused(tilde, "HOME is not set, ~/c needs it");
}
END_TEST

START_TEST(empty_is_not_set) {
    const char *const environment[] = {
        "HOME=/h", "HF_ENDPOINT=", "HF_HOME=", "HF_HUB_CACHE=", "HF_HUB_OFFLINE=0", NULL};
    struct hub_settings settings = read_good(environment);
    ck_assert_str_eq(settings.endpoint, "https://huggingface.co");
    ck_assert_str_eq(settings.cache, "/h/.cache/huggingface/hub");
    ck_assert(!settings.offline);
    settings_free(&settings);
}
END_TEST

static void expect_token_of_file(const char *content, const char *token) {
    char *folder = folder_make(), path[512], home[512];
    snprintf(path, sizeof(path), "%s/token", folder);
    snprintf(home, sizeof(home), "HF_HOME=%s", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    fclose(file);
    const char *const environment[] = {home, NULL};
    if (token) {
        struct hub_settings settings = read_good(environment);
        if (*token)
            ck_assert_str_eq(settings.token, token);
        else
            ck_assert_ptr_null(settings.token);
        settings_free(&settings);
    } else {
        expect_refused(environment, "the token has a character that no token has");
    }
    folder_remove(folder);
}

START_TEST(the_file_of_a_login) {
    expect_token_of_file("hf_file\n", "hf_file");
    expect_token_of_file(" \n", "");
    expect_token_of_file("hf_a\nX-Header: b\n", NULL);
}
END_TEST

START_TEST(what_makes_no_sense) {
    static const char *const endpoints[] = {"HF_ENDPOINT=huggingface.co", "HF_ENDPOINT=ftp://x",
                                            "HF_ENDPOINT=http://a b", "HF_ENDPOINT=https://a?b",
                                            "HF_ENDPOINT=https://me@a"};
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        const char *const environment[] = {"HOME=/h", endpoints[i], NULL};
        expect_refused(environment, "HF_ENDPOINT: found '");
    }
    const char *const header[] = {"HOME=/h", "HF_TOKEN=a\r\nb", NULL};
    expect_refused(header, "HF_TOKEN: the token has");
    const char *const nowhere[] = {"HF_ENDPOINT=https://x", NULL};
    expect_refused(nowhere, "HOME is not set");
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("settings");
    tcase_add_test(tcase, defaults);
    tcase_add_test(tcase, what_is_set);
    tcase_add_test(tcase, without_a_home);
    tcase_add_test(tcase, empty_is_not_set);
    tcase_add_test(tcase, the_file_of_a_login);
    tcase_add_test(tcase, what_makes_no_sense);
    return program_run("settings", tcase, CK_NOFORK);
}
