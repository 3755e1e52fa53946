/* guard.h - refuses requests whose framing two HTTP parsers could read differently.
 *
 * libmicrohttpd 0.9.75 accepts a request with both Content-Length and
 * Transfer-Encoding, with two lengths, with a blank before the colon and more; behind
 * a proxy that reads them the other way, the body becomes a second, smuggled
 * request. Everything of that kind is answered 400 and the connection closed before
 * a byte of the body is looked at. */
#ifndef SERVER_GUARD_H
#define SERVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

/* What the walk over the headers has found so far. */
struct guard {
    unsigned lengths, encodings, hosts;
    bool chunked;  /* the one Transfer-Encoding is "chunked" */
    bool bad_name; /* a header name that is no token */
    bool bad_value;
};

void guard_see_header(struct guard *guard, const char *name, size_t name_size, const char *value,
                      size_t value_size);

/* True if a path must not be routed: it hides a NUL or a slash in an escape, or an
 * escape is broken. `target` is the request target as it was sent. */
bool guard_bad_target(const char *target);

/* STATUS_UNSUPPORTED for another version than HTTP/1.0 and 1.1, STATUS_INVALID for
 * bad framing. */
enum status guard_judge(const struct guard *guard, const char *version, struct error *err);

#endif
