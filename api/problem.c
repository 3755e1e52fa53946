#include "api/problem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/response.h"
#include "core/base/clock.h"

/* Seconds after which a refused client is asked back. Of what is unavailable nobody knows when it
 * comes back: starting up takes longer than most queues. */
enum { RETRY_MIN_S = 1, RETRY_UNAVAILABLE_MIN_S = 5, RETRY_MAX_S = 60 };

int problem_status(enum status status) {
    switch (status) {
    case STATUS_OK: return 200;
    case STATUS_INVALID: return 400;
    case STATUS_DENIED: return 403;
    case STATUS_NOT_FOUND: return 404;
    case STATUS_CONFLICT: return 409;
    case STATUS_TOO_LARGE: return 413;
    case STATUS_UNSUPPORTED: return 415;
    case STATUS_UNPROCESSABLE: return 422;
    case STATUS_OVERLOADED:
    case STATUS_NO_MEMORY:
    case STATUS_UNAVAILABLE: return 503;
    case STATUS_TIMEOUT: return 504;
    /* Nobody reads it: the log does, and there it is known by what nginx made of it. */
    case STATUS_CANCELLED: return 499;
    case STATUS_IO:
    case STATUS_INTERNAL: return 500;
    }
    return 500;
}

static void write_field(struct writer *writer, const struct error *err) {
    writer_key(writer, "errors");
    writer_begin_array(writer);
    writer_begin_object(writer);
    writer_key(writer, "pointer");
    writer_text(writer, err->where);
    writer_key(writer, "detail");
    writer_text(writer, err->message);
    writer_end_object(writer);
    writer_end_array(writer);
}

static void write_problem(struct writer *writer, const struct http_request *request, int status,
                          const struct error *err, const char *detail) {
    writer_begin_object(writer);
    writer_key(writer, "type");
    writer_text(writer, "about:blank");
    writer_key(writer, "title");
    writer_text(writer, response_reason(status));
    writer_key(writer, "status");
    writer_uint(writer, (uint64_t)status);
    writer_key(writer, "detail");
    writer_text(writer, detail);
    writer_key(writer, "instance");
    writer_text(writer, request->id);
    writer_key(writer, "code");
    writer_text(writer, status_name(err->status));
    if (err->input >= 0) {
        writer_key(writer, "index");
        writer_uint(writer, (uint64_t)err->input);
    }
    if (err->where[0]) write_field(writer, err);
    writer_end_object(writer);
}

/* A JSON pointer as OpenAI names parameters: "/input/3/image" is "input[3].image". */
static void write_param(struct writer *writer, const char *pointer) {
    char name[2 * sizeof(((struct error *)0)->where)];
    size_t size = 0;
    if (!pointer[0]) {
        writer_null(writer);
        return;
    }
    for (const char *part = pointer; *part == '/' && size + 4 < sizeof(name);) {
        size_t length = strcspn(++part, "/");
        bool index = length && strspn(part, "0123456789") >= length;
        int written = snprintf(name + size, sizeof(name) - size, "%s%.*s%s",
                               index  ? "["
                               : size ? "."
                                      : "",
                               (int)length, part, index ? "]" : "");
        size += (size_t)written;
        part += length;
    }
    writer_text(writer, name);
}

static void write_openai(struct writer *writer, int status, const struct error *err,
                         const char *detail) {
    bool no_model = err->status == STATUS_NOT_FOUND && strcmp(err->where, "/model") == 0;
    writer_begin_object(writer);
    writer_key(writer, "error");
    writer_begin_object(writer);
    writer_key(writer, "message");
    writer_text(writer, detail);
    writer_key(writer, "type");
    writer_text(writer, status >= 500 ? "server_error" : "invalid_request_error");
    writer_key(writer, "param");
    write_param(writer, err->where);
    writer_key(writer, "code");
    writer_text(writer, no_model ? "model_not_found" : status_name(err->status));
    writer_end_object(writer);
    writer_end_object(writer);
}

/* When what waits now is done. */
static unsigned retry_after_s(enum status status, uint64_t backlog_ns) {
    unsigned least = status == STATUS_UNAVAILABLE ? RETRY_UNAVAILABLE_MIN_S : RETRY_MIN_S;
    uint64_t seconds = backlog_ns / CLOCK_NS_PER_S + (backlog_ns % CLOCK_NS_PER_S > 0);
    if (seconds < least) return least;
    return seconds > RETRY_MAX_S ? RETRY_MAX_S : (unsigned)seconds;
}

void problem_respond(struct http_response *response, const struct http_request *request,
                     int http_status, const struct error *err, uint64_t backlog_ns) {
    int status = http_status ? http_status : problem_status(err->status);
    bool openai = strncmp(request->path, "/v1/", 4) == 0;
    char detail[sizeof(err->message) + 32];
    if (err->input >= 0)
        snprintf(detail, sizeof(detail), "input %d: %s", err->input, err->message);
    else
        snprintf(detail, sizeof(detail), "%s", err->message);

    response_init(response, status, openai ? "application/json" : "application/problem+json");
    if (status == 503)
        response_header(response, "Retry-After", "%u", retry_after_s(err->status, backlog_ns));
    struct writer writer;
    writer_init(&writer, &response->body);
    if (openai)
        write_openai(&writer, status, err, detail);
    else
        write_problem(&writer, request, status, err, detail);
    /* Without memory for a sentence the status alone must do. */
    if (writer_finish(&writer, NULL)) response_init(response, status, NULL);
}

void problem_write_items(struct writer *writer, const struct error *errors, size_t count) {
    writer_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        const struct error *error = &errors[i];
        if (!error->status) continue;
        writer_begin_object(writer);
        writer_key(writer, "index");
        writer_uint(writer, i);
        writer_key(writer, "status");
        writer_uint(writer, (uint64_t)problem_status(error->status));
        writer_key(writer, "code");
        writer_text(writer, status_name(error->status));
        writer_key(writer, "detail");
        writer_text(writer, error->message);
        writer_end_object(writer);
    }
    writer_end_array(writer);
}
