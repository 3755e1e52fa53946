#include "server/guard.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text, size_t size) {
    if (size == 0) return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c)) return false;
    }
    return true;
}

static bool has_control(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return true;
    }
    return false;
}

static bool is_number(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i])) return false;
    }
    return size > 0;
}

static bool is_named(const char *name, size_t size, const char *expected) {
    return size == strlen(expected) && strncasecmp(name, expected, size) == 0;
}

void guard_see_header(struct guard *guard, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
    if (!is_token(name, name_size)) guard->bad_name = true;
    if (has_control(value, value_size)) guard->bad_value = true;
    if (is_named(name, name_size, "Host")) guard->hosts++;
    if (is_named(name, name_size, "Content-Length")) {
        guard->lengths++;
        if (!is_number(value, value_size)) guard->bad_value = true;
    }
    if (is_named(name, name_size, "Transfer-Encoding")) {
        guard->encodings++;
        guard->chunked = is_named(value, value_size, "chunked");
    }
}

bool guard_bad_target(const char *target) {
    for (const char *c = target; *c && *c != '?'; c++) {
        if (*c != '%') continue;
        if (!isxdigit((unsigned char)c[1]) || !isxdigit((unsigned char)c[2])) return true;
        if (c[1] == '0' && c[2] == '0') return true;
        if (c[1] == '2' && (c[2] == 'f' || c[2] == 'F')) return true;
    }
    return false;
}

enum status guard_judge(const struct guard *guard, const char *version, struct error *err) {
    bool is_1_1 = strcmp(version, "HTTP/1.1") == 0;
    if (!is_1_1 && strcmp(version, "HTTP/1.0") != 0) {
        return error_set(err, STATUS_UNSUPPORTED, "HTTP/1.0 or HTTP/1.1 is expected");
    }
    const char *problem = NULL;
    if (guard->bad_name)
        problem = "a header name holds a character that names cannot have";
    else if (guard->bad_value)
        problem = "a header value holds a character that it cannot have";
    else if (guard->lengths > 1)
        problem = "more than one Content-Length";
    else if (guard->encodings > 1)
        problem = "more than one Transfer-Encoding";
    else if (guard->encodings && guard->lengths) {
        problem = "both Content-Length and Transfer-Encoding";
    } else if (guard->encodings && !guard->chunked) {
        problem = "a Transfer-Encoding other than chunked";
    } else if (guard->hosts > 1)
        problem = "more than one Host";
    else if (is_1_1 && guard->hosts == 0)
        problem = "no Host";
    return problem ? error_set(err, STATUS_INVALID, "%s", problem) : STATUS_OK;
}
