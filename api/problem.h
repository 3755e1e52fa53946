/* problem.h - failures as answers: RFC 9457 on our own routes, OpenAI's error object
 * below /v1/, because that is what its clients read. */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "api/http.h"
#include "api/writer.h"

/* The HTTP status of a failure. */
int problem_status(enum status status);

/* Replaces `response`. `http_status` 0: derived from err->status. `backlog_ns`: how long what
 * waits for its turn will take, as far as that is known; a 503 says when to come again. */
void problem_respond(struct http_response *response, const struct http_request *request,
                     int http_status, const struct error *err, uint64_t backlog_ns);

/* "errors" of a partial answer: [{"index", "status", "code", "detail"}] for each of
 * `errors`, [count], that is one. */
void problem_write_items(struct writer *writer, const struct error *errors, size_t count);

#endif
