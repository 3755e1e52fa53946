/* Lines as they leave the process, on a standard error that is a file. */
#include "core/base/log.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/program.h"

static char logged[1024];

/* What a message makes of this text, from the level on. */
static const char *log_text(enum log_format format, const char *text) {
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    ck_assert(file && before >= 0);
    log_init(LOG_INFO, format);
    dup2(fileno(file), STDERR_FILENO);
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
    ck_assert_str_eq(log_text(LOG_TEXT, "caf\xC3\xA9"), "warning tensor caf\xC3\xA9\n");
    ck_assert_str_eq(log_text(LOG_TEXT, "a\nb"), "warning tensor a b\n");
    ck_assert_str_eq(log_text(LOG_TEXT, "\033]0;x\007\x7F\xC2\x9B\xFF"),
                     "warning tensor ?]0;x?????\n");
    ck_assert_str_eq(log_text(LOG_JSON, "\033\x7F\""),
                     "warning\",\"message\":\"tensor ??\\\"\"}\n");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, messages_are_one_printable_line);
    return program_run("log", tests, CK_NOFORK);
}
