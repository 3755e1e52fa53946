/* Lines as they leave the process, on a standard error that is a file. */
#include "core/base/log.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/program.h"

static char logged[8192];

/* What a message makes of this text, or an event of this field, from the level on. */
static const char *log_text(enum log_format format, const char *text, const char *value) {
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    ck_assert(file && before >= 0);
    log_init(LOG_INFO, format);
    dup2(fileno(file), STDERR_FILENO);
    if (value)
        log_event(LOG_WARNING, text, &(struct log_field){.name = "name", .string = value}, 1);
    else
        log_message(LOG_WARNING, "tensor %s", text);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    logged[fread(logged, 1, sizeof(logged) - 1, file)] = 0;
    fclose(file);
    const char *from = strstr(logged, "warning");
    ck_assert_ptr_nonnull(from);
    return from;
}

START_TEST(messages_are_one_printable_line) {
    ck_assert_str_eq(log_text(LOG_TEXT, "caf\xC3\xA9", NULL), "warning tensor caf\xC3\xA9\n");
    ck_assert_str_eq(log_text(LOG_TEXT, "a\nb", NULL), "warning tensor a b\n");
    ck_assert_str_eq(log_text(LOG_TEXT, "\033]0;x\007\x7F\xC2\x9B\xFF", NULL),
                     "warning tensor ?]0;x?????\n");
    ck_assert_str_eq(log_text(LOG_JSON, "\033\x7F\"", NULL),
                     "warning\",\"message\":\"tensor ??\\\"\"}\n");
}
END_TEST

START_TEST(fields_are_quoted) {
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"caf\xC3\xA9 \xF0\x9F\x90\x88", "caf\xC3\xA9 \xF0\x9F\x90\x88"},
        {"\"\\\n\x7F", "\\\"\\\\\\u000a\\u007f"},
        {"\xC2\x9B\xE2\x80\xAE", "\\u009b\\u202e"},
        {"\xFF\xED\xA0\x80-\xC3", "\\ufffd\\ufffd\\ufffd\\ufffd-\\ufffd"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[128];
        snprintf(want, sizeof(want), "warning\",\"message\":\"m\",\"name\":\"%s\"}\n",
                 rows[i].want);
        ck_assert_str_eq(log_text(LOG_JSON, "m", rows[i].value), want);
        snprintf(want, sizeof(want), "warning m name=\"%s\"\n", rows[i].want);
        ck_assert_str_eq(log_text(LOG_TEXT, "m", rows[i].value), want);
    }
}
END_TEST

/* Where a line is cut, too, it is whole JSON of whole characters. */
START_TEST(long_fields_are_cut) {
    static char value[6001];
    for (size_t i = 0; i < sizeof(value) - 1; i++) value[i] = "\xE2\x82\xAC"[i % 3];
    const char *line = log_text(LOG_JSON, "m", value), *from = strstr(line, "\xE2");
    ck_assert_ptr_nonnull(from);
    size_t size = strlen(from);
    ck_assert_uint_gt(size, 3900);
    ck_assert_str_eq(from + size - 3, "\"}\n");
    ck_assert_uint_eq((size - 3) % 3, 0);
    ck_assert_mem_eq(from, value, size - 3);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, messages_are_one_printable_line);
    tcase_add_test(tests, fields_are_quoted);
    tcase_add_test(tests, long_fields_are_cut);
    return program_run("log", tests, CK_NOFORK);
}
