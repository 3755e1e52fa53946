/* exchange.h - one request and its response on their way through the server.
 *
 * Created when the request line is read, destroyed when libmicrohttpd reports the
 * request as completed. It belongs to the I/O thread of its connection, but for the
 * time between suspend and resume, when it belongs to a request thread. */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "server/http_server.h"
#include "server/multipart.h"

struct MHD_Connection;
struct reaper_entry;

/* Bytes of request bodies held by the whole server, against one bound. */
struct memory_budget {
    _Atomic size_t used;
    size_t limit;
};

struct exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct reaper_entry *watch;
    struct http_request request;
    struct http_response response;
    struct api_admission admission;
    bool bad_target; /* see guard.h */
    bool admitted;   /* headers seen: api_finish() will be called */
    bool answered;   /* `response` is filled */
    bool handled;    /* given to api_handle() */

    /* The body, while it comes in. */
    struct memory_budget *budget;
    size_t reserved; /* bytes of the budget that are ours */
    size_t received;
    struct buffer body;
    struct multipart *multipart;
    struct error error; /* why the rest of the body is thrown away */
};

/* `target` is the request target as sent. NULL without memory. */
struct exchange *exchange_create(struct http_server *server, struct MHD_Connection *connection,
                                 struct memory_budget *budget, const char *target);
void exchange_destroy(struct exchange *exchange);

/* Reads method, headers and id. `path` lives as long as the request. */
void exchange_begin(struct exchange *exchange, const char *method, const char *path);

/* Prepares for the body that the headers announce; the limits are in `admission`. */
enum status exchange_expect_body(struct exchange *exchange, uint32_t parts_max, struct error *err);
/* Takes a piece of the body. After a failure, which exchange->error records, further
 * pieces are dropped; false when even that has gone on for too long. */
bool exchange_receive(struct exchange *exchange, const char *data, size_t size);
/* The body is complete: fills request.body or request.parts. */
enum status exchange_complete(struct exchange *exchange, struct error *err);

#endif
