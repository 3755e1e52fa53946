/* answer.h - gives a response that is filled in to libmicrohttpd, and the body of a
 * streamed one as the client takes it. */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include "server/exchange_state.h"

/* Queues exchange->response. MHD_NO closes the connection without an answer: nothing
 * else is left to do then. On the connection's I/O thread. */
enum MHD_Result answer_queue(struct exchange *exchange);

/* Makes the body of a streamed answer while the I/O thread sends it, then lets go of
 * response.context. On a thread of the pool, where the exchange is in its hands; not any
 * more afterwards. False: there is nothing to stream, or no memory for it, in which case
 * the response is a refusal now; the connection is still suspended then. */
bool answer_produce(struct exchange *exchange);

#endif
