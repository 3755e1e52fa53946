/* connections.h - the open connections: one thread that accepts them, closes those
 * that are too slow, sees clients leave that wait for us, and takes leave of
 * connections that are closed.
 *
 * Accepting is done here rather than by libmicrohttpd because its
 * MHD_quiesce_daemon() can abort the process when a worker touches the listening
 * socket at the same moment, and because a drain must take the connections that
 * the kernel has accepted already.
 *
 * Deadlines, because a timeout for inactivity is never reached by a client that
 * sends one byte a second. Who is late is cut off by shutdown(), which the
 * connection's own I/O thread notices.
 *
 * Taking leave: closing a socket that has unread input makes the kernel send a
 * reset, which can destroy the answer before the client has read it (a 413 while
 * the body is still being sent). Such a connection is kept half-closed, its input
 * thrown away, until the client closes or LINGER_MS have passed.
 */
#ifndef SERVER_CONNECTIONS_H
#define SERVER_CONNECTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

struct connections;

/* An open connection. Only the functions below look inside. */
struct connection;

struct connections_options {
    uint32_t connections_max;  /* more wait in the kernel's queue */
    uint64_t first_timeout_ns; /* from the connection to the first request line */
};

/* Hands an accepted, non-blocking socket to whoever serves it, who then owns it. False
 * when that failed. Called by the thread. */
typedef bool connections_adopt_fn(void *context, int fd);

/* Owns `listener`. Nothing is accepted before connections_start(). */
enum status connections_create(struct connections **out, const struct connections_options *options,
                               int listener, struct error *err);
enum status connections_start(struct connections *connections, connections_adopt_fn *adopt,
                              void *context, struct error *err);
/* Accepts what the kernel has queued, then closes the listener. Returns when done. */
void connections_refuse(struct connections *connections);
/* Joins the thread. No connection may be open any more. NULL is allowed. */
void connections_destroy(struct connections *connections);

/* The server calls these when an adopted connection opens and just before its
 * socket is closed. NULL without memory: the connection is served without a
 * deadline then. NULL is allowed in the calls below. connections_close(NULL) is also
 * for a socket that was adopted and could not be opened. */
struct connection *connections_open(struct connections *connections, int fd);
void connections_close(struct connections *connections, struct connection *connection);

/* Cuts the connection off at this point of the clock; CLOCK_NEVER: lets it be. */
void connection_expect(struct connection *connection, uint64_t deadline_ns);
/* The client may still be sending when the connection is closed. */
void connection_linger(struct connection *connection);
/* The client waits for us from now on, and nobody writes to it: its leaving is looked for until
 * connection_unwatch() has returned. `takes_interim` as in presence.h. */
void connection_watch(struct connections *connections, struct connection *connection,
                      bool takes_interim);
void connection_unwatch(struct connections *connections, struct connection *connection);
/* Set for good when that was seen. NULL of NULL. */
const _Atomic bool *connection_gone(const struct connection *connection);
/* Whether its deadline came. */
bool connection_is_late(const struct connection *connection);

size_t connections_count(const struct connections *connections);

#endif
