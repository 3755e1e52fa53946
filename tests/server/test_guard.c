#include "server/guard.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

/* Judges a request as if libmicrohttpd had parsed it. `head` is a head in the
 * library's form: '|' stands for each NUL that it writes over a separator. */
static enum status judge(struct framing *out, const char *head, bool checks_layout) {
    size_t size = strlen(head);
    char *text = strdup(head);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '|') text[i] = '\0';
    }
    struct error err = ERROR_NONE;
    struct guard guard;
    const char *target = text + strlen(text) + 1, *version = target + strlen(target) + 1;
    struct guard_line line = {text, target, version, strlen(target), checks_layout ? size : 0};
    enum status status = guard_begin(&guard, &line, &err);
    const char *name = version + strlen(version) + 2;
    while (status == STATUS_OK && name < text + size && *name) {
        const char *value = name + strlen(name) + 1;
        value += strspn(value, " \t");
        status = guard_field(&guard, bytes_of(name), bytes_of(value), &err);
        name = value + strlen(value) + 1;
        if (name < text + size && !*name) name++; /* the LF; a bare one has no CR */
    }
    if (status == STATUS_OK)
        status = guard_end(out, &guard, strcmp(version, "HTTP/1.0") != 0, &err);
    ck_assert_int_eq(err.status, status);
    free(text);
    return status;
}

#define LINE "POST|/x|HTTP/1.1||"
#define HOST "Host| a||"

START_TEST(good_requests) {
    struct framing framing;
    ck_assert_int_eq(judge(&framing, LINE HOST "||", true), STATUS_OK);
    ck_assert(!framing.chunked && !framing.has_length && framing.length == 0);
    ck_assert_int_eq(judge(&framing, LINE HOST "Content-Length| 12||||", true), STATUS_OK);
    ck_assert(framing.has_length && framing.length == 12);
    ck_assert_int_eq(judge(&framing, LINE "transfer-encoding|\t Chunked||" HOST "||", true),
                     STATUS_OK);
    ck_assert(framing.chunked && !framing.has_length);
    ck_assert_int_eq(judge(&framing, LINE HOST "X|||Y| \xe4 \t b ||||", true), STATUS_OK);
    ck_assert_int_eq(judge(&framing, "GET|/|HTTP/1.0||||", true), STATUS_OK);
    ck_assert_int_eq(judge(&framing, LINE HOST "Content-Length|18446744073709551615||||", true),
                     STATUS_OK);
    ck_assert_uint_eq(framing.length, UINT64_MAX);
}
END_TEST

START_TEST(bad_framing) {
    static const char *const heads[] = {
        LINE "||", /* no Host */
        LINE HOST HOST "||",
        "GET|/|HTTP/1.0||" HOST HOST "||",
        LINE HOST "Content-Length| 5||Content-Length| 5||||",
        LINE HOST "Content-Length| 5||Transfer-Encoding| chunked||||",
        LINE HOST "Transfer-Encoding| chunked||Transfer-Encoding| chunked||||",
        LINE HOST "Transfer-Encoding| gzip||||",
        LINE HOST "Transfer-Encoding| chunked, gzip||||",
        LINE HOST "Transfer-Encoding|||||",
        "POST|/x|HTTP/1.0||" HOST "Transfer-Encoding| chunked||||",
        LINE HOST "Transfer-Encoding | chunked||||",
        LINE HOST "Content-Length| +5||||",
        LINE HOST "Content-Length| -1||||",
        LINE HOST "Content-Length| 0x5||||",
        LINE HOST "Content-Length| 5, 5||||",
        LINE HOST "Content-Length| 5 ||||",
        LINE HOST "Content-Length|||||",
        LINE HOST "Content-Length|18446744073709551616||||",
        LINE HOST "Content-Length|99999999999999999999||||",
        LINE HOST "X(| 1||||",
        LINE HOST "X| a\x01||||",
        LINE HOST "X| a\x7f||||",
        LINE HOST "X| a\rb||||",
        "PO ST|/x|HTTP/1.1||" HOST "||",
        "\x16\x03|/x|HTTP/1.1||" HOST "||",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct framing framing;
        ck_assert_msg(judge(&framing, heads[i], true) == STATUS_INVALID, "%s", heads[i]);
        ck_assert_msg(judge(&framing, heads[i], false) == STATUS_INVALID, "%s", heads[i]);
    }
}
END_TEST

/* What a lenient parser leaves behind; only the layout tells. */
START_TEST(bad_layout) {
    static const char *const heads[] = {
        LINE HOST "X| a|b||||",        /* NUL in a value */
        LINE HOST "X| a|Y| b||||",     /* bare LF behind a field */
        "POST|/x|HTTP/1.1|" HOST "||", /* behind the request line */
        LINE HOST "|",                 /* behind the section */
        LINE HOST "X| a|| b||||",      /* a continuation line */
        LINE HOST,                     /* the empty line is missing */
        LINE HOST "|||",               /* more behind it */
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct framing framing;
        ck_assert_msg(judge(&framing, heads[i], true) == STATUS_INVALID, "%s", heads[i]);
    }
}
END_TEST

START_TEST(fields_elsewhere) {
    char head[] = "GET\0/\0HTTP/1.1\0\0Host\0a\0\0\0";
    char other[] = "Host\0a";
    struct guard_line line = {head, head + 4, head + 6, 1, sizeof(head) - 1};
    struct guard guard;
    ck_assert_int_eq(guard_begin(&guard, &line, NULL), STATUS_OK);
    ck_assert_int_eq(guard_field(&guard, bytes_of(other), bytes_of(other + 5), NULL),
                     STATUS_INVALID);
    /* A target that began, or ended, elsewhere: two spaces, a NUL within. */
    struct guard_line moved = line;
    moved.target++;
    ck_assert_int_eq(guard_begin(&guard, &moved, NULL), STATUS_INVALID);
    moved = line;
    moved.target_size++;
    ck_assert_int_eq(guard_begin(&guard, &moved, NULL), STATUS_INVALID);
    moved = line;
    moved.head_size = 10;
    ck_assert_int_eq(guard_begin(&guard, &moved, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(targets) {
    ck_assert(guard_is_target("/embed/image?a=%20b"));
    ck_assert(guard_is_target("*"));
    ck_assert(guard_is_target("/\xff"));
    ck_assert(!guard_is_target(""));
    ck_assert(!guard_is_target("/a b"));
    ck_assert(!guard_is_target("/a\tb"));
    ck_assert(!guard_is_target("/a\x7f"));
    ck_assert(!guard_is_target("/a%00b"));
}
END_TEST

static void check_path(const char *target, const char *expected) {
    struct bytes path = guard_path(target);
    ck_assert_uint_eq(path.size, strlen(expected));
    ck_assert_mem_eq(path.data, expected, path.size);
}

START_TEST(paths) {
    check_path("/a/b?c=/d", "/a/b");
    check_path("", "");
    check_path("*", "*");
    check_path("?/a", "");
    check_path("http://host:80/a%2fb?c", "/a%2fb");
    check_path("HTTPS://[::1]/a", "/a");
    check_path("http://host", "/");
    check_path("http://host?a=/b", "/");
    check_path("http:///a", "http:///a");
    check_path("http://", "http://");
    check_path("http:/", "http:/");
    check_path("/http://host/a", "/http://host/a");
    check_path("ftp://host/a", "ftp://host/a");
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("guard");
    tcase_add_test(cases, good_requests);
    tcase_add_test(cases, bad_framing);
    tcase_add_test(cases, bad_layout);
    tcase_add_test(cases, fields_elsewhere);
    tcase_add_test(cases, targets);
    tcase_add_test(cases, paths);
    return program_run("guard", cases, CK_NOFORK);
}
