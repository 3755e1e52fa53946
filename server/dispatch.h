/* dispatch.h - a request whose body is in, to the threads that may block, and back. */
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include "server/exchange_state.h"

/* Turns the body into what the handler expects, and calls it. */
void dispatch_handle(struct exchange *exchange);
/* The same on a thread of a pool, while the connection is suspended; or refuses. On the
 * connection's I/O thread. */
enum MHD_Result dispatch_submit(struct exchange *exchange);

#endif
