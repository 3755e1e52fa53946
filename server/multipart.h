/* multipart.h - the parts of a multipart/form-data body (RFC 7578).
 *
 * Parses a whole body in place: the parts point into it, nothing is copied, so a
 * request costs its body and 48 bytes a part. libmicrohttpd's own MHD_PostProcessor
 * is not used because it reports an empty part, and a part of which only the
 * headers have arrived, by the same call: how many parts a client sent would then
 * depend on how the network cut the body.
 */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H

#include "api/http.h"

enum { MULTIPART_PARTS_MAX = 4096, MULTIPART_HEADERS_MAX = 8192 /* bytes, of one part */ };

/* Whether a Content-Type header announces a form. NULL: no. */
bool multipart_is_form(const char *content_type);

/* Fills `parts`, which the caller has set up with buffer_init(), with one struct
 * http_part for each part. They point into `body`, which is changed (strings are
 * terminated and unquoted in place) and must outlive them. STATUS_INVALID for what
 * is malformed or cut off, STATUS_TOO_LARGE for more than MULTIPART_PARTS_MAX,
 * STATUS_UNSUPPORTED for an encoding other than the plain bytes. */
enum status multipart_parse(struct buffer *parts, uint8_t *body, size_t size,
                            const char *content_type, struct error *err);

#endif
