/* exchange_state.h - an exchange as the files that carry it through see it:
 * exchange.c its way from the first byte to the last, answer.c the answer. */
#ifndef SERVER_EXCHANGE_STATE_H
#define SERVER_EXCHANGE_STATE_H

#include "server/exchange.h"
#include "server/guard.h"
#include "server/stream.h"
#include "server/upload.h"

enum stage {
    STAGE_HEAD,      /* the header section is not in yet */
    STAGE_BODY,      /* admitted, collecting the body */
    STAGE_RUNNING,   /* suspended, on a thread of the pool */
    STAGE_UPLOADING, /* the same, but for when that waits for more of the body */
    STAGE_ANSWERED,  /* `response` is filled in */
    STAGE_QUEUED,    /* and given to libmicrohttpd */
};

struct exchange {
    struct http_request request;
    struct http_response response;
    enum stage stage;
    struct exchange_service *service;
    struct exchange_loop *loop;
    struct MHD_Connection *mhd;
    struct connection *connection;
    const char *target; /* as it came; decoded in place by the library later */
    size_t target_size;
    bool target_is_sound;
    bool takes_interim; /* the client, before its answer: see presence.h */
    struct framing framing;
    struct api_admission admission;
    struct buffer body, parts;
    size_t charged; /* of service->memory, for the body */

    /* Of a body that is handled while it comes; else NULL. */
    struct upload *upload;
    bool is_stream;    /* of service->streams */
    size_t wanted;     /* bytes in `body` with which the handler goes on */
    bool head_is_left; /* the library has yet to ask again what to do with the header section */
    bool body_ended;
    struct error body_error; /* it cannot be taken */

    /* Of an answer that is made while it is sent; else NULL. */
    struct stream *stream;
    uint64_t deadline_ns; /* for the client to have taken what there is, or sent more */
    uint64_t paused_ns;   /* since when it waits for us; 0: it does not */
    char path[];          /* that of the target, as it came */
};

/* Suspends the connection: from now on the exchange is the business of another thread. false: the
 * server stops, and nothing may be suspended any more. */
bool exchange_suspend(struct exchange *exchange);
/* The client has taken or sent so much: it may take as much longer as that takes at the lowest
 * rate that is allowed, but never longer than a request may take from now. Who is slower than
 * that has used up its time after a while, however long what it sends or takes. */
void exchange_extend(struct exchange *exchange, size_t size);
/* A place among service->streams, to be given back by counting down, or a refusal: half of
 * requests_max, so that slow clients never hold all there is. */
enum status exchange_take_stream(struct exchange_service *service, struct error *err);
/* Makes a refusal of the response; `http_status` as in api_refuse(). */
void exchange_refuse(struct exchange *exchange, int http_status, const struct error *err);
void exchange_release_body(struct exchange *exchange);
/* What a handler leaves behind that has not read all. False: nothing is left to answer. */
bool exchange_end_upload(struct exchange *exchange);
/* Lets the connection go on; its I/O thread may end the exchange at any moment then. */
void exchange_resume(struct exchange *exchange);

#endif
