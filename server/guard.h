/* guard.h - refuses requests whose framing two readers could understand differently.
 *
 * A proxy in front of us and we must agree where a request ends; where they could
 * disagree, a second request can be smuggled inside the first. So everything
 * doubtful is refused before the body is read, and the connection closed.
 *
 * Feed it the header fields in their order, then ask for the verdict. It reads only
 * the memory it is given, and keeps pointers into it between the calls.
 */
#ifndef SERVER_GUARD_H
#define SERVER_GUARD_H

#include <stdbool.h>

#include "core/base/bytes.h"

/* The request line as the library left it. */
struct guard_line {
    const char *method, *target, *version;
    size_t target_size; /* before it was percent-decoded in place */
    size_t head_size;   /* from the method to the end of the header section */
};

struct guard {
    const char *next; /* where the next field must begin; NULL: not checked */
    const char *end;  /* of the header section, empty line included */
    size_t hosts, lengths, encodings;
    uint64_t length;
};

/* How the body is framed. */
struct framing {
    bool chunked;
    bool has_length;
    uint64_t length; /* 0 without has_length */
};

/* Whether the target, not decoded yet, is free of control bytes, spaces and "%00". */
bool guard_is_target(const char *target);

/* The path within a target, not decoded: what comes before the query. A proxy's form of it,
 * "http://authority/path", says whom it is for first; that is for us, whoever it names. */
struct bytes guard_path(const char *target);

/* libmicrohttpd before 1.0 takes a bare LF for a line end, ends a value at a NUL
 * byte, and glues a continuation line to the *name* of the field. It cannot be
 * asked whether it did, but it parses in place and overwrites what separates the
 * fields with NULs: a head in which each piece begins right behind the one before
 * and its one separator or CRLF has none of these. `head_size` 0 leaves that check
 * out. */
enum status guard_begin(struct guard *guard, const struct guard_line *line, struct error *err);
enum status guard_field(struct guard *guard, struct bytes name, struct bytes value,
                        struct error *err);
enum status guard_end(struct framing *out, const struct guard *guard, bool http_1_1,
                      struct error *err);

#endif
