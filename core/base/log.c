#include "core/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/printable.h"

enum { LINE_MAX_SIZE = 4096, MESSAGE_MAX_SIZE = 1024 };

/* The log sink. */
static struct {
    enum log_level level;
    enum log_format format;
} sink = {.level = LOG_INFO, .format = LOG_TEXT};

static const char *const level_names[] = {"debug", "info", "warning", "error", "off"};

/* A line under construction; what does not fit is cut off. */
struct line {
    char text[LINE_MAX_SIZE];
    size_t size;
};

void log_init(enum log_level level, enum log_format format) {
    sink.level = level;
    sink.format = format;
}

bool log_enabled(enum log_level level) {
    return level >= sink.level && sink.level != LOG_OFF;
}

static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *line, const char *format, ...) {
    /* Two bytes stay free for the closing brace and the newline. */
    size_t room = sizeof(line->text) - 2 - line->size;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line->text + line->size, room, format, args);
    va_end(args);
    if (size > 0) line->size += (size_t)size < room ? (size_t)size : room - 1;
}

/* Quoted and escaped so that it is valid JSON and cannot forge a line: UTF-8 stays, control
 * characters become \uXXXX, and bytes that are no UTF-8 U+FFFD. */
static void put_quoted(struct line *line, const char *text) {
    put(line, "\"");
    while (*text && line->size + 16 <= sizeof(line->text)) {
        uint32_t point;
        size_t size = printable_read(&point, text);
        if (!size)
            put(line, "\\ufffd");
        else if (printable_is_control(point))
            put(line, "\\u%04x", point);
        else
            put(line, "%s%.*s", point == '"' || point == '\\' ? "\\" : "", (int)size, text);
        text += size ? size : 1;
    }
    put(line, "\"");
}

static bool is_bare(const char *text) {
    if (!*text) return false;
    for (const char *c = text; *c; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '\\' || *c == '=') return false;
    }
    return true;
}

static void put_field(struct line *line, const struct log_field *field) {
    const char *string = field->string ? field->string : "";
    bool json = sink.format == LOG_JSON;
    put(line, json ? ",\"%s\":" : " %s=", field->name);
    switch (field->kind) {
    case LOG_FIELD_STRING:
        if (!json && is_bare(string))
            put(line, "%s", string);
        else
            put_quoted(line, string);
        break;
    case LOG_FIELD_COUNT: put(line, "%llu", (unsigned long long)field->number); break;
    case LOG_FIELD_MS: put(line, "%.3f", (double)field->number / 1e6); break;
    }
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count) {
    if (!log_enabled(level)) return;
    struct line line;
    line.size = 0;
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
    bool json = sink.format == LOG_JSON;
    put(&line, json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":" : "%s.%03ldZ %s ",
        stamp, now.tv_nsec / 1000000, level_names[level]);
    if (json)
        put_quoted(&line, message);
    else
        put(&line, "%s", message);
    for (size_t i = 0; i < count; i++) put_field(&line, &fields[i]);
    if (json) line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    /* Nothing can be done about a standard error that is gone. */
    ssize_t written = write(STDERR_FILENO, line.text, line.size);
    (void)written;
}

void log_message(enum log_level level, const char *format, ...) {
    if (!log_enabled(level)) return;
    char message[MESSAGE_MAX_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    printable_make(message);
    log_event(level, message, NULL, 0);
}
