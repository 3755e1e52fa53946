/* multipart.h - multipart/form-data as it streams in, to a list of parts. */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H

#include "api/http.h"

struct MHD_Connection;
struct multipart;

/* For a request whose Content-Type is multipart/form-data; STATUS_INVALID when its
 * boundary is missing or unusable. */
enum status multipart_create(struct multipart **out, struct MHD_Connection *connection,
                             uint32_t parts_max, struct error *err);
void multipart_destroy(struct multipart *multipart);

/* STATUS_TOO_LARGE past `parts_max` parts, STATUS_INVALID for a malformed body. */
enum status multipart_feed(struct multipart *multipart, const char *data, size_t size,
                           struct error *err);
/* Call once, after the last byte. STATUS_INVALID for a body that was cut off or holds
 * no part. The parts live as long as `multipart`. */
enum status multipart_finish(struct multipart *multipart, const struct http_part **parts,
                             size_t *count, struct error *err);

#endif
