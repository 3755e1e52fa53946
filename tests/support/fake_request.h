/* fake_request.h - a struct http_request without a server behind it. */
#ifndef TESTS_SUPPORT_FAKE_REQUEST_H
#define TESTS_SUPPORT_FAKE_REQUEST_H

#include "api/http.h"

enum { FAKE_QUERY_SIZE = 16 };

struct fake_request {
    struct http_request request;
    const char *content_type;           /* NULL: none */
    const char *query[FAKE_QUERY_SIZE]; /* name, value, ..., NULL */
};

/* POST `path`. Strings and bodies are borrowed. The struct must not move afterwards. */
void fake_request_init(struct fake_request *fake, const char *path, const char *content_type,
                       struct bytes body);

#endif
