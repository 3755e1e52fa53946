#include "server/answer.h"

#include <assert.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"

/* Bytes handed to the library at once. Of a body that is whole already these are a copy, so that it
 * can be seen how fast the client takes it; one that is not longer goes as it is. */
enum { STREAM_BLOCK = 16 << 10, BODY_BLOCK = 64 << 10 };

/* libmicrohttpd 0.9.75 may send a last chunk behind the headers that answer a HEAD. So it is told
 * to use none, and to close: a length, which it would send otherwise, is not known. */
static bool is_stream_of_head(const struct exchange *exchange) {
    return exchange->response.produce && exchange->request.method == HTTP_HEAD;
}

/* Libmicrohttpd before 1.0 takes a bare LF for the end of a line between chunks, and cannot be
 * asked whether it did: what follows such a body may be a part of it, and must not be taken for
 * a request. */
static bool has_doubtful_end(const struct exchange *exchange) {
    return exchange->service->is_lenient && exchange->framing.chunked;
}

static bool add_headers(struct MHD_Response *out, const struct exchange *exchange) {
    const struct http_response *response = &exchange->response;
    bool ok = MHD_add_response_header(out, "X-Request-Id", exchange->request.id) == MHD_YES;
    if (response->content_type)
        ok &= MHD_add_response_header(out, "Content-Type", response->content_type) == MHD_YES;
    for (size_t i = 0; i < response->headers_count; i++)
        ok &= MHD_add_response_header(out, response->headers[i].name, response->headers[i].value) ==
              MHD_YES;
    if (atomic_load(&exchange->service->draining) || is_stream_of_head(exchange) ||
        has_doubtful_end(exchange))
        ok &= MHD_add_response_header(out, "Connection", "close") == MHD_YES;
    return ok;
}

static void wake_reader(void *context) {
    exchange_resume(context);
}

/* The client has taken what came before: more for it, or the connection is suspended
 * until there is more. What we let it wait does not count against it. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t room) {
    struct exchange *exchange = context;
    uint64_t now = clock_now_ns();
    size_t size;
    exchange->loop->calls++;
    if (!exchange->stream) return MHD_CONTENT_READER_END_OF_STREAM;
    if (exchange->paused_ns) exchange->deadline_ns += now - exchange->paused_ns;
    exchange->paused_ns = 0;
    switch (stream_read(exchange->stream, out, room, &size)) {
    case STREAM_ENDED: return MHD_CONTENT_READER_END_OF_STREAM;
    case STREAM_FAILED: return MHD_CONTENT_READER_END_WITH_ERROR;
    case STREAM_DATA:
        exchange->response.produced = position + size;
        exchange_extend(exchange, size);
        return (ssize_t)size;
    case STREAM_EMPTY: break;
    }
    exchange->paused_ns = now;
    connection_expect(exchange->connection, CLOCK_NEVER);
    if (!exchange_suspend(exchange)) return MHD_CONTENT_READER_END_WITH_ERROR;
    /* It cannot be asked within its answer, but a reset is seen. */
    connection_watch(exchange->service->connections, exchange->connection, false);
    if (!stream_wait(exchange->stream)) exchange_resume(exchange);
    return 0;
}

/* The client has taken what came before: the next block for it. */
static ssize_t read_body(void *context, uint64_t position, char *out, size_t room) {
    struct exchange *exchange = context;
    const struct buffer *body = &exchange->response.body;
    exchange->loop->calls++;
    assert(position < body->size);
    size_t size = body->size - position < room ? body->size - position : room;
    memcpy(out, body->data + position, size);
    exchange_extend(exchange, size);
    return (ssize_t)size;
}

static struct MHD_Response *create_stream(struct exchange *exchange) {
    struct MHD_Response *out = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                                 read_stream, exchange, NULL);
    if (out && is_stream_of_head(exchange))
        MHD_set_response_options(out, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return out;
}

static struct MHD_Response *create_response(struct exchange *exchange) {
    struct http_response *response = &exchange->response;
    if (exchange->stream || is_stream_of_head(exchange)) return create_stream(exchange);
    /* The body is freed by exchange_end(), which libmicrohttpd calls afterwards. */
    if (response->body.size > BODY_BLOCK && exchange->request.method != HTTP_HEAD)
        return MHD_create_response_from_callback(response->body.size, BODY_BLOCK, read_body,
                                                 exchange, NULL);
    return MHD_create_response_from_buffer(response->body.size, response->body.data,
                                           MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result answer_queue(struct exchange *exchange) {
    struct http_response *response = &exchange->response;
    assert(exchange->stage == STAGE_ANSWERED && response->status >= 200);
    struct MHD_Response *out = create_response(exchange);
    if (!out) return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (add_headers(out, exchange)) {
        exchange->deadline_ns = clock_now_ns() + exchange->service->request_timeout_ns;
        connection_expect(exchange->connection, exchange->deadline_ns);
        exchange->stage = STAGE_QUEUED;
        queued = MHD_queue_response(exchange->mhd, (unsigned)response->status, out);
    }
    MHD_destroy_response(out);
    return queued;
}

/* The pipe of a streamed answer. */
static enum status open_stream(struct stream **out, struct exchange *exchange, struct error *err) {
    struct exchange_service *service = exchange->service;
    struct stream_options options = {.wake = wake_reader,
                                     .context = exchange,
                                     .gone = exchange->request.gone,
                                     .stopping = &service->stopping};
    struct budget *memory = exchange->response.memory;
    if (!budget_take(memory, STREAM_SIZE))
        return error_set(err, STATUS_OVERLOADED,
                         "no memory for the answer, answers hold %zu bytes of %zu",
                         budget_used(memory), memory->max);
    exchange->response.charged += STREAM_SIZE;
    enum status status = exchange_take_stream(service, err);
    if (status) return status;
    status = stream_create(out, &options, err);
    if (status) atomic_fetch_sub(&service->streams, 1);
    return status;
}

bool answer_produce(struct exchange *exchange) {
    struct http_response response = exchange->response;
    struct exchange_service *service = exchange->service;
    struct stream *stream = NULL;
    struct error err = ERROR_NONE;
    char id[sizeof(exchange->request.id)];
    memcpy(id, exchange->request.id, sizeof(id));
    if (!response.produce) return false;
    bool wanted = !is_stream_of_head(exchange);
    if (!wanted || open_stream(&stream, exchange, &err) != STATUS_OK) {
        response.release(response.context);
        if (wanted) api_refuse(service->api, &exchange->request, 0, &err, &exchange->response);
        return false;
    }
    exchange->stream = stream;
    /* The connection stays suspended, and the client is watched, until there is something to send:
     * from then on the exchange may end at any moment. */
    enum status status = response.produce(response.context, stream_sink(stream), &err);
    response.release(response.context);
    if (status != STATUS_OK && status != STATUS_UNAVAILABLE)
        log_message(LOG_WARNING, "request %s: the answer was cut off: %s", id, err.message);
    atomic_fetch_sub(&service->running, 1);
    atomic_fetch_sub(&service->streams, 1);
    stream_end(stream, status != STATUS_OK);
    return true;
}
