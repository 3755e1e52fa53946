/* Standard output is written without stdio: a failure is seen where it happens, and a
 * line is out before the next one is computed. */
#include "cli/console.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/base/printable.h"

/* Two paths and what there is to say of them. */
enum { LINE_MAX_SIZE = 10240 };

void console_vsay(const char *format, va_list args) {
    char line[LINE_MAX_SIZE];
    vsnprintf(line, sizeof(line), format, args);
    printable_make(line);
    fprintf(stderr, "%s\n", line);
}

void console_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    console_vsay(format, args);
    va_end(args);
}

int console_exit_code(enum status status) {
    switch (status) {
    case STATUS_OK: return EX_OK;
    case STATUS_INVALID:
    case STATUS_UNSUPPORTED:
    case STATUS_UNPROCESSABLE:
    case STATUS_TOO_LARGE:
    case STATUS_CONFLICT: return EX_DATAERR;
    case STATUS_NOT_FOUND: return EX_NOINPUT;
    case STATUS_DENIED: return EX_NOPERM;
    case STATUS_OVERLOADED:
    case STATUS_TIMEOUT:
    case STATUS_CANCELLED:
    case STATUS_UNAVAILABLE: return EX_UNAVAILABLE;
    case STATUS_IO: return EX_IOERR;
    case STATUS_NO_MEMORY: return EX_OSERR;
    case STATUS_INTERNAL: return EX_SOFTWARE;
    }
    return EX_SOFTWARE;
}

int console_fail(const struct error *err) {
    console_say("clipd: %s", err->message);
    return console_exit_code(err->status);
}

int console_fail_at(const char *subject, const struct error *err) {
    console_say("clipd: %s: %s", subject, err->message);
    return console_exit_code(err->status);
}

int console_usage_hint(const char *command) {
    fprintf(stderr, "try 'clipd %s --help'\n", command);
    return EX_USAGE;
}

int console_usage(const char *command, const char *format, ...) {
    va_list args;
    fprintf(stderr, "clipd %s: ", command);
    va_start(args, format);
    console_vsay(format, args);
    va_end(args);
    return console_usage_hint(command);
}

enum status console_append(struct buffer *out, struct bytes text, struct error *err) {
    size_t start = out->size;
    enum status status = buffer_append(out, text.data, text.size, err);
    if (!status) status = buffer_append(out, "", 1, err);
    if (status) return status;
    printable_make((char *)out->data + start);
    out->size--; /* the NUL that it ends at */
    return STATUS_OK;
}

int console_write(struct bytes text) {
    while (text.size) {
        ssize_t written = write(STDOUT_FILENO, text.data, text.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            perror("clipd: cannot write to standard output");
            return EX_IOERR;
        }
        text.data += written;
        text.size -= (size_t)written;
    }
    return EX_OK;
}
