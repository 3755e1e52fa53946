/* http.h - a request and a response, free of any server library.
 *
 * server/ fills the request and sends the response; api/ only looks at these.
 * Everything a request points to lives until api_finish() returns, but for what `body` and
 * `parts` view, which ends with api_handle().
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include <stdbool.h>

#include "core/base/budget.h"
#include "core/base/bytes.h"
#include "core/engine.h"

/* Parts of a path that stand for something: "/collections/{name}/items/{id}". */
enum { HTTP_PARAMS_MAX = 2, HTTP_PARAMS_SIZE = 640 };

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OTHER };

/* One part of a multipart/form-data body. Strings are "" when absent. */
struct http_part {
    const char *name, *filename, *content_type;
    struct bytes data;
};

struct route;

/* Sees one parameter of a query, the data of whose value is NULL when there is no "="; a failure
 * ends the walk. */
typedef enum status http_query_fn(void *context, const char *name, struct bytes value,
                                  struct error *err);

struct http_request {
    enum http_method method;
    const char *path; /* as it came, percent-encoded, without the query */
    /* The client's X-Request-Id if it is sane, else one of ours; the server sends it
     * back with every response. */
    char id[65];
    uint64_t received_ns;
    uint64_t waiting_ns; /* since when the client waits for us: time-outs count from it */
    /* Set when the client is known to have gone while it waits; NULL: nobody looks. */
    const _Atomic bool *gone;

    /* Filled in before api_handle(). */
    struct bytes body;             /* empty for multipart */
    const struct http_part *parts; /* multipart/form-data only */
    size_t parts_count;
    struct budget *memory; /* of all bodies and what is parsed from them; NULL: unlimited */

    /* Of an admission that is streamed, else NULL: `body` is a part of what is sent, and
     * empty at first. Forgets the first `used` bytes of it, which makes its views void, and
     * waits for more; *ended when nothing follows. The part must be shorter than the
     * admission's body_max then. Fails when the client is gone. */
    enum status (*more)(struct http_request *request, size_t used, bool *ended, struct error *err);
    uint64_t forgotten; /* bytes, so far */

    /* NULL when absent. Header names are case-insensitive. */
    const char *(*header)(const struct http_request *request, const char *name);
    const char *(*query)(const struct http_request *request, const char *name);
    /* All parameters of the query in their order, those of one name, too. */
    enum status (*each_query)(const struct http_request *request, http_query_fn *visit,
                              void *context, struct error *err);
    void *transport; /* the server's own */

    /* api's own: set by api_admit() and the handlers, read by api_finish(). */
    const struct route *route;
    const char *params[HTTP_PARAMS_MAX]; /* of the path, decoded, in its order */
    char params_text[HTTP_PARAMS_SIZE];  /* what they point into */
    size_t inputs;                       /* images and texts in the request */
    size_t states_bytes;                 /* that its answer holds, see struct api */
    struct engine_timings timings;
};

struct http_header {
    const char *name; /* a literal */
    char value[200];
};

enum { HTTP_HEADERS_MAX = 8 };

/* Where a body goes that is made while it is sent. */
struct http_sink {
    /* Waits while the client has yet to take what was written before. Fails with
     * STATUS_UNAVAILABLE when nobody wants more: return then, soon. An empty write asks
     * whether that is so. */
    enum status (*write)(struct http_sink *sink, struct bytes data, struct error *err);
};

/* Makes a body of any length. Runs on the request's thread after the handler has
 * returned, when the request may be gone already: `context` is all that it may use. A
 * failure cuts the answer off, so that the client can tell. */
typedef enum status http_produce_fn(void *context, struct http_sink *sink, struct error *err);

struct http_response {
    int status;               /* 200, 404, ... */
    const char *content_type; /* a literal; NULL: no body */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t headers_count;
    struct buffer body;    /* owned: freed by the server after it was sent */
    struct budget *memory; /* of all answers, the server's; NULL: unlimited */
    size_t charged;        /* bytes of it that this one holds: given back by the server */

    /* Instead of `body`, from routes that may block; NULL: there is none. `release` is
     * called once for the context, in any case. */
    http_produce_fn *produce;
    void (*release)(void *context);
    void *context;
    uint64_t produced; /* bytes sent of it: the server's */
};

#endif
