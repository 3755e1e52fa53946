/* response.h - filling a struct http_response. */
#ifndef API_RESPONSE_H
#define API_RESPONSE_H

#include "api/http.h"

/* A response without a body yet: the body may be appended to. What it held before is
 * freed. `content_type` is a literal. */
void response_init(struct http_response *response, int status, const char *content_type);
/* Whether a body whose length depends on what clients have stored has as much as one may:
 * what is more goes into another page, or is refused. */
bool response_is_full(const struct http_response *response);
/* Takes what the body has grown by from the memory for all answers. Called for each at its
 * end, and before that by those who make long ones piece by piece. Short ones are free, so
 * that there is always one. */
enum status response_charge(struct http_response *response, struct error *err);
/* Takes as much from it beforehand, for what the making of a streamed body holds. */
enum status response_reserve(struct http_response *response, size_t bytes, struct error *err);
/* Adds a header; `name` is a literal. A value that is too long is cut. */
void response_header(struct http_response *response, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "Not Found"; "Error" for a status that we never send. */
const char *response_reason(int status);

#endif
