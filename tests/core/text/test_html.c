#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/html.h"
#include "core/text/text_tables.h"
#include "tests/support/program.h"

typedef enum status unescape_fn(struct buffer *out, struct bytes text, struct error *err);

static void check(unescape_fn *unescape, const char *text, const char *expected) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    /* A copy without room behind it, so that the sanitizer sees reads past the end. */
    struct bytes source = bytes_of(text);
    uint8_t *copy = malloc(source.size ? source.size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, source.data, source.size);
    ck_assert_int_eq(unescape(&out, (struct bytes){copy, source.size}, NULL), STATUS_OK);
    ck_assert_msg(out.size == strlen(expected) &&
                      (!out.size || !memcmp(out.data, expected, out.size)),
                  "\"%s\" is \"%.*s\", expected \"%s\"", text, (int)out.size,
                  (const char *)out.data, expected);
    free(copy);
    buffer_free(&out);
}

/* Expected values: html.unescape() of Python 3.11. */
START_TEST(names) {
    check(html_unescape, "", "");
    check(html_unescape, "&", "&");
    check(html_unescape, "&&amp;&", "&&&");
    check(html_unescape, "&amp;lt;", "&lt;");
    check(html_unescape, "&lt&gt;&AMP", "<>&");
    check(html_unescape, "&notit;&notin;&noti", "\u00ACit;\u2209\u00ACi");
    check(html_unescape, "&ampb &a &am; &bogus;", "&b &a &am; &bogus;");
    check(html_unescape, "&fjlig;&NotEqualTilde;", "fj\u2242\u0338");
    check(html_unescape, "&CounterClockwiseContourIntegral;", "\u2233");
    check(html_unescape, "&CounterClockwiseContourIntegral", "&CounterClockwiseContourIntegral");
    check(html_unescape, "&not\u00E9;", "\u00AC\u00E9;");
    check(html_unescape, "&EACUTE;", "&EACUTE;");
}
END_TEST

START_TEST(numbers) {
    check(html_unescape, "&#65;&#65&#x42;&#X43", "AABC");
    check(html_unescape, "&#;&#x;&#xg;&#", "&#;&#x;&#xg;&#");
    check(html_unescape, "&#0;&#xD800;&#x110000;&#99999999999999999999;",
          "\uFFFD\uFFFD\uFFFD\uFFFD");
    check(html_unescape, "&#128;&#x9f;&#129;", "\u20AC\u0178\302\201");
    check(html_unescape, "[&#1;&#11;&#31;&#127;&#xFDD0;&#xFFFE;&#x1FFFF;]", "[]");
    check(html_unescape, "&#9;&#10;&#13;", "\t\n\r");
    check(html_unescape, "&#x10FFFD;&#xD7FF;&#xE000;", "\U0010FFFD\uD7FF\uE000");
    check(html_unescape, "&#59;", ";");
}
END_TEST

/* Expected values: unescape_html() of ftfy 6.3.1. */
START_TEST(closed_only) {
    check(html_unescape_closed, "&amp;&lt&lt;", "&&lt<");
    check(html_unescape_closed, "&notit;&not;", "&notit;\u00AC");
    check(html_unescape_closed, "&EACUTE;&eacute;&FFLLIG;", "\u00C9\u00E9FFL");
    check(html_unescape_closed, "&#65;&#65&#x42;", "A&#65B");
    check(html_unescape_closed, "&#59;&#x3b;", "&#59;&#x3b;");
    check(html_unescape_closed, "&#12a;&#xg;&#;", "&#12a;&#xg;&#;");
    check(html_unescape_closed, "&#000000000000000000000065;", "A");
    check(html_unescape_closed, "&#0000000000000000000000065;", "&#0000000000000000000000065;");
    check(html_unescape_closed, "&#1;&#128;", "\u20AC");
    check(html_unescape_closed, "&amp", "&amp");
    check(html_unescape_closed, "&CounterClockwiseContourIntegral;",
          "&CounterClockwiseContourIntegral;"); /* longer than ftfy looks */
}
END_TEST

START_TEST(tables_are_sorted) {
    for (size_t i = 1; i < text_entities_count; i++)
        ck_assert_int_lt(strcmp(text_entities[i - 1].name, text_entities[i].name), 0);
    for (size_t i = 1; i < text_ftfy_entities_count; i++)
        ck_assert_int_lt(strcmp(text_ftfy_entities[i - 1].name, text_ftfy_entities[i].name), 0);
    for (size_t i = 0; i < text_entities_count; i++) {
        size_t size = strlen(text_entities[i].name);
        bool bare = text_entities[i].name[size - 1] != ';';
        ck_assert_uint_le(size, bare ? TEXT_ENTITY_BARE_NAME_MAX : TEXT_ENTITY_NAME_MAX);
    }
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("html");
    tcase_add_test(cases, names);
    tcase_add_test(cases, numbers);
    tcase_add_test(cases, closed_only);
    tcase_add_test(cases, tables_are_sorted);
    return program_run("html", cases, CK_NOFORK);
}
