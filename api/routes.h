/* routes.h - the one table of what the service answers to.
 *
 * `operation_id` is the operationId in openapi.yaml; tools/check_openapi.py holds the
 * two together. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/context.h"

struct route {
    enum http_method method; /* HTTP_GET answers HEAD, too */
    const char *path;
    const char *operation_id;
    unsigned accepts; /* enum body_content; 0: takes no body, is cheap and never blocks */
    bool text_only;   /* the smaller limit of bodies applies */
    bool always;      /* also while loading and draining */
    api_handler *handle;
};

extern const struct route routes[];
extern const size_t routes_count;

/* The row for a path and a method. NULL: none, and `other` tells why: a row of the
 * same path with another method, or NULL. */
const struct route *routes_find(const struct route **other, const char *path,
                                enum http_method method);

/* "GET" ...; "other" for HTTP_OTHER. */
const char *routes_method_name(enum http_method method);

#endif
