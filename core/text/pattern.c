#include "core/text/pattern.h"

#include <string.h>

#include "core/text/unicode.h"

enum { LITERAL_MAX = 4096, REPEAT_MAX = 1000, SHOWN_MAX = 60 };

enum status pattern_parse_string(struct pattern *out, struct bytes text, struct error *err) {
    *out = (struct pattern){.ranges_count = 0};
    buffer_init(&out->literal, LITERAL_MAX);
    if (!text.size) return error_set(err, STATUS_INVALID, "a pattern is an empty string");
    return buffer_append(&out->literal, text.data, text.size, err);
}

void pattern_free(struct pattern *pattern) {
    buffer_free(&pattern->literal);
}

/* ---- reading ---- */

struct parser {
    struct bytes regex;
    size_t at;
};

static uint32_t next(struct parser *parser) {
    uint32_t point = 0;
    if (parser->at < parser->regex.size)
        parser->at += unicode_decode(&point, parser->regex.data + parser->at);
    return point;
}

static bool take(struct parser *parser, char wanted) {
    bool found =
        parser->at < parser->regex.size && parser->regex.data[parser->at] == (uint8_t)wanted;
    parser->at += found;
    return found;
}

static bool is_alphanumeric(uint32_t point) {
    return point >= 0x80 || unicode_classify(point) == UNICODE_LETTER ||
           unicode_classify(point) == UNICODE_NUMBER;
}

static bool add_range(struct pattern *out, uint32_t first, uint32_t last) {
    if (out->ranges_count == PATTERN_RANGES_MAX || first > last) return false;
    out->ranges[out->ranges_count++] = (struct text_range){first, last};
    return true;
}

/* A character that stands for itself, behind a backslash or not. */
static bool parse_character(struct parser *parser, const char *special, uint32_t *point) {
    if (take(parser, '\\')) {
        *point = next(parser);
        return *point && !is_alphanumeric(*point);
    }
    *point = next(parser);
    return *point && (*point >= 0x80 || !strchr(special, (int)*point));
}

static bool parse_spaces(struct parser *parser, struct pattern *out) {
    struct bytes rest = {parser->regex.data + parser->at, parser->regex.size - parser->at};
    if (rest.size < 2 || rest.data[0] != '\\' || rest.data[1] != 's') return false;
    parser->at += 2;
    out->spaces = true;
    return true;
}

/* Behind "[". In the dialect of these files "&&" intersects and "[" nests. */
static bool parse_class(struct parser *parser, struct pattern *out) {
    out->negated = take(parser, '^');
    do {
        uint32_t first, last;
        if (parse_spaces(parser, out)) continue;
        if (!parse_character(parser, "[]", &first)) return false;
        last = first;
        if (take(parser, '-') && !parse_character(parser, "[]", &last)) return false;
        if (first == '&' && last == '&' && take(parser, '&')) return false;
        if (!add_range(out, first, last)) return false;
    } while (!take(parser, ']'));
    return true;
}

static bool parse_count(struct parser *parser, struct pattern *out) {
    out->at_least = 1;
    out->repeated = take(parser, '+');
    if (out->repeated || !take(parser, '{')) return true;
    out->at_least = 0;
    for (uint32_t digit; (digit = next(parser)) != ',';) {
        if (digit < '0' || digit > '9') return false;
        out->at_least = out->at_least * 10 + (digit - '0');
        if (out->at_least > REPEAT_MAX) return false;
    }
    out->repeated = true;
    return out->at_least && take(parser, '}');
}

enum status pattern_parse_regex(struct pattern *out, struct bytes regex, struct error *err) {
    *out = (struct pattern){.ranges_count = 0};
    struct parser parser = {.regex = regex};
    size_t wrong;
    bool good = unicode_valid(regex, &wrong);
    if (good && !parse_spaces(&parser, out)) {
        uint32_t point;
        if (take(&parser, '['))
            good = parse_class(&parser, out);
        else
            good =
                parse_character(&parser, "[](){}.*+?^$|\\", &point) && add_range(out, point, point);
    }
    if (good && parse_count(&parser, out) && parser.at == regex.size) return STATUS_OK;
    int shown = regex.size < SHOWN_MAX ? (int)regex.size : SHOWN_MAX;
    return error_set(err, STATUS_UNSUPPORTED,
                     "the regular expression \"%.*s\" is not supported; supported is one set of "
                     "characters, once or at least n times",
                     shown, (const char *)regex.data);
}

/* ---- matching ---- */

static bool fits(const struct pattern *pattern, uint32_t point) {
    bool found = pattern->spaces && unicode_classify(point) == UNICODE_SPACE;
    for (size_t i = 0; !found && i < pattern->ranges_count; i++)
        found = point >= pattern->ranges[i].first && point <= pattern->ranges[i].last;
    return found != pattern->negated;
}

/* The bytes that match at the beginning of the text; 0: it does not. `skipped` characters
 * need not be looked at again. */
static size_t match_set(const struct pattern *pattern, struct bytes text, size_t *skipped) {
    size_t at = 0;
    uint32_t count = 0, point;
    while (at < text.size && (pattern->repeated || count < pattern->at_least)) {
        size_t size = unicode_decode(&point, text.data + at);
        if (!fits(pattern, point)) break;
        at += size;
        count++;
    }
    bool matched = count >= pattern->at_least && count;
    *skipped = matched ? 0 : at;
    if (!matched && at < text.size) *skipped += unicode_decode(&point, text.data + at);
    return matched ? at : 0;
}

static enum status replace_literal(struct buffer *out, struct bytes literal, struct bytes text,
                                   struct bytes content, struct error *err) {
    const uint8_t *found;
    enum status status = STATUS_OK;
    while (!status && text.size &&
           (found = memmem(text.data, text.size, literal.data, literal.size))) {
        size_t before = (size_t)(found - text.data), taken = before + literal.size;
        status = unicode_keep(out, text, 0, before, err);
        if (!status) status = unicode_keep(out, content, 0, content.size, err);
        text = (struct bytes){text.data + taken, text.size - taken};
    }
    return status ? status : unicode_keep(out, text, 0, text.size, err);
}

enum status pattern_replace(struct buffer *out, const struct pattern *pattern, struct bytes text,
                            struct bytes content, struct error *err) {
    if (pattern->literal.size)
        return replace_literal(out, buffer_view(&pattern->literal), text, content, err);
    size_t kept = 0, at = 0;
    enum status status = STATUS_OK;
    while (at < text.size && !status) {
        size_t skipped;
        size_t size = match_set(pattern, (struct bytes){text.data + at, text.size - at}, &skipped);
        if (!size) {
            at += skipped;
            continue;
        }
        status = unicode_keep(out, text, kept, at, err);
        if (!status) status = unicode_keep(out, content, 0, content.size, err);
        kept = at += size;
    }
    return status ? status : unicode_keep(out, text, kept, text.size, err);
}
