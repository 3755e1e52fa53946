/* presence.h - whether a client that waits for its answer is still there.
 *
 * A reset says that it is not. The end of what it sends does not: it may have closed its
 * socket, or only said that nothing follows (shutdown(SHUT_WR)), which is good HTTP, and
 * nothing that came over the line tells the two apart. So it is asked: an interim answer,
 * "100 Continue", which every HTTP/1.1 client must read past, wanted or not (RFC 9110,
 * 15.2), is answered by the kernel of a closed socket with a reset. It is sent once, to
 * clients whose end has come and who still wait. HTTP/1.0 has no interim answers: those
 * clients are there until they are reset. So are those whose machine or network is gone
 * without a word, until their answer is to be sent. */
#ifndef SERVER_PRESENCE_H
#define SERVER_PRESENCE_H

#include <stdbool.h>

struct presence {
    bool takes_interim; /* HTTP/1.1: it may be asked */
    bool asked;
};

/* True when the client has gone for certain. Never blocks. Nobody else may write to the socket
 * meanwhile, and all that was written before must have been whole answers. */
bool presence_has_left(struct presence *presence, int fd);

#endif
