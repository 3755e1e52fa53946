/* log.h - one line per event, as text for people or JSON for machines.
 *
 * The sink (level and format) is the program's one mutable global: it is set once
 * at start and read everywhere. Lines go to standard error in a single write, so
 * lines of different threads never mix. Values may be hostile (paths, headers):
 * both formats escape control characters, quotes and what is not UTF-8 in the values of
 * fields, and messages have printable characters only (printable.h).
 */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF };
enum log_format { LOG_TEXT, LOG_JSON };

void log_init(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);

enum log_kind { LOG_FIELD_STRING, LOG_FIELD_COUNT, LOG_FIELD_MS };

struct log_field {
    const char *name;
    enum log_kind kind;
    const char *string; /* LOG_FIELD_STRING; NULL is printed as empty */
    uint64_t number;    /* LOG_FIELD_COUNT; for LOG_FIELD_MS nanoseconds, printed as ms */
};

/* A message with fields: "request id=7f.. status=200 total_ms=12.345". */
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);
/* A message alone. */
void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
