#include "api/response.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* Far above what the limits on inputs allow; here so that no bug can take it all. */
static const size_t body_max = (size_t)1 << 30;

enum {
    FREE_MAX = 64 << 10,
    FULL_SIZE = 64 << 20,
    SHARE = 4, /* answers at a time that can be full */
};

void response_init(struct http_response *response, int status, const char *content_type) {
    buffer_free(&response->body);
    if (response->memory) budget_give(response->memory, response->charged);
    response->charged = 0;
    response->status = status;
    response->content_type = content_type;
    response->headers_count = 0;
    buffer_init(&response->body, body_max);
}

void response_header(struct http_response *response, const char *name, const char *format, ...) {
    assert(response->headers_count < HTTP_HEADERS_MAX);
    struct http_header *header = &response->headers[response->headers_count++];
    header->name = name;
    va_list args;
    va_start(args, format);
    vsnprintf(header->value, sizeof(header->value), format, args);
    va_end(args);
}

bool response_is_full(const struct http_response *response) {
    size_t most = FULL_SIZE;
    if (response->memory && response->memory->max / SHARE < most)
        most = response->memory->max / SHARE;
    return response->body.size > most;
}

enum status response_reserve(struct http_response *response, size_t bytes, struct error *err) {
    struct budget *memory = response->memory;
    if (memory && !budget_take(memory, bytes))
        return error_set(err, STATUS_OVERLOADED,
                         "no memory for the answer, answers hold %zu bytes of %zu",
                         budget_used(memory), memory->max);
    response->charged += bytes;
    return STATUS_OK;
}

enum status response_charge(struct http_response *response, struct error *err) {
    struct budget *memory = response->memory;
    size_t size = response->body.size;
    if (!memory || size <= FREE_MAX || size <= response->charged) return STATUS_OK;
    if (size > memory->max)
        return error_set(err, STATUS_TOO_LARGE, "answer has %zu bytes or more, the limit is %zu",
                         size, memory->max);
    return response_reserve(response, size - response->charged, err);
}

const char *response_reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Error";
    }
}
