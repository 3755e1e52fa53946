/* console.h - what all subcommands do to the terminal: complain, and print. */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <stdarg.h>

#include "core/base/bytes.h"

/* A line on standard error. Names in it may be hostile, and a terminal obeys control characters:
 * printable.h says what becomes of them. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void console_vsay(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* The exit code for a failure. */
int console_exit_code(enum status status);

/* "clipd: message" on standard error; returns the exit code. */
int console_fail(const struct error *err);
/* The same with what it was about in front: "clipd: cat.jpg: message". */
int console_fail_at(const char *subject, const struct error *err);

/* Says where to find help, when getopt_long() has complained already; returns EX_USAGE. */
int console_usage_hint(const char *command);
/* "clipd serve: message" and where to find help; returns EX_USAGE. */
int console_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends text that may be hostile, for a terminal; as in console_say(). */
enum status console_append(struct buffer *out, struct bytes text, struct error *err);

/* Writes all of it to standard output; EX_OK, or EX_IOERR after a complaint. */
int console_write(struct bytes text);

#endif
