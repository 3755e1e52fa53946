/* html.c - character references.
 *
 * Follows html.unescape() of Python 3.11 and unescape_html() of ftfy 6.3.1 (SPEC 5.3,
 * 5.4). A reference is never longer than some 40 bytes but for its digits, so the time
 * is linear. */
#include "core/text/html.h"

#include <stdbool.h>
#include <string.h>

#include "core/text/text_tables.h"
#include "core/text/unicode.h"

enum {
    CLOSED_NAME_MAX = 24, /* ftfy's limit on letters and digits between & and ; */
    POINT_MAX = 0x10FFFF,
    REPLACEMENT_CHARACTER = 0xFFFD,
};

/* What a reference stands for. */
struct value {
    uint8_t data[32];
    size_t size;
};

/* Finds the reference at the start of `text`, an ampersand: how many bytes it takes, or 0. */
typedef size_t match_fn(struct value *out, struct bytes text);

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_name_byte(uint8_t c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 16 and more: not a digit. */
static uint32_t digit_value(uint8_t c) {
    if (is_digit(c)) return c - '0';
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10U : 16;
}

static bool find_entity(struct value *out, const struct text_entity *table, size_t count,
                        struct bytes name) {
    char key[TEXT_ENTITY_NAME_MAX + 1] = "";
    if (name.size > TEXT_ENTITY_NAME_MAX) return false;
    memcpy(key, name.data, name.size);
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table[middle].name, key);
        if (order == 0) {
            out->size = strlen(table[middle].value);
            memcpy(out->data, table[middle].value, out->size);
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void set_point(struct value *out, uint32_t point) {
    out->size = unicode_encode(out->data, point);
}

/* HTML's rules for numbers: Windows-1252 for C1, nothing for what no text may contain. */
static void set_number(struct value *out, uint32_t number) {
    out->size = 0;
    if (number == 0 || number > POINT_MAX || (number >= 0xD800 && number < 0xE000))
        set_point(out, REPLACEMENT_CHARACTER);
    else if (number >= 0x80 && number < 0xA0)
        set_point(out, text_c1_references[number - 0x80]);
    else if (number < 0x9 || number == 0xB || (number >= 0xE && number < 0x20) || number == 0x7F ||
             (number >= 0xFDD0 && number < 0xFDF0) || (number & 0xFFFE) == 0xFFFE)
        return;
    else
        set_point(out, number);
}

/* &#123; and &#x7b; with the semicolon or without. */
static size_t match_number(struct value *out, struct bytes text) {
    size_t at = 2;
    uint32_t base = 10, number = 0;
    if (at < text.size && (text.data[at] | 0x20) == 'x') {
        base = 16;
        at++;
    }
    size_t digits = at;
    for (; at < text.size && digit_value(text.data[at]) < base; at++)
        if (number <= POINT_MAX) number = number * base + digit_value(text.data[at]);
    if (at == digits) return 0;
    set_number(out, number);
    return at < text.size && text.data[at] == ';' ? at + 1 : at;
}

static bool is_number(struct bytes text) {
    return text.size > 1 && text.data[1] == '#';
}

/* How many bytes of a name, at most `max`, follow the ampersand. */
static size_t name_size(struct bytes text, size_t max) {
    size_t size = 0;
    while (size < max && size + 1 < text.size && is_name_byte(text.data[size + 1])) size++;
    return size;
}

static size_t match_any(struct value *out, struct bytes text) {
    if (is_number(text)) return match_number(out, text);
    struct bytes name = {text.data + 1, name_size(text, TEXT_ENTITY_NAME_MAX)};
    if (name.size + 1 < text.size && name.data[name.size] == ';') {
        struct bytes closed = {name.data, name.size + 1};
        if (find_entity(out, text_entities, text_entities_count, closed)) return closed.size + 1;
    }
    if (name.size > TEXT_ENTITY_BARE_NAME_MAX) name.size = TEXT_ENTITY_BARE_NAME_MAX;
    for (; name.size > 1; name.size--)
        if (find_entity(out, text_entities, text_entities_count, name)) return name.size + 1;
    return 0;
}

static size_t match_closed(struct value *out, struct bytes text) {
    if (is_number(text)) {
        size_t size = match_number(out, text);
        /* ftfy gives up when a semicolon is left, also where it is the result. */
        bool closed = size && text.data[size - 1] == ';' && size <= CLOSED_NAME_MAX + 3;
        return closed && !(out->size == 1 && out->data[0] == ';') ? size : 0;
    }
    struct bytes name = {text.data + 1, name_size(text, CLOSED_NAME_MAX)};
    if (name.size + 1 >= text.size || name.data[name.size] != ';') return 0;
    name.size++;
    if (find_entity(out, text_entities, text_entities_count, name) ||
        find_entity(out, text_ftfy_entities, text_ftfy_entities_count, name))
        return name.size + 1;
    return 0;
}

static enum status replace_all(struct buffer *out, struct bytes text, match_fn *match,
                               struct error *err) {
    size_t kept = 0, at = 0; /* bytes before `kept` are in `out` */
    while (at < text.size) {
        const uint8_t *found = memchr(text.data + at, '&', text.size - at);
        if (!found) break;
        at = (size_t)(found - text.data);
        struct value value;
        size_t size = match(&value, (struct bytes){found, text.size - at});
        if (!size) {
            at++;
            continue;
        }
        enum status status = unicode_keep(out, text, kept, at, err);
        if (!status) status = buffer_append(out, value.data, value.size, err);
        if (status) return status;
        kept = at += size;
    }
    return unicode_keep(out, text, kept, text.size, err);
}

enum status html_unescape(struct buffer *out, struct bytes text, struct error *err) {
    return replace_all(out, text, match_any, err);
}

enum status html_unescape_closed(struct buffer *out, struct bytes text, struct error *err) {
    return replace_all(out, text, match_closed, err);
}
