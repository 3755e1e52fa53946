/* routes.h - the one table of what the service answers to.
 *
 * `operation_id` is the operationId in openapi.yaml; tools/check_openapi.py holds the
 * two together. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/context.h"

enum route_flag {
    ROUTE_SMALL = 1,  /* the smaller limit of bodies applies */
    ROUTE_ALWAYS = 2, /* also while loading and draining */
    ROUTE_QUICK = 4,  /* cheap and never blocks */
    ROUTE_LINES = 8,  /* NDJSON is handled while it comes, and may have any length */
    ROUTE_PROBE = 16, /* asks others whether they answer, and is not one of many requests */
};

struct route {
    enum http_method method; /* HTTP_GET answers HEAD, too */
    const char *path;        /* a part in braces stands for any text but an empty one */
    const char *operation_id;
    unsigned accepts; /* enum body_content; 0: takes no body */
    unsigned flags;   /* enum route_flag */
    /* Names of the parameters that a query may have, with ", " between. NULL: any, as clients of
     * OpenAI's API and monitors add their own, and nothing there is an option. */
    const char *query;
    api_handler *handle;
};

extern const struct route routes[];
extern const size_t routes_count;

/* The row for the path and the method of a request, whose params are set from the path.
 * NULL: none, and `other` tells why: a row of the same path with another method, or NULL. */
const struct route *routes_find(const struct route **other, struct http_request *request);

/* That the request's query has no other names than its route knows: a misspelt option is not
 * silently ignored, nor a filter of what is to be deleted. */
enum status routes_check_query(const struct route *route, const struct http_request *request,
                               struct error *err);

/* The methods of a row's path as they stand in Allow: "GET, HEAD, PUT". */
enum { ROUTES_ALLOWED_SIZE = 40 };
void routes_allowed(char out[ROUTES_ALLOWED_SIZE], const struct route *route);

/* "GET" ...; "other" for HTTP_OTHER. */
const char *routes_method_name(enum http_method method);

#endif
