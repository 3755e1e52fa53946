/* reaper.h - ends connections whose request does not get complete in time.
 *
 * libmicrohttpd's own timeout counts inactivity: a client that sends one byte a
 * second holds a connection for ever. Here every connection has a deadline that
 * only completed steps move. A thread looks through the list a few times a second
 * and shuts the sockets of those that are late; libmicrohttpd then sees the end. */
#ifndef SERVER_REAPER_H
#define SERVER_REAPER_H

#include <stdint.h>

#include "core/base/error.h"

struct reaper;
struct reaper_entry; /* one connection */

enum status reaper_create(struct reaper **out, struct error *err);
/* All entries must be gone. NULL is allowed. */
void reaper_destroy(struct reaper *reaper);

/* Watches `fd` until reaper_remove(), which must come before the socket is closed.
 * NULL without memory: the connection is then not watched. */
struct reaper_entry *reaper_add(struct reaper *reaper, int fd, uint64_t deadline_ns);
void reaper_remove(struct reaper *reaper, struct reaper_entry *entry);
/* CLOCK_NEVER while we, not the client, are what is waited for. NULL does nothing. */
void reaper_set_deadline(struct reaper *reaper, struct reaper_entry *entry, uint64_t deadline_ns);
uint64_t reaper_count(struct reaper *reaper);

#endif
