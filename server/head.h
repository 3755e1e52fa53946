/* head.h - the request line and the header section, as api/ sees them. */
#ifndef SERVER_HEAD_H
#define SERVER_HEAD_H

#include "server/exchange_state.h"

/* Fills in exchange->request, whatever comes, and exchange->framing. Fails with
 * STATUS_INVALID when it is in doubt where the request ends. */
enum status head_read(struct exchange *exchange, const char *method, const char *version,
                      struct error *err);
/* Whether the library has answered by itself, to a header section that it could not read (a
 * Content-Length that is no number, a line without a colon, more than it keeps). Fills in what is
 * known of such a request and its answer. */
bool head_was_refused(struct exchange *exchange);

#endif
