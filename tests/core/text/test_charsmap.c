/* Charsmaps that a hostile file may have: texts stay valid UTF-8 whatever the trie says. What
 * they do to texts is in test_subword.c. */
#include "core/text/charsmap.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

enum { UNITS = 256, SIZE_BYTES = 4, LEAF = 1 << 8, OFFSET_SHIFT = 10 };

/* A map of one byte, `key`, to the string at `value`; strings are "ab", NUL, e acute, NUL. */
static size_t make_blob(uint8_t *blob, uint8_t key, uint32_t value) {
    static const char strings[] = "ab\0\xC3\xA9";
    uint32_t units[UNITS] = {0}, size = sizeof(units);
    units[key] = key | LEAF | 1U << OFFSET_SHIFT; /* its value stands beside it */
    units[key ^ 1U] = 1U << 31 | value;
    memcpy(blob, &size, SIZE_BYTES);
    memcpy(blob + SIZE_BYTES, units, sizeof(units));
    memcpy(blob + SIZE_BYTES + sizeof(units), strings, sizeof(strings));
    return SIZE_BYTES + sizeof(units) + sizeof(strings);
}

static size_t match(uint8_t key, uint32_t value, const char *text, struct bytes *replacement) {
    static uint8_t blob[SIZE_BYTES + UNITS * 4 + 16];
    static struct charsmap map;
    charsmap_close(&map);
    struct bytes view = {blob, make_blob(blob, key, value)};
    ck_assert_int_eq(charsmap_open(&map, view, NULL), STATUS_OK);
    return charsmap_match(&map, bytes_of(text), false, replacement);
}

START_TEST(matches) {
    struct bytes to;
    ck_assert_uint_eq(match('x', 0, "xy", &to), 1);
    ck_assert(to.size == 2 && !memcmp(to.data, "ab", 2));
    ck_assert_uint_eq(match('x', 3, "x", &to), 1);
    ck_assert(to.size == 2 && !memcmp(to.data, "\xC3\xA9", 2));
    ck_assert_uint_eq(match('x', 0, "yx", &to), 0);
    ck_assert_uint_eq(match('x', 0, "", &to), 0);
    /* Amid a character of the strings, behind them, amid one of the text. */
    ck_assert_uint_eq(match('x', 4, "x", &to), 0);
    ck_assert_uint_eq(match('x', 6, "x", &to), 0);
    ck_assert_uint_eq(match('x', 1U << 30, "x", &to), 0);
    ck_assert_uint_eq(match(0xC3, 0, "\xC3\xA9", &to), 0);
    struct charsmap empty = {.units_count = 0};
    ck_assert_uint_eq(charsmap_match(&empty, bytes_of("x"), true, &to), 0);
}
END_TEST

START_TEST(refused) {
    static const struct {
        const char *blob;
        size_t size;
    } rows[] = {
        {"\x04\0\0", 3},                     /* no whole size */
        {"\x04\0\0\0\0\0\0\0", 8},           /* no strings */
        {"\0\0\0\0x\0", 6},                  /* no trie */
        {"\x05\0\0\0\0\0\0\0\0x\0", 11},     /* no whole units */
        {"\xFC\xFF\xFF\xFF\0\0\0\0x\0", 10}, /* a trie longer than the file */
        {"\x04\0\0\0\0\0\0\0xy", 10},        /* strings without an end */
        {"\x04\0\0\0\0\0\0\0\xFF\0", 10},    /* that are not UTF-8 */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct charsmap map;
        struct bytes blob = {(const uint8_t *)rows[i].blob, rows[i].size};
        struct error err = ERROR_NONE;
        ck_assert_int_eq(charsmap_open(&map, blob, &err), STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(err.message, "charsmap"));
        charsmap_close(&map);
    }
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("charsmap");
    tcase_add_test(cases, matches);
    tcase_add_test(cases, refused);
    return program_run("charsmap", cases, CK_FORK_GETENV);
}
