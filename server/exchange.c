/* exchange.c - see exchange.h.
 *
 * libmicrohttpd takes an answer at two moments only: when the headers are in, after
 * which it reads no further and closes the connection, and when the body is. A
 * refusal in between waits for the end of the body, which is thrown away; small
 * bodies are thrown away, too, so that the connection can be kept.
 *
 * A body that is handled while it comes is begun when the headers are in, so that what
 * can be refused by them is refused before it is sent. The library asks once more what
 * to do with the headers when the handler wants the body. */
#include "server/exchange_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/base/clock.h"
#include "server/answer.h"
#include "server/dispatch.h"
#include "server/head.h"

enum {
    SWALLOW_MAX = 64 << 10, /* bytes of a refused body, to keep the connection */
    UPLOAD_BLOCK = 4 << 20, /* of a body that is handled while it comes */
};

static struct connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void exchange_loop_wake(struct exchange_loop *loop) {
    /* Can only fail when the counter is full, and then the thread is awake. */
    int ignored = eventfd_write(loop->wake, 1);
    (void)ignored;
}

bool exchange_suspend(struct exchange *exchange) {
    /* Counted before the look: who stops the server says so, and then looks at the count. */
    atomic_fetch_add(&exchange->service->suspended, 1);
    if (atomic_load(&exchange->service->stopping)) {
        atomic_fetch_sub(&exchange->service->suspended, 1);
        return false;
    }
    MHD_suspend_connection(exchange->mhd);
    return true;
}

void exchange_extend(struct exchange *exchange, size_t size) {
    uint64_t most_ns = clock_now_ns() + exchange->service->request_timeout_ns;
    exchange->deadline_ns += size * CLOCK_NS_PER_S / exchange->service->rate_min;
    if (exchange->deadline_ns > most_ns) exchange->deadline_ns = most_ns;
    connection_expect(exchange->connection, exchange->deadline_ns);
}

void exchange_resume(struct exchange *exchange) {
    struct exchange_service *service = exchange->service;
    struct exchange_loop *loop = exchange->loop;
    connection_unwatch(service->connections, exchange->connection);
    MHD_resume_connection(exchange->mhd);
    exchange_loop_wake(loop);
    atomic_fetch_sub(&service->suspended, 1);
}

enum status exchange_take_stream(struct exchange_service *service, struct error *err) {
    uint32_t limit = service->requests_max > 1 ? service->requests_max / 2 : 1;
    if (atomic_fetch_add(&service->streams, 1) < limit) return STATUS_OK;
    atomic_fetch_sub(&service->streams, 1);
    return error_set(err, STATUS_OVERLOADED, "%u streams are open, which is the limit", limit);
}

void *exchange_begin(void *loop, const char *target, struct MHD_Connection *mhd) {
    struct exchange_loop *own_loop = loop;
    struct exchange_service *shared = own_loop->service;
    struct connection *connection = connection_of(mhd);
    uint64_t now = clock_now_ns();
    atomic_fetch_add(&shared->begun, 1);
    atomic_fetch_add(&shared->open, 1);
    connection_expect(connection, now + shared->request_timeout_ns);
    if (!target) target = "";
    struct bytes path = guard_path(target);
    struct exchange *exchange = calloc(1, sizeof(*exchange) + path.size + 1);
    if (!exchange) return NULL;
    memcpy(exchange->path, path.data, path.size);
    exchange->service = shared;
    exchange->loop = own_loop;
    exchange->mhd = mhd;
    exchange->connection = connection;
    exchange->request.received_ns = exchange->request.waiting_ns = now;
    exchange->request.gone = connection_gone(connection);
    exchange->request.memory = &shared->memory;
    exchange->response.memory = &shared->answers;
    exchange->target = target;
    exchange->target_size = strlen(exchange->target);
    exchange->target_is_sound = guard_is_target(exchange->target);
    return exchange;
}

void exchange_refuse(struct exchange *exchange, int http_status, const struct error *err) {
    api_refuse(exchange->service->api, &exchange->request, http_status, err, &exchange->response);
    exchange->stage = STAGE_ANSWERED;
}

void exchange_release_body(struct exchange *exchange) {
    buffer_free(&exchange->body);
    budget_give(&exchange->service->memory, exchange->charged);
    exchange->charged = 0;
}

/* Adds to the body, as far as the memory for all bodies goes. */
static enum status append(struct exchange *exchange, const char *data, size_t size,
                          struct error *err) {
    struct budget *memory = &exchange->service->memory;
    enum status status = buffer_append(&exchange->body, data, size, err);
    size_t grown = exchange->body.capacity - exchange->charged;
    if (status) return status;
    if (!budget_take(memory, grown)) {
        return error_set(err, STATUS_OVERLOADED, "no memory for the body, %zu bytes are in use",
                         budget_used(memory));
    }
    exchange->charged += grown;
    return STATUS_OK;
}

static void receive(struct exchange *exchange, const char *data, size_t size) {
    struct error err = ERROR_NONE;
    if (exchange->stage != STAGE_BODY || !append(exchange, data, size, &err)) return;
    exchange_release_body(exchange);
    exchange_refuse(exchange, 0, &err);
}

/* ---- bodies that are handled while they come ---- */

static void resume_upload(void *context) {
    exchange_resume(context);
}

/* http_request.more: on the handler's thread. */
static enum status more(struct http_request *request, size_t used, bool *ended, struct error *err) {
    struct exchange *exchange = request->transport;
    struct buffer *body = &exchange->body;
    size_t limit = exchange->admission.body_max;
    assert(used <= body->size);
    body->size -= used;
    if (body->size) memmove(body->data, body->data + used, body->size);
    request->forgotten += used;
    if (!exchange->body_ended) {
        assert(body->size < limit);
        exchange->wanted = limit - body->size > UPLOAD_BLOCK ? body->size + UPLOAD_BLOCK : limit;
        exchange->deadline_ns = clock_now_ns() + exchange->service->request_timeout_ns;
        connection_expect(exchange->connection, exchange->deadline_ns);
        if (!upload_ask(exchange->upload, resume_upload, exchange))
            return error_set(err, STATUS_UNAVAILABLE, "the client has gone");
        if (exchange->body_error.status) return error_pass(err, &exchange->body_error);
    }
    *ended = exchange->body_ended;
    request->body = buffer_view(body);
    request->waiting_ns = clock_now_ns();
    return STATUS_OK;
}

/* Collects a part of the body for the handler, which waits for it. The connection is not
 * suspended before more has come than is wanted, and then that stays with the library: of
 * chunks it would go on to the next one otherwise, although the turn is not ours any more. */
static enum MHD_Result collect(struct exchange *exchange, const char *data, size_t *size) {
    size_t room = exchange->wanted - exchange->body.size;
    size_t taken = *size < room ? *size : room;
    if (exchange->head_is_left) {
        exchange->head_is_left = false;
        return MHD_YES;
    }
    exchange->body_ended = !*size;
    if (append(exchange, data, taken, &exchange->body_error) == STATUS_OK) *size -= taken;
    if (!*size && !exchange->body_ended) {
        exchange_extend(exchange, taken);
        return MHD_YES;
    }
    connection_expect(exchange->connection, CLOCK_NEVER);
    if (!exchange_suspend(exchange)) return MHD_NO;
    upload_give(exchange->upload);
    return MHD_YES;
}

bool exchange_end_upload(struct exchange *exchange) {
    if (!exchange->body_ended) {
        exchange->deadline_ns = clock_now_ns() + exchange->service->request_timeout_ns;
        connection_linger(exchange->connection);
        connection_expect(exchange->connection, exchange->deadline_ns);
    }
    return upload_leave(exchange->upload);
}

/* ---- the steps ---- */

/* Calls the handler, which takes the body from more(). */
static enum MHD_Result start_upload(struct exchange *exchange) {
    struct error err = ERROR_NONE;
    connection_expect(exchange->connection, CLOCK_NEVER);
    enum status status = upload_create(&exchange->upload, &err);
    if (!status) status = exchange_take_stream(exchange->service, &err);
    exchange->is_stream = !status;
    exchange->head_is_left = true;
    exchange->request.more = more;
    if (!status) return dispatch_submit(exchange);
    connection_linger(exchange->connection);
    exchange_refuse(exchange, 0, &err);
    return answer_queue(exchange);
}

/* Whether the length of the body is announced and within the route's limit. */
static void check_length(struct exchange *exchange) {
    const struct framing *framing = &exchange->framing;
    struct error err = ERROR_NONE;
    bool needs_body = exchange->request.method == HTTP_POST || exchange->request.method == HTTP_PUT;
    if (needs_body && !exchange->admission.bodyless && !framing->has_length && !framing->chunked) {
        error_set(&err, STATUS_INVALID, "request has neither content-length nor chunks");
        exchange_refuse(exchange, MHD_HTTP_LENGTH_REQUIRED, &err);
    } else if (framing->length > exchange->admission.body_max && !exchange->admission.streamed) {
        error_set(&err, STATUS_TOO_LARGE, "body of %llu bytes, the limit is %zu",
                  (unsigned long long)framing->length, exchange->admission.body_max);
        exchange_refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE, &err);
    }
}

/* The header section is in. */
static enum MHD_Result start(struct exchange *exchange, const char *method, const char *version) {
    struct http_request *request = &exchange->request;

    struct error err = ERROR_NONE;
    if (head_read(exchange, method, version, &err) != STATUS_OK) {
        connection_linger(exchange->connection);
        exchange_refuse(exchange, MHD_HTTP_BAD_REQUEST, &err);
        return answer_queue(exchange);
    }
    exchange->stage = STAGE_BODY;
    if (api_admit(exchange->service->api, request, &exchange->admission, &exchange->response))
        check_length(exchange);
    else
        exchange->stage = STAGE_ANSWERED;
    const struct framing *framing = &exchange->framing;
    if (exchange->stage == STAGE_ANSWERED &&
        (framing->chunked || framing->length > SWALLOW_MAX ||
         (framing->length && request->header(request, "Expect")))) {
        connection_linger(exchange->connection);
        return answer_queue(exchange);
    }
    size_t limit = exchange->admission.body_max;
    buffer_init(&exchange->body,
                framing->has_length && framing->length < limit ? framing->length : limit);
    bool streamed = exchange->stage == STAGE_BODY && exchange->admission.streamed;
    return streamed ? start_upload(exchange) : MHD_YES;
}

/* NOLINTNEXTLINE(readability-function-size): the library's signature */
enum MHD_Result exchange_step(void *loop, struct MHD_Connection *mhd, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **own) {
    struct exchange *exchange = *own;
    (void)mhd;
    (void)url; /* decoded, so that an encoded slash looks like any other */
    ((struct exchange_loop *)loop)->calls++;
    if (!exchange) return MHD_NO;
    if (exchange->stage == STAGE_HEAD) return start(exchange, method, version);
    if (exchange->stage == STAGE_UPLOADING) return collect(exchange, data, size);
    if (*size) {
        receive(exchange, data, *size);
        /* The answer waits for the end, however long the rest is that nobody wants. */
        if (exchange->upload) exchange_extend(exchange, *size);
        *size = 0;
        return MHD_YES;
    }
    if (exchange->stage == STAGE_BODY) {
        /* From here on it is us the client waits for. */
        connection_expect(exchange->connection, CLOCK_NEVER);
        if (!exchange->admission.immediate) return dispatch_submit(exchange);
        dispatch_handle(exchange);
        assert(!exchange->response.produce);
    }
    return answer_queue(exchange);
}

/* What is logged and counted for a request that the client did not finish. */
static void give_up(struct exchange *exchange) {
    struct error err = ERROR_NONE;
    if (connection_is_late(exchange->connection)) {
        error_set(&err, STATUS_TIMEOUT, "request was not complete in time");
        exchange_refuse(exchange, MHD_HTTP_REQUEST_TIMEOUT, &err);
    } else {
        error_set(&err, STATUS_INVALID, "connection ended after %llu bytes of the body",
                  (unsigned long long)exchange->request.forgotten + exchange->body.size);
        exchange_refuse(exchange, MHD_HTTP_BAD_REQUEST, &err);
    }
}

void exchange_end(void *loop, struct MHD_Connection *mhd, void **own,
                  enum MHD_RequestTerminationCode reason) {
    struct exchange_service *shared = ((struct exchange_loop *)loop)->service;
    struct exchange *exchange = *own;
    connection_expect(connection_of(mhd), clock_now_ns() + shared->idle_timeout_ns);
    bool refused = exchange && exchange->stage == STAGE_HEAD && head_was_refused(exchange);
    if (exchange && (exchange->stage != STAGE_HEAD || refused)) {
        bool sent = refused || (exchange->stage == STAGE_QUEUED &&
                                reason == MHD_REQUEST_TERMINATED_COMPLETED_OK);
        bool uploading = exchange->stage == STAGE_UPLOADING;
        if (uploading) upload_abandon(exchange->upload);
        if (uploading || exchange->stage == STAGE_BODY) give_up(exchange);
        if (exchange->is_stream) atomic_fetch_sub(&shared->streams, 1);
        upload_destroy(exchange->upload);
        if (exchange->stream) stream_abandon(exchange->stream);
        api_finish(shared->api, &exchange->request, &exchange->response, sent);
        exchange_release_body(exchange);
        buffer_free(&exchange->parts);
        buffer_free(&exchange->response.body);
        budget_give(&shared->answers, exchange->response.charged);
    }
    free(exchange);
    *own = NULL;
    atomic_fetch_sub(&shared->open, 1);
}
