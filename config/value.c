/* Numbers are whole, digits only, and checked for overflow before their unit and
 * with it. A duration must have a unit, since "30" could be seconds or
 * milliseconds; only 0 needs none. */
#include "config/value.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first, the binary unit before the decimal one: printing takes the first
 * that divides the number. */
static const struct unit size_units[] = {
    {"GiB", 1 << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000}, {"KiB", 1 << 10},
    {"KB", 1000},     {"B", 1},           {"", 1},          {NULL, 0},
};
/* In milliseconds. */
static const struct unit time_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

enum { MILLION = 1000000, NUMBER_SIZE = 32, LISTEN_SIZE = 64 };

static const struct unit *units_of(enum schema_kind kind) {
    if (kind == SCHEMA_SIZE) return size_units;
    return kind == SCHEMA_SECONDS || kind == SCHEMA_MS ? time_units : no_units;
}

/* Without zeros at the end: 999000 is 0.999. */
static void format_fraction(char out[NUMBER_SIZE], uint64_t millionths) {
    int size = snprintf(out, NUMBER_SIZE, "%" PRIu64 ".%06" PRIu64, millionths / MILLION,
                        millionths % MILLION);
    while (out[size - 1] == '0') out[--size] = '\0';
    if (out[size - 1] == '.') out[size - 1] = '\0';
}

static void format_number(char out[NUMBER_SIZE], enum schema_kind kind, uint64_t number) {
    if (kind == SCHEMA_FRACTION) {
        format_fraction(out, number);
    } else if (kind == SCHEMA_SECONDS || (kind == SCHEMA_MS && number % 1000 == 0)) {
        snprintf(out, NUMBER_SIZE, "%" PRIu64 "s", kind == SCHEMA_MS ? number / 1000 : number);
    } else if (kind == SCHEMA_MS) {
        snprintf(out, NUMBER_SIZE, "%" PRIu64 "ms", number);
    } else {
        const struct unit *unit = units_of(kind);
        while (*unit->suffix && (number == 0 || number % unit->factor)) unit++;
        snprintf(out, NUMBER_SIZE, "%" PRIu64 "%s", number / unit->factor, unit->suffix);
    }
}

/* False when `text` is no number of that kind; a number too large for 64 bits is one,
 * and UINT64_MAX, which is out of every range. */
static bool parse_number(uint64_t *out, enum schema_kind kind, const char *text) {
    const char *c = text;
    uint64_t number = 0;
    bool overflow = false;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        overflow |= number > (UINT64_MAX - digit) / 10;
        number = number * 10 + digit;
    }
    if (c == text) return false;
    if (*c == ' ') c++;
    const struct unit *unit = units_of(kind);
    while (unit->suffix && strcmp(unit->suffix, c) != 0) unit++;
    uint64_t factor = unit->suffix ? unit->factor : 1;
    if (!unit->suffix && (number || overflow || *c)) return false;
    overflow |= number > UINT64_MAX / factor;
    *out = overflow ? UINT64_MAX : number * factor;
    return true;
}

/* Digits, and at most six more behind a point. */
static bool parse_fraction(uint64_t *out, const char *text) {
    size_t whole = strspn(text, "0123456789"), decimals = 0;
    uint64_t value = 0;
    if (whole == 0 || whole > 9) return false;
    for (size_t i = 0; i < whole; i++) value = 10 * value + (uint64_t)(text[i] - '0');
    if (text[whole] == '.') {
        text += whole + 1;
        decimals = strspn(text, "0123456789");
        if (decimals == 0 || decimals > 6) return false;
        whole = 0;
    }
    if (text[whole + decimals]) return false;
    for (size_t i = 0; i < 6; i++)
        value = 10 * value + (uint64_t)(i < decimals ? text[i] - '0' : 0);
    *out = value;
    return true;
}

static bool parse_value(uint64_t *out, enum schema_kind kind, const char *text) {
    return kind == SCHEMA_FRACTION ? parse_fraction(out, text) : parse_number(out, kind, text);
}

static enum status read_number(void *field, const struct schema_key *key, const char *text,
                               struct error *err) {
    static const char *const examples[] = {
        [SCHEMA_COUNT] = "a whole number",
        [SCHEMA_FRACTION] = "a number such as 0.999, with at most six decimals",
        [SCHEMA_SIZE] = "a size such as 20MB, 64MiB or 500000",
        [SCHEMA_SECONDS] = "whole seconds such as 30s or 2m",
        [SCHEMA_MS] = "a duration such as 500ms, 30s or 2m",
    };
    uint64_t number;
    if (!parse_value(&number, key->kind, text) ||
        (key->kind == SCHEMA_SECONDS && number != UINT64_MAX && number % 1000))
        return error_set(err, STATUS_INVALID, "found '%.60s', expected %s", text,
                         examples[key->kind]);
    if (key->kind == SCHEMA_SECONDS && number != UINT64_MAX) number /= 1000;
    if (number < key->min || number > key->max) {
        char min[NUMBER_SIZE], max[NUMBER_SIZE];
        format_number(min, key->kind, key->min);
        format_number(max, key->kind, key->max);
        return error_set(err, STATUS_INVALID, "found '%.60s', expected %s to %s", text, min, max);
    }
    uint32_t narrow = (uint32_t)number;
    assert(key->width == sizeof(number) || (key->width == sizeof(narrow) && narrow == number));
    memcpy(field, key->width == sizeof(narrow) ? (void *)&narrow : (void *)&number, key->width);
    return STATUS_OK;
}

static uint64_t get_number(const void *field, const struct schema_key *key) {
    uint64_t number;
    uint32_t narrow;
    if (key->width == sizeof(number)) {
        memcpy(&number, field, sizeof(number));
        return number;
    }
    assert(key->width == sizeof(narrow));
    memcpy(&narrow, field, sizeof(narrow));
    return narrow;
}

/* ADDR:PORT with a numeric address, in brackets if it has colons of its own. */
static enum status read_listen(struct http_server_options *server, const char *text,
                               struct config_storage *storage, struct error *err) {
    static const char expected[] = "ADDR:PORT with a numeric address and a port up to 65535, such "
                                   "as 127.0.0.1:8080, [::1]:8080 or :8080";
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;
    uint64_t port;
    if (!colon || size >= LISTEN_SIZE || !parse_number(&port, SCHEMA_COUNT, colon + 1) ||
        port > UINT16_MAX)
        return error_set(err, STATUS_INVALID, "found '%.60s', expected %s", text, expected);

    char address[LISTEN_SIZE] = "0.0.0.0";
    int family = AF_INET;
    if (size >= 2 && text[0] == '[' && colon[-1] == ']') {
        family = AF_INET6;
        snprintf(address, sizeof(address), "%.*s", (int)size - 2, text + 1);
    } else if (size == strlen("localhost") && !strncmp(text, "localhost", size)) {
        snprintf(address, sizeof(address), "127.0.0.1");
    } else if (size) {
        snprintf(address, sizeof(address), "%.*s", (int)size, text);
    }
    struct in6_addr parsed;
    if (inet_pton(family, address, &parsed) != 1)
        return error_set(err, STATUS_INVALID, "found '%.60s', expected %s", text, expected);
    char *copy = storage_text(storage, address, strlen(address));
    if (!copy) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    server->address = copy;
    server->port = (uint16_t)port;
    return STATUS_OK;
}

/* The index of `text` among the choices, or -1. */
static int find_choice(const char *choices, const char *text) {
    size_t size = strlen(text);
    int index = 0;
    for (const char *choice = choices;; index++) {
        size_t length = strcspn(choice, "|");
        if (length == size && !memcmp(choice, text, size)) return index;
        if (!choice[length]) return -1;
        choice += length + 1;
    }
}

static enum status read_choice(void *field, const struct schema_key *key, const char *text,
                               struct error *err) {
    int index = find_choice(key->choices, text);
    if (index < 0)
        return error_set(err, STATUS_INVALID, "found '%.60s', expected %s", text, key->choices);
    assert(key->width == sizeof(index));
    memcpy(field, &index, sizeof(index));
    return STATUS_OK;
}

static enum status read_text(const char **field, const struct schema_key *key, const char *text,
                             struct config_storage *storage, struct error *err) {
    if (!*text)
        return error_set(err, STATUS_INVALID, "found an empty text, expected %s",
                         key->choices ? key->choices : "at least one character");
    if (key->choices && find_choice(key->choices, text) < 0)
        return error_set(err, STATUS_INVALID, "found '%.60s', expected %s", text, key->choices);
    *field = storage_text(storage, text, strlen(text));
    return *field ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

static enum status read_bool(bool *field, const char *text, struct error *err) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return error_set(err, STATUS_INVALID, "found '%.60s', expected true or false", text);
    *field = *text == 't';
    return STATUS_OK;
}

enum status value_read(void *object, const struct schema_key *key, const char *text,
                       struct config_storage *storage, struct error *err) {
    void *field = (char *)object + key->offset;
    switch (key->kind) {
    case SCHEMA_COUNT:
    case SCHEMA_FRACTION:
    case SCHEMA_SIZE:
    case SCHEMA_SECONDS:
    case SCHEMA_MS: return read_number(field, key, text, err);
    case SCHEMA_LISTEN: return read_listen(field, text, storage, err);
    case SCHEMA_CHOICE: return read_choice(field, key, text, err);
    case SCHEMA_TEXT:
    case SCHEMA_SECRET: return read_text(field, key, text, storage, err);
    case SCHEMA_BOOL: return read_bool(field, text, err);
    case SCHEMA_LIST: break;
    }
    assert(!"a list is no single value");
    return STATUS_INTERNAL;
}

/* password, sslpassword, and what an escape may spell so. */
static bool names_password(const char *name, size_t size) {
    static const char ending[] = "password";
    size_t tail = sizeof(ending) - 1;
    if (memchr(name, '%', size)) return true;
    return size >= tail && !strncasecmp(name + size - tail, ending, tail);
}

/* "a=b&password=c", as "a=b&password=***". */
static enum status print_parameters(const char *text, struct buffer *out, struct error *err) {
    enum status status = STATUS_OK;
    while (*text && !status) {
        size_t size = strcspn(text, "&"), name = strcspn(text, "=&");
        bool secret = name < size && names_password(text, name);
        bool last = !text[size];
        status = buffer_printf(out, err, "%.*s%s%s", (int)(secret ? name : size), text,
                               secret ? "=***" : "", last ? "" : "&");
        text += size + !last;
    }
    return status;
}

/* In an URL a password stands before the host, "user:password@", or in the query. */
static enum status print_secret(const char *text, struct buffer *out, struct error *err) {
    const char *colons = strstr(text, "://");
    const char *host = colons ? colons + 3 : text;
    size_t size = colons ? strcspn(host, "/?") : 0;
    const char *at = size ? memrchr(host, '@', size) : NULL;
    const char *password = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    const char *query = colons ? strchr(host, '?') : NULL;
    enum status status = STATUS_OK;
    if (password) {
        status = buffer_printf(out, err, "%.*s:***", (int)(password - text), text);
        text = at;
    }
    if (!query || status) return status ? status : buffer_printf(out, err, "%s", text);
    status = buffer_printf(out, err, "%.*s", (int)(query + 1 - text), text);
    return status ? status : print_parameters(query + 1, out, err);
}

enum status value_print(const void *object, const struct schema_key *key, struct buffer *out,
                        struct error *err) {
    const void *field = (const char *)object + key->offset;
    switch (key->kind) {
    case SCHEMA_COUNT:
    case SCHEMA_FRACTION:
    case SCHEMA_SIZE:
    case SCHEMA_SECONDS:
    case SCHEMA_MS: {
        char text[NUMBER_SIZE];
        format_number(text, key->kind, get_number(field, key));
        return buffer_printf(out, err, "%s", text);
    }
    case SCHEMA_LISTEN: {
        const struct http_server_options *server = field;
        bool brackets = strchr(server->address, ':') != NULL;
        return buffer_printf(out, err, "%s%s%s:%u", brackets ? "[" : "", server->address,
                             brackets ? "]" : "", server->port);
    }
    case SCHEMA_CHOICE: {
        const char *choice = key->choices;
        for (uint64_t i = get_number(field, key); i; i--) choice = strchr(choice, '|') + 1;
        return buffer_append(out, choice, strcspn(choice, "|"), err);
    }
    case SCHEMA_TEXT: {
        const char *text = *(const char *const *)field;
        return buffer_printf(out, err, "%s", text ? text : "");
    }
    case SCHEMA_SECRET: return print_secret(*(const char *const *)field, out, err);
    case SCHEMA_BOOL: return buffer_printf(out, err, "%s", *(const bool *)field ? "true" : "false");
    case SCHEMA_LIST: break;
    }
    assert(!"a list is no single value");
    return STATUS_INTERNAL;
}
