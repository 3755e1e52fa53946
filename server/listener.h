/* listener.h - the socket that clients connect to. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdint.h>

#include "core/base/error.h"

/* Listens on a numeric IPv4 or IPv6 address and leaves a non-blocking socket in
 * *out; `port` 0 takes a free one. STATUS_UNAVAILABLE when the address is in use,
 * STATUS_INVALID when it is no address, STATUS_IO otherwise. "::" takes IPv4
 * clients, too, as far as the system allows. */
enum status listener_open(int *out, const char *address, uint16_t port, struct error *err);
uint16_t listener_port(int listener);
/* From now on the first packet of a new connection is dropped, as if it had been lost:
 * the client tries again in a second and finds the socket closed. Connections that the
 * kernel has begun to accept get through. */
void listener_ignore_new(int listener);

#endif
