#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_first(const struct error *err) {
    return err && err->status == STATUS_OK;
}

enum status error_set(struct error *err, enum status status, const char *format, ...) {
    if (!is_first(err)) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return status;
}

enum status error_set_at(struct error *err, enum status status, const char *where,
                         const char *format, ...) {
    if (!is_first(err)) return status;
    err->status = status;
    snprintf(err->where, sizeof(err->where), "%s", where);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return status;
}

enum status error_set_errno(struct error *err, enum status status, const char *action,
                            const char *subject) {
    char reason[128];
    int code = errno;
    /* The GNU variant of strerror_r() returns the text; it need not use the buffer. */
    const char *text = strerror_r(code, reason, sizeof(reason));
    return error_set(err, status, "cannot %s %s: %s", action, subject, text);
}

enum status error_errno_status(void) {
    switch (errno) {
    case ENOENT: return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM: return STATUS_DENIED;
    default: return STATUS_IO;
    }
}

enum status error_pass(struct error *err, const struct error *from) {
    if (is_first(err)) *err = *from;
    return from->status;
}

const char *status_name(enum status status) {
    switch (status) {
    case STATUS_OK: return "ok";
    case STATUS_INVALID: return "invalid";
    case STATUS_UNSUPPORTED: return "unsupported";
    case STATUS_UNPROCESSABLE: return "unprocessable";
    case STATUS_TOO_LARGE: return "too_large";
    case STATUS_NOT_FOUND: return "not_found";
    case STATUS_DENIED: return "denied";
    case STATUS_CONFLICT: return "conflict";
    case STATUS_OVERLOADED: return "overloaded";
    case STATUS_TIMEOUT: return "timeout";
    case STATUS_CANCELLED: return "cancelled";
    case STATUS_UNAVAILABLE: return "unavailable";
    case STATUS_IO: return "io";
    case STATUS_NO_MEMORY: return "no_memory";
    case STATUS_INTERNAL: return "internal";
    }
    return "internal";
}
