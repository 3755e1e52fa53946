/* guard.c - see guard.h.
 *
 * RFC 9112 allows a server to repair some of what is refused here (equal
 * Content-Length fields given twice, for one). No honest client needs that, and
 * whoever repairs must be sure that the proxy repairs the same way. */
#include "server/guard.h"

#include <string.h>
#include <strings.h>

static bool equals(struct bytes text, const char *word) {
    return text.size == strlen(word) && !strncasecmp((const char *)text.data, word, text.size);
}

/* RFC 9110, 5.6.2. */
static bool is_token(struct bytes text) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (!c || !strchr(marks, c))) return false;
    }
    return text.size > 0;
}

static bool has_control(struct bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return true;
    }
    return false;
}

bool guard_is_target(const char *target) {
    for (const char *c = target; *c; c++) {
        if ((uint8_t)*c <= ' ' || *c == 0x7f) return false;
    }
    return *target && !strstr(target, "%00");
}

/* RFC 9112, 3.2.2: the scheme in any case, an authority that is not empty, and a path that may
 * be. */
struct bytes guard_path(const char *target) {
    size_t scheme = 0;
    if (!strncasecmp(target, "http://", 7)) scheme = 7;
    if (!strncasecmp(target, "https://", 8)) scheme = 8;
    size_t authority = scheme ? strcspn(target + scheme, "/?") : 0;
    if (authority) target += scheme + authority;
    size_t size = strcspn(target, "?");
    return authority && !size ? bytes_of("/") : (struct bytes){(const uint8_t *)target, size};
}

enum status guard_begin(struct guard *guard, const struct guard_line *line, struct error *err) {
    *guard = (struct guard){0};
    if (!is_token(bytes_of(line->method)))
        return error_set(err, STATUS_INVALID, "request method is not a word");
    if (!line->head_size) return STATUS_OK;
    guard->end = line->method + line->head_size;
    const char *target = line->method + strlen(line->method) + 1;
    const char *version = target + line->target_size + 1;
    guard->next = version + strlen(line->version) + 2;
    if (target != line->target || version != line->version || guard->next > guard->end ||
        guard->next[-2] || guard->next[-1])
        return error_set(err, STATUS_INVALID,
                         "request line is not a method, a target and a version with "
                         "single spaces and a CRLF");
    return STATUS_OK;
}

/* Whether the field lies where the one before ended, and moves on behind it. */
static bool follows(struct guard *guard, struct bytes name, struct bytes value) {
    if ((const char *)name.data != guard->next) return false;
    size_t room = (size_t)(guard->end - guard->next);
    if (name.size >= room || guard->next[name.size]) return false;
    const char *c = guard->next + name.size + 1;
    while (c < guard->end && (*c == ' ' || *c == '\t')) c++;
    /* Two bytes for the CR and LF of the field and two for those of the section. */
    if (c != (const char *)value.data || value.size + 4 > (size_t)(guard->end - c)) return false;
    guard->next = c + value.size + 2;
    return !guard->next[-2] && !guard->next[-1];
}

static enum status read_length(uint64_t *out, struct bytes text, struct error *err) {
    uint64_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || length > (UINT64_MAX - digit) / 10)
            return error_set(err, STATUS_INVALID, "content-length is not a number of bytes");
        length = length * 10 + digit;
    }
    if (!text.size) return error_set(err, STATUS_INVALID, "content-length is empty");
    *out = length;
    return STATUS_OK;
}

enum status guard_field(struct guard *guard, struct bytes name, struct bytes value,
                        struct error *err) {
    if (guard->next && !follows(guard, name, value))
        return error_set(err, STATUS_INVALID,
                         "header section has a NUL byte, a continuation line or "
                         "a line that does not end in CRLF");
    if (!is_token(name))
        return error_set(err, STATUS_INVALID, "header name has a character that names cannot have");
    if (has_control(value))
        return error_set(err, STATUS_INVALID, "header value has a control byte");
    if (equals(name, "host")) guard->hosts++;
    if (equals(name, "content-length")) {
        guard->lengths++;
        return read_length(&guard->length, value, err);
    }
    if (equals(name, "transfer-encoding")) {
        guard->encodings++;
        if (!equals(value, "chunked"))
            return error_set(err, STATUS_INVALID,
                             "transfer-encoding is not understood, expected chunked");
    }
    return STATUS_OK;
}

enum status guard_end(struct framing *out, const struct guard *guard, bool http_1_1,
                      struct error *err) {
    if (guard->next && (guard->end - guard->next != 2 || guard->next[0] || guard->next[1]))
        return error_set(err, STATUS_INVALID, "header section does not end in an empty line");
    if (guard->lengths > 1)
        return error_set(err, STATUS_INVALID, "%zu content-length headers, expected one",
                         guard->lengths);
    if (guard->encodings > 1)
        return error_set(err, STATUS_INVALID, "%zu transfer-encoding headers, expected one",
                         guard->encodings);
    if (guard->lengths && guard->encodings)
        return error_set(err, STATUS_INVALID,
                         "both content-length and transfer-encoding, expected one of them");
    if (guard->encodings && !http_1_1)
        return error_set(err, STATUS_INVALID, "transfer-encoding needs HTTP/1.1");
    if (guard->hosts > 1 || (http_1_1 && !guard->hosts))
        return error_set(err, STATUS_INVALID, "%zu host headers, expected one", guard->hosts);
    *out = (struct framing){
        .chunked = guard->encodings, .has_length = guard->lengths, .length = guard->length};
    return STATUS_OK;
}
