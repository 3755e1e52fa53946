/* error.h - how every module reports failure.
 *
 * A function that can fail returns `enum status` and takes `struct error *` as
 * its last parameter; results leave through the first parameters. The status
 * is for programs, the message for people. `err` may be NULL when the caller
 * only cares about the status. The first report wins, so an outer function
 * never overwrites the precise message of an inner one.
 *
 * Messages say what was found and what was expected, in lower case, without a
 * full stop. Programmer mistakes are not errors: they are assert()ed.
 */
#ifndef CORE_BASE_ERROR_H
#define CORE_BASE_ERROR_H

enum status {
    STATUS_OK = 0,
    STATUS_INVALID,       /* the caller's input is malformed */
    STATUS_UNSUPPORTED,   /* well formed, but a format or feature we do not have */
    STATUS_UNPROCESSABLE, /* a known format whose content cannot be used: a broken image */
    STATUS_TOO_LARGE,     /* over a configured limit */
    STATUS_NOT_FOUND,     /* no such item, model or route */
    STATUS_DENIED,        /* whoever asks may not have it */
    STATUS_CONFLICT,      /* already exists, or does not fit what exists */
    STATUS_OVERLOADED,    /* a bounded queue is full: try again later */
    STATUS_TIMEOUT,       /* the deadline passed before the work was done */
    STATUS_CANCELLED,     /* whoever asked has gone, and nobody waits for it */
    STATUS_UNAVAILABLE,   /* starting up or shutting down */
    STATUS_IO,            /* the operating system said no */
    STATUS_NO_MEMORY,     /* malloc said no */
    STATUS_INTERNAL,      /* a bug */
};

struct error {
    enum status status;
    int input;      /* index of the offending input, or -1 */
    char where[96]; /* the part at fault, e.g. a JSON pointer or "line 3"; "" if none */
    char message[320];
};

/* Ready-to-use initial value: struct error err = ERROR_NONE; */
#define ERROR_NONE ((struct error){.input = -1})

/* Records the failure and returns `status`, so that reporting is one line:
 *     return error_set(err, STATUS_INVALID, "width is 0"); */
enum status error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with `where` filled from its own format argument. */
enum status error_set_at(struct error *err, enum status status, const char *where,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The errno of a failed system call as a report: "cannot open weights.bin: No such file ...". */
enum status error_set_errno(struct error *err, enum status status, const char *action,
                            const char *subject);

/* What `errno` says of a file that was to be opened: STATUS_NOT_FOUND, STATUS_DENIED or
 * STATUS_IO. */
enum status error_errno_status(void);

/* Passes on what was reported elsewhere, and returns its status. */
enum status error_pass(struct error *err, const struct error *from);

/* "invalid", "too_large", ...: the stable word used in logs and responses. */
const char *status_name(enum status status);

#endif
