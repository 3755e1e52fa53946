/* upload.h - whose turn it is with a body that is handled while it comes.
 *
 * Two threads take turns with an exchange, and never touch it at the same time: the one
 * that runs the handler, while the connection is suspended, and the connection's I/O
 * thread, which collects more of the body while the handler waits for it. */
#ifndef SERVER_UPLOAD_H
#define SERVER_UPLOAD_H

#include <stdbool.h>

#include "core/base/error.h"

struct upload;

/* It is the handler's turn. */
enum status upload_create(struct upload **out, struct error *err);
void upload_destroy(struct upload *upload);

/* ---- the handler's thread ---- */

/* Gives the turn away, calls `resume` for it, and waits to have it back. False: the
 * client has gone, and nothing more will come. */
bool upload_ask(struct upload *upload, void (*resume)(void *context), void *context);
/* The handler's last call, which gives the turn away for good. False: the I/O thread waits
 * to free everything, and the exchange may not be touched any more. */
bool upload_leave(struct upload *upload);

/* ---- the I/O thread ---- */

/* Hands it back. The connection must be suspended. */
void upload_give(struct upload *upload);
/* The client has gone: the handler is told, and waited for. It does nothing then but
 * clear up. */
void upload_abandon(struct upload *upload);

#endif
